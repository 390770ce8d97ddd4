"""The wheels of an image, chosen on this machine by the rules of the build. Pure.

The build's own script lists what each layer may install. An explicit target decides between these
files: no interpreter is asked, so any machine chooses for any platform.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from packaging import tags

from poetry_docker_cache.docker.platforms import platform_of
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.wheelhouse import choose_wheel
from poetry_docker_cache.inside.manifest.layer_choice import MACHINE
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import SDIST
from poetry_docker_cache.plan.image_contents import layer_manifests, manifest_text
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from poetry_docker_cache.plan.image_plan import ImagePlan

    Manifest = Mapping[str, Any]

WITH_ENGINE = "or build with a container engine: `poetry docker build` without `--no-engine`"
ANYWHERE = "-none-any.whl"
"""The end of the file names of wheels that fit every machine."""
# As in `packaging`: the machines that manylinux is defined for, and its older names.
_MANYLINUX = (
    *("aarch64", "armv7l", "i686", "loongarch64", "ppc64", "ppc64le", "riscv64", "s390x"),
    "x86_64",
)
_OLDER_NAMES = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
_OLDEST_ELSEWHERE = 17


@dataclass(frozen=True, kw_only=True)
class ImageTarget:
    """The Python and the system of an image on one platform."""

    python: str
    """The full version: "3.13.5"."""
    abi: str
    """Its ABI tag: "cp313"."""
    libc: Literal["glibc", "musl"]
    libc_version: tuple[int, int]
    machine: str
    """The architecture by its name in wheels: "x86_64"."""
    prefix: str = "/venv"

    @property
    def minor(self) -> tuple[int, int]:
        """The minor version of Python, as numbers."""
        major, minor = self.python.split(".")[:2]
        return int(major), int(minor)

    @property
    def environment(self) -> Mapping[str, str]:
        """The values of markers; those of the kernel are unknown."""
        return {**Target.linux(self.python).environment, MACHINE: self.machine}

    def without_machine(self) -> Target:
        """Describe the target as the build's script describes the image it runs in."""
        return replace(
            Target.linux(self.python, libc=self.libc), abi=self.abi, libc_version=self.libc_version
        )

    def platforms(self) -> Iterator[str]:
        """Yield the platform tags, the best first, as `packaging` does on such a machine."""
        major, newest = self.libc_version
        yield f"linux_{self.machine}"
        if self.libc == "musl":
            yield from (f"musllinux_{major}_{n}_{self.machine}" for n in range(newest, -1, -1))
        elif self.machine in _MANYLINUX:
            oldest = _OLDEST_GLIBC.get(self.machine, _OLDEST_ELSEWHERE)
            for number in range(newest, oldest - 1, -1):
                yield f"manylinux_{major}_{number}_{self.machine}"
                if older := _OLDER_NAMES.get((major, number)):
                    yield f"{older}_{self.machine}"

    def tags(self) -> list[str]:
        """List the tags of the wheels that fit, the best first."""
        platforms = [*self.platforms()]
        own = tags.cpython_tags(self.minor, [self.abi], platforms)
        usual = tags.compatible_tags(self.minor, self.abi, platforms)
        return [str(tag) for tag in (*own, *usual)]

    def __str__(self) -> str:
        """Return what decides which wheels fit: "x86_64, glibc 2.36, Python 3.12"."""
        return f"{self.machine}, {self.without_machine()}"


@dataclass(frozen=True, kw_only=True)
class LockedFile:
    """A wheel to install, or a source distribution to build one from."""

    name: str
    version: str
    file: str
    hash: str
    """As in poetry.lock: "sha256:…"."""
    source: Mapping[str, Any]
    """The source's table in poetry.lock; empty for the project's default index."""

    @classmethod
    def of(cls, package: Mapping[str, Any], file: Mapping[str, str]) -> LockedFile:
        """Return one of the files of a package, both as tables of poetry.lock."""
        return cls(
            name=package["name"],
            version=package["version"],
            file=file["file"],
            hash=file["hash"],
            source=package.get("source", {}),
        )

    @property
    def is_wheel(self) -> bool:
        """Whether it can be installed without a build."""
        return self.file.endswith(".whl")

    @property
    def is_native(self) -> bool:
        """Whether it fits some machines only; on the host, only pure wheels are built."""
        return self.is_wheel and not self.file.endswith(ANYWHERE)


@dataclass(frozen=True, kw_only=True)
class LayerFiles:
    """What a layer is made of."""

    name: str
    files: tuple[LockedFile, ...]
    manifest: bytes = b""
    """What the build would mount to install the layer; empty for a wheel of the project."""


def choose_files(
    plan: ImagePlan,
    pyproject: Mapping[str, Any],
    lock: Mapping[str, Any],
    target: ImageTarget,
    *,
    build_on_host: bool = False,
) -> tuple[LayerFiles, ...]:
    """Choose the files of each layer of dependencies, in the order of the layers.

    `build_on_host` allows source distributions. Raises DockerCacheError for a package that has no
    file for this target, and for a Python that the images cannot be made for.
    """
    refuse_interpreter(target)
    found = layer_manifests(plan.dependencies, pyproject, lock, target.without_machine())
    ranks = {tag: rank for rank, tag in enumerate(target.tags())}
    layers, missing = [], []
    for layer in plan.dependencies.layers:
        packages = [
            each
            for each in found[layer.name]["packages"]
            if is_wanted(each["name"], each.get("marker", ""), target)
        ]
        chosen = {id(each): _choose(each, ranks, build_on_host) for each in packages}
        missing += [each for each in packages if chosen[id(each)] is None]
        files = (LockedFile.of(each, file) for each in packages if (file := chosen[id(each)]))
        layers.append(
            LayerFiles(
                name=layer.name, files=tuple(files), manifest=manifest_text(found[layer.name])
            )
        )
    if missing:
        _refuse_missing(missing, target)
    return tuple(layers)


def refuse_interpreter(target: ImageTarget) -> None:
    """Raise DockerCacheError for a Python other than the usual build of CPython."""
    usual = "cp{}{}".format(*target.minor)
    if target.abi == usual:
        return
    kind = "the free-threaded build of Python" if target.abi == f"{usual}t" else "not CPython"
    short = "{}.{}".format(*target.minor)
    raise DockerCacheError(
        f"The base image has {kind} (ABI {target.abi}): without a container engine, images are only"
        f" made for the usual build of CPython ({usual}).",
        fix=f'Set `base-image = "python:{short}-slim"` in [tool.poetry-docker-cache],'
        f" {WITH_ENGINE}.",
    )


def layer_key(layer: LayerFiles, target: ImageTarget, *, made_by: str, bytecode: str) -> str:
    """Return the key of a layer: layers with the same key have the same content.

    A layer of pure wheels is the same on all machines. `made_by` is the version of the code that
    makes layers, and `bytecode` that of the compiler; empty without bytecode.
    """
    facts: list[object] = [made_by, target.minor, target.prefix, bytecode]
    facts += [[file.file, file.hash] for file in layer.files]
    if any(file.is_native for file in layer.files):
        facts += [target.libc, target.machine]
    text = json.dumps([layer.manifest.decode(), facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_wanted(name: str, marker: str, target: ImageTarget) -> bool:
    """Return whether a package with this marker is in the image.

    Raises DockerCacheError for a marker that compares the kernel.
    """
    left = evaluate(marker, target.environment, set())
    if isinstance(left, str):
        raise DockerCacheError(
            f"Whether {name} is installed depends on the machine that runs the image"
            f" ({left}), which is not known in advance.",
            fix=f"Change its marker in pyproject.toml and run `poetry lock`, {WITH_ENGINE}.",
        )
    return left


def _choose(
    package: Manifest, ranks: dict[str, int], build_on_host: bool
) -> Mapping[str, str] | None:
    wheel = choose_wheel({**package}, ranks)
    sdists = (file for file in package["files"] if file["file"].endswith(SDIST))
    return wheel or (next(sdists, None) if build_on_host else None)


def _refuse_missing(packages: Iterable[Manifest], target: ImageTarget) -> None:
    names = [f"{package['name']} {package['version']}" for package in packages]
    raise DockerCacheError(
        f"poetry.lock has no wheel for this image ({target}) of {listing(names)}.",
        fix="Lock a version that has one, set another `base-image` in [tool.poetry-docker-cache],"
        f" {WITH_ENGINE}. To leave a package out on {platform_of(target.machine)}, add the marker"
        f' `{MACHINE} != "{target.machine}"` in pyproject.toml.',
    )


def direct_url(file: LockedFile) -> bytes | None:
    """Return the `direct_url.json` that Poetry writes for a URL dependency (PEP 610).

    The build writes none for a file of the project: its path is that of the build.
    """
    if file.source.get("type") != "url":
        return None
    algorithm, _, value = file.hash.partition(":")
    content = {"url": file.source["url"], "archive_info": {"hashes": {algorithm: value}}}
    return json.dumps(content).encode()
