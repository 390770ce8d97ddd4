"""The platforms of an image, as Docker and as wheels name them."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

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
_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "arm64/v8": "arm64",
    "amd64/v1": "amd64",
    "i386": "386",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "arm": "arm/v7",
}
"""Other names of architectures that BuildKit knows."""
_HOSTS = {"arm64": "aarch64", "AMD64": "x86_64"}
"""Machines by their names on macOS and Windows."""

# The names that BuildKit accepts, and its aliases; an image may have platforms without wheels.
_ARCHITECTURES = (
    *("386", "aarch64", "amd64", "arm", "arm64", "armel", "armhf", "i386", "loong64", "mips64"),
    *("mips64le", "ppc64le", "riscv64", "s390x", "x86-64", "x86_64"),
)
_KNOWN = re.compile(rf"local|(?:linux/)?(?:{'|'.join(_ARCHITECTURES)})(?:/v?\d+)?")


def machines(platforms: Iterable[str]) -> tuple[str, ...]:
    """Return the platforms' machines, sorted."""
    return tuple(sorted({MACHINES[platform] for platform in platforms}))


def platform_of(machine: str) -> str:
    """Return the platform of a machine."""
    return next(platform for platform, name in MACHINES.items() if name == machine)


def full_name(platform: str) -> str:
    """Return the name of a platform as images have it.

    >>> full_name("aarch64")
    'linux/arm64'
    """
    architecture = platform.lower().removeprefix("linux/")
    return f"linux/{_ALIASES.get(architecture, architecture)}"


def host_platform(machine: str) -> str | None:
    """Return the platform of a host, by the name that its system has for the machine."""
    name = _HOSTS.get(machine, machine)
    return platform_of(name) if name in MACHINES.values() else None


def nearest(name: str) -> str | None:
    """Return the platform with wheels whose name is most similar to a misspelt one.

    >>> nearest("amd46")
    'linux/amd64'
    """
    # Without `linux/`, which would make all names similar.
    names = {platform.partition("/")[2]: platform for platform in MACHINES}
    spelled = name.lower().partition("/")[2] or name.lower()
    near = difflib.get_close_matches(spelled, names, n=1)
    return names[near[0]] if near else None


def refuse_unknown(given: Iterable[str]) -> None:
    """Raise DockerCacheError for a value of `--platform` with an unknown name."""
    for name in (part.strip() for value in given for part in value.split(",")):
        if name and not _KNOWN.fullmatch(name.lower()):
            near = nearest(name)
            raise DockerCacheError(
                f"--platform {name!r} is not a known platform of Linux images.",
                fix=f"Did you mean {near}?" if near else f"Use one of {', '.join(MACHINES)}.",
            )


def to_build(
    given: Sequence[str], *, own: Sequence[str], push: bool, arguments: Sequence[str]
) -> Sequence[str]:
    """Return the platforms to build: the given ones, else the project's own if it is pushed.

    An image that is not pushed is for this machine. `arguments` for buildx may have platforms, too.
    """
    is_given = given or any(word.partition("=")[0] == "--platform" for word in arguments)
    return own if push and not is_given else given
