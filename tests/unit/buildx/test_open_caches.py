"""The caches of a build, from before its start until after its end."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_kinds import CLASSIC
from fake_docker import FakeDocker

from poetry_docker_cache.buildx.cache_folders import refuse_foreign
from poetry_docker_cache.buildx.cache_images import load_steps
from poetry_docker_cache.buildx.cache_plan import CachePlan
from poetry_docker_cache.buildx.command_line import BuildRequest
from poetry_docker_cache.buildx.open_caches import has_layout, open_caches
from poetry_docker_cache.buildx.pipeline import Build, ImageBuild, build_steps
from poetry_docker_cache.buildx.reuse import Reuse
from poetry_docker_cache.buildx.steps import Places
from poetry_docker_cache.caches.spec import Folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.engine import Watch

NO_REUSE = Reuse(project="shop", folder=None, has_wheels=False, image=None, hidden=())


def build(plan: CachePlan, docker: FakeDocker, *, written: bool | None = None) -> list[str]:
    """Build one image with these caches; return the command line."""
    image = ImageBuild(name="", request=BuildRequest(context="/src"), caches=plan, reuse=NO_REUSE)
    whole = Build(
        images=(image,), engine=CLASSIC, docker=("docker",), environment={}, metadata=False
    )
    runner = docker.runner()
    with open_caches(plan, whole.docker, runner) as caches:
        steps = build_steps(whole, Places.below("/w", [""]), {"": caches})
        if runner.run_all(steps).status == 0:
            docker.notes += caches.publish(written=written)
    (found,) = [argv for argv in docker.asked if argv[1] == "buildx"]
    return found


def given(argv: Sequence[str], option: str) -> list[str]:
    """List the values of an option."""
    return [value for word, value in itertools.pairwise(argv) if word == option]


def test_unreadable_folder_is_a_note(tmp_path: Path) -> None:
    """A cache never fails the build."""
    folder = Folder(path=str(tmp_path / ("x" * 300)))
    refuse_foreign(Path(folder.path), tmp_path / "src")
    plan = CachePlan(imports=(folder,), exports=(folder,), loaded=(folder,))
    docker = FakeDocker()
    argv = build(plan, docker)
    assert given(argv, "--cache-from") == given(argv, "--cache-to") == []
    (note,) = docker.notes
    assert "cannot be written" in note
    argv = build(replace(plan, exports=()), FakeDocker())
    assert given(argv, "--cache-from") == []
    assert not has_layout(folder)
    assert load_steps(plan, ["docker"]) == []


def test_saved_image_is_loaded_for_the_build(tmp_path: Path) -> None:
    """Its name is removed afterwards."""
    name = f"localhost/poetry-docker-cache:{secrets.token_hex(8)}"
    docker = FakeDocker(output=f"Loaded image: {name}\n")
    folder = Folder(path=str(tmp_path / "c"))
    plan = CachePlan(loaded=(folder,), saved=(folder,), exports=("type=inline",), image="app:1")
    assert given(build(plan, docker), "--cache-from") == []
    assert (tmp_path / "c" / "image.tar").read_text() == "image"
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["image.tar"]
    assert docker.verbs == ["buildx", "tag", "save", "image"]
    docker.asked.clear()
    argv = build(replace(plan, saved=()), docker)
    assert given(argv, "--cache-from") == [name]
    assert given(argv, "--cache-to") == ["type=inline"]
    assert docker.verbs == ["load", "buildx", "image"]
    assert docker.asked[-1] == ["docker", "image", "rm", name]
    assert not docker.notes


@pytest.mark.parametrize("failing", ["load", ""])
def test_damaged_image_is_a_note(failing: str, tmp_path: Path) -> None:
    """Also if docker loads another image from the file."""
    (tmp_path / "image.tar").write_text("half")
    docker = FakeDocker(failing, output="Loaded image: other:1")
    argv = build(CachePlan(loaded=(Folder(path=str(tmp_path)),)), docker)
    assert given(argv, "--cache-from") == []
    (note,) = docker.notes
    assert note.endswith("image.tar is not read: it is damaged. The build starts without it.")


@pytest.mark.parametrize("failing", ["tag", "save", "push"])
def test_failure_after_the_build_is_a_note(failing: str, tmp_path: Path) -> None:
    """The image exists, and so does the old cache."""
    (tmp_path / "image.tar").write_text("old")
    docker = FakeDocker(failing)
    folder = Folder(path=str(tmp_path))
    build(CachePlan(saved=(folder,), pushed=("h.io/app:cache",), image="app:1"), docker)
    assert len(docker.notes) == (2 if failing == "tag" else 1)
    assert all("image itself is complete" in note for note in docker.notes)
    expected = "image" if failing == "push" else "old"
    assert (tmp_path / "image.tar").read_text() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["image.tar"]
    assert docker.verbs[-1] == "image"  # the name for the file goes, whatever fails


@pytest.mark.parametrize("written", [True, False, None])
def test_unwritten_registry_cache_is_a_note(written: bool | None) -> None:
    """There is one for each registry; other types are not reported."""
    exports = ("type=registry,ref=h.io/a:c,mode=max,ignore-error=true", "type=gha", "type=inline")
    docker = FakeDocker("buildx")
    build(CachePlan(exports=exports), docker, written=written)
    assert not docker.notes
    docker = FakeDocker()
    build(CachePlan(exports=exports), docker, written=written)
    expected = ["The cache was not written to h.io/a:c; the image itself is complete."]
    assert docker.notes == (expected if written is False else [])


def test_failed_build_writes_no_cache(tmp_path: Path) -> None:
    """Neither a folder nor an image."""
    docker = FakeDocker("buildx")
    folder = Folder(path=str(tmp_path / "c"))
    plan = CachePlan(
        exports=(folder,), saved=(Folder(path=str(tmp_path)),), pushed=("h.io/a:c",), image="a"
    )
    (words,) = given(build(plan, docker), "--cache-to")
    assert words.startswith(f"type=local,dest={tmp_path}/c/.poetry-docker-cache-")
    assert docker.verbs == ["buildx"]
    assert not list(tmp_path.iterdir())


def test_uncreatable_folder_is_a_note(tmp_path: Path) -> None:
    """No file is left either."""
    (tmp_path / "file").touch()
    docker = FakeDocker()
    build(CachePlan(saved=(Folder(path=str(tmp_path / "file" / "c")),), image="app:1"), docker)
    assert docker.notes == [f"The cache folder {tmp_path}/file/c was not written: Not a directory"]
    assert docker.verbs == ["buildx", "tag", "image"]


def test_another_build_saves_meanwhile(tmp_path: Path) -> None:
    """Its draft may vanish at any time."""
    (tmp_path / ".image.tar.0").symlink_to("gone")
    docker = FakeDocker()
    build(CachePlan(saved=(Folder(path=str(tmp_path)),), image="app:1"), docker)
    assert not docker.notes
    assert (tmp_path / "image.tar").read_text() == "image"


class Interrupted(FakeDocker):
    """A signal ends `docker save`, after it has written a part."""

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        output: int | None = None,
        watch: Watch | None = None,
    ) -> int:
        """Run, or give the status of a signal."""
        status = super().run(argv, env=env, output=output, watch=watch)
        return 130 if argv[1] == "save" else status


def test_signal_while_saving(tmp_path: Path) -> None:
    """The temporary name is removed, since it would keep the image forever."""
    docker = Interrupted()
    with pytest.raises(SystemExit, match="130"):
        build(CachePlan(saved=(Folder(path=str(tmp_path)),), image="app:1"), docker)
    _, (_, _, _, name), _, removed = docker.asked
    assert removed == ["docker", "image", "rm", name]
    assert not list(tmp_path.iterdir())
