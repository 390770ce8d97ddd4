"""The scripts that run inside the build: which ones an image needs, and their exported text.

`export` writes them to the folder `Dockerfile.scripts` beside the Dockerfile, and `build` passes
the same files as a named build context. Pure but for reading the package's own files.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.plan.tool_pins import PINS
from poetry_docker_cache.render.exported_files import with_banner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poetry_docker_cache.plan.image_plan import ImagePlan

SCRIPTS_FOLDER = "Dockerfile.scripts"
_PINS = "pins/"
_FOR_OLDER_LOCKS = ("dependency_graph.py", "old_locks.py")


@dataclass(frozen=True, kw_only=True)
class Scripts:
    """The scripts of one image, as its Dockerfile takes them."""

    texts: Mapping[str, str] = field(repr=False)
    """Each file's text by its path in the folder, sorted."""
    folder: str | None
    """The folder's path in the build context; None embeds the scripts in the Dockerfile."""
    place: str = SCRIPTS_FOLDER
    """The folder's path in the project."""

    @property
    def digest(self) -> str:
        """The sha256 of what `sha256sum` prints for these files in the order of their names."""
        lines = (f"{_sha256(text)}  {path}\n" for path, text in self.texts.items())
        return _sha256("".join(lines))

    @property
    def embedded(self) -> dict[str, dict[str, str]]:
        """The texts by folder, "/" or "/install/", and by file name."""
        folders: dict[str, dict[str, str]] = {}
        for path, text in self.texts.items():
            folder, slash, name = path.rpartition("/")
            folders.setdefault(f"/{folder}{slash}", {})[name] = text
        return folders


def image_scripts(plan: ImagePlan, *, place: str | None = SCRIPTS_FOLDER) -> Scripts:
    """Return the scripts that the stages of this image run.

    `place` is the path of their folder in the project; None embeds them in the Dockerfile.
    """
    texts = {path: script_text(path) for path in sorted(set(_used(plan)))}
    folder = None if place is None else f"{plan.located(place)}/"
    return Scripts(texts=texts, folder=folder, place=place or SCRIPTS_FOLDER)


@functools.cache
def script_text(path: str) -> str:
    """Return the exported text of a script, without comments for our linters, or of pins."""
    text = (_root(path) / path).read_text(encoding="utf-8").replace("\r\n", "\n")
    return with_banner(re.sub(r"  # (noqa|type:).*", "", text), hint="do not edit it")


def all_scripts() -> dict[str, str]:
    """Return the texts of all scripts and pins of this release, by path in the folder."""
    root = _inside()
    scripts = (path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    pins = (f"{_PINS}{path.name}" for path in PINS.glob("*.txt"))
    return {path: script_text(path) for path in sorted((*scripts, *pins)) if path != "__init__.py"}


def _used(plan: ImagePlan) -> Iterator[str]:
    dependencies = plan.dependencies
    unused = {
        "earlier_image.py": not dependencies.reuses_image,
        **dict.fromkeys(_FOR_OLDER_LOCKS, not dependencies.older_lock),
        **dict.fromkeys(("families.py", "workspace.py"), not dependencies.images),
        "variant.py": not plan.variants,
    }
    # The first package from source must not change what the steps of wheels mount.
    for package in ("manifest", "install"):
        for path in (_inside() / package).glob("*.py"):
            if not unused.get(path.name):
                yield f"{package}/{path.name}"
    yield "check.py"
    if dependencies.compile:
        yield "compile.py"
    if plan.steps:
        yield "run_step.py"
    if any(layer.direct for layer in dependencies.all_layers):
        yield "direct.py"
    for name in (
        *dependencies.poetry_pins,
        *(name for wheel in plan.all_wheels for name in wheel.pins),
    ):
        yield f"{_PINS}{name}.txt"


def _root(path: str) -> Path:
    return PINS.parent if path.startswith(_PINS) else _inside()


def _inside() -> Path:
    return Path(str(resources.files("poetry_docker_cache"))) / "inside"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
