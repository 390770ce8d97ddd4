"""What a machine without layers reuses: kept wheels, and an earlier image."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from acme import SHOP, make_shop
from builds import NETWORK, read_progress
from edits import LAYERS, PACKAGES, change_pure_version
from machines import Machine
from wheels import make_wheel

from poetry_docker_cache.buildx.kept_wheels import LIST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from acme import AcmeIndex, Project
    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

IMAGE = "reuse:1"


@pytest.fixture
def machine(second_engine: DockerEngine, poetry_home: Callable[[DockerEngine], Poetry]) -> Machine:
    """Return a machine without layers or images."""
    return Machine(poetry=poetry_home(second_engine), engine=second_engine).empty()


@pytest.fixture
def shop(machine: Machine, index: AcmeIndex, tmp_path: Path) -> Project:
    """Write a project whose layers match those of no other test."""
    project = make_shop(tmp_path / "shop", machine.poetry, index, pyproject=SHOP)
    mark = [f"ENV REUSE={os.urandom(4).hex()}"]
    project.configure(layers=4, instructions={"build": mark, "runtime": mark})
    return project


def build(project: Project, *options: str, tag: str = IMAGE) -> tuple[Steps, str]:
    """Build; also return the plugin's output."""
    command = ("docker", "build", "--progress=rawjson", f"--tag={tag}", *options, *NETWORK)
    done = project.poetry.run(project.folder, *command)
    assert not list(project.poetry.temporary.iterdir())
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return read_progress(done.stderr), "\n".join(said)


def downloaded_packages(index: AcmeIndex, before: list[str]) -> list[str]:
    """Return the packages of the project that were downloaded since `before`."""
    files = index.downloads()[len(before) :]
    return sorted(name.partition("-py3")[0] for name in files if name.startswith("acme_"))


def layers(machine: Machine) -> list[str]:
    """Return the digests of the image's dependency and project layers."""
    form = ("--format", "{{json .RootFS.Layers}}")
    found = json.loads(machine.engine.docker("image", "inspect", *form, IMAGE).stdout)
    return list(found[-len(LAYERS) - 1 :])


def test_download_cache(machine: Machine, shop: Project, index: AcmeIndex) -> None:
    """A machine without layers downloads only what has changed or was tampered with."""
    shop.configure(download_cache="kept/wheels")
    kept = shop.folder / "kept" / "wheels"
    before = index.downloads()
    steps, said = build(shop)
    assert steps.installed == PACKAGES
    assert downloaded_packages(index, before) == [
        "acme_lib-1.1",
        "acme_native-1.0",
        "acme_util-1.0",
    ]
    names = {path.name for path in kept.glob("*.whl")}
    assert {name.partition("-py3")[0] for name in names} == {
        *("acme_lib-1.1", "acme_native-1.0", "acme_util-1.0")
    }
    listed = [line.partition("\t")[0] for line in (kept / LIST).read_text().splitlines()]
    assert listed == sorted(names)
    assert "not kept" not in said

    # The folder is not part of any layer's cache key.
    moved = kept.rename(shop.folder / "elsewhere")
    steps, _ = build(shop)
    assert not steps.ran & {*LAYERS, "check"}
    shutil.rmtree(kept, ignore_errors=True)
    moved.rename(kept)

    # On another machine, only the folder is kept.
    change_pure_version(shop)
    right = (kept / "acme_util-1.0-py3-none-any.whl").read_bytes()
    evil = make_wheel(kept, "acme-util", files={"acme_util.py": "raise SystemExit(1)\n"})
    assert evil.read_bytes() != right
    machine.empty()
    before = index.downloads()
    steps, said = build(shop)
    assert steps.installed == PACKAGES
    assert downloaded_packages(index, before) == ["acme_lib-1.0", "acme_util-1.0"]
    assert "not used" not in said
    names = {path.name.partition("-py3")[0] for path in kept.glob("*.whl")}
    assert names == {"acme_lib-1.0", "acme_native-1.0", "acme_util-1.0"}
    assert evil.read_bytes() == right
    assert machine.engine.run(IMAGE, "acme-shop") == "shop 1.0 1.0\n"


def test_dockerfile_exported_without_the_settings(machine: Machine, shop: Project) -> None:
    """The image is built; notes say what did not work, and what to type."""
    shop.configure(syntax=False)
    shop.poetry.run(shop.folder, "docker", "export")
    shop.configure(download_cache="kept/wheels", reuse_image="reuse:0")
    (shop.folder / "kept" / "wheels").mkdir(parents=True)
    make_wheel(shop.folder / "kept" / "wheels", "acme-new")
    (shop.folder / "kept" / "wheels" / LIST).touch()
    _, said = build(shop, "--file=Dockerfile")
    wheels = shop.folder / "kept" / "wheels"
    why = "the Dockerfile was exported without this setting; run `poetry docker export`"
    for what in (
        f"The wheels in {wheels} are not used",
        f"New wheels are not kept in {wheels}",
        "No package is taken from the earlier image reuse:0",
    ):
        assert f"{what}: {why}" in said
    assert machine.has(IMAGE)


def test_reuse_image(machine: Machine, shop: Project, index: AcmeIndex, registry: str) -> None:
    """A machine without layers downloads only what has changed, and makes the same image."""
    repository = f"{registry}/reuse-{os.urandom(4).hex()}"
    shop.configure(reuse_image=f"{repository}:latest")
    steps, said = build(shop, "--push", tag=f"{repository}:latest")
    assert (
        f"No package is taken from the earlier image {repository}:latest: it does not exist" in said
    )
    assert steps.installed == PACKAGES

    change_pure_version(shop)
    machine.empty()
    before = index.downloads()
    steps, said = build(shop)
    assert "No package is taken" not in said
    assert downloaded_packages(index, before) == ["acme_lib-1.0"]
    assert steps.installed == ("acme-lib",)
    for name in ("acme-native", "acme-util"):
        assert f"Reused {name}, from the earlier image" in steps.messages
    assert machine.engine.run(IMAGE, "acme-shop") == "shop 1.0 1.0\n"
    with_image = layers(machine)

    # The reused image is not part of the layers' cache keys, and does not change their bytes.
    shop.configure(reuse_image=f"{repository}:other")
    steps, _ = build(shop)
    assert not steps.ran & {*LAYERS, "check"}
    machine.empty()
    steps, _ = build(shop)
    assert steps.installed == PACKAGES
    assert layers(machine) == with_image
