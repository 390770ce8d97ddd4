"""Whether a base image has the shared libraries that packages need, as the stage `check` does."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside import check
from poetry_docker_cache.inside.install import elf, shared_libraries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.no_engine.base_facts import BaseFacts
    from poetry_docker_cache.no_engine.tree import Content, Entry
    from poetry_docker_cache.no_engine.wheel_choice import ImageTarget


def layer_libraries(files: Iterable[Entry], target: BaseFacts | ImageTarget) -> dict[str, Any]:
    """List the libraries that a layer needs and provides, as `shared_libraries.write` does.

    The list depends only on the layer and the machine.
    """
    found: dict[PurePosixPath, Content] = {}
    owners: dict[PurePosixPath, str] = {}
    for file in files:
        name = posixpath.basename(file.path)
        if file.content and file.path.endswith(".dist-info/RECORD"):
            text = b"".join(file.content.chunks()).decode()
            owners.update(shared_libraries.owned(PurePosixPath(file.path), text.splitlines()))
        is_program = posixpath.dirname(file.path) == "venv/bin"
        if file.content and (is_program or shared_libraries.SHARED.search(name)):
            found[PurePosixPath(file.path)] = file.content
    machine = shared_libraries.ELF_NUMBERS[target.machine]
    needs = shared_libraries.find_needs([*found], machine, lambda path: _read(found[path]))
    return {
        "machine": machine,
        "needs": {name: shared_libraries.entry(need, None, owners) for name, need in needs.items()},
        "provides": shared_libraries.provided(found),
        "python": ".".join(target.python.split(".")[:2]),
    }


def _read(content: Content) -> elf.Elf | None:
    chunks = content.chunks()
    start = next(chunks, b"")
    if not start.startswith(b"\x7fELF"):
        return None
    with tempfile.TemporaryFile() as file:  # a library may be larger than memory
        file.write(start)
        file.writelines(chunks)
        file.flush()
        file.seek(0)
        return elf.read_open(file)


class BaseLibraries:
    """The libraries and programs of a base image."""

    def __init__(self, facts: BaseFacts) -> None:
        self._facts = facts
        self._machine = shared_libraries.ELF_NUMBERS[facts.machine]

    def find(self, name: str, folders: Iterable[str] = ()) -> check.Library | None:
        """Find a library for the image's machine, first in some folders."""
        if "/" in name:
            return None
        for folder in (*folders, *self._facts.search):
            path = self._facts.resolve(f"{folder}/{name}")
            found = self._facts.libraries.get(path)
            if found and found["machine"] == self._machine:
                read = elf.Elf(
                    machine=found["machine"],
                    needed=tuple(found["needed"]),
                    versions=(),
                    paths=tuple(found["paths"]),
                )
                return check.Library(f"/{path}", read, found["versions"].__contains__)
        return None

    def has(self, program: str) -> bool:
        """Return whether the image has a package manager."""
        return program in self._facts.programs


def refuse_missing(
    facts: BaseFacts, layers: Sequence[Mapping[str, Any]], optional: Sequence[str], base: str
) -> None:
    """Raise DockerCacheError if the base lacks a library that a layer needs."""
    image = BaseLibraries(facts)
    found = check.inspect(image, [dict(layer) for layer in layers], [*optional])
    if found:
        raise DockerCacheError(
            f"The packages do not run on {base}:\n{_faults(found)}", fix=_fix(image, found)
        )


def _faults(found: Sequence[check.Fault]) -> str:
    return "\n".join(
        f"  - {fault.by} needs {fault.library}, which is not in the image."
        if isinstance(fault, check.Missing)
        else f"  - {fault.by} needs {fault.version} of {fault.library}; the image has an older one."
        for fault in found
    )


def _fix(image: BaseLibraries, found: Sequence[check.Fault]) -> str:
    missing = [fault for fault in found if isinstance(fault, check.Missing)]
    lines = []
    if missing:
        libraries = sorted({fault.library for fault in missing})
        install = ""
        if image.has("apt-get"):
            packages = sorted({fault.package for fault in missing})
            install = f" (most likely: `apt-get install {' '.join(packages)}`)"
        elif image.has("apk"):
            install = f" (`apk add {' '.join(f'so:{name}' for name in libraries)}`)"
        lines.append(
            f"Build a base image that has them{install}, push it and set `base-image`, or build"
            " with a container engine: `poetry docker build` without `--no-engine`."
        )
        lines.append("Or, if your application does not use the parts that need them, set")
        lines.append(f"optional-libraries = {check.to_toml(libraries)}")
    if len(missing) < len(found):
        lines.append("Set `base-image` to a newer release of its distribution.")
    return "\n".join(lines)
