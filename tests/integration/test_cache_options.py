"""`--cache` and related options on the command line, with a fake docker."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from cache_layouts import layers_of, write_layout
from command_line import Client, Outcome, poetry, snapshot
from dockerignore import passing
from projects import make_project, package

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.12,<3.13"
dependencies = ["rich>=1"]
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry-docker-cache]
"""
BUILD, EXPORT = ("docker", "build"), ("docker", "export")
REF = "h.io/team/shop:cache"
PUSH = ("--push", "--tag=h.io/team/shop:1")
EXPORTED = f"type=registry,ref={REF},mode=max,ignore-error=true,oci-mediatypes=true"


@pytest.fixture
def client(client: Client) -> Client:
    """Return a docker with the containerd image store."""
    client.answer(containerd=True)
    return client


def make(folder: Path, settings: str = "") -> Path:
    """Write a project, with plugin settings."""
    make_project(folder, PYPROJECT + settings, [package("rich")])
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    return folder


def build(folder: Path, *options: str) -> Outcome:
    """Build successfully."""
    outcome = poetry(folder, *BUILD, *options)
    assert outcome.status == 0, outcome
    return outcome


def caches(client: Client) -> tuple[list[str], list[str]]:
    """Return the caches that the last build was to read and to write."""
    pairs = list(itertools.pairwise(client.argv))
    imports = [value for name, value in pairs if name == "--cache-from"]
    return imports, [value for name, value in pairs if name == "--cache-to"]


def other_commands(client: Client) -> list[str]:
    """Return what docker was asked to do in addition to the build."""
    log = client.folder / "besides"
    return log.read_text().splitlines() if log.exists() else []


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ([], []),
        (["--load"], []),
        ([*PUSH], [REF]),
        ([*PUSH, "--cache-from=h.io/team/shop:main"], []),
        (["--cache=h.io/team/shop:mine"], ["h.io/team/shop:mine"]),
        (["--cache-to=h.io/team/shop:mine"], ["h.io/team/shop:mine"]),
    ],
)
def test_cache_setting_is_always_read(
    options: list[str], written: list[str], tmp_path: Path, client: Client
) -> None:
    """--push writes it, unless an option says otherwise."""
    build(make(tmp_path / "shop", f'cache = "{REF}"'), *options)
    imports, exports = caches(client)
    assert REF in imports
    assert [export.partition("ref=")[2].partition(",")[0] for export in exports] == written


def test_one_line_describes_the_cache(tmp_path: Path, client: Client) -> None:
    """The line says which cache is used, and how much of the build is in it."""
    outcome = build(make(tmp_path / "shop"), f"--cache={REF}")
    assert f"Cache: registry {REF}, all stages (mode=max)." in outcome.err
    assert caches(client) == ([REF], [f"{EXPORTED},image-manifest=true"])


@pytest.mark.usefixtures("client")
def test_relative_cache_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the command line from the working directory, in the setting from the project."""
    shop = make(tmp_path / "shop", 'cache = "../kept"')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write_layout(tmp_path / "kept", ["one"])
    outcome = poetry(tmp_path / "elsewhere", "-P", shop, *BUILD, "--dry-run", "--cache=./mine")
    assert outcome.status == 0, outcome
    assert f"type=local,src={tmp_path}/kept" in outcome.out
    assert "elsewhere/mine" not in outcome.out.partition("dest=")[0]  # does not exist yet
    assert f"type=local,dest={tmp_path}/elsewhere/mine,mode=max" in outcome.out
    assert "dest=" not in outcome.out.partition(f"dest={tmp_path}/elsewhere/mine")[2]
    assert not (tmp_path / "elsewhere" / "mine").exists()


@pytest.mark.usefixtures("client")
def test_invalid_cache_options_are_refused(tmp_path: Path) -> None:
    """--cache takes exactly one place; errors never show a password."""
    shop = make(tmp_path / "shop")
    outcome = poetry(shop, *BUILD, f"--cache={REF},h.io/team/shop:main")
    assert outcome.status == 1
    assert f"--cache {REF},h.io/team/shop:main cannot be used: it is more than one" in outcome.err
    for bad in ("type=registry,mode=all,ref=me:c4nary@h.io/x", "H.io/X,me:c4nary@h.io/x"):
        outcome = poetry(shop, *BUILD, f"--cache-to={bad}")
        assert outcome.status == 1
        assert "--cache-to cannot be used: " in outcome.err
        assert "c4nary" not in outcome.out + outcome.err
    outcome = poetry(shop, *BUILD, "--cache-to=type=local,dest=.")  # BuildKit writes there
    assert outcome.status == 1
    assert f"The cache folder {shop} contains the project" in outcome.err


def test_cache_folder_is_used_through_a_copy(tmp_path: Path, client: Client) -> None:
    """The copy is removed when the build has ended, even if it failed."""
    shop, kept = make(tmp_path / "shop"), tmp_path / "kept"
    write_layout(kept, ["one"])
    before = snapshot(kept)
    build(shop, f"--cache={kept}")
    (source,), (target,) = caches(client)
    private = source.removeprefix("type=local,src=")
    assert private.startswith(f"{kept}/.poetry-docker-cache-")
    assert target == f"type=local,dest={private},mode=max,ignore-error=true"
    assert {path: kept for path, (_, kept) in snapshot(kept).items() if "ingest" not in path} == {
        path: kept for path, (_, kept) in before.items() if "ingest" not in path
    }
    client.answer(containerd=True, status=5)
    assert poetry(shop, *BUILD, f"--cache={kept}").status == 5
    assert layers_of(kept) == {"one"}


def test_damaged_cache_folder_is_noted(tmp_path: Path, client: Client) -> None:
    """It is not read, and one note says so."""
    kept = tmp_path / "kept"
    write_layout(kept, ["one"])
    (kept / "index.json").write_text("{")
    outcome = build(make(tmp_path / "shop"), f"--cache={kept}")
    assert f"The cache folder {kept} is not read: index.json is not JSON." in outcome.err
    assert caches(client)[0] == []


def test_cache_folder_in_the_project_is_ignored(tmp_path: Path, client: Client) -> None:
    """Even if the image contains everything that the ignore file admits."""
    shop = make(tmp_path / "shop", 'files = ["."]\ncache = "./.kept"')
    (shop / ".dockerignore").write_text("!**\n")
    files = [".kept/index.json", ".kept/.poetry-docker-cache-0/x", "mine/blobs/sha256/0", "a.py"]
    build(shop, "--cache=./mine")
    assert passing(client.kept("ignore"), files) == {"a.py"}
    assert poetry(shop, *EXPORT).status == 0
    vendored = (shop / "Dockerfile.dockerignore").read_text()
    assert passing(vendored, files) == {"a.py", "mine/blobs/sha256/0"}
    build(shop, "--file=Dockerfile")
    assert poetry(shop, *BUILD, "--file=Dockerfile", "--cache=./mine").status == 1


def test_classic_store_pushes_image_as_cache(tmp_path: Path, client: Client) -> None:
    """--dry-run shows the push, and it follows a successful build."""
    client.answer()
    shop = make(tmp_path / "shop")
    dry = build(shop, f"--cache={REF}", "--dry-run")
    built, *after = dry.out.splitlines()
    assert f"--cache-from {REF} --cache-to type=inline --load" in built
    assert after == [f"docker tag shop:1.2.3 {REF}", f"docker push {REF}"]
    assert other_commands(client) == []
    outcome = build(shop, f"--cache={REF}")
    assert f"inline caches only: the image at {REF} contains the cache." in outcome.err
    assert other_commands(client) == [f"tag shop:1.2.3 {REF}", f"push {REF}"]
    build(shop, f"--cache={REF}", "--", "--check")  # `--check` makes no image, so none is pushed
    assert len(other_commands(client)) == 2
    client.answer(status=1)
    assert poetry(shop, *BUILD, f"--cache={REF}").status == 1
    assert len(other_commands(client)) == 2


def test_classic_store_saves_image_as_cache_file(tmp_path: Path, client: Client) -> None:
    """A cache folder works there, too."""
    client.answer()
    shop, kept = make(tmp_path / "shop"), tmp_path / "kept"
    build(shop, f"--cache={kept}")
    assert [path.name for path in kept.iterdir()] == ["image.tar"]
    assert [line.split()[0] for line in other_commands(client)] == ["tag", "save", "image"]
    dry = build(shop, f"--cache={kept}", "--dry-run")
    assert [line.split()[1] for line in dry.out.splitlines()] == [
        *("load", "buildx"),
        *("tag", "save", "image"),
    ]


def test_failed_cache_push_is_a_note(tmp_path: Path, client: Client) -> None:
    """The image exists, so the status is that of the build."""
    client.answer()
    script = client.folder / "docker"
    script.write_text(script.read_text().replace('"push "*|', '"push "*) exit 1 ;;\n'))
    outcome = build(make(tmp_path / "shop"), f"--cache={REF}")
    assert f"The cache was not pushed to {REF}" in outcome.err


def test_gha_cache_outside_github_actions(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cache is ignored elsewhere, with a note; its token is on no command line."""
    shop = make(tmp_path / "shop", 'cache = { type = "gha", scope = "main" }')
    names = ("ACTIONS_RUNTIME_TOKEN", "ACTIONS_RESULTS_URL", "ACTIONS_CACHE_URL")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    outcome = build(shop, *PUSH)
    assert caches(client) == ([], [])
    assert "No gha main cache: ACTIONS_RUNTIME_TOKEN" in outcome.err
    for name in names[:2]:
        monkeypatch.setenv(name, "c4nary")
    build(shop, *PUSH)
    assert caches(client) == (
        ["type=gha,scope=main"],
        ["type=gha,scope=main,mode=max,ignore-error=true"],
    )
    assert "c4nary" not in " ".join(client.argv)
