"""The summary of `poetry docker build` and the metadata file, with a fake docker."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from command_line import ERROR, Client, poetry
from dockerignore import passing
from projects import make_project, package
from streams import FOLDER as STREAMS

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
LAYERS = [{"digest": "sha256:a", "size": 12_300_000}, {"digest": "sha256:b", "size": 4_000_000}]
METADATA: dict[str, Any] = {
    "buildx.build.ref": "default/default/abc123",
    "buildx.build.provenance": {
        "builder": {"id": ""},
        "materials": [
            {"uri": "pkg:docker/python@3.12-slim?platform=linux%2Famd64", "digest": {"sha256": "f"}}
        ],
        "buildConfig": {"llbDefinition": [{"id": "step0"}, {"inputs": ["step0:0"]}]},
        "metadata": {
            "https://mobyproject.org/buildkit@v1#metadata": {"layers": {"step0:0": [LAYERS]}}
        },
    },
    "containerimage.digest": DIGEST,
}
STARTED = {"started": "2026-11-25T00:00:00Z", "completed": "2026-11-25T00:00:01Z"}
PROGRESS = "\n".join(
    json.dumps(status)
    for status in (
        {"logs": [{"vertex": "1", "data": "ICAtIEluc3RhbGxlZCByaWNoICgxLjApCg=="}]},
        {"vertexes": [{"digest": "1", "name": "[dependencies 1/1] RUN x", **STARTED}]},
        {"vertexes": [{"digest": "2", "name": "exporting to image", **STARTED}]},
    )
)
PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.12,<3.13"
dependencies = ["rich>=1"]
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
BUILD = ("docker", "build")
SUMMARY = [
    "Layers  1 layer built: 1 package installed",
    "Image   shop:1.2.3: 16.3 MB compressed, in TIME",
    f"Digest  {DIGEST}",
    "Starts  python -m shop",
    "Run     docker run --rm shop:1.2.3",
]
SHORT = ["Image   shop:1.2.3: in TIME", *SUMMARY[2:]]
"""What is known without progress and provenance."""
THEIRS = SUMMARY[1:]
"""What is known if BuildKit shows its progress itself."""
DISPLAY = [
    "Building shop:1.2.3 on python:3.12-slim",
    "dependencies: rich 1.0, TIME",
    "image: TIME",
]


def printed(err: str) -> list[str]:
    """Return the output without notes, with TIME for the seconds."""
    lines = [line for line in err.splitlines() if not line.startswith("- ")]
    return [re.sub(r"(\d+ min )?[\d.]+ s$", "TIME", line) for line in lines]


def printed_summary(err: str) -> list[str]:
    """Return the output behind the progress."""
    return [line for line in printed(err) if re.match(r"[A-Z]\w+ {2,}", line)]


@pytest.fixture
def client(client: Client) -> Client:
    """Return a docker that builds."""
    client.remember(METADATA, PROGRESS)
    return client


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project with one dependency."""
    folder = make_project(tmp_path / "shop", PYPROJECT, [package("rich")])
    (folder / "shop").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (folder / "shop" / name).touch()
    return folder


@pytest.fixture
def _client(client: Client) -> None:
    """Provide the client to tests that do not use it directly."""


@pytest.mark.usefixtures("_client")
def test_summary(shop: Path) -> None:
    """Progress and summary are on stderr; stdout has only the image's name."""
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert outcome.out == "shop:1.2.3\n"
    assert printed(outcome.err) == [*DISPLAY, *SUMMARY]


@pytest.mark.usefixtures("_client")
def test_changes_since_the_last_build(shop: Path) -> None:
    """The summary compares with the last build of the image on this machine."""
    assert printed_summary(poetry(shop, *BUILD).err) == SUMMARY
    lock = shop / "poetry.lock"
    lock.write_text(lock.read_text().replace('version = "1.0"', 'version = "2.0"'))
    outcome = poetry(shop, *BUILD)
    assert "dependencies: rich 1.0, " in outcome.err  # what was really installed
    assert printed_summary(outcome.err) == ["Change  rich 1.0 → 2.0", *SUMMARY]
    assert printed_summary(poetry(shop, *BUILD).err) == SUMMARY


@pytest.mark.usefixtures("_client")
def test_ports_of_the_image_are_published(shop: Path) -> None:
    """The line can be pasted into a shell."""
    with (shop / "pyproject.toml").open("a") as file:
        file.write('[tool.poetry-docker-cache]\nports = [8000, "53/udp"]\nsbom = false\n')
    outcome = poetry(
        shop, *BUILD, "--push", "--tag=registry.test/team/shop:1", "-t", "registry.test/b"
    )
    assert printed_summary(outcome.err)[-1] == (
        "Run     docker run --rm -p 8000:8000 -p 53:53/udp registry.test/team/shop:1"
    )
    assert outcome.out == "registry.test/team/shop:1\n"


@pytest.mark.usefixtures("_client")
@pytest.mark.parametrize(
    ("options", "out"),
    [
        (("-q",), "shop:1.2.3\n"),
        (("--progress=quiet",), "shop:1.2.3\n"),
        (("-t", "a:1", "-t", "b:2"), "a:1\n"),
        (("--", "--call=outline"), ""),
        (("--", "--output=type=local,dest=out"), ""),
        (("--", "-o", "type=docker,dest=image.tar"), ""),
        (("--", "-otype=registry"), "shop:1.2.3\n"),
        (("--", "--output=type=image"), "shop:1.2.3\n"),
    ],
)
def test_image_name_is_printed_on_stdout(shop: Path, options: tuple[str, ...], out: str) -> None:
    """The name is printed for an image that can be run, at any verbosity."""
    assert poetry(shop, *BUILD, *options).out == out


@pytest.mark.usefixtures("_client")
def test_colours(shop: Path) -> None:
    """Titles are coloured if the terminal supports it, unless `--no-ansi` is given."""
    coloured = poetry(shop, *BUILD, colours=True).err
    assert re.search(r"\x1b\[[\d;]+mImage {3}\x1b\[[\d;]+mshop:1.2.3", coloured)
    plain = poetry(shop, *BUILD, "--no-ansi", colours=True).err
    assert "\x1b" not in plain
    assert printed(plain) == THEIRS


@pytest.mark.parametrize(
    "options",
    [
        ("-q",),
        ("--progress=quiet",),
        ("--progress=rawjson",),
        ("--", "--progress", "rawjson"),
        ("--", "--quiet"),
        ("--", "-q"),
        ("--", "--check"),
        ("--", "--call=outline"),
        ("--", "--print=targets"),
    ],
    ids=" ".join,
)
def test_no_summary(shop: Path, client: Client, options: tuple[str, ...]) -> None:
    """No summary if output is quiet or for a program, or nothing is built."""
    outcome = poetry(shop, *BUILD, *options)
    assert outcome.status == 0
    assert printed(outcome.err) == []
    assert not any("metadata" in word for word in client.argv)


@pytest.mark.usefixtures("client")
def test_no_summary_with_progress_variable(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUILDKIT_PROGRESS is buildx's own variable, and an option takes precedence."""
    monkeypatch.setenv("BUILDKIT_PROGRESS", "rawjson")
    assert printed(poetry(shop, *BUILD).err) == []
    monkeypatch.setenv("BUILDKIT_PROGRESS", "plain")
    assert printed(poetry(shop, *BUILD).err) == THEIRS
    assert printed(poetry(shop, *BUILD, "--progress=tty").err) == THEIRS
    monkeypatch.setenv("BUILDKIT_PROGRESS", "")
    assert printed(poetry(shop, *BUILD).err) == [*DISPLAY, *SUMMARY]


def test_failed_build(shop: Path, client: Client, tmp_path: Path) -> None:
    """There is no summary and no file, and BuildKit's status is passed on."""
    client.answer(status=37)
    outcome = poetry(shop, *BUILD, "--metadata-file", tmp_path / "metadata.json")
    assert outcome.status == 37
    assert printed_summary(outcome.err) == []
    assert not (tmp_path / "metadata.json").exists()


LOST = (
    '#10 ERROR: failed to prepare extraction snapshot "extract-1 sha256:a": parent snapshot'
    " sha256:b does not exist: not found\n"
)


def test_lost_layers_are_built_again(shop: Path, client: Client) -> None:
    """The build is repeated once after this failure."""
    client.answer(status=1)
    client.remember(METADATA, LOST)
    script = client.folder / "docker"
    once = 'status="$(cat "$here/status")"; echo 0 > "$here/status"; exit "$status" ;;'
    script.write_text(script.read_text().replace('exit "$(cat "$here/status")" ;;', once))
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert outcome.err.count("Building again, from the cache") == 1
    assert printed_summary(outcome.err)[-1] == SUMMARY[-1]


def test_dry_run(shop: Path, client: Client, tmp_path: Path) -> None:
    """The command requests metadata, but no file is written."""
    file = tmp_path / "metadata.json"
    outcome = poetry(shop, *BUILD, "--dry-run", "--metadata-file", file)
    assert "--metadata-file '<metadata>'" in outcome.out
    assert printed_summary(outcome.err) == []
    assert not file.exists()
    assert not (client.folder / "argv").exists()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"containerimage.digest": DIGEST}, SHORT),
        ({}, []),
        (
            {"containerimage.digest": 1, "buildx.build.provenance": []},
            ["Time    TIME", *SUMMARY[3:]],
        ),
    ],
    ids=["no provenance", "nothing", "nonsense"],
)
def test_incomplete_metadata(
    shop: Path, client: Client, metadata: dict[str, object], expected: list[str]
) -> None:
    """The summary is shorter, without an error."""
    client.remember(metadata, "{}")
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert printed_summary(outcome.err) == expected


@pytest.mark.usefixtures("_client")
@pytest.mark.parametrize("option", ["-n", "-q"])
def test_metadata_file(shop: Path, option: str) -> None:
    """It has keys of buildx and the plugin, replaces an old file, and does not depend on `-q`."""
    file = shop / "metadata.json"
    file.write_text("old")
    outcome = poetry(
        shop, *BUILD, option, "--metadata-file", "metadata.json", "-t", "a:1", "-t", "b"
    )
    assert outcome.status == 0
    assert (printed_summary(outcome.err) == []) == (option == "-q")
    found = json.loads(file.read_text())
    ours: dict[str, Any] = found.pop("poetry-docker-cache")
    provenance = METADATA["buildx.build.provenance"]
    minimal = {key: provenance[key] for key in ("builder", "materials")}
    assert found == {**METADATA, "buildx.build.provenance": minimal}
    assert 0 < ours.pop("seconds") < 60
    assert ours == {
        "layers": [
            {
                "name": "dependencies",
                "cached": False,
                "packages": [{"name": "rich", "version": "1.0", "reused": False}],
            }
        ],
        "steps": [],
        "tags": ["a:1", "b"],
        "digest": DIGEST,
        "size": 16_300_000,
        "push_seconds": None,
        "base": {"image": "python:3.12-slim", "digest": "sha256:f"},
    }
    assert sorted(path.name for path in shop.iterdir()) == [
        "metadata.json",
        "poetry.lock",
        "pyproject.toml",
        "shop",
    ]


def test_metadata_file_in_the_project(shop: Path, client: Client) -> None:
    """The file of the last build is excluded from the next image."""
    (shop / "out").mkdir()
    with (shop / "pyproject.toml").open("a") as file:
        file.write('[tool.poetry-docker-cache]\nfiles = ["out"]\n')
    files = ["out/built.json", "out/page.html"]
    for path, seen in (("../built.json", files), ("out/built.json", files[1:])):
        assert poetry(shop, *BUILD, "--metadata-file", path).status == 0
        assert passing(client.kept("ignore"), files) == {*seen}


def test_metadata_file_of_buildx(shop: Path, client: Client, tmp_path: Path) -> None:
    """Arguments after `--` are unchanged: buildx writes there, and the plugin reads it too."""
    theirs, ours = tmp_path / "theirs.json", tmp_path / "ours.json"
    outcome = poetry(
        shop, *BUILD, "--metadata-file", ours, "--", f"--metadata-file={theirs}", "--network=host"
    )
    assert outcome.status == 0
    assert client.argv[-3:-1] == [f"--metadata-file={theirs}", "--network=host"]
    assert sum("metadata-file" in word for word in client.argv) == 1


@pytest.mark.usefixtures("_client")
def test_metadata_file_of_buildx_is_read(shop: Path, tmp_path: Path) -> None:
    """The option and its value may be separate words."""
    theirs = tmp_path / "theirs.json"
    outcome = poetry(shop, *BUILD, "--", "--metadata-file", theirs)
    assert printed_summary(outcome.err) == SUMMARY
    assert json.loads(theirs.read_text()) == METADATA


@pytest.mark.usefixtures("_client")
def test_symlink_is_kept(shop: Path, tmp_path: Path) -> None:
    """The target of the link is replaced."""
    (tmp_path / "real").mkdir()
    link = tmp_path / "metadata.json"
    link.symlink_to("real/metadata.json")
    assert poetry(shop, *BUILD, "--metadata-file", link).status == 0
    assert link.is_symlink()
    assert json.loads((tmp_path / "real/metadata.json").read_text())["poetry-docker-cache"]


@pytest.mark.usefixtures("_client")
def test_symlink_out_of_the_project_is_refused(shop: Path, tmp_path: Path) -> None:
    """It is part of the project, so the user did not choose its target."""
    (shop / "metadata.json").symlink_to(tmp_path / "mine")
    outcome = poetry(shop, *BUILD, "--metadata-file", "metadata.json")
    assert (outcome.status, "not followed" in outcome.err) == (1, True)
    assert not (tmp_path / "mine").exists()


@pytest.mark.usefixtures("_client")
def test_symlink_to_itself(shop: Path, tmp_path: Path) -> None:
    """The link is replaced."""
    link = tmp_path / "metadata.json"
    link.symlink_to("metadata.json")
    assert poetry(shop, *BUILD, "--metadata-file", link).status == 0
    assert json.loads(link.read_text())["poetry-docker-cache"]


@pytest.mark.usefixtures("_client")
def test_device_is_written_to(shop: Path) -> None:
    """A device is written to, not replaced."""
    assert poetry(shop, *BUILD, "--metadata-file", "/dev/null").status == 0
    assert os.stat("/dev/null").st_rdev  # noqa: PTH116


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "is empty"),
        (".", "is a folder"),
        ("missing/metadata.json", "the folder missing does not exist"),
        ("pyproject.toml/metadata.json", "does not exist"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_invalid_path_is_refused_before_the_build(
    shop: Path, client: Client, path: str, why: str
) -> None:
    """The error does not come after a long build."""
    outcome = poetry(shop, *BUILD, "--metadata-file", path)
    assert outcome.status == 1
    assert why in outcome.err
    assert not (client.folder / "argv").exists()


@pytest.mark.parametrize(
    ("python", "allowed", "fix"),
    [
        ("3.13", ">=3.11", 'python = "3.12"'),
        ("3.13.4", ">=3.11", 'python = "3.13"'),
        ("3.13", ">=3.13", 'python = "3.14"'),
        ("3.13", "~=3.13.0", "the project allows no other Python."),
    ],
)
def test_missing_base_image_names_a_python_that_the_project_allows(
    tmp_path: Path, client: Client, python: str, allowed: str, fix: str
) -> None:
    """It is the nearest one, an older one first."""
    text = re.sub("(?m)^requires-python.*", f'requires-python = "{allowed}"', PYPROJECT)
    text += f'\n[tool.poetry-docker-cache]\npython = "{python}"\n'
    shop = make_project(tmp_path / "shop", text, [])
    progress = (STREAMS / "missing_base.jsonl").read_text()
    client.remember({}, progress.replace("3.13-nosuch", f"{python}-slim"))
    client.answer(status=1)
    assert poetry(shop, *BUILD).err.rstrip().endswith(fix)


@pytest.mark.parametrize("options", [(), ("-q",)], ids=["", "quiet"])
@pytest.mark.parametrize("recorded", ["failed", "missing_base"])
def test_failed_build_ends_with_its_cause(
    shop: Path, client: Client, options: tuple[str, ...], recorded: str
) -> None:
    """The status is BuildKit's, and no line of the generated Dockerfile is shown."""
    client.remember({}, (STREAMS / f"{recorded}.jsonl").read_text())
    client.answer(status=7)
    outcome = poetry(shop, *BUILD, *options, colours=True)
    assert outcome.status == 7
    assert "Dockerfile:" not in outcome.err
    before, error = outcome.err.split(ERROR)
    assert ("Failed: " in before) == (recorded == "failed" and not options)
    assert len(error.splitlines()) >= 2
