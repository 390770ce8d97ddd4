"""The layers of an image for one platform: what each is called, its key, and how to make it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.inside.install import wheel_tree
from poetry_docker_cache.inside.install.installed_files import EPOCH
from poetry_docker_cache.no_engine import layer
from poetry_docker_cache.no_engine.base_libraries import layer_libraries
from poetry_docker_cache.no_engine.image_files import (
    environment_files,
    other_files,
    project_files,
    user_folders,
    workdir_folders,
)
from poetry_docker_cache.no_engine.tree import Bytes, Entry, Tree
from poetry_docker_cache.no_engine.wheel import Place, tree_of_wheels
from poetry_docker_cache.no_engine.wheel_choice import direct_url, layer_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from poetry_docker_cache.no_engine.base_facts import BaseFacts
    from poetry_docker_cache.no_engine.bytecode import Compiler
    from poetry_docker_cache.no_engine.wheel_choice import ImageTarget, LayerFiles
    from poetry_docker_cache.plan.image_plan import ImagePlan

MADE_BY = f"{layer.VERSION}.{wheel_tree.FORMAT}"
"""The version of the code that makes layers from wheels."""


@dataclass(frozen=True, kw_only=True)
class PlannedLayer:
    """A layer that may exist already."""

    name: str
    history: str
    """The instruction that has this layer in the Dockerfile."""
    key: str
    files: LayerFiles | None
    """Its wheels; None for a layer of other files, which are at hand."""
    has_libraries: bool
    """Whether its packages may need shared libraries."""
    make: Callable[[], MadeLayer]


@dataclass(frozen=True, kw_only=True)
class MadeLayer:
    """The files of a layer."""

    tree: Tree
    libraries: Mapping[str, Any] | None


def wheel_layer(  # noqa: PLR0913  # what determines a layer
    files: LayerFiles,
    target: ImageTarget,
    *,
    history: str,
    has_libraries: bool,
    paths: Callable[[], Iterable[Path]],
    compiler: Compiler | None,
) -> PlannedLayer:
    """Plan a layer of wheels; `paths` downloads or builds them."""
    place = Place(python="{}.{}".format(*target.minor), prefix=target.prefix)
    origins = {file.file: text.decode() for file in files.files if (text := direct_url(file))}

    def make() -> MadeLayer:
        tree = tree_of_wheels(paths(), place, origins)
        if compiler:
            modules = place.path(place.packages)
            tree = compiler.add_bytecode(tree, modules, named=f"/{modules}")
        libraries = layer_libraries(tree, target) if has_libraries else None
        return MadeLayer(tree=tree, libraries=libraries)

    return PlannedLayer(
        name=files.name,
        history=history,
        key=layer_key(files, target, made_by=MADE_BY, bytecode=compiler.tag if compiler else ""),
        files=files,
        has_libraries=has_libraries,
        make=make,
    )


def first_layer(
    base_digest: str, plan: ImagePlan, read_facts: Callable[[], BaseFacts]
) -> PlannedLayer:
    """Plan the layer of the environment's own files and the working directory.

    It depends on the base image as a whole, whose layers are only read to make it.
    """
    runtime = plan.runtime

    def make() -> MadeLayer:
        facts = read_facts()
        tree = Tree(mtime=EPOCH)
        for entry in (*workdir_folders(facts, runtime), *environment_files(facts)):
            tree.add(entry)
        return MadeLayer(tree=tree, libraries=None)

    determined = [MADE_BY, base_digest, runtime.workdir]
    return PlannedLayer(
        name="venv",
        history=f"WORKDIR {runtime.workdir}",
        key=hashlib.sha256(json.dumps(determined).encode()).hexdigest(),
        files=None,
        has_libraries=False,
        make=make,
    )


def folders_layer(
    base_digest: str, plan: ImagePlan, read_facts: Callable[[], BaseFacts]
) -> PlannedLayer:
    """Plan the layer of the folders that the user owns.

    It depends on the base image as a whole, as the first layer does.
    """
    runtime = plan.runtime

    def make() -> MadeLayer:
        tree = Tree(user_folders(read_facts(), runtime), mtime=EPOCH)
        return MadeLayer(tree=tree, libraries=None)

    owned = [(each.path, each.mode) for each in runtime.owned]
    determined = [MADE_BY, base_digest, runtime.user, owned]
    return PlannedLayer(
        name="folders",
        history="COPY /folders /",
        key=hashlib.sha256(json.dumps(determined).encode()).hexdigest(),
        files=None,
        has_libraries=False,
        make=make,
    )


def files_layer(
    context: Path,
    plan: ImagePlan,
    ignore: str,
    unsent: Sequence[str],
    compiler: Compiler | None,
) -> PlannedLayer | None:
    """Plan the layer of the project's files in the working directory; None without any."""
    workdir = plan.runtime.workdir
    entries = project_files(context, plan, ignore, unsent)
    return _layer_of("files", entries, f"COPY {workdir} {workdir}", compiler, workdir)


def copied_layer(
    context: Path,
    plan: ImagePlan,
    ignore: str,
    unsent: Sequence[str],
    read_facts: Callable[[], BaseFacts],
) -> PlannedLayer | None:
    """Plan the layer of the project's files in other places; None without any."""
    if not plan.runtime.copied_elsewhere:
        return None
    entries = other_files(context, plan, ignore, unsent, read_facts())
    return _layer_of("copied", entries, "COPY /copied /")


def written_layer(plan: ImagePlan) -> PlannedLayer | None:
    """Plan the layer of the files with build arguments; None without any."""
    entries = [
        Entry(
            path=each.file.strip("/"),
            mode=0o644,
            mtime=EPOCH,
            content=Bytes(f"{each.default}\n".encode()),
        )
        for each in plan.runtime.arguments
        if each.file
    ]
    return _layer_of("arguments", entries, "COPY <<ARG /")


def _layer_of(
    name: str,
    entries: Sequence[Entry],
    history: str,
    compiler: Compiler | None = None,
    workdir: str = "",
) -> PlannedLayer | None:
    if not entries:
        return None
    tree = Tree(mtime=EPOCH)
    for entry in entries:
        tree.add(entry)
    digest = hashlib.sha256((compiler.tag if compiler else "").encode())
    for entry in tree:
        facts = (entry.path, entry.mode, entry.mtime, entry.uid, entry.gid, entry.link)
        digest.update(json.dumps([MADE_BY, *facts]).encode())
        for chunk in entry.content.chunks() if entry.content else ():
            digest.update(chunk)

    def make() -> MadeLayer:
        place = workdir.strip("/")
        made = compiler.add_bytecode(tree, place, named=".") if compiler else tree
        return MadeLayer(tree=made, libraries=None)

    return PlannedLayer(
        name=name,
        history=history,
        key=digest.hexdigest(),
        files=None,
        has_libraries=False,
        make=make,
    )
