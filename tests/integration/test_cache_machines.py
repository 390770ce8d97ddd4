"""Caches between machines: engines with separate data that share a registry.

Check what an empty machine takes from another one's cache, and that cache problems never fail the
build.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from acme import SHOP, Project, make_shop
from builds import NETWORK
from edits import INSTALLING, LAYERS, PACKAGES, change_pure_version, release
from fault_rows import CACHES, Row, fault
from forwarding import Gate
from machines import Machines, digest
from registries import own_registry

from poetry_docker_cache.buildx.cache_folders import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from acme import AcmeIndex
    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine
    from machines import Machine, Pair

pytestmark = pytest.mark.engine

NOTHING = ("--", "--output=type=cacheonly")
"""For a build whose image is not needed."""

WITH_APT = """\
FROM python:3.13-slim
RUN printf '#!/bin/sh\\n[ $1 = update ] || cat /proc/sys/kernel/random/uuid > /installed\\n' \\
    > /usr/bin/apt-get
"""
"""A base image whose packages are different each time that they are installed."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A project in three states, each in its own folder."""

    initial: Project
    released: Project
    """The project has a new version."""
    bumped: Project
    """One dependency and the project have new versions."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """What the first machine of a pair has built, with a cache that did not exist."""

    pair: Pair
    shop: Shop
    repository: str
    cache: str
    steps: Steps


@pytest.fixture(scope="module")
def machines(
    engine: DockerEngine,
    second_engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    tmp_path_factory: pytest.TempPathFactory,
) -> Machines:
    """Return a factory for pairs of machines."""
    return Machines((engine, second_engine), poetry_home, tmp_path_factory.mktemp("machines"))


@pytest.fixture(scope="module")
def original(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:
    """Write and lock the project in all its states."""
    folder = tmp_path_factory.mktemp("states")
    initial = make_shop(folder / "initial", poetry_home(engine), index, pyproject=SHOP)
    # Remote BuildKits cannot fetch a frontend here, and their own one is used.
    initial.configure(layers=4, syntax=False)
    released, bumped = (_copied(initial, folder / name) for name in ("released", "bumped"))
    for project in (released, bumped):
        release(project)
    change_pure_version(bumped)
    return Shop(initial=initial, released=released, bumped=bumped)


def _copied(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder)
    return Project(folder, project.poetry)


def _of_its_own(shop: Shop, folder: Path) -> Shop:
    """Copy it, with a variable that keeps earlier layers from matching."""
    mark = f"ENV MACHINES={os.urandom(4).hex()}"
    states = []
    for project in (shop.initial, shop.released, shop.bumped):
        copy = _copied(project, folder / project.folder.name)
        copy.configure(instructions={"build": [mark], "runtime": [mark]})
        states.append(copy)
    initial, released, bumped = states
    return Shop(initial=initial, released=released, bumped=bumped)


@pytest.fixture(scope="module")
def first_build(
    machines: Machines, original: Shop, registry: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Built]]:
    """Return a function that builds once on the first of two machines of a kind."""
    builds: dict[str, Built] = {}
    with contextlib.ExitStack() as stack:

        def build(kind: str) -> Built:
            if kind not in builds:
                pair = stack.enter_context(machines.pair(kind))
                folder = tmp_path_factory.mktemp(kind)
                builds[kind] = _build_first(pair, original, registry, folder)
            return builds[kind]

        yield build


@pytest.fixture(scope="module", params=["containerd", "remote", "classic"])
def built(request: pytest.FixtureRequest, first_build: Callable[[str], Built]) -> Built:
    """Build on machines of every kind, with a cache that does not exist yet."""
    return first_build(request.param)


@pytest.fixture(scope="module")
def warm(first_build: Callable[[str], Built]) -> Built:
    """Build with the containerd image store."""
    return first_build("containerd")


def _build_first(pair: Pair, original: Shop, registry: str, folder: Path) -> Built:
    shop = _of_its_own(original, folder)
    repository = f"{registry}/shop-{os.urandom(4).hex()}"
    cache = f"{repository}:cache"
    assert digest(cache) is None
    options = ("--push", f"--tag={repository}:1", f"--cache={cache}")
    steps = pair.first.build(shop.initial, *options)
    return Built(pair=pair, shop=shop, repository=repository, cache=cache, steps=steps)


def test_first_build_creates_the_cache(built: Built) -> None:
    """A missing cache is created by the first build."""
    assert built.steps.ran >= INSTALLING
    assert built.steps.installed == PACKAGES
    assert digest(f"{built.repository}:1")
    assert digest(built.cache)


def test_summary_of_cached_layers(built: Built, tmp_path: Path) -> None:
    """Every engine reports which layers were cached, and the image's size."""
    file = tmp_path / "metadata.json"
    options = ("--push", f"--tag={built.repository}:told", f"--metadata-file={file}")
    machine = built.pair.first
    command = ["docker", "build", *machine.options, *options, *NETWORK]
    machine.poetry.run(built.shop.initial.folder, *command)
    told = json.loads(file.read_text())["poetry-docker-cache"]
    assert {layer["name"]: layer["cached"] for layer in told["layers"]} == dict.fromkeys(
        LAYERS, True
    )
    assert told["digest"] == digest(f"{built.repository}:told")
    if built.pair.kind != "classic":  # its metadata has no provenance
        assert told["size"] > 1_000_000
        assert told["push_seconds"] >= 0


def test_release_on_another_machine_installs_nothing(built: Built) -> None:
    """Another machine builds the next version, and installs nothing."""
    options = ("--push", f"--tag={built.repository}:2", f"--cache={built.cache}")
    steps = built.pair.second.empty().build(built.shop.released, *options)
    assert not steps.ran & INSTALLING - _missing(built)
    assert steps.installed == ()
    assert digest(f"{built.repository}:2")


def _missing(built: Built) -> set[str]:
    """Return the stages that a cache lacks: an inline cache has only those in the image."""
    return {"venv", "build-backend"} if built.pair.kind == "classic" else set()


def test_upgrade_on_another_machine(warm: Built) -> None:
    """A machine with read-only access takes all layers but one from the cache."""
    options = ("--push", f"--tag={warm.repository}:3", f"--cache-from={warm.cache}")
    steps = warm.pair.second.empty().build(warm.shop.bumped, *options)
    assert steps.installed == ("acme-lib",)
    assert steps.ran & INSTALLING == {"pure-1"}


def test_refresh_installs_system_packages_for_all_machines(
    warm: Built, registry: str, tmp_path: Path
) -> None:
    """Dependencies stay cached, and later builds use the new packages: here, and from the cache."""
    first, second = warm.pair.first, warm.pair.second
    base = f"{registry}/with-apt:3.13"
    first.engine.docker("build", "--push", f"--tag={base}", "-", text=WITH_APT)
    shop = _copied(warm.shop.initial, tmp_path / "shop")
    shop.configure(base_image=base, python="3.13", runtime_packages=["libpq5"], layers=1)
    image, cache = "shop:refreshed", f"{warm.repository}:refreshed"

    def installed(machine: Machine) -> str:
        return machine.engine.run(image, "cat", "/installed")

    first.build(shop, f"--tag={image}")
    before = installed(first)
    steps = first.build(shop, f"--tag={image}", f"--cache={cache}", "--refresh")
    after = installed(first)
    assert before != after
    assert steps.ran == {"base", "check", "final"}
    first.build(shop, f"--tag={image}")
    assert installed(first) == after
    file = tmp_path / "metadata.json"
    options = (f"--cache-from={cache}", f"--metadata-file={file}")
    second.empty().build(shop, f"--tag={image}", *options)
    assert installed(second) == after
    found = json.loads(file.read_text())["poetry-docker-cache"]["base"]
    assert found == {"image": base, "digest": digest(base)}


@fault(
    CACHES,
    Row(
        fault="two machines write one cache at once",
        status=0,
        happens="both images and the cache are complete",
    ),
)
@pytest.mark.parametrize("where", ["registry", "folder"])
def test_concurrent_cache_writes(warm: Built, where: str, tmp_path: Path) -> None:
    """Both succeed, and the remaining cache is complete."""
    cache = f"{warm.repository}:both" if where == "registry" else str(tmp_path / "both")
    options = ("--tag=shop:both", f"--cache={cache}")
    first, second = warm.pair.first, warm.pair.second
    with ThreadPoolExecutor() as pool:
        one = pool.submit(first.build, warm.shop.initial, *options)
        other = pool.submit(second.build, warm.shop.released, *options)
    for steps in (one.result(), other.result()):
        assert not [error for error in steps.errors if "not found" not in error]
    if where == "folder":
        survey(tmp_path / "both")
        return
    steps = second.empty().build(warm.shop.released, f"--cache-from={cache}", *NOTHING)
    assert steps.installed == ()
    assert not steps.ran & INSTALLING


@pytest.mark.parametrize("kind", ["containerd", "classic"])
def test_cache_folder_between_machines(
    first_build: Callable[[str], Built], kind: str, tmp_path: Path
) -> None:
    """A folder that CI keeps is also a cache, and is not part of the build."""
    built = first_build(kind)
    here, there = (_copied(built.shop.initial, tmp_path / name) for name in ("here", "there"))
    before = built.pair.first.build(here, "--tag=shop:folder", "--cache=./.buildcache")
    assert before.installed == ()
    (here.folder / ".buildcache").rename(there.folder / ".buildcache")
    release(there)
    options = ("--tag=shop:folder", "--cache=./.buildcache")
    steps = built.pair.second.empty().build(there, *options)
    assert steps.installed == ()
    assert not steps.ran & INSTALLING - _missing(built)
    assert steps.sent < 100_000
    assert built.pair.second.has("shop:folder")


@fault(
    CACHES,
    Row(
        fault="the registry of the cache is down",
        status=0,
        happens="the image is complete; a note says that the cache was not written",
    ),
)
@pytest.mark.parametrize("kind", ["containerd", "classic"])
def test_unreachable_registry(first_build: Callable[[str], Built], kind: str) -> None:
    """The build succeeds, with a note."""
    built = first_build(kind)
    first, cache = built.pair.first, "127.0.0.1:1/shop:cache"
    steps = first.build(built.shop.initial, "--tag=shop:away", f"--cache={cache}")
    assert first.has("shop:away")
    verb = "pushed" if kind == "classic" else "written"
    assert f"The cache was not {verb} to {cache}; the image itself is complete." in steps.said


@fault(
    CACHES,
    Row(
        fault="the registry stops while the cache is written",
        status=0,
        happens="the image is complete; a note says that the cache was not written",
    ),
)
def test_registry_that_stops_during_export(warm: Built, tmp_path: Path) -> None:
    """The registry disappears during the export: the build succeeds, with a note."""
    first = warm.pair.first
    with own_registry(tmp_path) as address, contextlib.closing(Gate(address, uploads=2)) as gate:
        cache = f"{gate.address}/shop:cache"
        steps = first.build(warm.shop.initial, "--tag=shop:died", f"--cache={cache}")
        assert gate.shut
        assert digest(f"{address}/shop:cache") is None
    assert first.has("shop:died")
    assert f"The cache was not written to {cache}; the image itself is complete." in steps.said


@fault(
    CACHES,
    Row(
        fault="the registry of the cache is read-only",
        status=0,
        happens="the image is complete; a note says that the cache was not written",
    ),
)
def test_read_only_registry(warm: Built, tmp_path: Path) -> None:
    """Its cache is used; a note says that no new cache can be written."""
    second = warm.pair.second
    with own_registry(tmp_path) as address:
        steps = warm.pair.first.build(warm.shop.initial, f"--cache={address}/shop:cache", *NOTHING)
        assert not [error for error in steps.errors if "not found" not in error]
    with own_registry(tmp_path, read_only=True) as address:
        cache = f"{address}/shop:cache"
        before = digest(cache)
        steps = second.empty().build(warm.shop.released, "--tag=shop:fixed", f"--cache={cache}")
        assert before is not None
        assert (digest(cache), steps.installed) == (before, ())
    assert second.has("shop:fixed")
    assert f"The cache was not written to {cache}; the image itself is complete." in steps.said


@fault(
    CACHES,
    Row(
        fault="a cache folder is truncated",
        status=0,
        happens="the image is built without it; the build repairs the folder",
    ),
)
@pytest.mark.parametrize("harm", ["a layer", "the index"])
def test_corrupt_cache_folder(warm: Built, tmp_path: Path, harm: str) -> None:
    """It is not read, with a note, and the build repairs it."""
    folder = tmp_path / "cache"
    first = warm.pair.first
    first.build(warm.shop.initial, f"--cache={folder}", *NOTHING)
    victim = folder / "index.json"
    if harm == "a layer":
        blobs = (folder / "blobs" / "sha256").iterdir()
        victim = max(blobs, key=lambda blob: blob.stat().st_size)
    os.truncate(victim, victim.stat().st_size // 2)
    steps = first.build(warm.shop.released, "--tag=shop:harm", f"--cache={folder}")
    assert first.has("shop:harm")
    assert f"The cache folder {folder} is not read" in steps.said
    survey(folder)
