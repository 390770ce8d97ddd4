"""Say which base an image has, and how old it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.docker.image_labels import BASE_DIGEST, BASE_NAME
from poetry_docker_cache.docker.image_names import normalised
from poetry_docker_cache.doctor.checks import ok, warning
from poetry_docker_cache.doctor.image_checks import days_ago, parse_date

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from poetry_docker_cache.doctor.checks import Check

_OLD = 90
"""In days, as for the bases that `doctor` checks."""
_SHORT = 19
"""How many characters of a digest are shown."""
_PULL = "Build it on the newest base: poetry docker build --pull"


def check_built_from(
    labels: Mapping[str, str], created: str, *, wanted: str, now: datetime
) -> Check:
    """Check the base image that the labels name; `wanted` is that of the settings."""
    date = parse_date(created)
    days = None if date is None else max((now - date).days, 0)
    age = "It does not say when it was built." if days is None else f"Built {days_ago(days)}."
    name = labels.get(BASE_NAME)
    if not name:
        return warning(
            "base",
            f"Unknown base image: the image has no label for it. {age}",
            "`poetry docker build` sets it.",
        )
    digest = labels.get(BASE_DIGEST, "")
    described = f"{name} ({digest[:_SHORT]})" if digest else name
    if normalised(name.partition("@")[0]) != normalised(wanted.partition("@")[0]):
        return warning("base", f"The base image is {described}, not {wanted}. {age}", _PULL)
    if days is not None and days >= _OLD:
        return warning("base", f"The base image is {described}. {age}", _PULL)
    return ok("base", f"The base image is {described}. {age}")
