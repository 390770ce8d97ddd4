"""The pins of the build's tools: the release's requirements files with versions and hashes.

Pure but for reading the package's own files.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Dependencies, Notes, Wheel
    from poetry_docker_cache.plan.python_version import Python

PINS = Path(str(resources.files("poetry_docker_cache"))) / "pins"
HEADER = "# {root} on Python {pythons}, written by `make pins`"
_HEADER = re.compile(r"# (?P<root>\S+) on Python (?P<pythons>[\d., ]*), written by `make pins`")


@dataclass(frozen=True, kw_only=True)
class _Pin:
    """The requirements file of one tool."""

    root: Requirement
    versions: Mapping[str, str]
    """The tool's version for each Python with pins."""


def find_pins(requires: Sequence[str], python: Python) -> tuple[str, ...]:
    """The names of the requirements files that satisfy all requirements, or () without them."""
    names: dict[str, None] = {}
    for text in requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # pip explains it in the build
            return ()
        if requirement.marker and not any(
            requirement.marker.evaluate(environment) for environment in _environments(python)
        ):
            continue
        name = str(canonicalize_name(requirement.name))
        pin = _read(name)
        version = pin.versions.get(python.short) if pin else None
        if (
            pin is None
            or version is None
            or requirement.url
            or not requirement.extras <= pin.root.extras
            or not requirement.specifier.contains(version)
        ):
            return ()
        names[name] = None
    return tuple(sorted(names))


def find_poetry_pins(version: str, python: Python) -> tuple[str, ...]:
    """The name of the requirements file of a Poetry; () if this release has none."""
    name = f"poetry-{version}"
    pin = _read(name)
    return (name,) if pin and python.short in pin.versions else ()


def pinned_requirements(names: Sequence[str]) -> tuple[str, ...]:
    """The requirements in these files, with exact versions and markers, without the hashes."""
    texts = ((PINS / f"{name}.txt").read_text(encoding="utf-8") for name in names)
    lines = (line for text in texts for line in text.splitlines() if line[:1].isalnum())
    return tuple(dict.fromkeys(line.rstrip(" \\") for line in lines))


def pin_notes(dependencies: Dependencies, wheels: Sequence[Wheel]) -> Notes:
    """Note what pip resolves in the build although tools are to be pinned."""
    unpinned = {
        requirement: None for wheel in wheels if not wheel.pins for requirement in wheel.requires
    }
    if dependencies.poetry and not dependencies.poetry_pins:
        unpinned[f"poetry=={dependencies.poetry}"] = None
    if not unpinned:
        return ()
    note = "Installed without a check of hashes, because this release pins other versions or none"
    return (f"{note}: {listing(list(unpinned))}.",)


def _environments(python: Python) -> Iterator[dict[str, str]]:
    """Yield what markers are evaluated for, independent of the machine that runs this."""
    unknown = dict.fromkeys(("platform_release", "platform_version"), "")
    for machine in ("x86_64", "aarch64"):
        environment = Target.linux(f"{python.short}.0").environment
        yield {**unknown, **environment, "platform_machine": machine}


@functools.cache
def _read(name: str) -> _Pin | None:
    path = PINS / f"{name}.txt"
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    header = _HEADER.match(text)
    if not header:
        raise ValueError(f"{path} has no header")
    root = Requirement(header["root"])
    lines = (line.rstrip(" \\") for line in text.splitlines() if line.startswith(f"{root.name}=="))
    versions = {}
    for requirement in map(Requirement, lines):
        (pin,) = requirement.specifier
        for python in header["pythons"].split(", "):
            if not requirement.marker or requirement.marker.evaluate({"python_version": python}):
                versions[python] = pin.version
    return _Pin(root=root, versions=versions)
