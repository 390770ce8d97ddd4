"""The platforms of an image, as Docker and as wheels name them."""

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
"""Docker's names of the platforms that have wheels, and the machine in the wheels' names."""


def machines(platforms: Iterable[str]) -> tuple[str, ...]:
    """Return the platforms' machines, sorted."""
    return tuple(sorted({MACHINES[platform] for platform in platforms}))


def platform_of(machine: str) -> str:
    """Return the platform of a machine."""
    return next(platform for platform, name in MACHINES.items() if name == machine)


def to_build(
    given: Sequence[str], *, own: Sequence[str], push: bool, arguments: Sequence[str]
) -> Sequence[str]:
    """Return the platforms to build: the given ones, else the project's own if it is pushed.

    An image that is not pushed is for this machine. `arguments` for buildx may have platforms, too.
    """
    is_given = given or any(word.partition("=")[0] == "--platform" for word in arguments)
    return own if push and not is_given else given
