"""The age of an image's base and of its system packages, read from the image's history."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """When the system packages were installed on it; None if unknown, or without any."""

    def text(self, now: datetime, *, fresh: bool) -> str:
        """Return the ages in days; empty if unknown. `fresh`: the build has renewed both."""
        ages = [
            *([f"{self.image}, {_ago(self.created, now)} old"] if self.created else []),
            *(
                [f"system packages installed {_ago(self.installed, now)} ago"]
                if self.installed
                else []
            ),
        ]
        is_old = any((now - date).days > _OLD for date in self._renewable)
        hint = ["`--refresh` updates them"] if ages and is_old and not fresh else []
        return "; ".join([*ages, *hint])

    @property
    def _renewable(self) -> list[datetime]:
        """The dates that a refresh changes: a base with a digest stays as it is."""
        dates = (self.installed, None if "@" in self.image else self.created)
        return [date for date in dates if date]

    def data(self) -> dict[str, str | None]:
        """Return the values for the metadata file."""
        return {
            "image": self.image,
            "created": self.created and self.created.isoformat(),
            "installed": self.installed and self.installed.isoformat(),
        }


def read_base(history: Sequence[Entry], plan: ImagePlan) -> Base | None:
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
    return Base(image=runtime.image, created=created, installed=installed)


def _date(entry: Entry) -> datetime | None:
    """Return the date of an entry, in whole seconds; None if it is only a placeholder."""
    text = entry.created
    zone = "+00:00" if text.endswith("Z") else text[-len("+00:00") :]
    try:
        date = datetime.fromisoformat(text[:_DIGITS] + zone)
    except ValueError:
        return None
    return date if date.year >= _FIRST_YEAR else None


def _ago(date: datetime, now: datetime) -> str:
    days = max(0, (now - date).days)
    return f"{days} day{'s' * (days != 1)}"
