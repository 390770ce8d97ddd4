"""An image without a container engine: its layers are planned, made, and given to a registry."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from poetry_docker_cache.commands.build_labels import not_stated
from poetry_docker_cache.docker.image_labels import BASE_DIGEST
from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.base_facts import BaseFacts, read_facts, recall_facts
from poetry_docker_cache.no_engine.base_libraries import refuse_missing
from poetry_docker_cache.no_engine.bytecode import Compiler
from poetry_docker_cache.no_engine.host_wheels import HostBuilder, as_layer
from poetry_docker_cache.no_engine.image_config import (
    Image,
    ImageLayer,
    make_image,
)
from poetry_docker_cache.no_engine.image_layers import (
    MADE_BY,
    PlannedLayer,
    copied_layer,
    files_layer,
    first_layer,
    folders_layer,
    wheel_layer,
    written_layer,
)
from poetry_docker_cache.no_engine.known_layers import KnownLayer, KnownLayers, image_annotations
from poetry_docker_cache.no_engine.layer import write_layer
from poetry_docker_cache.no_engine.wheel_choice import ImageTarget, choose_files, is_wanted
from poetry_docker_cache.registry.base_image import BaseImage, Descriptor, read_base
from poetry_docker_cache.registry.registry_client import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path
    from typing import Literal

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.no_engine.wheel_choice import LayerFiles
    from poetry_docker_cache.no_engine.wheel_downloads import WheelDownloads
    from poetry_docker_cache.plan.image_plan import ImagePlan
    from poetry_docker_cache.registry.registries import Registries
    from poetry_docker_cache.registry.registry_client import Registry

_VERSION = "org.opencontainers.image.version"


class _OtherLayerError(Exception):
    """A layer was made, and another one was expected: an image states a wrong key."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the images of a build share."""

    poetry: Poetry
    registries: Registries
    downloads: WheelDownloads
    known: KnownLayers
    pool: Executor
    folder: Path
    """A private folder for the time of the build."""
    memory: Path | None
    """The folder for what is remembered on this machine."""
    parts: dict[str, Part] = field(default_factory=dict)
    """The layers of all images and platforms so far, by key: each is made once."""

    def part(self, layer: PlannedLayer) -> Part:
        """Return the part of the build that makes a layer."""
        if layer.key not in self.parts:
            known = self.known.find(layer.key, with_libraries=layer.has_libraries)
            self.parts[layer.key] = Part(planned=layer, tools=self, layer=known)
        return self.parts[layer.key]


@dataclass(kw_only=True)
class Part:
    """A layer of the image on its way."""

    planned: PlannedLayer
    tools: Tools
    layer: KnownLayer | None
    """None until it is made."""
    path: Path | None = None
    """The file of the layer, if this build has made it."""
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def was_made(self) -> bool:
        """Whether this build had to make it."""
        return self.path is not None

    def make(self) -> Path:
        """Make the layer if that has not been done. Raises DockerCacheError."""
        with self._lock:
            if self.path is None:
                started = time.monotonic()
                made = self.planned.make()
                path = self.tools.folder / f"{self.planned.key}.tar.gz"
                with path.open("wb") as file:
                    blob = write_layer(made.tree, file)
                self.layer = KnownLayer(blob=blob, libraries=made.libraries)
                self.tools.known.keep(self.planned.key, self.layer)
                self.path, self.seconds = path, time.monotonic() - started
            return self.path

    def provide(self) -> KnownLayer:
        """Return the layer; make it if it is not known. Raises DockerCacheError."""
        if self.layer is None:
            self.make()
        assert self.layer is not None  # noqa: S101  # it was made
        return self.layer

    def upload(self, registry: Registry, repository: str) -> None:
        """Give the layer to a registry, which may have it. Raises DockerCacheError."""
        expected = self.provide().blob

        def open_content() -> BinaryIO:
            path = self.make()
            if self.provide().blob != expected:
                raise _OtherLayerError
            return path.open("rb")

        start = f"{registry.host}/"
        seen = self.tools.known.repositories(expected.digest)
        others = [name.removeprefix(start) for name in seen if name.startswith(start)]
        mounts = [name for name in others if name != repository]
        try:
            registry.upload(
                repository, expected.digest, expected.size, open_content, mount_from=mounts
            )
        except _OtherLayerError:
            self.upload(registry, repository)


@dataclass(frozen=True, kw_only=True)
class PlatformImage:
    """The image for one platform, before and after its layers are made."""

    image: PlannedImage
    base: BaseImage
    read_facts: Callable[[], BaseFacts]
    """Read the layers of the base image, unless that has been done."""
    target: ImageTarget
    parts: tuple[Part, ...]
    labels: Mapping[str, str]
    """Labels that history does not show, as for `docker build --label`."""

    @property
    def _check(self) -> str:
        """What the check for shared libraries depends on, as a hash."""
        keys = [part.planned.key for part in self.parts if part.planned.has_libraries]
        optional = self.image.plan.runtime.optional_libraries
        text = json.dumps([MADE_BY, self.base.digest, keys, optional])
        return hashlib.sha256(text.encode()).hexdigest()

    def check(self, known: KnownLayers) -> None:
        """Raise DockerCacheError if the base image lacks a shared library."""
        if known.was_checked(self._check):
            return
        libraries = [part.provide().libraries for part in self.parts]
        found = [each for each in libraries if each is not None]
        if found:
            runtime = self.image.plan.runtime
            refuse_missing(self.read_facts(), found, runtime.optional_libraries, runtime.image)

    def result(self) -> Image:
        """Return the configuration and the manifest. The layers must have been made."""
        plan = self.image.plan
        version = self.image.git_version or plan.version
        layers = []
        for part in self.parts:
            layer, planned = part.provide(), part.planned
            blob = layer.blob
            layers.append(
                ImageLayer(
                    name=planned.history,
                    blob=Descriptor(media_type=blob.media_type, digest=blob.digest, size=blob.size),
                    diff_id=blob.diff_id,
                    annotations=layer.annotations(planned.key),
                )
            )
        return make_image(
            self.base,
            plan.runtime,
            layers,
            labels={_VERSION: version} if plan.version and version else {},
            further_labels=self.labels,
            may_have_user=plan.traits[plan.runtime.image].may_have_user,
            annotations=image_annotations(
                self.base.digest,
                self.target,
                self._check,
                [(part.planned.key, part.provide()) for part in self.parts],
            ),
            epoch=os.environ.get("SOURCE_DATE_EPOCH", ""),
        )


class ImageWithoutEngine:
    """One image of a build."""

    def __init__(
        self,
        image: PlannedImage,
        tools: Tools,
        *,
        unsent: Sequence[str],
        labels: Mapping[str, str],
    ) -> None:
        self._image, self._tools, self._unsent = image, tools, unsent
        self._labels = labels
        self._ignore = image.ignore_file()
        version = image.git_version or image.plan.version
        self._builder = HostBuilder(
            poetry=tools.poetry,
            output=tools.folder,
            context=image.context,
            ignore_file=self._ignore,
            version=version,
        )
        self._own: dict[str, Path] = {}
        compiles = image.plan.dependencies.compile
        self._compiler = Compiler(folder=tools.folder) if compiles else None

    def plan(self, platform: str) -> PlatformImage:
        """Read the base image, choose the wheels, and find the layers that exist.

        Raises DockerCacheError.
        """
        plan, tools = self._image.plan, self._tools
        name = plan.runtime.image
        reference = Reference.parse(name)
        registry = tools.registries.of(reference.host)
        base = read_base(registry, reference.repository, reference.target, platform, name=name)
        facts = functools.cache(functools.partial(read_facts, registry, base, tools.memory))
        target = tools.known.target(base.digest)
        if target is None:
            if recall_facts(base, tools.memory) is None:
                self._start_downloads(_expected_target(base, plan))
            target = _target(facts())
        if "{}.{}".format(*target.minor) != plan.runtime.python:
            raise DockerCacheError(
                f"{name} has Python {target.python}, not {plan.runtime.python}.",
                fix="Set `python` in [tool.poetry-docker-cache] to the version it has.",
            )
        context, sent = self._image.context, (self._ignore, self._unsent)
        layers = (
            first_layer(base.digest, plan, facts),
            copied_layer(context, plan, *sent, facts),
            *self._layers(target),
            folders_layer(base.digest, plan, facts),
            written_layer(plan),
        )
        return PlatformImage(
            image=self._image,
            base=base,
            read_facts=facts,
            target=target,
            parts=tuple(tools.part(layer) for layer in layers if layer),
            labels={**self._labels, **not_stated(self._image, {BASE_DIGEST: base.named_digest})},
        )

    def _start_downloads(self, target: ImageTarget) -> None:
        """Start to download what a target needs, while the layers of the base image are read.

        Any error occurs again later. If the base is another one, other files are downloaded then.
        """
        tools = self._tools
        with contextlib.suppress(DockerCacheError):
            for layer in self._dependencies(target):
                if not tools.known.find(layer.key, with_libraries=layer.has_libraries):
                    tools.downloads.start(layer.files.files if layer.files else ())

    def _layers(self, target: ImageTarget) -> Iterator[PlannedLayer]:
        plan = self._image.plan
        yield from self._dependencies(target)
        for wheel in plan.wheels:
            if not wheel.marker or is_wanted(wheel.name, wheel.marker, target):
                path = self._built(wheel.name)
                yield wheel_layer(
                    as_layer(wheel.name, path),
                    target,
                    history=f"COPY /{wheel.name}/venv /venv",
                    has_libraries=False,
                    paths=functools.partial(list, [path]),
                    compiler=self._compiler,
                )
        context = self._image.context
        if files_of := files_layer(context, plan, self._ignore, self._unsent, self._compiler):
            yield files_of

    def _dependencies(self, target: ImageTarget) -> Iterator[PlannedLayer]:
        plan = self._image.plan
        may_have = {layer.name: layer.may_have_libraries for layer in plan.dependencies.layers}
        for files in choose_files(
            plan,
            self._image.poetry.pyproject.data,
            self._image.lock.data,
            target,
            build_on_host=self._image.settings.build_on_host,
        ):
            if files.files:
                yield wheel_layer(
                    files,
                    target,
                    history=f"COPY /{files.name}/../venv /venv",
                    has_libraries=may_have[files.name],
                    paths=functools.partial(self._paths, files),
                    compiler=self._compiler,
                )

    def _built(self, name: str) -> Path:
        """Build a wheel of the project once for all platforms."""
        if name not in self._own:
            (wheel,) = (wheel for wheel in self._image.plan.wheels if wheel.name == name)
            self._own[name] = self._builder.own_wheel(wheel)
        return self._own[name]

    def _paths(self, layer: LayerFiles) -> list[Path]:
        """Download the wheels of a layer, or build them if the setting allows it."""
        downloads = self._tools.downloads
        downloads.start(layer.files)
        found = []
        for file in layer.files:
            path = downloads.path(file)
            if not file.is_wheel:
                dependencies = self._image.plan.dependencies
                path = self._builder.sdist(path, file, layer.manifest, dependencies)
            found.append(path)
        return found


def _target(facts: BaseFacts) -> ImageTarget:
    libc: Literal["glibc", "musl"] = "musl" if facts.libc == "musl" else "glibc"
    return ImageTarget(
        python=facts.python,
        abi=facts.abi,
        libc=libc,
        libc_version=facts.libc_version,
        machine=facts.machine,
    )


def _expected_target(base: BaseImage, plan: ImagePlan) -> ImageTarget:
    """Return the target that the name and the configuration of a base image suggest."""
    is_musl = plan.dependencies.libc == "musl"
    python = plan.runtime.python
    return ImageTarget(
        python=base.variables.get("PYTHON_VERSION") or f"{python}.0",
        abi=f"cp{python.replace('.', '')}",
        libc="musl" if is_musl else "glibc",
        libc_version=(1, 2) if is_musl else (2, 36),
        machine=MACHINES[base.platform],
    )
