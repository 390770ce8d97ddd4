"""Reads the project for `poetry docker doctor`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from poetry.repositories.http_repository import HTTPRepository

from poetry_docker_cache.doctor.checks import failed, ok, warning
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.planner import emulated_work
from poetry_docker_cache.project.credentials import use_login_variables
from poetry_docker_cache.project.reader import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.doctor.checks import Check, Name

_UNPLANNED: dict[Name, str] = {
    "wheels": "Wheels",
    "base": "Base image",
    "start": "Start command",
    "files": "Files of the image",
    "no-engine": "Build without an engine",
}
"""What can only be checked for an image that can be planned."""


@dataclass(frozen=True, kw_only=True)
class ProjectFacts:
    """The project, as far as it can be read."""

    checks: tuple[Check, ...]
    poetry: Poetry | None = None
    images: tuple[PlannedImage, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    """The sources that a build contacts, each with a locked package of it; "" is the default."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms of all images."""
        named = (name for image in self.images for name in image.settings.platforms)
        return tuple(dict.fromkeys(named))

    @property
    def work(self) -> tuple[str, ...]:
        """What runs on each of these platforms during a build."""
        plans = [image.plan for image in self.images if image.settings.platforms]
        found = (
            what
            for plan in plans
            for what in emulated_work(plan.dependencies, plan.wheels, plan.runtime, plan.steps)
        )
        return tuple(dict.fromkeys(found))

    @property
    def needs_engine(self) -> bool:
        """Whether the settings of any image leave it to an engine."""
        return not self.images or any(image.settings.engine for image in self.images)


def examine_project(
    read_poetry: Callable[[], Poetry], plan: Callable[[Poetry], tuple[PlannedImage, ...]]
) -> ProjectFacts:
    """Read the project, check its lock file, and plan its images."""
    try:
        poetry = read_poetry()
    except DockerCacheError as problem:
        unread = warning("lock", "poetry.lock not checked: the project cannot be read.")
        return ProjectFacts(checks=(failed("project", problem), unread, *_unplanned()))
    use_login_variables(poetry)
    try:
        lock = read_lock(poetry)
        writer = f", written by Poetry {lock.generator}" if lock.generator else ""
        fresh = ok("lock", f"poetry.lock is fresh: {len(lock.packages)} packages{writer}.")
    except DockerCacheError as problem:
        fresh = failed("lock", problem)
    try:
        images = plan(poetry)
    except DockerCacheError as problem:
        found = failed("project", problem)
        # Without a readable lock file, nothing can be planned, which needs no second error.
        own = (found,) if (found.message, found.fix) != (fresh.message, fresh.fix) else ()
        return ProjectFacts(
            checks=(*own, fresh, *_unplanned()), poetry=poetry, sources=_all_sources(poetry)
        )
    names = ", ".join(dict.fromkeys(image.default_tag for image in images))
    pythons = ", ".join(dict.fromkeys(image.plan.runtime.python for image in images))
    valid = ok("project", f"pyproject.toml is valid. It describes {names}, with Python {pythons}.")
    return ProjectFacts(
        checks=(valid, fresh), poetry=poetry, images=images, sources=_used_sources(images)
    )


def _unplanned() -> Iterator[Check]:
    for name, what in _UNPLANNED.items():
        yield warning(name, f"{what} not checked: the image cannot be planned, see above.")


def _all_sources(poetry: Poetry) -> dict[str, str]:
    repositories = poetry.pool.all_repositories
    return {each.name: "" for each in repositories if isinstance(each, HTTPRepository)}


def _used_sources(images: Sequence[PlannedImage]) -> dict[str, str]:
    found: dict[str, str] = {}
    for image in images:
        known = {name.lower(): name for name in image.sources}
        for package in image.packages:
            source = package.get("source", {})
            if source.get("type", "legacy") == "legacy":
                reference = str(source.get("reference", "")).lower()
                found.setdefault(known.get(reference, reference), str(package["name"]))
        for name in image.sources:
            found.setdefault(name, "")
    return found
