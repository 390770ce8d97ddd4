"""Checks of the base image, the start command, the files and a build without an engine. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.image_names import has_digest
from poetry_docker_cache.doctor.checks import failed, ok, warning
from poetry_docker_cache.registry.registry_errors import RegistryError
from poetry_docker_cache.text import listing, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from poetry_docker_cache.doctor.checks import Check
    from poetry_docker_cache.errors import DockerCacheError
    from poetry_docker_cache.no_engine.obstacles import Obstacle
    from poetry_docker_cache.plan.image_plan import ImagePlan

_OLD = 90
"""In days. Docker's official images are built again at least once a month."""
_LARGE = 100_000_000
_MOST_FOLDERS = 3
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def check_base(
    image: str,
    found: str | DockerCacheError,
    *,
    here: str | None,
    now: datetime,
) -> Check:
    """Check that a base image exists, and its age.

    `found` is when the image in its registry was created, or why that is unknown; `here` is when
    the engine's own copy was, if it has one.
    """
    if isinstance(found, str):
        return _check_age(image, found, now, "")
    if here is not None:
        where = " The engine has it; its registry was not reached."
        if _is_missing(found):
            where = " Only the engine has it."
        return _check_age(image, here, now, where)
    if _is_missing(found):
        return failed("base", found)
    return warning("base", f"Unknown whether {image} exists: {found.problem}", found.fix)


def _is_missing(problem: DockerCacheError) -> bool:
    """Return whether a registry has answered that there is no such image, for this user."""
    return not isinstance(problem, RegistryError) or problem.status in (
        *_DENIED,
        HTTPStatus.NOT_FOUND,
    )


def _check_age(image: str, created: str, now: datetime, where: str) -> Check:
    date = parse_date(created)
    if date is None:  # reproducible images have the year 1 or 1970
        return ok("base", f"{image} exists; it does not say when it was built.{where}")
    days = max((now - date).days, 0)
    message = f"{image} was built {days_ago(days)}.{where}"
    if days < _OLD:
        return ok("base", message)
    name = image.partition("@")[0]
    if has_digest(image):
        fix = f"Set a newer digest: docker buildx imagetools inspect {name}"
    else:
        fix = (
            "It may lack security updates. Run `poetry docker build --pull`. If the registry has no"
            " newer one, set another `base-image` or `python`."
        )
    return warning("base", message, fix)


def parse_date(text: str) -> datetime | None:
    """Parse a date in RFC 3339; None for one that no build has."""
    found = re.match(r"(\d{4})-(\d\d)-(\d\d)", text)
    if not found or int(found[1]) <= 1980:  # noqa: PLR2004  # also the first year of zip files
        return None
    try:
        return datetime(*map(int, found.groups()), tzinfo=timezone.utc)  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def days_ago(days: int) -> str:
    """Say how long ago a day is."""
    return {0: "today", 1: "yesterday"}.get(days, f"{days} days ago")


def check_start(plan: ImagePlan) -> Check:
    """Check that the image starts anything."""
    runtime = plan.runtime
    if runtime.starts:
        reason = f" ({runtime.start_reason})" if runtime.start_reason else ""
        return ok("start", f"The image starts `{' '.join(runtime.start_words)}`{reason}.")
    return warning(
        "start",
        "The image starts nothing: no start command was found.",
        'Set `command` in [tool.poetry-docker-cache], such as `command = ["python", "-m", "app"]`.',
    )


def check_files(plan: ImagePlan, sizes: Iterable[tuple[str, int]]) -> Check:
    """Check the size of the files that the image takes from the project, by top-level name."""
    rules = (
        "The rules of .dockerignore apply, and the plugin's own"
        if plan.dockerignore
        else "There is no .dockerignore; the plugin's own rules apply"
    )
    folders: dict[str, int] = {}
    count = 0
    for name, size in sizes:
        folders[name] = folders.get(name, 0) + size
        count += 1
    total = sum(folders.values())
    files = f"{count} file{'s' * (count != 1)}" if count else "no files"
    taken = f"{files} of the project" + (f" ({megabytes(total)})" if count else "")
    also = "also " if plan.application else ""  # the project's wheel
    message = f"The image {also}contains {taken}. {rules}."
    if total < _LARGE:
        return ok("files", message)
    largest = sorted(folders, key=lambda name: -folders[name])[:_MOST_FOLDERS]
    named = listing([f"{name} ({megabytes(folders[name])})" for name in largest])
    return warning(
        "files",
        message,
        f"The largest: {named}. Leave out what the application does not read, such as"
        f' `ignore = ["/{largest[0]}"]`.',
    )


def check_without_engine(found: Sequence[Obstacle], *, has_engine: bool) -> Check:
    """Report whether the image can be built without an engine, and what prevents it."""
    if not found:
        return ok(
            "no-engine",
            "The image can be built without an engine: `poetry docker build --no-engine --push`.",
        )
    whats: dict[str, list[str]] = {}
    for each in found:
        whats.setdefault(each.what, []).extend(filter(None, [each.package]))
    reasons = [f"{', '.join(names)}: {what}" if names else what for what, names in whats.items()]
    message = "\n".join(
        ["Only a container engine can build this image:", *(f"{each}." for each in reasons)]
    )
    if has_engine:
        return ok("no-engine", message)
    return warning(
        "no-engine", message, "`poetry docker build --no-engine` says how to change each."
    )
