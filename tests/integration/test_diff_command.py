"""`poetry docker diff`: against revisions and archives, and what is wrong with others."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from base_images import oci_archive, put_image, tar
from command_line import Outcome, poetry
from oci_layouts import Layout
from projects import lock_text, make_project, package

from poetry_docker_cache.docker.image_labels import (
    CONTENTS,
    ImageContents,
    LayerContents,
    encode,
)
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.13"
dependencies = ["rich>=1", "click>=1"]
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry-docker-cache]
layers = 1
python = "3.13"
"""
OLD = [package("click"), package("rich")]
NEW = [package("anyio"), package("click"), package("rich", "2.0")]
CHANGE = "Change   anyio 1.0 added, rich 1.0 → 2.0: layer dependencies"


def git(folder: Path, *words: str) -> str:
    """Run git as an author."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.test", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    """Commit all files; make the repository first if needed."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=x")


def lock(folder: Path, packages: list[dict[str, Any]]) -> None:
    """Write another lock file."""
    text = (folder / "pyproject.toml").read_text()
    (folder / "poetry.lock").write_text(lock_text(tomllib.loads(text), packages))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project in a folder of a repository, with a commit before an upgrade."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # no engine in the tests' own folders
    (tmp_path / "temporary").mkdir()
    folder = make_project(tmp_path / "repository" / "shop", PYPROJECT, OLD)
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    commit(folder.parent)
    lock(folder, NEW)
    return folder


def archive(folder: Path, labels: dict[str, str], platform: str = "linux/amd64") -> str:
    """Write an image of one empty layer; return the path of its archive."""
    layout = Layout(folder / "layout")
    digest = put_image(layout, tar({}), config={"Labels": labels}, platform=platform.split("/"))
    path = folder / "image.tar"
    path.write_bytes(oci_archive(layout, digest))
    return str(path)


def label(outcome: Outcome, **facts: Any) -> dict[str, str]:  # noqa: ANN401  # any value
    """Return the label of an image with the packages before the upgrade."""
    (found,) = json.loads(outcome.out)["images"]
    assert [layer["name"] for layer in found["layers"]] == ["dependencies"]
    layer = LayerContents(
        name="dependencies", digest="sha256:0", packages={"click": "1.0", "rich": "1.0"}
    )
    usual: dict[str, Any] = {
        "plugin": "0.1.0",
        "python": "3.13",
        "base": "python:3.13-slim",
        "settings": "x",
        "layers": {"linux/amd64": (layer,), "linux/arm64": (layer,)},
    }
    return {CONTENTS: encode(replace(ImageContents(**usual), **facts))}


def test_revision_is_compared_without_a_trace(shop: Path, tmp_path: Path) -> None:
    """Without an argument, it is HEAD; neither files nor the temporary folder change."""
    before = git(shop, "status", "--porcelain")
    named = poetry(shop, "docker", "diff", "--against=main")
    assert (named.status, named.out.splitlines()[1:]) == (
        0,
        [
            CHANGE,
            "Layers   1 of 1 dependency layer to rebuild",
            "Rebuild  dependencies: other packages",
        ],
    )
    usual = poetry(shop, "docker", "diff")
    assert usual.out == named.out.replace("main", "HEAD")
    assert "Compared with the last commit. There is no image shop:1.2.3" in usual.err
    assert git(shop, "status", "--porcelain") == before
    assert not [*(tmp_path / "temporary").iterdir()]
    assert poetry(shop, "docker", "diff", "--markdown").out.startswith("### shop: 1 of 1")
    commit(shop.parent)
    assert "nothing to rebuild" in poetry(shop, "docker", "diff").out


def test_path_dependency_beside_the_project(shop: Path) -> None:
    """Its folder is part of the revision."""
    library = shop.parent / "library"
    (library / "library").mkdir(parents=True)
    (library / "library" / "__init__.py").touch()
    text = PYPROJECT.replace('"shop"', '"library"').replace('"rich>=1", "click>=1"', "")
    (library / "pyproject.toml").write_text(text)
    source = {"type": "directory", "url": "../library"}
    beside = package("library", "1.2.3", files=[], source=source)
    (shop / "pyproject.toml").write_text(
        PYPROJECT.replace('"click>=1"', '"click>=1", "library"')
        + '[tool.poetry.dependencies]\nlibrary = { path = "../library" }\n'
    )
    lock(shop, [*OLD, beside])
    commit(shop.parent)
    lock(shop, [*NEW, beside])
    assert CHANGE in poetry(shop, "docker", "diff").out


def test_several_images(shop: Path) -> None:
    """Each is compared; one that the revision does not have is new."""
    table = "[tool.poetry-docker-cache.images.{}]\n"
    (shop / "pyproject.toml").write_text(PYPROJECT + table.format("api"))
    lock(shop, OLD)
    commit(shop.parent)
    (shop / "pyproject.toml").write_text(PYPROJECT + table.format("api") + table.format("worker"))
    lock(shop, NEW)
    outcome = poetry(shop, "docker", "diff")
    assert outcome.out.splitlines()[:3:2] == ["api", CHANGE]
    assert "New      dependencies" in outcome.out
    assert "There is no image 'worker' at HEAD" in outcome.err
    several = poetry(shop, "docker", "diff", "--against=registry.test/shop:1")
    assert (several.status, "Name the one to compare" in several.err) == (1, True)


def test_image_in_an_archive(shop: Path, tmp_path: Path) -> None:
    """All its platforms are compared, also on a machine of another one."""
    head = poetry(shop, "docker", "diff", "--json")
    path = archive(tmp_path, label(head), "linux/s390x")
    outcome = poetry(shop, "docker", "diff", path)
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"Against  {path} (sha256:")
    assert lines[1:] == [
        CHANGE,
        "Change   settings, or other content of the Dockerfile",
        "Layers   1 of 1 dependency layer to rebuild",
        "Rebuild  dependencies: other packages",
    ]
    (data,) = json.loads(poetry(shop, "docker", "diff", path, "--json").out)["images"]
    assert data["platforms"] == ["linux/amd64", "linux/arm64"]
    assert data["bytes"] == {"kept": 0, "rebuilt": None}


def test_image_of_something_else(shop: Path, tmp_path: Path) -> None:
    """It has no label with its contents, or one in the form of another release."""
    for labels in ({}, {CONTENTS: '{"form": 99}'}):
        outcome = poetry(shop, "docker", "diff", "--against", archive(tmp_path, labels))
        assert (outcome.status, outcome.out) == (1, "")
        assert "has no label with its contents" in outcome.err
        assert "--against HEAD" in outcome.err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--against=mian"], "no revision 'mian'"),
        (["--against=mian"], "There is no image mian"),
        (["--against=HEAD~5"], "no revision 'HEAD~5'"),
        (["--against=a b"], "no revision 'a b'"),
        (["--against=absent.tar"], "absent.tar cannot be read"),
        (["b.test/a:1", "--against=main"], "Only one image or revision"),
        (["--json", "--markdown"], "exclude each other"),
        (["other"], "There is no image 'other'"),
        (["--", "x"], "takes no arguments after"),
    ],
)
def test_wrong_arguments(given: list[str], says: str, shop: Path) -> None:
    """One error says what is wrong."""
    outcome = poetry(shop, "docker", "diff", *given)
    assert (outcome.status, outcome.out) == (1, "")
    assert says in outcome.err


def test_nothing_to_compare_with(shop: Path) -> None:
    """Neither an image nor a repository."""
    (shop.parent / ".git").rename(shop.parent / "git")
    outcome = poetry(shop, "docker", "diff")
    assert outcome.status == 1
    for text in ("There is no image shop:1.2.3", "not in a git repository", "Build the image"):
        assert text in outcome.err
    assert "not in a git repository" in poetry(shop, "docker", "diff", "--against=HEAD").err


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("poetry.lock", None, "poetry.lock not found"),
        ("poetry.lock", '[metadata]\nlock-version = "0.9"\n', "poetry.lock"),
        ("pyproject.toml", None, "There is no pyproject.toml"),
        ("pyproject.toml", "[", "The project cannot be read: Invalid TOML file repository/shop/"),
    ],
)
def test_revision_that_cannot_be_planned(
    name: str, text: str | None, says: str, shop: Path, tmp_path: Path
) -> None:
    """The error names the revision: the files at hand are fine."""
    whole = (shop / name).read_text()
    (shop / name).unlink()
    if text:
        (shop / name).write_text(text)
    commit(shop.parent)
    (shop / name).write_text(whole)
    outcome = poetry(shop, "docker", "diff", "--against=HEAD")
    assert (outcome.status, outcome.out) == (1, "")
    assert f"At HEAD: {says}" in outcome.err
    assert not [*(tmp_path / "temporary").iterdir()]
