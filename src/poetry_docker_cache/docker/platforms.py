"""The platforms that an image can be for: as Docker names them, and as wheels do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MACHINES = {
    "linux/386": "i686",
    "linux/amd64": "x86_64",
    "linux/arm/v6": "armv6l",
    "linux/arm/v7": "armv7l",
    "linux/arm64": "aarch64",
    "linux/loong64": "loongarch64",
    "linux/ppc64le": "ppc64le",
    "linux/riscv64": "riscv64",
    "linux/s390x": "s390x",
}
"""Those that have wheels at all, each with the last part of the wheels' names."""


def machines(platforms: Iterable[str]) -> tuple[str, ...]:
    """Their architectures, sorted: the order of the platforms decides nothing."""
    return tuple(sorted({MACHINES[platform] for platform in platforms}))


def platform_of(machine: str) -> str:
    """The platform of an architecture."""
    return next(platform for platform, its in MACHINES.items() if its == machine)


def to_build(
    given: Sequence[str], *, own: Sequence[str], push: bool, arguments: Sequence[str]
) -> Sequence[str]:
    """What to build for: what was said, else all of the project's own for an image that is pushed.

    One that is not is for this machine. `arguments` are those for buildx, which may say it, too.
    """
    said = given or any(word.partition("=")[0] == "--platform" for word in arguments)
    return own if push and not said else given
