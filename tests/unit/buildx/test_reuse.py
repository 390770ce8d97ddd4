"""The steps that import and export reused wheels and packages."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_docker import FakeDocker

from poetry_docker_cache.buildx.command_line import BuildRequest
from poetry_docker_cache.buildx.kept_wheels import LIST, PARTS
from poetry_docker_cache.buildx.reuse import (
    EarlierImage,
    Output,
    Reuse,
    export_steps,
    import_steps,
)
from poetry_docker_cache.buildx.steps import Places
from poetry_docker_cache.commands.planned_image import kept_folders
from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.dependencies import reuse_notes
from poetry_docker_cache.render.ignore_file import IgnorePlan, render_ignore
from poetry_docker_cache.settings.install_values import within
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.engine_info import Answer
    from poetry_docker_cache.buildx.steps import Step

WHEEL = "a-1-py3-none-any.whl"
IMAGE = "registry.example.com/shop:latest"


class Dependencies:
    """As far as it is looked at."""

    keeps_wheels = True
    reuses_image = True


def reuse(request: BuildRequest, **table: object) -> Reuse:
    """Return what a project with these settings reuses."""
    settings = Settings.parse({name.replace("_", "-"): value for name, value in table.items()})
    return Reuse.of(settings, Dependencies(), request, project="shop")  # type: ignore[arg-type]


def steps(request: BuildRequest, **table: object) -> tuple[list[Step], list[Step]]:
    """Return the steps before and after the build, as --dry-run shows them."""
    found, places = reuse(request, **table), Places.placeholders([""])
    return (
        import_steps(found, request, places, dockerfile="Dockerfile"),
        export_steps(found, request, places, dockerfile="Dockerfile"),
    )


def fill(folder: Path) -> None:
    """Make a folder as builds do, with a wheel."""
    folder.mkdir()
    for name in (LIST, WHEEL):
        (folder / name).write_text(name)


def test_no_steps_without_the_settings(tmp_path: Path) -> None:
    """Only the image is built."""
    request = BuildRequest(context=str(tmp_path))
    assert steps(request) == ([], [])
    assert (reuse(request).folder, reuse(request).image) == (None, None)


def test_wheels_are_imported_and_exported(tmp_path: Path) -> None:
    """An empty folder is not imported, and each stage always runs."""
    request = BuildRequest(context=str(tmp_path), builder="far", pull=True)
    assert [len(found) for found in steps(request, download_cache="my wheels")] == [0, 1]
    fill(tmp_path / "my wheels")
    (before,), (after,) = steps(request, download_cache="my wheels")
    for command, target in ((before.argv, "import-wheels"), (after.argv, "export-wheels")):
        assert command[:8] == (
            *("docker", "buildx", "build", "--file", "Dockerfile", "--builder", "far", "--pull"),
        )
        assert command[command.index("--target") + 1] == target
        assert "ANEW=<random>" in command
        assert "download-cache=<wheels>" in command
        assert command[-1] == str(tmp_path)
    assert "--secret" not in {*before.argv, *after.argv}


def test_image_is_imported_for_each_platform(tmp_path: Path) -> None:
    """The user's options for the builder apply, too."""
    request = BuildRequest(
        context=str(tmp_path),
        platforms=["linux/amd64,linux/arm64"],
        tags=["shop:1"],
        push=True,
        arguments=[
            "--network",
            "host",
            "--metadata-file",
            "x",
            "--build-arg=A=1",
            "--build-context=python=docker-image://mirror.example/python",
            "-o",
            "type=oci",
        ],
    )
    (step,), after = steps(request, reuse_image=IMAGE)
    assert after == []
    before = step.argv
    assert before[before.index("--platform") + 1] == "linux/amd64,linux/arm64"
    assert f"reuse-image=docker-image://{IMAGE}" in before
    mirror = "--build-context=python=docker-image://mirror.example/python"
    assert before[-5:] == ("--network", "host", "--build-arg=A=1", mirror, str(tmp_path))
    assert not {"--tag", "--push", "--metadata-file", "-o"} & {*before}


def test_options_of_bake_are_not_passed_on(tmp_path: Path) -> None:
    """`--allow` and the file are for bake only."""
    request = BuildRequest(
        context=str(tmp_path),
        image="api",
        arguments=[
            *("--allow=fs.read=/certificates", "--allow", "fs=/cache", "--allow=network.host"),
            *("--file=network.json", "--set", "*.network=host", "--set=worker.args.A=1"),
        ],
    )
    (step,), _ = steps(request, reuse_image=IMAGE)
    assert step.argv[-3:] == ("--allow=network.host", "--network=host", str(tmp_path))


def test_named_contexts_reach_every_stage(tmp_path: Path) -> None:
    """The stages of the same Dockerfile may use them."""
    request = BuildRequest(context=str(tmp_path), contexts={"scripts": "/w/scripts"})
    (step,), _ = steps(request, reuse_image=IMAGE)
    contexts = [value for word, value in itertools.pairwise(step.argv) if word == "--build-context"]
    assert contexts == [f"reuse-image=docker-image://{IMAGE}", "scripts=/w/scripts"]


@pytest.mark.parametrize("name", ["no-table", "linux_arm64/no-table", ""])
def test_image_without_tables_is_a_note(name: str, tmp_path: Path) -> None:
    """It says when packages will be reused."""

    class Docker(FakeDocker):
        """Writes what the stage would."""

        def ask(
            self, commands: Sequence[Sequence[str]], *, seconds: float | None = None
        ) -> list[Answer]:
            (command,) = commands
            output = command[command.index("--output") + 1].partition("dest=")[2]
            if name:
                Path(output, name).parent.mkdir(exist_ok=True)
                Path(output, name).touch()
            return super().ask(commands, seconds=seconds)

    request = BuildRequest(context=str(tmp_path))
    places = Places.below(str(tmp_path / "w"), [""])
    found = reuse(request, reuse_image=IMAGE)
    docker = Docker()
    docker.runner().run_all(import_steps(found, request, places, dockerfile="Dockerfile"))
    looking, *problems = docker.notes
    assert looking == f"Looking for unchanged packages in the image {IMAGE}."
    assert len(problems) == bool(name)
    assert all("was built without this setting" in note for note in problems)
    assert not list((tmp_path / "w").iterdir())


def test_no_steps_with_printing_options(tmp_path: Path) -> None:
    """They need no wheels."""
    request = BuildRequest(context=str(tmp_path), arguments=["--call=check"])
    assert steps(request, download_cache="wheels", reuse_image=IMAGE) == ([], [])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (f"ERROR: failed to build: failed to solve: {IMAGE}: not found", "it does not exist"),
        ('ERROR: failed to solve: target stage "x" could not be found', "without this setting"),
        ("ERROR: failed to solve: no space left on device", "no space left on device"),
        ("ERROR: failed to solve: docker/dockerfile:1: not found", "docker/dockerfile:1: not"),
    ],
)
def test_reason_of_a_failure(error: str, told: str) -> None:
    """BuildKit's error becomes part of the note."""
    explained = EarlierImage(path=Path("/w/out"), image=IMAGE).explain(error)
    assert told in explained
    assert "failed to solve" not in explained
    assert ("it does not exist" in Output(path=Path("/w/out")).explain(error)) is False


def test_folder_in_the_project_is_hidden(tmp_path: Path) -> None:
    """Whatever the spelling of its path; folders elsewhere need not be."""
    request = BuildRequest(context=str(tmp_path))
    assert reuse(request, download_cache=f"{tmp_path}/wheels").hidden == ("wheels",)
    assert reuse(request, download_cache="./wheels").hidden == ("wheels",)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert reuse(request, download_cache="link").hidden == ("link", "real")
    for path in ("../wheels", "/srv/wheels"):
        assert reuse(request, download_cache=path).hidden == ()
    asks = BuildRequest(context=str(tmp_path), arguments=["--call=check"])
    assert reuse(asks, download_cache="wheels").hidden == ("wheels",)


def test_ignore_file_excludes_wheels() -> None:
    """No line of the project can include them."""
    settings = Settings.parse({"download-cache": ".cache/wheels", "cache": "./.buildcache"})
    hidden = kept_folders(settings)
    assert {*hidden} == {".cache/wheels", ".buildcache"}
    text = render_ignore(
        IgnorePlan(keep=["."], project_ignore="!.cache", dockerfile="D", hidden=hidden)
    )
    lines = [parse(line) for line in text.splitlines()]
    assert hiding_line(lines, ".cache/wheels/a-1-py3-none-any.whl") >= 0
    assert hiding_line(lines, ".cache/settings") < 0
    assert kept_folders(Settings.parse({"download-cache": "~/wheels"})) == ()


@pytest.mark.parametrize("links", [True, False])
def test_only_links_to_wheels_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """From a private folder, which is removed afterwards; copies where links are impossible."""
    wheels = tmp_path / "wheels"
    fill(wheels)
    (wheels / ".gitignore").touch()

    def impossible(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr("os.link", impossible)
    found: list[tuple[str, list[str], bool]] = []

    class Docker(FakeDocker):
        """Looks into the named context."""

        def ask(
            self, commands: Sequence[Sequence[str]], *, seconds: float | None = None
        ) -> list[Answer]:
            (command,) = commands
            context = command[command.index("--build-context") + 1]
            sent = Path(context.removeprefix("download-cache="))
            before, now = ((folder / WHEEL).stat() for folder in (wheels, sent))
            assert before.st_mtime_ns == now.st_mtime_ns
            found.append((sent.parent.name, os.listdir(sent), os.path.samestat(before, now)))  # noqa: PTH208
            return super().ask(commands, seconds=seconds)

    request, docker = BuildRequest(context=str(tmp_path)), Docker()
    places = Places.below(str(tmp_path / "private"), [""])
    kept = reuse(request, download_cache="wheels")
    steps = [
        *import_steps(kept, request, places, dockerfile="Dockerfile"),
        *export_steps(kept, request, places, dockerfile="Dockerfile"),
    ]
    docker.runner().run_all(steps)
    assert found == [("wheels", [WHEEL], links)] * 2
    assert docker.notes == []
    assert {path.name for path in wheels.iterdir()} == {LIST, WHEEL, ".gitignore"}


def test_folder_that_cannot_be_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private folder is then among the build's temporary files."""
    fill(tmp_path / "wheels")
    monkeypatch.setattr("os.access", lambda *_: False)
    request = BuildRequest(context=str(tmp_path))
    places = Places.below("/private", [""])
    kept = reuse(request, download_cache="wheels")
    (step,) = import_steps(kept, request, places, dockerfile="Dockerfile")
    assert any(word.startswith("download-cache=/private/wheels-") for word in step.argv)


@pytest.mark.parametrize("name", ["credentials", "b-1-py3-none-any.whl", "folder", "link.whl"])
def test_folder_with_other_files_is_refused(tmp_path: Path, name: str) -> None:
    """The settings of a project could name any folder; a link could lead to any file."""
    secret = tmp_path / ".aws"
    fill(secret)
    if name == "credentials":
        (secret / name).touch()
    elif name == "folder":
        (secret / name).mkdir()
    else:
        (secret / name).symlink_to(secret / WHEEL)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "wheels").symlink_to(secret)
    with pytest.raises(DockerCacheError) as caught:
        reuse(BuildRequest(context=str(tmp_path / "shop")), download_cache="wheels")
    assert f"{secret}, contains other files ({name})" in caught.value.problem


def test_folder_without_a_list_is_refused(tmp_path: Path) -> None:
    """The wheels could be those of another index; the error has the command that allows them."""
    request = BuildRequest(context=str(tmp_path))
    fill(tmp_path / "wheels")
    (tmp_path / "wheels" / LIST).unlink()
    (tmp_path / "wheels" / f"{PARTS}0").mkdir()
    with pytest.raises(DockerCacheError, match="no build has put there") as caught:
        reuse(request, download_cache="wheels")
    assert f"touch {tmp_path}/wheels/{LIST}" in caught.value.fix
    (tmp_path / "wheels" / LIST).touch()
    assert reuse(request, download_cache="wheels").has_wheels


def test_file_instead_of_folder_is_an_error(tmp_path: Path) -> None:
    """It is reported before the build."""
    (tmp_path / "wheels").touch()
    with pytest.raises(DockerCacheError, match="which is a file, not a folder"):
        reuse(BuildRequest(context=str(tmp_path)), download_cache="wheels")


@pytest.mark.parametrize("path", ["..", "../..", "~/src", "{}"])
def test_folder_that_contains_the_project_is_refused(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it would be sent to the builder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "real" / "shop").mkdir(parents=True)
    (tmp_path / "src").symlink_to("real")
    request = BuildRequest(context=str(tmp_path / "real" / "shop"))
    with pytest.raises(DockerCacheError, match="contains the project"):
        reuse(request, download_cache=path.format(request.context))


def test_unknown_user_in_path(tmp_path: Path) -> None:
    """The path stays unchanged, as in a shell."""
    request = BuildRequest(context=str(tmp_path))
    assert reuse(request, download_cache="~no-such-user/w").folder == tmp_path / "~no-such-user/w"


def test_folder_name_is_quoted_as_csv(tmp_path: Path) -> None:
    """The option is CSV, and the name may contain commas and quotes."""
    folder = tmp_path / 'a "b",c'
    request = BuildRequest(context=str(tmp_path))
    found = reuse(request, reuse_image=IMAGE)
    places = Places.below(str(folder), [""])
    (step,) = import_steps(found, request, places, dockerfile="Dockerfile")
    output = step.argv[step.argv.index("--output") + 1]
    assert output == f'type=local,"dest={tmp_path}/a ""b"",c/import-image-"'


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("wheels", "wheels"),
        ("./a/../.cache/wheels", ".cache/wheels"),
        ("../wheels", None),
        ("~/wheels", None),
        ("/srv/wheels", None),
        (".", "."),
    ],
)
def test_within(path: str, inside: str | None) -> None:
    """Only a relative path inside the project is in every machine's context."""
    assert within(path) == inside


@pytest.mark.parametrize(
    "path", ["", " a", "a*", "[a]", "!a", "#a", ".", "./", "a/..", "a\\b", "/", "~", "~//"]
)
def test_unusable_folders_are_refused(path: str) -> None:
    """The ignore file could not exclude them, or would exclude much else."""
    with pytest.raises(DockerCacheError, match="`download-cache`"):
        Settings.parse({"download-cache": path})


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (["pure-1"], []),
        ([], []),
        (["pure-1", "source"], ["Packages that are built from source do not"]),
        (["source"], ["is not used: Poetry"]),
    ],
)
def test_notes(layers: list[str], told: list[str]) -> None:
    """There is a note if wheels are kept for nothing, or not for all packages."""
    settings = Settings.parse({"download-cache": "wheels"})
    notes = reuse_notes(settings, layers)
    assert len(notes) == len(told)
    assert all(text in note for text, note in zip(told, notes, strict=True))
    assert reuse_notes(Settings(), layers) == ()
