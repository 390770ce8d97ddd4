"""The summary of `poetry docker build` and the metadata file, with a fake docker."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from command_line import Client, poetry
from dockerignore import passing
from projects import make_project, package

from poetry_docker_cache.buildx.history import Record

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
METADATA: dict[str, object] = {
    "buildx.build.ref": "default/default/abc123",
    "containerimage.digest": DIGEST,
}
STARTED = {"started": "2026-11-25T00:00:00Z", "completed": "2026-11-25T00:00:01Z"}
LOG = "\n".join(
    json.dumps(status)
    for status in (
        {"vertexes": [{"digest": "1", "name": "[dependencies 1/1] RUN x", **STARTED}]},
        {"logs": [{"vertex": "1", "data": "ICAtIEluc3RhbGxlZCByaWNoICgxLjApCg=="}]},
    )
)
MANIFEST = json.dumps(
    {"layers": [{"digest": "a", "size": 12_300_000}, {"digest": "b", "size": 4_000_000}]}
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
    "Dependencies    1 layer, 0 cached, 1 rebuilt: 1 package installed",
    "  dependencies  rich 1.0",
    "Image           shop:1.2.3: 16.3 MB compressed, in TIME",
    f"Digest          {DIGEST}",
]
SHORT = ["Image   shop:1.2.3: in TIME", f"Digest  {DIGEST}"]
"""What is known without a history."""


def printed_summary(err: str) -> list[str]:
    """Return the output without notes, with TIME for the seconds."""
    lines = [line for line in err.splitlines() if not line.startswith("- ")]
    return [re.sub(r"(\d+ min )?[\d.]+ s$", "TIME", line) for line in lines]


@pytest.fixture
def client(client: Client) -> Client:
    """Return a docker that remembers a build."""
    client.remember(METADATA, logs=LOG, inspect=MANIFEST)
    return client


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project with one dependency."""
    folder = make_project(tmp_path / "shop", PYPROJECT, [package("rich")])
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    return folder


@pytest.fixture
def _client(client: Client) -> None:
    """Provide the client to tests that do not use it directly."""


@pytest.mark.usefixtures("_client")
def test_summary(shop: Path) -> None:
    """It is on stderr; stdout is empty."""
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert outcome.out == ""
    assert printed_summary(outcome.err) == SUMMARY


@pytest.mark.usefixtures("_client")
def test_colours(shop: Path) -> None:
    """Titles are coloured if the terminal supports it, unless `--no-ansi` is given."""
    coloured = poetry(shop, *BUILD, colours=True).err
    assert re.search(r"\x1b\[[\d;]+mImage {11}\x1b\[[\d;]+mshop:1.2.3", coloured)
    plain = poetry(shop, *BUILD, "--no-ansi", colours=True).err
    assert "\x1b" not in plain
    assert printed_summary(plain) == SUMMARY


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
    assert printed_summary(outcome.err) == []
    assert not any("metadata" in word for word in client.argv)


@pytest.mark.usefixtures("client")
def test_no_summary_with_progress_variable(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUILDKIT_PROGRESS is buildx's own variable, and an option takes precedence."""
    monkeypatch.setenv("BUILDKIT_PROGRESS", "rawjson")
    assert printed_summary(poetry(shop, *BUILD).err) == []
    assert printed_summary(poetry(shop, *BUILD, "--progress=plain").err) == SUMMARY


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


@pytest.mark.parametrize(
    ("log", "again"), [(LOST, True), ("Error:\t\tUnknown exit code: 1\n", False)]
)
@pytest.mark.parametrize("store", ["containerd", "classic"])
def test_lost_layers_are_built_again(
    shop: Path, client: Client, log: str, again: bool, store: str
) -> None:
    """The build is repeated once after this failure, but not after any other."""
    client.answer(containerd=store == "containerd", status=1)
    client.remember(METADATA, inspect=log)
    script = client.folder / "docker"
    once = 'status="$(cat "$here/status")"; echo 0 > "$here/status"; exit "$status" ;;'
    script.write_text(script.read_text().replace('exit "$(cat "$here/status")" ;;', once))
    again = again and store == "containerd"
    outcome = poetry(shop, *BUILD)
    assert outcome.status == (0 if again else 1)
    assert ("Building again, from the cache" in outcome.err) == again
    assert bool(printed_summary(outcome.err)) == again


@pytest.mark.parametrize("status", [0, 130])
def test_successful_build_is_run_once(shop: Path, client: Client, status: int) -> None:
    """Ctrl-C is not a failure, regardless of the history of an earlier build."""
    client.answer(containerd=True, status=status)
    client.remember(METADATA, inspect=LOST)
    outcome = poetry(shop, *BUILD)
    assert outcome.status == status
    assert "building again" not in outcome.err


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
        ({"containerimage.digest": 1, "buildx.build.ref": None}, ["Time  TIME"]),
        (
            METADATA | {"buildx.build.ref": "odd"},
            SHORT,
        ),
    ],
    ids=["no history", "nothing", "nonsense", "odd reference"],
)
def test_incomplete_metadata(
    shop: Path, client: Client, metadata: dict[str, object], expected: list[str]
) -> None:
    """The summary is shorter, without an error."""
    client.remember(metadata)
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert printed_summary(outcome.err) == expected


def test_classic_store(shop: Path, client: Client) -> None:
    """BuildKit has no manifest there; the engine has the image's size."""
    client.remember(METADATA | {"containerimage.config.digest": DIGEST}, image="109069134")
    outcome = poetry(shop, *BUILD)
    assert (
        printed_summary(outcome.err)[-2] == "Image           shop:1.2.3: 109.1 MB unpacked, in TIME"
    )


def test_old_buildx(shop: Path, client: Client) -> None:
    """Before 0.20 it had no `history`; time and digest are shown."""
    for command in ("logs", "inspect"):
        (client.folder / command).unlink()
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert printed_summary(outcome.err) == SHORT


def test_client_that_prints_help(shop: Path, client: Client, tmp_path: Path) -> None:
    """Some clients print their help for an unknown command, with status 0."""
    client.remember(METADATA, logs="Usage: docker\n", inspect="Usage: docker\n")
    outcome = poetry(shop, *BUILD, "--metadata-file", tmp_path / "metadata.json")
    assert printed_summary(outcome.err) == SHORT
    found = json.loads((tmp_path / "metadata.json").read_text())["poetry-docker-cache"]
    assert found["layers"] is found["size"] is None


def test_hanging_history(shop: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a short timeout."""
    (client.folder / "logs").unlink()
    os.mkfifo(client.folder / "logs")
    monkeypatch.setattr("poetry_docker_cache.buildx.history._SECONDS", 0.2)
    outcome = poetry(shop, *BUILD)
    assert outcome.status == 0
    assert printed_summary(outcome.err) == SHORT


@pytest.mark.usefixtures("_client")
@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ((), False),
        (("--cache=registry.test/team/shop:cache",), False),
        (("--push",), True),
        (("--", "--output=type=registry"), True),
        (("--", "-o", "type=image,push=true"), True),
    ],
)
def test_pushed_bytes_are_those_of_images(
    shop: Path,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    asked: bool,
) -> None:
    """A cache that is pushed to the image's repository does not count as a pushed image."""
    client.answer(containerd=True)
    bundles: list[Path | None] = []

    def recall(*_: object, bundle: Path | None, **__: object) -> Record:
        bundles.append(bundle)
        return Record()

    monkeypatch.setattr("poetry_docker_cache.commands.build_report.recall", recall)
    assert poetry(shop, *BUILD, "--tag=registry.test/team/shop:1", *options).status == 0
    assert [bundle is not None for bundle in bundles] == [asked]


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
    assert found == METADATA
    assert 0 < ours.pop("seconds") < 60
    assert ours == {
        "layers": [
            {
                "name": "dependencies",
                "cached": False,
                "packages": [{"name": "rich", "version": "1.0", "reused": False}],
            }
        ],
        "tags": ["a:1", "b"],
        "digest": DIGEST,
        "size": 16_300_000,
        "unpacked": None,
        "pushed": None,
        "base": None,
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
