"""What `--cache` writes with a real engine: folders, and the registry."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from acme import SHOP, Project, make_shop
from edits import change_pure_version, release
from engines import PATIENCE
from machines import Machine, Machines, digest

from poetry_docker_cache.buildx.cache_folders import survey

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from acme import AcmeIndex
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

NOTHING = ("--", "--output=type=cacheonly")
"""For a build whose image is not needed."""


@pytest.fixture(scope="module")
def machines(
    engine: DockerEngine,
    second_engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Machine, Machine]:
    """Return two machines with the containerd image store."""
    maker = Machines((engine, second_engine), poetry_home, tmp_path_factory.mktemp("machines"))
    return maker.machine(engine), maker.machine(second_engine)


@pytest.fixture(scope="module")
def original(
    machines: tuple[Machine, Machine],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Write a project with a variable that keeps layers of other test modules from matching."""
    folder = tmp_path_factory.mktemp("original") / "shop"
    project = make_shop(folder, machines[0].poetry, index, pyproject=SHOP)
    mark = f"ENV CACHE_ENGINE={os.urandom(4).hex()}"
    project.configure(layers=4, instructions={"build": [mark], "runtime": [mark]})
    return project


@pytest.fixture
def shop(original: Project, tmp_path: Path) -> Project:
    """Return a copy of the project, for edits."""
    folder = tmp_path / "shop"
    shutil.copytree(original.folder, folder)
    return Project(folder, original.poetry)


def blobs(folder: Path) -> dict[str, int]:
    """Return the blobs of a folder, each with its inode."""
    return {path.name: path.stat().st_ino for path in (folder / "blobs/sha256").iterdir()}


def hidden(folder: Path) -> list[str]:
    """List the hidden files in a folder."""
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_cache_folder_contains_only_the_last_build(
    shop: Project, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    """It does not grow, and unchanged blobs are not written again."""
    first, second = machines
    folder = tmp_path / "kept"
    first.build(shop, f"--cache={folder}", *NOTHING)
    before = blobs(folder)
    assert survey(folder) == before.keys()
    change_pure_version(shop)
    steps = second.empty().build(shop, f"--cache={folder}", *NOTHING)
    assert steps.installed == ("acme-lib",)
    after = blobs(folder)
    assert survey(folder) == after.keys()
    assert before.keys() - after.keys()
    kept = before.keys() & after.keys()
    assert len(kept) > len(after) / 3  # new: four layers and the metadata
    assert [before[name] for name in kept] == [after[name] for name in kept]
    assert not hidden(folder)


def test_interrupted_build_keeps_the_cache_folder(
    shop: Project, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    """The folder stays complete, and the next build removes temporary files left after a kill."""
    first, _ = machines
    folder = tmp_path / "kept"
    first.build(shop, f"--cache={folder}", *NOTHING)
    index = (folder / "index.json").read_bytes()
    change_pure_version(shop)
    options = (f"--cache={folder}", "--no-cache", "--", "--network=host")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with first.poetry.start(shop.folder, "docker", "build", *options) as process:
            _wait_for(lambda: bool(hidden(folder)), process)
            time.sleep(1)
            os.killpg(process.pid, number)
            process.communicate()
        assert process.returncode != 0
        assert (folder / "index.json").read_bytes() == index
        assert survey(folder) == blobs(folder).keys()
        assert bool(hidden(folder)) == (number == signal.SIGKILL)
    first.build(shop, f"--cache-from={folder}", *NOTHING)
    assert not hidden(folder)


def _wait_for(seen: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_cache_setting_is_read_always_and_written_on_push(
    shop: Project, machines: tuple[Machine, Machine], registry: str
) -> None:
    """Only --push writes it, in a form that every registry accepts; every build reads it."""
    first, second = machines
    repository = f"{registry}/shop-{os.urandom(4).hex()}"
    cache = f"{repository}:cache"
    shop.configure(cache=cache)
    steps = first.build(shop, "--tag=shop:setting")
    assert digest(cache) is None
    assert "; --push writes it" in steps.said
    first.build(shop, "--push", f"--tag={repository}:1")
    written = digest(cache)
    assert written is not None
    release(shop)
    steps = second.empty().build(shop, "--tag=shop:setting")
    assert steps.installed == ()
    assert digest(cache) == written
    host, _, name = repository.partition("/")
    kind = "application/vnd.oci.image.manifest.v1+json"
    url = f"http://{host}/v2/{name}/manifests/cache"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": kind})) as answer:
        manifest = json.load(answer)
    assert manifest["mediaType"] == kind


def test_inline_cache(shop: Project, machines: tuple[Machine, Machine], registry: str) -> None:
    """With `type=inline`, the previous image is enough to build another version."""
    first, second = machines
    image = f"{registry}/shop-{os.urandom(4).hex()}:latest"
    options = ("--push", f"--tag={image}", "--cache=type=inline")
    first.build(shop, *options)
    release(shop)
    steps = second.empty().build(shop, *options)
    assert steps.installed == ()


def test_local_cache_of_buildkit(
    shop: Project, machines: tuple[Machine, Machine], tmp_path: Path
) -> None:
    """`type=local` is read and written as BuildKit does, which `--cache` relies on."""
    first, _ = machines
    folder = tmp_path / "kept"
    options = (f"--cache=type=local,dest={folder},compression=zstd", *NOTHING)
    first.build(shop, *options)
    before = survey(folder)
    release(shop)
    assert not first.build(shop, *options).errors
    assert survey(folder) != before
    assert before < blobs(folder).keys()
