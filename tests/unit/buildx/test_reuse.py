"""The builds beside that of the image: what they are told, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from poetry_docker_cache.buildx.command_line import BuildRequest
from poetry_docker_cache.buildx.engine_info import Answer
from poetry_docker_cache.buildx.reuse import Reusing, _why
from poetry_docker_cache.commands.planned_image import kept_folders
from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.dependencies import reuse_notes
from poetry_docker_cache.render.ignore_file import IgnorePlan, render_ignore
from poetry_docker_cache.settings.install_values import within
from poetry_docker_cache.settings.table import Settings

IMAGE = "registry.example.com/shop:latest"


class Dependencies:
    """As far as it is looked at."""

    keeps_wheels = True
    reuses_image = True


def reusing(request: BuildRequest, **table: object) -> Reusing:
    """What a project with these settings does."""
    settings = Settings.parse({name.replace("_", "-"): it for name, it in table.items()})
    return Reusing.of(settings, Dependencies(), request, print, project="shop")  # type: ignore[arg-type]


def commands(request: BuildRequest, **table: object) -> list[list[str]]:
    """What `--dry-run` shows."""
    return [*reusing(request, **table).around("Dockerfile", [["the", "build"]])]


def test_without_the_settings_there_is_one_build(tmp_path: Path) -> None:
    """The command is the same as ever."""
    assert commands(BuildRequest(context=str(tmp_path))) == [["the", "build"]]
    with_pip = reusing(BuildRequest(context=str(tmp_path)))
    assert (with_pip.folder, with_pip.image) == (None, None)


def test_one_comes_before_and_one_after(tmp_path: Path) -> None:
    """An empty folder has nothing to bring in; each stage runs anew, whatever BuildKit knows."""
    request = BuildRequest(context=str(tmp_path), builder="far", pull=True)
    assert len(commands(request, download_cache="my wheels")) == 2
    (tmp_path / "my wheels").mkdir()
    (tmp_path / "my wheels" / "a-1-py3-none-any.whl").touch()
    before, build, after = commands(request, download_cache="my wheels")
    assert build == ["the", "build"]
    for command, target in ((before, "import-wheels"), (after, "export-wheels")):
        assert command[:8] == [
            *("docker", "buildx", "build", "--file", "Dockerfile", "--builder", "far", "--pull")
        ]
        assert command[command.index("--target") + 1] == target
        assert "ANEW=<random>" in command
        assert f"download-cache={tmp_path}/my wheels" in command
        assert command[-1] == str(tmp_path)
    assert "--secret" not in {*before, *after}


def test_an_image_for_each_platform(tmp_path: Path) -> None:
    """The packages of an image are for one machine; what the user tells of the builder counts."""
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
    before, build = commands(request, reuse_image=IMAGE)
    assert build == ["the", "build"]
    assert before[before.index("--platform") + 1] == "linux/amd64,linux/arm64"
    assert f"reuse-image=docker-image://{IMAGE}" in before
    mirror = "--build-context=python=docker-image://mirror.example/python"
    assert before[-5:] == ["--network", "host", "--build-arg=A=1", mirror, str(tmp_path)]
    assert not {"--tag", "--push", "--metadata-file", "-o"} & {*before}


def test_what_bake_is_told_as_a_build_is(tmp_path: Path) -> None:
    """It has leave of its own to ask for, and a file, which a build of one image has not."""
    request = BuildRequest(
        context=str(tmp_path),
        image="api",
        arguments=[
            *("--allow=fs.read=/certificates", "--allow", "fs=/cache", "--allow=network.host"),
            *("--file=network.json", "--set", "*.network=host", "--set=worker.args.A=1"),
        ],
    )
    before, _ = commands(request, reuse_image=IMAGE)
    assert before[-3:] == ["--allow=network.host", "--network=host", str(tmp_path)]


@pytest.mark.parametrize("name", ["no-table", "linux_arm64/no-table", ""])
def test_an_image_without_tables(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That nothing comes of it is said, and when that changes."""

    def answer(commands: list[list[str]], *, seconds: float) -> list[Answer]:
        assert seconds > 0
        (command,) = commands
        path = Path(command[command.index("--output") + 1].partition("dest=")[2], name)
        path.parent.mkdir(exist_ok=True)
        if name:
            path.touch()
        return [Answer(status=0, out="", err="")]

    monkeypatch.setattr("poetry_docker_cache.buildx.reuse.ask", answer)
    reusing(BuildRequest(context=str(tmp_path)), reuse_image=IMAGE).before("Dockerfile")
    assert ("was built without this setting" in capsys.readouterr().out) == bool(name)


def test_where_nothing_is_built(tmp_path: Path) -> None:
    """A question to buildx needs no wheels."""
    request = BuildRequest(context=str(tmp_path), arguments=["--call=check"])
    assert commands(request, download_cache="wheels", reuse_image=IMAGE) == [["the", "build"]]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (f"ERROR: failed to build: failed to solve: {IMAGE}: not found", "it is not there"),
        ('ERROR: failed to solve: target stage "x" could not be found', "without this setting"),
        ("ERROR: failed to solve: no space left on device", "no space left on device"),
        ("ERROR: failed to solve: docker/dockerfile:1: not found", "docker/dockerfile:1: not"),
    ],
)
def test_why(error: str, told: str) -> None:
    """BuildKit's last word becomes part of a note."""
    assert told in _why(error, IMAGE)
    assert "failed to solve" not in _why(error, IMAGE)


def test_a_folder_in_the_project(tmp_path: Path) -> None:
    """However it is written, no build sees it; elsewhere it is nobody's concern."""
    request = BuildRequest(context=str(tmp_path))
    assert reusing(request, download_cache=f"{tmp_path}/wheels").hidden == ("wheels",)
    assert reusing(request, download_cache="./wheels").hidden == ("wheels",)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert reusing(request, download_cache="link").hidden == ("link", "real")
    for path in ("../wheels", "/srv/wheels"):
        assert reusing(request, download_cache=path).hidden == ()
    asks = BuildRequest(context=str(tmp_path), arguments=["--call=check"])
    assert reusing(asks, download_cache="wheels").hidden == ("wheels",)


def test_the_ignore_file_hides_what_is_kept() -> None:
    """No line of a project's own opens it again: wheels are no part of an image."""
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


def test_no_folder(tmp_path: Path) -> None:
    """A file in its place is an error before the build."""
    (tmp_path / "wheels").touch()
    with pytest.raises(DockerCacheError, match="which is no folder: it is a file"):
        reusing(BuildRequest(context=str(tmp_path)), download_cache="wheels")


@pytest.mark.parametrize("path", ["..", "../..", "~/src", "{}"])
def test_a_folder_that_holds_the_project(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it would go to the builder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "real" / "shop").mkdir(parents=True)
    (tmp_path / "src").symlink_to("real")
    request = BuildRequest(context=str(tmp_path / "real" / "shop"))
    with pytest.raises(DockerCacheError, match="holds the project"):
        reusing(request, download_cache=path.format(request.context))


def test_a_user_that_is_not_known(tmp_path: Path) -> None:
    """As in a shell, the path is then taken as it is written."""
    request = BuildRequest(context=str(tmp_path))
    assert reusing(request, download_cache="~no-such-user/w").folder == tmp_path / "~no-such-user/w"


def test_where_the_wheels_come_out(tmp_path: Path) -> None:
    """The option is CSV: a folder's name may hold what that writes in its own way."""
    command = reusing(BuildRequest(context=str(tmp_path)), download_cache="wheels")._export_wheels(
        "Dockerfile", '/a "b",c'
    )
    assert command[command.index("--output") + 1] == 'type=local,"dest=/a ""b"",c"'


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
    """Only a folder that is written as part of the project is one of every machine's context."""
    assert within(path) == inside


@pytest.mark.parametrize(
    "path", ["", " a", "a*", "[a]", "!a", "#a", ".", "./", "a/..", "a\\b", "/", "~", "~//"]
)
def test_a_path_that_no_folder_of_wheels_can_have(path: str) -> None:
    """What the ignore file could not name is refused, and what holds much else."""
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
    """Where wheels are kept for nothing, or not for all, that is said."""
    settings = Settings.parse({"download-cache": "wheels"})
    notes = reuse_notes(settings, layers)
    assert len(notes) == len(told)
    assert all(text in note for text, note in zip(told, notes, strict=True))
    assert reuse_notes(Settings(), layers) == ()
