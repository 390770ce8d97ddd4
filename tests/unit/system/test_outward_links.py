"""Links that are not followed, because they lead out of their folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with links, reached through a link of the user."""
    real = tmp_path / "real"
    (real / "sub").mkdir(parents=True)
    (real / "file").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    (tmp_path / "home").symlink_to("real")
    for name, target in {
        "to-file": "file",
        "to-sub": "sub",
        "back": "../home/file",
        "out": "../outside",
        "out-file": "../outside/file",
        "nowhere": "sub/missing",
        "loop": "loop",
    }.items():
        (real / name).symlink_to(target)
    return tmp_path / "home"


@pytest.mark.parametrize("path", ["file", "missing", "to-file", "to-sub/new/file", "back"])
def test_links_inside_are_followed(project: Path, path: str) -> None:
    """They may lead out and in again, and the folder itself may be a link."""
    refuse_outward_links([project / path], project)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("out-file", "leaves"),
        ("out/new", "leaves"),
        ("out/../file", "leaves"),
        ("sub/../out/deep/file", "leaves"),
        ("nowhere", "leads to nothing"),
        ("nowhere/file", "leads to nothing"),
        ("loop", "leads to nothing"),
    ],
)
def test_other_links_are_refused(project: Path, path: str, why: str) -> None:
    """In place of the file or of any folder above it; the error has the link to remove."""
    with pytest.raises(DockerCacheError, match=why) as caught:
        refuse_outward_links([project / "file", project / path], project, project / "out")
    assert "rm " in caught.value.fix


def test_links_of_the_user_are_followed(project: Path, tmp_path: Path) -> None:
    """Outside of the folders, a link is not part of the project."""
    (tmp_path / "mine").symlink_to("outside")
    refuse_outward_links([tmp_path / "mine" / "file"], project)
