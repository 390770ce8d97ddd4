"""The choice of the image's Python."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import machines_without_wheel
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import fits
from poetry_docker_cache.project.selected_packages import locked_packages
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.project.model import Lock, PythonConstraint, Selection

RELEASED = date(2026, 12, 1)
"""The date of this release of the plugin."""
_RELEASES = {
    "3.15": date(2026, 10, 1),
    "3.14": date(2025, 10, 7),
    "3.13": date(2024, 10, 7),
    "3.12": date(2023, 10, 2),
    "3.11": date(2022, 10, 24),
    "3.10": date(2021, 10, 4),
    "3.9": date(2020, 10, 5),
}
PYTHONS = tuple(_RELEASES)
"""The minor versions with official images, newest first; the setting `python` can name others."""
_YEAR = timedelta(days=365)


@dataclass(frozen=True, kw_only=True)
class Python:
    """The image's Python: the tag ("3.12" or "3.12.4") and the reason for it."""

    tag: str
    reason: str
    lacks_wheels: bool = False
    """Whether it was chosen although some locked packages have no wheel for it."""

    @property
    def minor(self) -> tuple[int, int]:
        """The minor version as numbers: (3, 12) for "3.12.4"."""
        major, minor = self.tag.split(".")[:2]
        return int(major), int(minor)

    @property
    def short(self) -> str:
        """The minor version as text: "3.12" for "3.12.4"."""
        return "{}.{}".format(*self.minor)


def choose_python(  # noqa: PLR0913  # all inputs of the choice
    constraint: PythonConstraint,
    *,
    setting: str | None,
    pinned: str | None,
    stated: Sequence[tuple[str, str]] = (),
    lock: Lock,
    selection: Selection,
    libc: str | None,
    machines: Sequence[str] = (),
) -> Python:
    """The setting, else what the project's files name, else the newest minor with all wheels.

    `pinned` is the version in `.python-version`, `stated` are other files that name a version, and
    `machines` are those that need the wheels. A minor version that is younger than a year is only
    chosen if the project allows no other: many packages lack wheels for it. Raises
    DockerCacheError if the constraint allows none of them.
    """
    if setting is not None:
        if not constraint.allows(setting):
            raise DockerCacheError(
                f'The project does not allow `python = "{setting}"` in [tool.poetry-docker-cache]:'
                f' requires-python is "{constraint.text}".',
                fix="Choose a Python that it allows, or change it and run `poetry lock`.",
            )
        return Python(tag=setting, reason="set by `python`")
    if pinned is not None and constraint.allows(pinned):
        return Python(tag=pinned, reason="from .python-version")
    tags = {minor: tag for minor in PYTHONS if (tag := constraint.image_tag(minor))}
    for file, minor in stated:
        if minor in tags:
            return Python(tag=tags[minor], reason=f"from {file}")
    if not tags:
        raise DockerCacheError(
            f'No known Python image satisfies requires-python = "{constraint.text}". This release'
            f" knows Python {', '.join(reversed(PYTHONS))}.",
            fix='To use another, set `python = "X.Y"` and `base-image` in'
            " [tool.poetry-docker-cache].",
        )
    proven = {minor: tag for minor, tag in tags.items() if RELEASED - _RELEASES[minor] >= _YEAR}
    young = [minor for minor in tags if proven and minor not in proven]
    return _best([*(proven or tags).values()], lock, selection, libc, machines, young=young)


def _best(  # noqa: PLR0913  # all inputs of the choice
    tags: Sequence[str],
    lock: Lock,
    selection: Selection,
    libc: str | None,
    machines: Sequence[str],
    *,
    young: Sequence[str],
) -> Python:
    """The tag for which the fewest packages lack a wheel, and of several the newest.

    A package without any wheel does not count. The reason names the minor versions in `young`,
    which were left out. Raises DockerCacheError if an old lock file does not say for any tag what
    is installed.
    """
    found = {tag: _without_fitting_wheel(lock, selection, tag, libc, machines) for tag in tags}
    misfits = {tag: names for tag, names in found.items() if isinstance(names, list)}
    refusal = found[tags[0]]
    if not misfits and isinstance(refusal, DockerCacheError):
        raise refusal
    newest, best = next(iter(misfits)), min(misfits, key=lambda tag: len(misfits[tag]))
    only = "only one" if len(tags) == 1 and not young else "newest"
    reason = f"the {only} that the project allows"
    reason += f" ({listing(young)} is less than a year old)" if young else ""
    if newest != tags[0]:
        reason += " and for which poetry.lock can be read"
    if best != newest:
        lacking = [name for name in misfits[newest] if name not in misfits[best]]
        most = "the most" if misfits[best] else "all"
        reason += f" and that has wheels for {most} locked packages ({newest} has none for "
        reason += listing(lacking) + ")"
    elif misfits[best]:
        reason += ", though it has no wheels for some locked packages"
        reason += "" if len(tags) == 1 else ", like the older ones"
    return Python(tag=best, reason=reason, lacks_wheels=bool(misfits[best]))


def _without_fitting_wheel(
    lock: Lock, selection: Selection, tag: str, libc: str | None, machines: Sequence[str]
) -> list[str] | DockerCacheError:
    """The packages that have wheels but none for this tag; an error if that is not known."""
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
