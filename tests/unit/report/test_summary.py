"""The summary of a build."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poetry_docker_cache.comparison.package_changes import package_changes
from poetry_docker_cache.report.layers import Layer, Package
from poetry_docker_cache.report.summary import Base, RunStep, Summary, as_data, lines

CLICK = Package(name="click", version="8.1.7")
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


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
    found = [f"{title}{text}" for title, text in lines(Summary(**usual | facts))]
    assert all(len(line) < 80 for line in found), found
    return found


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (layers(0, 7, 2), ["Layers  2 layers built: 9 packages installed"]),
        (layers(0, 1), ["Layers  1 layer built: 1 package installed"]),
        (layers(10), ["Layers  10 layers cached: nothing was installed"]),
        (layers(9, 7), ["Layers  1 of 10 layers rebuilt (native-1): 7 packages installed"]),
        (
            layers(3, *[1] * 20),
            ["Layers  20 of 23 layers rebuilt (native-1, 19 more): 20 packages installed"],
        ),
        ((), []),
        (None, []),
    ],
)
def test_rebuilt_layers_are_named(found: tuple[Layer, ...] | None, line: list[str]) -> None:
    """The summary says which layers were rebuilt."""
    assert shown(layers=found) == [*line, "Image   shop:1: in 6.2 s", f"Digest  {DIGEST}"]


def test_reused_packages_are_counted() -> None:
    """Reused packages were not installed."""
    reused = Package(name="flask", version=None, reused=True)
    found = (Layer(name="pure-1", cached=False, packages=(CLICK, reused)),)
    assert shown(layers=found)[0] == "Layers  1 layer built: 1 package installed, 1 reused"


def test_changes_come_first() -> None:
    """Changes come first, because they are the reason for what was rebuilt."""
    before = {"native-1": {"rich": "14.0.0"}, "pure-1": {"six": "1"}}
    after = {"native-1": {"rich": "14.1.0", "anyio": "4"}, "pure-1": {}}
    assert shown(changes=package_changes(before, after), layers=layers(1, 1))[:3] == [
        "Change  anyio 4 added, rich 14.0.0 → 14.1.0: layer native-1",
        "Change  six 1 removed: layer pure-1",
        "Layers  1 of 2 layers rebuilt (native-1): 1 package installed",
    ]
    assert shown(changes=())[0].startswith("Image")


def test_many_changes_are_shortened() -> None:
    """The summary stays short; `poetry docker diff` shows all."""
    many = {"pure-1": {f"package-{n}": "1.0" for n in range(30)}}
    assert shown(changes=package_changes({}, many))[0].endswith(" more: layer pure-1")
    spread = {f"pure-{n}": {f"package-{n}": "1.0"} for n in range(1, 8)}
    assert shown(changes=package_changes({}, spread))[4:6] == [
        "Change  package-5 1.0 added: layer pure-5",
        "Change  2 more layers",
    ]


def test_new_or_old_base_image_is_shown() -> None:
    """A new base image is a reason, and an old one should be updated."""
    new = Base(image="python:3.13-slim", days=0)
    assert shown(base=new, new_base=True)[0] == "Change  python:3.13-slim is a newer image"
    assert shown(base=new)[0].startswith("Image")
    old = Base(image="python:3.13-slim", days=31)
    assert shown(base=old)[0] == (
        "Base    python:3.13-slim, unchanged for 31 days: update with `--refresh`"
    )


def test_image_line_shows_what_is_known() -> None:
    """The line shows what is known about the image."""
    assert shown(size=8_000_000, platforms=2, push_seconds=1.25)[0] == (
        "Image   shop:1: 8.0 MB compressed for 2 platforms, in 6.2 s (push: 1.2 s)"
    )
    assert shown(tags=("a", "b", "c"))[0] == "Image   a and 2 more: in 6.2 s"
    assert shown(tags=())[0] == "Image   without a name: in 6.2 s"
    assert shown(digest=None, seconds=3725) == ["Time    62 min 5 s"]


def test_start_and_run_commands_are_shown() -> None:
    """The command can be pasted; that of the image is cut if it is long."""
    starts = f"sh -c 'exec server\n --port 8000 {'x' * 80}'"
    run = ("docker", "run", "--rm", "-p", "8000:8000", "shop:1")
    starts_line, run_line = shown(starts=starts, run=run)[-2:]
    assert starts_line.startswith("Starts  sh -c 'exec server --port 8000 xxx")
    assert starts_line.endswith("…")
    assert run_line == "Run     docker run --rm -p 8000:8000 shop:1"


def test_each_step_has_a_line() -> None:
    """It says whether the command ran."""
    ran = RunStep(name="run-1", command="python -m shop.static", cached=False)
    assert shown(steps=(ran, replace(ran, name="run-2", cached=True)))[:2] == [
        "Step    run-1: python -m shop.static",
        "Step    run-2, cached: python -m shop.static",
    ]


def test_data() -> None:
    """It has every value; an unknown one is null."""
    summary = Summary(
        seconds=6.23456,
        tags=("shop:1",),
        layers=(
            Layer(name="pure-1", cached=False, packages=(CLICK,)),
            Layer(name="own-x", cached=True, packages=None),
        ),
        steps=(RunStep(name="run-1", command="python -m shop.static", cached=True),),
        push_seconds=0.12345,
        base=Base(image="python:3.13-slim", digest=DIGEST, days=3),
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
        "steps": [{"name": "run-1", "command": "python -m shop.static", "cached": True}],
        "seconds": 6.235,
        "tags": ["shop:1"],
        "digest": None,
        "size": None,
        "push_seconds": 0.123,
        "base": {"image": "python:3.13-slim", "digest": DIGEST},
    }
    empty = as_data(Summary(seconds=1, tags=()))
    assert empty["layers"] is empty["base"] is None
