"""Which Python, and which Poetry, the image gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version
from poetry.core.constraints.version import Version as PoetryVersion
from poetry.core.constraints.version import VersionRange, parse_constraint

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import machines_without_wheel
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import fits
from poetry_docker_cache.project.lock import locked_packages
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry.core.constraints.version import VersionConstraint

    from poetry_docker_cache.project.lock import Lock
    from poetry_docker_cache.project.selection import Selection

PYTHONS = ("3.15", "3.14", "3.13", "3.12", "3.11", "3.10", "3.9")
"""The minors that this release knows to exist as images, newest first; `python` names any other."""

NEWEST_POETRY = Version("2.5.1")
_OLDEST_POETRY = Version("2.1")
# Poetry 2.3 dropped Python 3.9.
_LAST_POETRY_FOR_39 = Version("2.2.1")
_MORE_PATCHES_THAN_EVER = 999


@dataclass(frozen=True, kw_only=True)
class Python:
    """The image's Python: the tag ("3.12" or "3.12.4") and why it is this one."""

    tag: str
    reason: str

    @property
    def minor(self) -> tuple[int, int]:
        """(3, 12) of "3.12" and of "3.12.4"."""
        major, minor = self.tag.split(".")[:2]
        return int(major), int(minor)

    @property
    def short(self) -> str:
        """The tag's "3.12"."""
        return "{}.{}".format(*self.minor)


def choose_python(  # noqa: PLR0913  # what it is chosen from
    constraint: str,
    *,
    setting: str | None,
    pinned: str | None,
    lock: Lock,
    selection: Selection,
    libc: str | None,
    machines: Sequence[str] = (),
) -> Python:
    """The setting, else `.python-version`, else the newest minor that all wheels fit.

    `constraint` is the project's, `pinned` what `.python-version` says, `machines` those that must
    have the wheels. Raises DockerCacheError when the constraint forbids each of them.
    """
    allowed = parse_constraint(constraint)
    if setting is not None:
        if not _allows(allowed, setting):
            raise DockerCacheError(
                f'`python = "{setting}"` in [tool.poetry-docker-cache] is outside of what the'
                f' project allows: requires-python is "{constraint}".',
                fix="Choose a Python within the constraint, or widen it and run `poetry lock`.",
            )
        return Python(tag=setting, reason="set by `python`")
    if pinned is not None and _allows(allowed, pinned):
        return Python(tag=pinned, reason="named by .python-version")
    tags = [tag for minor in PYTHONS if (tag := _tag(allowed, minor))]
    if not tags:
        raise DockerCacheError(
            f'No Python image fits requires-python = "{constraint}": this release knows the minors'
            f" {', '.join(reversed(PYTHONS))}.",
            fix='Set `python = "X.Y"` and `base-image` in [tool.poetry-docker-cache] for another.',
        )
    return _best(tags, lock, selection, libc, machines)


def _best(
    tags: Sequence[str],
    lock: Lock,
    selection: Selection,
    libc: str | None,
    machines: Sequence[str],
) -> Python:
    """The newest tag for which the fewest packages that have wheels lack a fitting one.

    Raises DockerCacheError where the lock tells for none of them what is installed.
    """
    found = {tag: _without_fitting_wheel(lock, selection, tag, libc, machines) for tag in tags}
    misfits = {tag: it for tag, it in found.items() if isinstance(it, list)}
    refusal = found[tags[0]]
    if not misfits and isinstance(refusal, DockerCacheError):
        raise refusal
    newest, best = next(iter(misfits)), min(misfits, key=lambda tag: len(misfits[tag]))
    only = "only one" if len(tags) == 1 else "newest"
    reason = f"the {only} that the project allows"
    if newest != tags[0]:
        reason += " and whose packages poetry.lock tells"
    if best != newest:
        lacking = [name for name in misfits[newest] if name not in misfits[best]]
        most = "the most" if misfits[best] else "all"
        reason += f" and that has wheels of {most} locked packages ({newest} has none of "
        reason += listing(lacking) + ")"
    elif misfits[best]:
        reason += ", though it lacks wheels of some locked packages"
        reason += "" if len(tags) == 1 else ", as each older one does"
    return Python(tag=best, reason=reason)


def _without_fitting_wheel(
    lock: Lock, selection: Selection, tag: str, libc: str | None, machines: Sequence[str]
) -> list[str] | DockerCacheError:
    """The packages that have wheels, but none for this tag; or why the lock does not tell."""
    python = ".".join(tag.split(".")[:2])
    target = Target.linux(python=python, libc=libc, machines=machines)
    try:
        packages = locked_packages(lock, selection, python)
    except DockerCacheError as error:
        return error
    found = []
    for package in packages:
        wheels = [file["file"] for file in package["files"] if file["file"].endswith(".whl")]
        fitting = [name for name in wheels if fits(name, target)]
        if wheels and (not fitting or machines_without_wheel(package, fitting, target)):
            found.append(package["name"])
    return found


def _allows(allowed: VersionConstraint, tag: str) -> bool:
    if tag.count(".") == 1:
        return allowed.allows_any(parse_constraint(f"~{tag}"))
    return allowed.allows(PoetryVersion.parse(tag))


def _tag(allowed: VersionConstraint, minor: str) -> str | None:
    """The image tag for a minor: itself, or the one patch that a narrow constraint leaves."""
    within = allowed.intersect(parse_constraint(f"~{minor}"))
    if within.is_empty():
        return None
    # The tag "3.12" is the newest patch, whatever number that has by now.
    if within.allows(PoetryVersion.parse(f"{minor}.{_MORE_PATCHES_THAN_EVER}")):
        return minor
    if isinstance(within, PoetryVersion):
        return within.text
    if isinstance(within, VersionRange) and within.max is not None:
        patch = (within.max.patch or 0) - (0 if within.include_max else 1)
        tag = f"{minor}.{patch}"
        return tag if patch >= 0 and within.allows(PoetryVersion.parse(tag)) else None
    return None


def choose_poetry(generator: Version | None, *, setting: str | None, python: Python) -> str:
    """The setting, else the lock's own writer if it is a final release that runs there.

    Raises DockerCacheError when the setting names a Poetry that does not run on that Python.
    """
    old_python = python.minor < (3, 10)
    if setting is not None:
        if old_python and Version(setting) > _LAST_POETRY_FOR_39:
            raise DockerCacheError(
                f'`poetry-version = "{setting}"` in [tool.poetry-docker-cache] does not run on'
                f" Python {python.tag}: Poetry 2.3 and newer need Python 3.10.",
                fix=f'Set `poetry-version = "{_LAST_POETRY_FOR_39}"`, or a newer `python`.',
            )
        return setting
    newest = _LAST_POETRY_FOR_39 if old_python else NEWEST_POETRY
    if generator is None or generator < _OLDEST_POETRY or str(generator) != generator.base_version:
        return str(newest)
    return str(newest if old_python and generator > newest else generator)
