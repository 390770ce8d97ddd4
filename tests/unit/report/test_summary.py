"""The summary of a build, from records in the format of BuildKit 0.25."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from poetry_docker_cache.report.base_age import Base

from poetry_docker_cache.report.summary import (
    Layer,
    Package,
    Summary,
    as_data,
    blobs,
    bytes_of,
    lines,
    pushed,
    read_layers,
)

CLICK, FLASK = (
    Package(name="click", version="8.1.7"),
    Package(name="flask", version="3.1.0"),
)
STARTED = {"started": "2026-11-25T00:00:00.1Z", "completed": "2026-11-25T00:00:01Z"}
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def step(name: str, **more: object) -> dict[str, Any]:
    """Make the first entry about a step."""
    return {"digest": f"sha256:{name}", "name": name, **more}


def ran(name: str, *output: str) -> list[dict[str, Any]]:
    """Make the entries about a step that runs: it appears, starts, prints and ends."""
    logs = [
        {"vertex": f"sha256:{name}", "stream": 1, "data": base64.b64encode(text.encode()).decode()}
        for text in output
    ]
    return [
        {"vertexes": [step(name)]},
        {"vertexes": [step(name, started=STARTED["started"])]},
        {"logs": logs},
        {"vertexes": [step(name, **STARTED)]},
    ]


def cached(name: str) -> list[dict[str, Any]]:
    """Make the entries about a cached step, which starts before it is known to be cached."""
    return [{"vertexes": [step(name)]}, {"vertexes": [step(name, **STARTED, cached=True)]}]


def record(*statuses: list[dict[str, Any]]) -> str:
    """Make a complete record, after a line of the client."""
    found = [json.dumps(status) for part in statuses for status in part]
    return "\n".join(["WARNING: no config file", *found, ""])


def test_cached_and_rebuilt_layer() -> None:
    """A step that ran lists its packages; its output may be split anywhere."""
    text = record(
        cached("[venv 3/3] RUN python -m venv --without-pip /venv"),
        cached("[native-1 1/1] RUN --mount=type=bind install"),
        ran(
            "[pure-1 1/1] RUN --mount=type=bind install",
            "Looking in indexes\n  - Installed Fl",
            "ask (3.1.0)\n  - Installed click (8.1.7)\n",
        ),
        ran("[final 2/9] COPY --link --from=pure-1 /venv /venv"),
    )
    known = {"pure-1": [], "native-1": [FLASK]}
    assert read_layers(text, known) == (
        Layer(name="pure-1", cached=False, packages=(CLICK, FLASK)),
        Layer(name="native-1", cached=True, packages=(FLASK,)),
    )


def test_output_of_poetry_is_parsed() -> None:
    """Its wording differs, and a commit may follow the version."""
    text = record(
        ran(
            "[source 4/4] RUN install",
            "  - Installing click (8.1.7 1a2b3c4)\n",
            " - Removing x (1)\n",
        )
    )
    assert read_layers(text) == (Layer(name="source", cached=False, packages=(CLICK,)),)


def test_reused_package() -> None:
    """It has the planned version, which the output lacks."""
    text = record(
        ran(
            "[pure-1 1/1] RUN install",
            "  - Installed flask (3.1.0)\n  - Reused Click, from the earlier image\n",
        )
    )
    click = Package(name="click", version="8.1.7", reused=True)
    assert read_layers(text, {"pure-1": [FLASK, CLICK]}) == (
        Layer(name="pure-1", cached=False, packages=(click, FLASK)),
    )
    (layer,) = read_layers(text) or ()
    assert layer.packages is not None
    assert [package.version for package in layer.packages] == [None, "3.1.0"]
    assert shown(layers=read_layers(text))[:2] == [
        "Dependencies  1 layer, 0 cached, 1 rebuilt: 1 package installed, 1 reused",
        "  pure-1      flask 3.1.0",
    ]


def test_cached_layer_of_vendored_dockerfile() -> None:
    """Its packages are unknown."""
    assert read_layers(record(cached("[own-numpy 1/1] RUN install"))) == (
        Layer(name="own-numpy", cached=True, packages=None),
    )


def test_several_platforms() -> None:
    """A layer is rebuilt if one platform had to install it."""
    text = record(
        cached("[linux/amd64 pure-1 1/1] RUN install"),
        ran("[linux/amd64->linux/arm64 pure-1 1/1] RUN install"),
        cached("[linux/arm64 pure-2 1/1] RUN install"),
    )
    assert {layer.name: layer.cached for layer in read_layers(text) or ()} == {
        "pure-1": False,
        "pure-2": True,
    }


def test_unneeded_layers() -> None:
    """With `--target` some are missing from the record; a step that did not run is cached."""
    text = record([{"vertexes": [step("[pure-1 1/1] RUN install")]}])
    assert read_layers(text, {"pure-1": [CLICK], "pure-2": [FLASK]}) == (
        Layer(name="pure-1", cached=True, packages=(CLICK,)),
    )


def test_cancelled_step_is_ignored() -> None:
    """BuildKit cancels a step when its result is not needed, and may start it again."""
    install = "[pure-1 1/1] RUN install"
    error = "failed to get record: context canceled"
    begun = [{"vertexes": [step(install, started=STARTED["started"])]}]
    given_up = [{"vertexes": [step(install, **STARTED, error=error)]}]
    for never_ended in (begun, given_up):
        assert read_layers(record(never_ended), {"pure-1": [CLICK]}) == (
            Layer(name="pure-1", cached=True, packages=(CLICK,)),
        )
    again = record(given_up, ran(install, "  - Installed click (8.1.7)\n"))
    assert read_layers(again) == (Layer(name="pure-1", cached=False, packages=(CLICK,)),)


@pytest.mark.parametrize(
    "text", ["", "Usage:  docker [OPTIONS] COMMAND\n", "ERROR: no record\n{\n"]
)
def test_text_without_record(text: str) -> None:
    """An old client prints its help for an unknown command, and succeeds."""
    assert read_layers(text, {"pure-1": [CLICK]}) is None


def test_other_steps_are_ignored() -> None:
    """Such as COPY, and steps of other stages."""
    text = record(
        ran("[source 1/5] FROM docker.io/library/python:3.13"),
        cached("[source 5/5] RUN install"),
        ran("[dependencies-of-mine 2/2] RUN make"),
        ran("[direct-scripts 1/1] COPY <<direct.py /"),
        ran("[direct 5/6] COPY libs/a.whl /files/libs/a.whl"),
        cached("[linux/arm64 direct 6/6] RUN install"),
        ran("[internal] load build definition from Dockerfile"),
    )
    found = [(layer.name, layer.cached) for layer in read_layers(text) or ()]
    assert found == [("direct", True), ("source", True)]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["vertexes", "logs", "digest", "name", "completed", "vertex", "data"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(ODD | st.dictionaries(st.sampled_from(["vertexes", "logs", "layers"]), ODD)))
def test_unexpected_records_are_no_error(values: list[Any]) -> None:
    """Another BuildKit may write anything."""
    text = "\n".join(map(json.dumps, values))
    read_layers(text)
    read_layers(text[:-1])
    blobs([text])
    pushed(text, {}, "")


def manifest(**sizes: int) -> str:
    """Make an image's manifest, with the configuration as the first blob."""
    config, *layers = ({"digest": digest, "size": size} for digest, size in sizes.items())
    return json.dumps({"config": config, "layers": layers})


def test_size() -> None:
    """It includes configuration and layers; shared ones count once."""
    assert blobs([manifest(a=6000, b=29_000_000)]) == {"a": 6000, "b": 29_000_000}
    both = blobs([manifest(a=1, c=10, d=100), manifest(b=2, d=100)])
    assert both == {"a": 1, "b": 2, "c": 10, "d": 100}
    for nothing in ("", "ERROR: no matching attachment", "[]", '{"manifests": []}', "{"):
        assert blobs([manifest(a=1), nothing]) is None
    assert blobs([]) is None
    assert [bytes_of(text) for text in ("109069134\n", "", "-1", "<nil>")] == [109069134] + 3 * [
        None
    ]


def request(method: str, path: str, status: int = 201, *, old: bool = False) -> str:
    """Make a request in a trace, with older or newer attribute names of OpenTelemetry."""
    facts = {
        "http.method" if old else "http.request.method": method,
        "http.url" if old else "url.full": f"https://registry.test/v2/{path}",
        "http.status_code" if old else "http.response.status_code": status,
    }
    attributes = [
        {"Key": key, "Value": {"Type": "INT64" if key.endswith("code") else "STRING", "Value": it}}
        for key, it in facts.items()
    ]
    return json.dumps({"Name": f"HTTP {method}", "Attributes": attributes}, indent=2)


def test_pushed() -> None:
    """Only accepted blobs of the image count, once for each repository."""
    sizes = {"sha256:a": 1, "sha256:b": 20, "sha256:c": 300}
    names = "registry.test/team/shop:1,registry.test/team/shop:2,docker.io/library/other"
    upload = "team/shop/blobs/uploads/{}?_state=x&digest=sha256%3A{}"
    put = [
        request("PUT", upload.format(1, "a")),
        request("PUT", upload.format(2, "a")),
        request("PUT", upload.format(3, "b"), old=True),
        request("PUT", "library/other/blobs/uploads/4?digest=sha256:b"),
    ]
    others = [
        json.dumps({"Name": "solve", "Attributes": None}),
        request("HEAD", "team/shop/blobs/sha256:c"),
        request("POST", "team/shop/blobs/uploads/", 202),
        request("PUT", upload.format(5, "c"), 500),
        request("PUT", upload.format(6, "provenance")),
        request("PUT", "team/cache/blobs/uploads/7?digest=sha256:c"),
    ]
    end = request("PUT", "team/shop/manifests/1")
    assert pushed("\n".join([*others, *put, end]), sizes, names) == 41
    assert pushed("\n".join([*others, end]), sizes, names) == 0
    assert pushed("\n".join([*put, end]), sizes, "") is None
    assert pushed("\n".join([*put, end]), {}, names) is None  # not "nothing to push"
    mirrored = put[0].replace("registry.test", "mirror.test")
    both = f"{names},mirror.test/team/shop:1"
    assert pushed("\n".join([mirrored, *put, end]), sizes, both) == 42
    assert pushed("\n".join(others[:3]), sizes, names) is None
    for broken in ("", "[]", "{", "null\n{}", '{"Attributes": [1, {"Key": 1, "Value": 2}]}'):
        assert pushed(broken, sizes, names) is None


def layers(cached: int, *rebuilt: int) -> tuple[Layer, ...]:
    """Make cached layers, then rebuilt ones with this many packages each."""
    many = tuple(Package(name=f"package-{number}", version="1.0") for number in range(40))
    return (
        *(Layer(name=f"pure-{n}", cached=True, packages=(CLICK,)) for n in range(1, cached + 1)),
        *(
            Layer(name=f"native-{n}", cached=False, packages=many[:count])
            for n, count in enumerate(rebuilt, start=1)
        ),
    )


def shown(**facts: Any) -> list[str]:  # noqa: ANN401  # any of Summary's
    """Return the lines as printed."""
    usual: dict[str, Any] = {"seconds": 6.24, "tags": ("shop:1",), "digest": DIGEST}
    summary = Summary(**usual | facts)
    return [f"{title:14}{text}" for title, text in lines(summary)]


def test_one_rebuilt_layer() -> None:
    """It is listed with as many packages as fit on a line."""
    assert shown(layers=layers(9, 7), size=53_100_000, pushed=4_100_000) == [
        "Dependencies  10 layers, 9 cached, 1 rebuilt: 7 packages installed",
        "  native-1    package-0 1.0, package-1 1.0, package-2 1.0, package-3 1.0 and 3 more",
        "Image         shop:1: 53.1 MB compressed, 4.1 MB pushed, in 6.2 s",
        f"Digest        {DIGEST}",
    ]


def test_nothing_rebuilt() -> None:
    """There is no list of layers; further tags are counted."""
    assert shown(layers=layers(1), tags=("shop:1", "shop:2", "shop:3"), pushed=0) == [
        "Dependencies  1 layer, all cached: nothing was installed",
        "Image         shop:1 and 2 more: nothing to push, in 6.2 s",
        f"Digest        {DIGEST}",
    ]


@pytest.mark.parametrize(
    ("found", "more"),
    [
        (
            layers(2, 1, 1, 1),
            [f"  native-{number}    package-0 1.0" for number in (1, 2, 3)],
        ),
        (layers(2, 1, 1, 1, 1), ["  rebuilt     native-1, native-2, native-3, native-4"]),
        (layers(0, 1, 1, 1, 1), []),
        (layers(0, 0), ["  native-1    nothing installed"]),
    ],
)
def test_many_rebuilt(found: tuple[Layer, ...], more: list[str]) -> None:
    """There are six lines at most: more layers have fewer details."""
    _, *rest, _, _ = shown(layers=found)
    assert rest == more


def test_summary_without_history() -> None:
    """For an old buildx or engine, it has what is known without it."""
    assert shown(digest=None, seconds=3725) == ["Time          62 min 5 s"]
    assert ": 8.0 MB compressed for 2 platforms, in" in shown(size=8_000_000, platforms=2)[0]
    assert "109.1 MB unpacked" in shown(unpacked=109_069_134)[0]
    assert shown(tags=()) == [
        "Image         without a name: in 6.2 s",
        f"Digest        {DIGEST}",
    ]


def test_age_of_base() -> None:
    """It follows the dependencies."""
    now = datetime(2026, 12, 1, tzinfo=timezone.utc)
    base = Base(image="python:3.13-slim", created=now, installed=None, now=now, fresh=False)
    assert shown(layers=layers(1), base=base)[1:2] == ["Base          python:3.13-slim, 0 days old"]


def test_data() -> None:
    """It has every value; an unknown one is null."""
    summary = Summary(
        seconds=6.23456,
        tags=("shop:1",),
        layers=(
            Layer(name="pure-1", cached=False, packages=(CLICK,)),
            Layer(name="own-x", cached=True, packages=None),
        ),
    )
    assert as_data(summary) == {
        "layers": [
            {
                "name": "pure-1",
                "cached": False,
                "packages": [{"name": "click", "version": "8.1.7", "reused": False}],
            },
            {"name": "own-x", "cached": True, "packages": None},
        ],
        "seconds": 6.235,
        "tags": ["shop:1"],
        "digest": None,
        "size": None,
        "unpacked": None,
        "pushed": None,
        "base": None,
    }
    assert as_data(Summary(seconds=1, tags=()))["layers"] is None
