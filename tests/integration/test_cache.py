"""What rebuilds what, as a specification: an edit, and the stages that run because of it.

Each edit is made to a copy of a project that was built before: on the same engine, and on an empty
one that has only a registry cache.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from acme import CANARY, PASSWORD, SHOP, AcmeIndex, Project, make_shop
from builds import build
from edits import (
    EDITS,
    HARMLESS,
    INSTALLING,
    LAYERS,
    PACKAGES,
    change_pure_version,
    lock_with_another_poetry,
    release,
)
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine


@dataclass(frozen=True, kw_only=True)
class Built:
    """A project that was built, and its cache."""

    project: Project
    cache: str
    registry: str


@pytest.fixture(scope="module")
def built(
    engine: DockerEngine,
    registry: str,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """Build a project without a cache, so that every stage runs, and export the cache."""
    # Layers of other test modules do not match these: the index has another host name, and the
    # image another working directory and variable.
    pyproject = SHOP.replace("{url}", index.url.replace("127.0.0.1", "localhost"))
    folder = tmp_path_factory.mktemp("cache") / "shop"
    project = make_shop(folder, poetry_home(engine), index, pyproject=pyproject)
    own = {"build": [], "runtime": ["ENV BUILT_BY=test_cache"]}
    project.configure(layers=4, workdir="/test_cache", instructions=own)
    cache = f"{registry}/shop-{os.urandom(4).hex()}:cache"
    steps = build(
        project,
        "--no-cache",
        f"--tag={registry}/shop:1",
        f"--cache-to=type=registry,ref={cache},mode=max",
    )
    assert steps.ran >= {*INSTALLING, "manifest", "application"}
    assert steps.installed == PACKAGES
    return Built(project=project, cache=cache, registry=registry)


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Project:
    """Return a copy of the project, for one edit."""
    folder = tmp_path / "shop"
    shutil.copytree(built.project.folder, folder)
    return Project(folder, built.project.poetry)


@pytest.fixture(scope="module")
def ci_poetry(
    second_engine: DockerEngine, built: Built, poetry_home: Callable[[DockerEngine], Poetry]
) -> Poetry:
    """Return a Poetry that uses another machine's docker."""
    poetry = poetry_home(second_engine)
    Project(built.project.folder, poetry).log_in(PASSWORD)
    return poetry


@pytest.fixture
def ci(second_engine: DockerEngine, ci_poetry: Poetry) -> Poetry:
    """Return a Poetry on a machine whose engine is empty."""
    second_engine.forget()
    return ci_poetry


APART = ("lock by another Poetry", "unused source")
"""One must be the last edit; the other needs a warm Poetry cache, since its source has no login."""


@pytest.mark.parametrize("name", [name for name in EDITS if name not in HARMLESS or name in APART])
def test_edit_on_the_same_engine(copy: Project, name: str) -> None:
    """Only what an edit changes is installed again."""
    edit = EDITS[name]
    edit.change(copy)
    steps = build(copy, "--", "--output=type=cacheonly")
    assert steps.ran & INSTALLING == edit.runs
    assert steps.installed == edit.installs


def test_harmless_edits(
    copy: Project, built: Built, ci: Poetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them at once install nothing: on the same engine, and with the registry cache."""
    with monkeypatch.context() as patched:
        patched.setattr(copy, "lock", lambda: None)
        for name in HARMLESS:
            if name not in APART:
                EDITS[name].change(copy)
    lock_with_another_poetry(copy)  # it locks what the others have edited
    imported = f"--cache-from=type=registry,ref={built.cache}"
    nothing = ("--", "--output=type=cacheonly")
    for steps in (build(copy, *nothing), build(copy, imported, *nothing, poetry=ci)):
        assert "manifest" in steps.ran | steps.cached
        assert steps.ran & INSTALLING == frozenset()
        assert steps.installed == ()


# The others install everything, or Debian packages, even with a cache.
@pytest.mark.parametrize(
    "name",
    [
        "version of a pure dependency",
        "version of a native dependency",
        "additional dependency",
        "removed dependency",
        "build backend",
        "unused source",
    ],
)
def test_edit_with_registry_cache(copy: Project, built: Built, ci: Poetry, name: str) -> None:
    """A registry cache works as well as the engine's own."""
    edit = EDITS[name]
    edit.change(copy)
    imported = f"--cache-from=type=registry,ref={built.cache}"
    steps = build(copy, imported, "--", "--output=type=cacheonly", poetry=ci)
    assert "manifest" in steps.ran | steps.cached
    assert steps.ran & INSTALLING == edit.runs
    assert steps.installed == edit.installs


def test_empty_engine_without_cache_runs_everything(copy: Project, ci: Poetry) -> None:
    """The second engine really is empty: without the registry cache everything runs."""
    steps = build(copy, "--", "--output=type=cacheonly", poetry=ci)
    assert steps.ran >= INSTALLING
    assert steps.installed == PACKAGES


@pytest.fixture
def new_password(index: AcmeIndex) -> Iterator[str]:
    """Change the index's password during the test."""
    password = f"n3w {CANARY}"
    index.set_password(password)
    yield password
    index.set_password(PASSWORD)


def test_rotated_password_installs_nothing(
    copy: Project, index: AcmeIndex, new_password: str
) -> None:
    """New credentials install nothing again; later installations use them."""
    copy.log_in(new_password)
    try:
        steps = build(copy)
        assert not steps.ran & INSTALLING
        make_wheel(index.packages, "acme-unseen")
        copy.replace("pyproject.toml", '"acme-native"', '"acme-native", "acme-unseen"')
        copy.lock()
        assert "acme-unseen" in build(copy).installed
    finally:
        copy.log_in(PASSWORD)


def test_rotated_password_hits_registry_cache(
    copy: Project, built: Built, ci: Poetry, new_password: str
) -> None:
    """A token that lives only for one CI job still hits the cache."""
    imported = f"--cache-from=type=registry,ref={built.cache}"
    other_machine = Project(copy.folder, ci)
    other_machine.log_in(new_password)
    try:
        steps = build(copy, imported, "--", "--output=type=cacheonly", poetry=ci)
    finally:
        other_machine.log_in(PASSWORD)
    assert not steps.ran & INSTALLING
    assert steps.installed == ()


def test_vendored_dockerfile_with_lock_by_another_poetry(copy: Project) -> None:
    """A colleague's lock, written by another Poetry, works with a vendored Dockerfile."""
    copy.configure(syntax=False)  # Docker Hub may be unreachable
    copy.poetry.run(copy.folder, "docker", "export")
    lock_with_another_poetry(copy)
    steps = build(copy, "--file=Dockerfile")
    assert not steps.ran & INSTALLING
    assert steps.installed == ()


def layers(image: str) -> list[str]:
    """Return the digests of an image's layers in the registry, from the base to the project."""
    return [layer["digest"] for layer in describe(image)[0]["layers"]]


def describe(image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the manifest and the configuration of an image in the registry."""
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    found = fetch(f"http://{host}/v2/{name}/manifests/{tag}")
    if "manifests" in found:
        digest = next(
            entry["digest"] for entry in found["manifests"] if entry["platform"]["os"] == "linux"
        )
        found = fetch(f"http://{host}/v2/{name}/manifests/{digest}")
    return found, fetch(f"http://{host}/v2/{name}/blobs/{found['config']['digest']}")


def fetch(url: str) -> dict[str, Any]:
    """Return a JSON document from the registry."""
    kinds = ("oci.image.index.v1", "oci.image.manifest.v1")
    accept = ", ".join(f"application/vnd.{kind}+json" for kind in kinds)
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


def test_push_sends_only_changed_layers(copy: Project, built: Built, ci: Poetry) -> None:
    """A release pushes only the project's layer; an upgrade also pushes the dependency's layer."""
    first, second, third, fourth = (f"{built.registry}/shop-pushed:{n}" for n in (1, 2, 3, 4))
    build(copy, "--push", f"--tag={first}")
    release(copy)
    build(copy, "--push", f"--tag={second}")
    imported = f"--cache-from=type=registry,ref={built.cache}"
    steps = build(copy, "--push", f"--tag={third}", imported, poetry=ci)
    assert not steps.ran & INSTALLING
    change_pure_version(copy)
    steps = build(copy, "--push", f"--tag={fourth}", imported, poetry=ci)
    assert steps.ran & INSTALLING == {"pure-1"}
    *before, project = layers(first)
    *after, released = layers(second)
    assert after == before
    assert released != project
    assert layers(third)[:-1] == before
    bumped = [old == new for old, new in zip(before, layers(fourth)[:-1], strict=True)]
    assert bumped == [True] * (len(before) - 3) + [False, True, True]


def test_rebuild_on_another_machine_is_identical(copy: Project, built: Built, ci: Poetry) -> None:
    """Without a cache, another machine makes identical layers, including compiled files."""
    copy.configure(compile=True)
    here, there = (f"{built.registry}/shop-rebuilt-{place}:1" for place in ("here", "there"))
    build(copy, "--push", f"--tag={here}")
    steps = build(copy, "--push", f"--tag={there}", poetry=ci)
    assert steps.installed == PACKAGES
    ours, theirs = layers(here), layers(there)
    standard_library, dependencies = slice(1, 2), slice(-4, -1)
    assert theirs[standard_library] == ours[standard_library]
    assert theirs[dependencies] == ours[dependencies]
    assert len(set(theirs[dependencies])) == len(LAYERS)
