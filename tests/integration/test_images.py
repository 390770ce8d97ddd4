"""Several images of one project, built by a real BuildKit in one call with common layers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from acme import AcmeIndex, Project, make_shop
from builds import build, inspect_image, read_progress
from engines import PATIENCE
from harmless import edit_harmlessly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall

pytestmark = pytest.mark.engine

NETWORK = {"target": {name: {"network": "host"} for name in ("api", "worker")}}
"""For an additional bake file, because buildx 0.29 ignores the network given by `--set`."""
COMMON = {"pure-1", "pure-2", "native-1"}
IMAGES = {
    "api": {"extras": ["more"]},
    "worker": {
        "groups": ["main", "docs"],
        "command": ["python", "-c", "import acme_docs, acme_lib; print('docs', acme_lib.VERSION)"],
    },
}


@dataclass(frozen=True, kw_only=True)
class Built:
    """A project, the build of its images, and the metadata file."""

    project: Project
    steps: Steps
    metadata: dict[str, Any]
    cache: str


def network(project: Project) -> tuple[str, ...]:
    """Return options that let builds reach the index, on the network of this machine."""
    file = project.poetry.home / "network.json"
    file.write_text(json.dumps(NETWORK))
    return ("--allow=network.host", f"--allow=fs.read={file}", f"--file={file}")


def bake(project: Project, *options: str) -> Steps:
    """Build successfully, leaving no temporary file."""
    command = ("docker", "build", "--progress=rawjson", *options, "--", *network(project))
    done = project.poetry.run(project.folder, *command)
    assert not list(project.poetry.temporary.iterdir()), "the build left temporary files"
    assert done.stderr.count("No package is taken from the earlier image") == 2
    assert done.stderr.count("none: it does not exist") == 2, (
        "its builds are told what bake is told"
    )
    return read_progress(done.stderr)


@pytest.fixture(scope="module")
def built(
    engine: DockerEngine,
    registry: str,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """Build both images by name; their caches go to the registry."""
    folder = tmp_path_factory.mktemp("images")
    project = make_shop(folder / "shop", poetry_home(engine), index)
    mark = os.urandom(4).hex()  # keeps layers of other test modules from matching
    lines = {"build": [f"ENV BUILT_BY={mark}"], "runtime": []}
    file, cache = folder / "metadata.json", f"shop-images-{mark}"
    earlier = f"{registry}/{cache}:none"
    project.configure(
        layers=4, syntax=False, instructions=lines, images=IMAGES, reuse_image=earlier
    )
    steps = bake(
        project, "api", "worker", f"--metadata-file={file}", f"--cache={registry}/{cache}:cache"
    )
    return Built(project=project, steps=steps, metadata=json.loads(file.read_text()), cache=cache)


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Project:
    """Return a copy of the project, for changes."""
    shutil.copytree(built.project.folder, tmp_path / "shop")
    return Project(tmp_path / "shop", built.project.poetry)


def layers(engine: DockerEngine, name: str) -> list[str]:
    """Return the digests of an image's layers, from the base to the project."""
    format_ = "--format={{json .RootFS.Layers}}"
    return list(json.loads(engine.docker("image", "inspect", format_, name).stdout))


def caches(registry: str, repository: str) -> list[str]:
    """List the cache tags in a repository."""
    with urllib.request.urlopen(f"http://{registry}/v2/{repository}/tags/list") as answer:
        return sorted(json.load(answer)["tags"])


def installing_stages(stages: frozenset[str]) -> set[str]:
    """Return the stages that install packages."""
    return {name for name in stages if name.startswith(("pure-", "native-"))}


def test_images_run_and_share_layers(
    engine: DockerEngine, built: Built, poetry_install: PoetryInstall
) -> None:
    """Each package is installed once; the images differ in one layer."""
    names = ("acme-docs", "acme-extra", "acme-lib", "acme-native", "acme-util")
    assert built.steps.installed == names
    api, worker = "acme-shop-api:1.2.3", "acme-shop-worker:1.2.3"
    assert engine.run(api) == "shop 1.1 1.0\n"
    assert engine.run(worker) == "docs 1.1\n"
    for image, options in (
        (api, ("--only=main", "--extras=more")),
        (worker, ("--only=main,docs",)),
    ):
        installed = poetry_install(built.project, *options)
        assert inspect_image(engine, image)["distributions"] == installed
    ours, theirs = layers(engine, api), layers(engine, worker)
    assert len(ours) == len(theirs) == len({*ours} & {*theirs}) + 1
    assert ours[-2] != theirs[-2]
    assert ours[-1] == theirs[-1]  # the project's own layer


def test_metadata_and_cache_of_each_image(built: Built, registry: str) -> None:
    """The metadata file has both by name; each has its own cache."""
    told = {
        name: image["poetry-docker-cache"]
        for name, image in built.metadata.items()
        if name in IMAGES
    }
    assert told.keys() == IMAGES.keys()
    for name, found in told.items():
        assert found["tags"] == [f"acme-shop-{name}:1.2.3"]
        assert found["digest"] == built.metadata[name]["containerimage.digest"]
        known = {layer["name"] for layer in found["layers"]}
        (own,) = known - COMMON
        assert own.endswith(f".{name}")
    assert caches(registry, built.cache) == ["cache-api", "cache-worker"]


def test_single_image_is_identical(engine: DockerEngine, built: Built) -> None:
    """A build of one image uses the layers of the joint build, and makes identical ones."""
    before = layers(engine, "acme-shop-worker:1.2.3")
    steps = build(built.project, "worker", "--tag=acme-shop-alone:1")
    assert installing_stages(steps.ran) == set()
    assert layers(engine, "acme-shop-alone:1") == before


def test_bake_with_exported_files(
    engine: DockerEngine, built: Built, copy: Project, registry: str
) -> None:
    """It needs only docker, finds everything cached, and writes caches on request."""
    folder, poetry = copy.folder, copy.poetry
    auth = poetry.home / "auth.toml"
    copy.configure(cache=f"{registry}/{built.cache}-plain:cache")
    poetry.run(folder, "docker", "export", "--bake", f"--auth-file={auth}")
    command = ["docker", "buildx", "bake", "--progress=rawjson", f"--allow=fs.read={auth}"]
    asked = {"AUTH_FILE": str(auth), "TAG": "baked,again", "WRITE_CACHE": "true"}
    done = subprocess.run(
        [*command, "--file=docker-bake.hcl", *network(copy)],
        cwd=folder,
        env={**engine.env, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = read_progress(done.stderr)
    assert installing_stages(steps.ran) == set()
    assert steps.cached >= COMMON
    for name in IMAGES:
        ours = layers(engine, f"acme-shop-{name}:1.2.3")
        assert layers(engine, f"acme-shop-{name}:baked") == ours
        assert layers(engine, f"acme-shop-{name}:again") == ours
    assert caches(registry, f"{built.cache}-plain") == ["cache-api", "cache-worker"]


def test_bake_reads_variables(engine: DockerEngine, copy: Project) -> None:
    """Variables set tags, platforms and whether caches are written; buildx reads them."""
    copy.configure(platforms=["linux/amd64", "linux/arm64"], cache="./.buildcache")
    copy.poetry.run(copy.folder, "docker", "export", "--bake")

    def read(**variables: str) -> dict[str, Any]:
        done = subprocess.run(
            ["docker", "buildx", "bake", "--print"],
            cwd=copy.folder,
            env={**engine.env, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)["target"]["api"])

    usual = read()
    assert usual["tags"] == ["acme-shop-api:1.2.3"]
    assert usual["platforms"] == ["linux/amd64", "linux/arm64"]
    assert "./.buildcache-api" in str(usual["cache-from"])
    assert {"cache-to", "secret"}.isdisjoint(usual)
    auth = str(copy.write("auth.toml", ""))
    chosen = read(TAG="1.3,latest", PLATFORMS="linux/arm64", WRITE_CACHE="true", AUTH_FILE=auth)
    assert chosen["tags"] == ["acme-shop-api:1.3", "acme-shop-api:latest"]
    assert chosen["platforms"] == ["linux/arm64"]
    assert "./.buildcache-api" in str(chosen["cache-to"])
    assert auth in str(chosen["secret"])
    named = read(CACHE="127.0.0.1:1/team/shop:main")
    assert "127.0.0.1:1/team/shop:main-api" in str(named["cache-from"][0])
    assert "127.0.0.1:1/team/shop:main-api" in str(named["cache-to"])
    assert "./.buildcache-api" in str(named["cache-from"][1])
    assert "platforms" not in read(PLATFORMS="")
    assert "cache-to" not in read(WRITE_CACHE="false")


def test_group_edit_rebuilds_only_its_image(engine: DockerEngine, copy: Project) -> None:
    """One more package in a group adds one layer to the image that installs the group."""
    before = layers(engine, "acme-shop-api:1.2.3")
    copy.replace("pyproject.toml", 'acme-docs = "*"', 'acme-docs = "*"\nacme-new = "*"')
    copy.lock()
    steps = bake(copy)
    (ran,) = installing_stages(steps.ran)
    assert ran.endswith(".worker")
    assert "acme-new" in steps.installed
    assert not {"acme-lib", "acme-native", "acme-util", "acme-extra"} & {*steps.installed}
    assert layers(engine, "acme-shop-api:1.2.3") == before


def test_additional_image_installs_nothing(copy: Project) -> None:
    """Existing layers are named after more images, but their content is the same."""
    copy.configure(images={**IMAGES, "reader": {"groups": ["docs"]}})
    steps = bake(copy, "api", "worker")
    assert steps.installed == ()
    assert installing_stages(steps.ran) == set()
    assert any(name.endswith(".api.worker") for name in steps.cached)
    assert any(name.endswith(".reader.worker") for name in steps.cached)


def test_harmless_edits_install_nothing(copy: Project) -> None:
    """No image installs anything."""
    edit_harmlessly(
        copy,
        sources=["src/acme_shop/__init__.py"],
        wider=("acme-lib (>=1.0,<2)", "acme-lib (>=0.5,<3)"),
    )
    steps = bake(copy)
    assert steps.layers >= COMMON
    assert (steps.installed, steps.rebuilt) == ((), frozenset())


def test_interrupted_build_leaves_nothing(copy: Project) -> None:
    """The secret is removed, and the status is that of an interruption."""
    mark = f"busy-{os.urandom(4).hex()}"
    copy.configure(instructions={"build": [f"RUN echo {mark} && exec sleep 600"], "runtime": []})
    command = ("docker", "build", "--progress=plain", "--", *network(copy))
    process = copy.poetry.start(copy.folder, *command)
    with process:
        assert process.stderr
        for line in process.stderr:
            if line.rstrip().endswith(f" {mark}") and "RUN" not in line:
                break
        assert list(copy.poetry.temporary.rglob("auth.toml"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, out + err
    assert not list(copy.poetry.temporary.iterdir())
