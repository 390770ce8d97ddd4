"""Images from `build --no-engine`: equal to BuildKit's, usable everywhere, and always the same."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from acme import IMAGE_PYTHON, SHOP_CODE, USER, AcmeIndex, Project
from buildah import Buildah
from builds import NETWORK
from cosign import Cosign
from engines import STATE, docker_engine
from index import PrivateIndex
from packaging.utils import canonicalize_name
from pushed_images import PushedImage, assert_equal_images, attached
from registries import CRANE
from shapes import SHAPES
from shapes.indexes import INDEXES, fill
from wheels import make_wheel

from poetry_docker_cache.docker.image_labels import BASE_DIGEST, BASE_NAME, decode
from poetry_docker_cache.sbom.cyclonedx_document import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

BASE = f"library/python:{IMAGE_PYTHON}-slim"
URLS: dict[str, str] = {}
"""The indexes of the shapes, beside Acme's."""

# All settings of an image, a path dependency, and wheels with data files and programs.
WIDE = """\
[project]
name = "acme-shop"
version = "1.2.3"
description = "Sells \\"things\\" for $5 \\\\ each"
requires-python = ">=3.11,<4"
dependencies = ["acme-lib (>=1.0,<2)", "acme-native", "acme-data", "acme-lint"]

[project.scripts]
acme-shop = "acme_shop:main"

[tool.poetry]
packages = [{{ include = "acme_shop", from = "src" }}]

[tool.poetry.dependencies]
acme-part = {{ path = "part" }}
acme-extra = {{ version = "*", markers = "sys_platform == 'win32'" }}

[tool.poetry.group.jobs.dependencies]
acme-new = "*"

[[tool.poetry.source]]
name = "acme"
url = "{url}"

[tool.poetry-docker-cache]
python = "{python}"
files = ["files", "*.sh"]
workdir = "/srv/shop"
user = "www-data"
directories = ["files/a", "data/x y", {{ path = "/var/run/shop", mode = "0750" }}, "/var/mail"]
volumes = ["data/x y", "/volume"]
ports = [8000, "9000/udp"]
healthcheck = {{ command = ["acme-shop"], interval = "1m30s", start-interval = "2s", retries = 5 }}
build-args = {{ SHA = "a $b", RELEASE = {{ default = "0", label = "a.r", file = "RELEASE" }} }}
stop-signal = "SIGINT"
entrypoint = ["acme-shop"]
command = ["--x", "a b"]
env = {{ A = "b $x \\"q\\" \\\\ y", Z = "" }}
labels = {{ "a.b" = "c $d" }}

[[tool.poetry-docker-cache.copy]]
from = "run.sh"
to = "/bin/run"
mode = "0711"

[[tool.poetry-docker-cache.copy]]
from = "files"
to = "/etc/shop/files/"
owner = "www-data"

[[tool.poetry-docker-cache.copy]]
from = "files/a/b.txt"
to = "./renamed/"
owner = "7:8"

[[tool.poetry-docker-cache.copy]]
from = "files/a"
to = "."
mode = "0755"

[tool.poetry-docker-cache.images.web]

[tool.poetry-docker-cache.images.jobs]
groups = ["main", "jobs"]
command = ["python"]
layers = 1

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""

PART = """\
[project]
name = "acme-part"
version = "1"
[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""


@pytest.fixture(scope="module")
def poetry(
    engine: DockerEngine,
    index: AcmeIndex,
    poetry_home: Callable[[DockerEngine], Poetry],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Poetry]:
    """Serve what the projects below need, and return a Poetry with credentials for it."""
    folders = {name: tmp_path_factory.mktemp(name) for name in INDEXES if name != "acme"}
    fill({"acme": index.packages, **folders})
    data = {f"acme_data-1.0.data/{name}": f"{name}\n" for name in ("data/share/x", "headers/x.h")}
    data["acme_data-1.0.data/scripts/acme-data"] = "#!python\nprint('data')\n"
    make_wheel(index.packages, "acme-data", files=data, licence="MIT OR Apache-2.0")
    with contextlib.ExitStack() as stack:
        logins = {"acme": {"username": USER, "password": index.password}}
        for name, folder in folders.items():
            served = stack.enter_context(PrivateIndex(folder, {name: name}))
            URLS[name] = served.url
            logins[INDEXES[name]] = {"username": name, "password": name}
        found = poetry_home(engine)
        auth = Path(found.env["POETRY_CONFIG_DIR"]) / "auth.toml"
        auth.write_text(tomlkit.dumps({"http-basic": logins}), encoding="utf-8")
        yield found


def make_project(folder: Path, name: str, poetry: Poetry, index: AcmeIndex) -> Project:
    """Write and lock one of the shapes, or the one above."""
    project = Project(folder, poetry)
    urls = {**URLS, "acme": index.url}
    if name != "wide":
        SHAPES[name].write(folder, urls)
        project.configure(python=IMAGE_PYTHON)
    else:
        text = WIDE.format(url=index.url, python=IMAGE_PYTHON)
        project.write("pyproject.toml", text.encode())
        project.write("src/acme_shop/__init__.py", SHOP_CODE.encode())
        project.write("part/pyproject.toml", PART)
        project.write("part/acme_part.py", "")
        project.write("files/a/b.txt", "b\n").chmod(0o600)
        (project.folder / "files/link").symlink_to("a/b.txt")
        project.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    project.lock()
    return project


def build_with_engine(project: Project, *options: str) -> None:
    """Build with BuildKit."""
    project.poetry.run(project.folder, "docker", "build", *options, *NETWORK)


def build_without_engine(
    project: Project, *options: str, env: Mapping[str, str] | None = None
) -> str:
    """Return what is printed."""
    command = ("docker", "build", "--no-engine", *options)
    done = project.poetry.run(project.folder, *command, env=env)
    assert not list(project.poetry.temporary.iterdir()), "the build left temporary files"
    return done.stdout + done.stderr


def test_image_equals_buildkits(
    engine: DockerEngine, registry: str, poetry: Poetry, index: AcmeIndex, tmp_path: Path
) -> None:
    """Both ways to build give the same files and configuration; `test_shapes` has other shapes."""
    project = make_project(tmp_path / "project", "wide", poetry, index)
    image = f"{registry}/equal/wide"
    project.configure(base_image=f"{registry}/{BASE}", layers=3, image=image)
    for name in ("web", "jobs"):
        build_with_engine(project, "--push", "--tag=:buildkit", name)
        build_without_engine(project, "--push", "--tag=:wheels", name)
        made = f"{image}-{name}"
        assert_equal_images(f"{made}:buildkit", f"{made}:wheels", base=f"{registry}/{BASE}")
        printed = project.poetry.run(project.folder, "docker", "sbom", name).stdout
        assert printed.count('"expression": "MIT OR Apache-2.0"') == 1
        for way in ("buildkit", "wheels"):
            assert attached(f"{made}:{way}", MEDIA_TYPE) == [printed.encode()]
        check_distributions(PushedImage.read(f"{made}:wheels"), json.loads(printed))
    check_labels(f"{image}-web", f"{registry}/{BASE}")
    check_signatures(f"{image}-web", tmp_path)
    check_contents(project, f"{image}-web", engine)


def check_distributions(image: PushedImage, sbom: dict[str, Any]) -> None:
    """Check that scanners, which look for these folders, find exactly the packages of the SBOM."""
    folders = re.findall(r"/([^/]+)-([^/]+)\.dist-info/METADATA\b", "\n".join(image.tree(1)))
    listed = (each for each in sbom["components"] if "scope" in each)
    found = {(canonicalize_name(name), version) for name, version in folders}
    own = sbom["metadata"]["component"]
    assert found == {(each["name"], each["version"]) for each in (own, *listed)}


def check_labels(image: str, base: str) -> None:
    """Check the labels of both, which are equal: base and contents."""
    labels = PushedImage.read(f"{image}:wheels").config["config"]["Labels"]
    assert (labels[BASE_NAME], labels[BASE_DIGEST]) == (base, PushedImage.read(base).digest)
    contents = decode(labels)
    assert contents
    (layers,) = contents.layers.values()
    found = {name for layer in layers for name in layer.packages}
    assert found == {"acme-data", "acme-lib", "acme-lint", "acme-native", "acme-util"}


def check_signatures(image: str, folder: Path) -> None:
    """Sign both by digest. BuildKit's also has the attestation of its provenance."""
    cosign = Cosign.set_up(folder)
    for way, entries in (("buildkit", 2), ("wheels", 0)):
        pushed = PushedImage.read(f"{image}:{way}")
        assert len(pushed.index.get("manifests", ())) == entries
        by_digest = f"{image}@{pushed.digest}"
        assert "no signatures found" in cosign.verify(by_digest)
        assert not cosign.sign(by_digest)
        assert not cosign.verify(by_digest)


def check_contents(project: Project, image: str, engine: DockerEngine) -> None:
    """Check what the user may write, and that a build argument changes one layer: its file."""
    script = (
        "touch files/a/x 'data/x y/x' /run/shop/x /volume/x /var/mail/x $HOME/x"
        " && ! touch x 2>/dev/null && ! touch data/x 2>/dev/null && ! touch /venv/x 2>/dev/null"
        " && echo $SHA && cat RELEASE renamed/b.txt && stat -c '%a %U' /run/shop /bin/run"
    )
    options = ("--rm", "--entrypoint=sh", f"{image}:wheels", "-c", script)
    printed = "a $b\n0\nb\n750 www-data\n711 root\n"
    assert engine.docker("run", *options).stdout == printed
    for way, build in (("buildkit", build_with_engine), ("wheels", build_without_engine)):
        build(project, "--push", "--tag=:next", "--build-arg=RELEASE=1", "web")
        before, after = PushedImage.read(f"{image}:{way}"), PushedImage.read(f"{image}:next")
        changed = zip(before.layers, after.layers, strict=True)
        assert sum(old != new for old, new in changed) == 1, way


def test_image_is_accepted_everywhere(
    engine: DockerEngine, registry: str, poetry: Poetry, index: AcmeIndex, tmp_path: Path
) -> None:
    """It runs with both image stores and with buildah, however it gets there, and is a base."""
    project = make_project(tmp_path / "project", "groups", poetry, index)
    image, expected = f"{registry}/wheels/runs:1", SHAPES["groups"].prints
    archive = tmp_path / "image.tar"
    project.configure(base_image=f"{registry}/{BASE}")
    options = (f"--tag={image}", f"--output={archive}")
    build_without_engine(project, "--push", "--load", *options)
    assert engine.docker("image", "inspect", image).stdout != "[]\n"
    assert engine.run(image) == expected
    engine.docker("image", "rm", "--force", image)
    assert engine.run(image) == expected  # from the registry
    engine.docker("image", "rm", "--force", image)
    engine.docker("load", "--input", str(archive))
    assert engine.run(image) == expected
    dockerfile = f"FROM {image}\nRUN python -c 'import acme_lib'\n"
    engine.docker("build", "--tag=built-upon", "-", text=dockerfile)
    assert engine.run("built-upon") == expected
    if CRANE.exists():
        subprocess.run([CRANE, "validate", f"--remote={image}"], check=True)
    with docker_engine("test-classic", store="classic") as classic:
        assert classic.run(image) == expected
        classic.docker("image", "rm", "--force", image)
        classic.docker("load", "--input", str(archive))
        assert classic.run(image) == expected
    context = tmp_path / "storage/context"
    context.mkdir(parents=True)
    archive.rename(tmp_path / "storage/image.tar")
    buildah = Buildah.set_up(STATE, tmp_path / "storage", registry)
    for source in ("oci-archive:/storage/image.tar", image):
        (context / "Dockerfile").write_text(f"FROM {source}\nRUN python main.py {source}\n")
        assert expected in buildah.build("context", f"--tag={os.urandom(4).hex()}")
