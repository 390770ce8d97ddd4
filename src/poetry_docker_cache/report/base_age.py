"""The age of an image's base and of its system packages, read from the image's history."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from poetry_docker_cache.buildx.history import Entry
    from poetry_docker_cache.plan.image_plan import ImagePlan

_OLD = 30
"""After so many days, security updates are likely to be missing."""
_FIRST_YEAR = 2000
"""Reproducible images have a date before it, such as 1970."""
_DIGITS = len("2026-11-25T00:00:00")


@dataclass(frozen=True, kw_only=True)
class Base:
    """The base of an image."""

    image: str
    created: datetime | None
    """When the base image was built; None if unknown."""
    installed: datetime | None
    """When the system packages were installed on it; None if unknown, or if there are none."""
    now: datetime
    fresh: bool
    """Whether this build has pulled the base."""

    def text(self) -> str:
        """Return the ages in whole days."""
        parts = [self.image]
        if self.created:
            parts[0] += f", {_days(self.now - self.created)} old"
        if self.installed:
            parts.append(f"system packages installed {_days(self.now - self.installed)} ago")
        # A refresh changes neither a base with a digest nor one that was just pulled.
        is_newest = self.fresh or "@" in self.image
        renewable = (self.installed, None if is_newest else self.created)
        if any(date and (self.now - date).days > _OLD for date in renewable):
            parts.append("update with `--refresh`")
        return "; ".join(parts)

    def data(self) -> dict[str, str | None]:
        """Return the values for the metadata file."""
        return {
            "image": self.image,
            "created": self.created.isoformat() if self.created else None,
            "installed": self.installed.isoformat() if self.installed else None,
        }


def read_base(
    history: Sequence[Entry], plan: ImagePlan, *, now: datetime, fresh: bool
) -> Base | None:
    """Return the base of an image that was built with this plan; None if nothing is known of it.

    No entry of an image's history names its stage. The first one of the stage `final` is known by
    its text, as are the system packages, and the plan has the number of those before them.
    """
    runtime = plan.runtime
    texts = [entry.instruction.removesuffix(" # buildkit") for entry in history]
    finals = [at for at, text in enumerate(texts) if text.startswith("ENV VIRTUAL_ENV=/venv ")]
    if plan.template or not finals:
        return None
    end = finals[-1]  # the base may be an image of ours
    if runtime.packages:
        packages = f" {shlex.join(runtime.packages)}"
        installs = [at for at, text in enumerate(texts[:end]) if text.endswith(packages)]
        if not installs:
            return None
        end = installs[-1]
    elif runtime.instructions:
        return None
    own = 2 * plan.traits[runtime.image].may_have_user + plan.dependencies.compile
    created = _date(history[end - own - 1]) if end > own else None
    installed = _date(history[end]) if runtime.packages else None
    if not created and not installed:
        return None
    return Base(image=runtime.image, created=created, installed=installed, now=now, fresh=fresh)


def _date(entry: Entry) -> datetime | None:
    """Return the date of an entry, in whole seconds; None if it is only a placeholder."""
    text = entry.created
    zone = "+00:00" if text.endswith("Z") else text[-len("+00:00") :]
    try:
        date = datetime.fromisoformat(text[:_DIGITS] + zone)
    except ValueError:
        return None
    return date if date.year >= _FIRST_YEAR else None


def _days(age: timedelta) -> str:
    days = max(0, age.days)
    return f"{days} day{'s' * (days != 1)}"
