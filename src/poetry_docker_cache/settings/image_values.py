"""Readers of settings with rules of Docker: images, users, ports, health checks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.docker.dockerfile_syntax import (
    CONTINUATION,
    HEREDOC,
    HEREDOC_INSTRUCTIONS,
)
from poetry_docker_cache.docker.image_names import is_reference, is_repository
from poetry_docker_cache.docker.platforms import MACHINES, nearest
from poetry_docker_cache.settings.setting_errors import kind
from poetry_docker_cache.settings.value_reader import (
    FALSE,
    STRING,
    accepts,
    array,
    either,
    exactly,
    matching,
    named,
    number,
)
from poetry_docker_cache.settings.values import argv, command, entries, line, list_of, table

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot

_USER = re.compile(r"([0-9]{1,10})(?::([0-9]{1,10}))?")
# As useradd(8) recommends, with the upper case and dots that some images have.
_USER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_LARGEST_ID = 2**31 - 1
_WHY_NOT_ROOT = (
    "root can change the code of the application, and escapes from a container more easily"
)
_INSTEAD_OF_ROOT = (
    "Remove the line. `directories` makes folders that the application can write to; put commands"
    " that need root into `instructions.runtime`."
)
_PORT = re.compile(r"([1-9][0-9]{0,4})(?:/(tcp|udp|sctp))?")
_LARGEST_SIGNAL = 64
_LARGEST_PORT = 65535
# Names that containerd's `platforms` package treats as the same.
_PLATFORMS = {
    "linux/arm": "linux/arm/v7",
    "linux/arm64/v8": "linux/arm64",
    "linux/aarch64": "linux/arm64",
    "linux/x86_64": "linux/amd64",
    "linux/i386": "linux/386",
}

# The signals in moby's signal package for Linux.
_SIGNAL_NAME = re.compile(
    "ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT"
    "|STOP|SYS|TERM|TRAP|TSTP|TTIN|TTOU|URG|USR[12]|VTALRM|WINCH|XCPU|XFSZ"
    r"|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?"
)
_SIGNAL_NUMBER = re.compile(r"[1-9]|[1-5][0-9]|6[0-4]")

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_SHORTEST_DURATION, _LONGEST_DURATION = 10**6, 2**63 - 1
_LARGEST_RETRIES = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Healthcheck:
    """A HEALTHCHECK in exec form; None stands for Docker's default."""

    command: tuple[str, ...]
    interval: str | None = None
    timeout: str | None = None
    start_period: str | None = None
    start_interval: str | None = None
    """The interval within the start period, which Docker 25 and newer know."""
    retries: int | None = None


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """Raw Dockerfile lines for the stages that install packages, and for the final stage."""

    build: tuple[str, ...] = ()
    runtime: tuple[str, ...] = ()


def _is_count(value: object) -> bool:
    # All valid numbers are smaller, and Python cannot print a number of thousands of digits.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


@accepts(either(number(1, _LARGEST_ID), STRING))
def user(spot: Spot, value: object) -> str:
    """Read a user: a name, or `uid:gid`; a uid alone is also the gid, which would be 0 in Docker.

    The build checks that the base image has the name, and that it is not root's.
    """
    found = owner(spot, value)
    if found == "root" or found.startswith("0:"):
        raise spot.refuse(value, _WHY_NOT_ROOT, fix=_INSTEAD_OF_ROOT)
    return found


@accepts(either(number(0, _LARGEST_ID), STRING))
def owner(spot: Spot, value: object) -> str:
    """Read the owner of a file: a name, or `uid:gid`; a uid alone is also the gid."""
    content = str(value) if _is_count(value) else line(spot, value)
    if content.startswith("root:"):
        content = "root"
    if _USER_NAME.fullmatch(content):
        return content
    match = _USER.fullmatch(content)
    if not match:
        raise spot.refuse(value, "that is neither a number nor the name of a user")
    uid, gid = int(match[1]), int(match[2] or match[1])
    if max(uid, gid) > _LARGEST_ID:
        raise spot.refuse(value, f"the largest id in Docker is {_LARGEST_ID}")
    return f"{uid}:{gid}"


@accepts(either(number(1, _LARGEST_PORT), STRING))
def port(spot: Spot, value: object) -> str:
    """Read a port for EXPOSE, without `/tcp`."""
    content = str(value) if _is_count(value) else line(spot, value).lower()
    match = _PORT.fullmatch(content)
    if not match or int(match[1]) > _LARGEST_PORT:
        published = ":" in content
        why = "set the host's port with `docker run -p`" if published else "that is not a port"
        raise spot.refuse(value, why)
    return match[1] if match[2] in {None, "tcp"} else content


@accepts(exactly(*MACHINES, *_PLATFORMS))
def platform(spot: Spot, value: object) -> str:
    """Read a platform for `docker build --platform`, and return its usual name."""
    content = line(spot, value)
    usual = _PLATFORMS.get(content, content)
    if usual in MACHINES:
        return usual
    near = nearest(usual)
    fix = f'Did you mean "{near}"?' if near else f"Write one of {', '.join(MACHINES)}."
    raise spot.refuse(value, "there are no Python wheels for that platform", fix=fix)


@accepts(either(number(1, _LARGEST_SIGNAL), STRING))
def stop_signal(spot: Spot, value: object) -> str:
    """Read the number or name of a signal; `term` is completed to `SIGTERM`."""
    content = str(value) if _is_count(value) else line(spot, value).upper()
    if _SIGNAL_NUMBER.fullmatch(content):
        return content
    bare = content.removeprefix("SIG")
    if not _SIGNAL_NAME.fullmatch(bare):
        raise spot.refuse(value, "Linux has no such signal")
    return f"SIG{bare}"


@accepts(matching(_DURATION))
def duration(spot: Spot, value: object) -> str:
    """Read a duration in Go's notation."""
    if _is_count(value):
        raise spot.refuse(value, "the unit is missing")
    content = line(spot, value)
    if not _DURATION.fullmatch(content):
        raise spot.refuse(value, "that is not a number with a unit (ms, s, m or h)")
    parts = _DURATION_PART.findall(content)
    total = sum(float(number) * _NANOSECONDS[unit] for number, unit in parts)
    if not _SHORTEST_DURATION <= total < _LONGEST_DURATION:
        raise spot.refuse(value, "Docker accepts durations from 1ms to 292 years")
    return content


@accepts(number(1, _LARGEST_RETRIES))
def retries(spot: Spot, value: object) -> int:
    """Read the number of failures after which a container is unhealthy."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST_RETRIES:
        raise spot.refuse(value, "that is not a number of failures")
    return int(value)


@accepts(command.schema)
def health_command(spot: Spot, value: object) -> tuple[str, ...]:
    """Read the command of a health check: exec form, without the first word that Compose has."""
    words = argv(spot, value)
    if not words:
        raise spot.refuse(
            value, "the command is empty; to disable the check, write `healthcheck = false`"
        )
    if words[0] in {"CMD", "CMD-SHELL", "NONE"}:
        why = "CMD, CMD-SHELL and NONE are Compose syntax; the list must start with the program"
        raise spot.refuse(value, why)
    return words


_TAKES_DURATION = 'a duration such as "30s" or "1m30s"'
_HEALTHCHECK = table(
    {
        "command": (health_command, "a list: the program and its arguments"),
        "interval": (duration, _TAKES_DURATION),
        "timeout": (duration, _TAKES_DURATION),
        "start-period": (duration, _TAKES_DURATION),
        "start-interval": (duration, _TAKES_DURATION),
        "retries": (retries, "a number, 1 or more, without quotes"),
    },
    required=("command",),
)


@accepts(either(FALSE, health_command.schema, _HEALTHCHECK.schema))
def healthcheck(spot: Spot, value: object) -> Healthcheck | Literal[False]:
    """Read a health check; `false` disables that of the base image."""
    if isinstance(value, bool):
        if value:
            raise spot.refuse(value, "the command is missing")
        return False
    if isinstance(value, str | list | tuple):
        return Healthcheck(command=health_command(spot, value))
    return Healthcheck(**_HEALTHCHECK(spot, value))


@accepts(array(STRING))
def dockerfile_lines(spot: Spot, value: object) -> tuple[str, ...]:
    """Read Dockerfile lines that do not change the meaning of the lines after them.

    They must not start another stage, and must end as root. A continuation (a backslash) or a
    here-document must end within them; otherwise the following lines would become part of it.
    """
    lines = list_of(line)(spot, value)
    ends: list[tuple[str, bool]] = []
    is_first, keyword = True, ""
    users: dict[int, str] = {}
    for index, content in enumerate(lines):
        if ends and is_first:
            end, tabs = ends[0]
            if (content.lstrip("\t") if tabs else content) == end:
                ends.pop(0)
            continue
        if not content.strip():
            raise spot.item(index).refuse(content, "the line is empty")
        if content.lstrip().startswith("#"):
            continue
        if is_first:
            keyword = content.split()[0].upper()
            if keyword == "FROM":
                why = "FROM would start another stage, without the rest of the image"
                raise spot.item(index).refuse(content, why)
            users |= {index: content} if keyword == "USER" else {}
        is_first = not CONTINUATION.search(content)
        if keyword in HEREDOC_INSTRUCTIONS:
            ends += [(match[3], match[1] == "-") for match in HEREDOC.finditer(content)]
    if lines and (ends or not is_first):
        opened = f"the here-document {ends[0][0]}" if ends else "the continuation (`\\` at its end)"
        raise spot.item(len(lines) - 1).refuse(lines[-1], f"{opened} does not end within the list")
    _refuse_other_user(spot, users)
    return lines


def _refuse_other_user(spot: Spot, users: Mapping[int, str]) -> None:
    """Raise SettingsError if the last USER, by the index of its line, is not root."""
    index, content = max(users.items(), default=(0, "USER 0"))
    if not re.fullmatch(r"\s*USER\s+(root|0)(:\w+)?\s*", content, re.IGNORECASE):
        why = (
            "the build continues as root. Remove the line, since `user` sets the user of the"
            " container, or add `USER 0` at the end"
        )
        raise spot.item(index).refuse(content, why)


_LINES = (dockerfile_lines, "a list of Dockerfile lines")
_INSTRUCTIONS = table({"build": _LINES, "runtime": _LINES})


@accepts(_INSTRUCTIONS.schema)
def instructions(spot: Spot, value: object) -> Instructions:
    """Read raw Dockerfile lines for the two kinds of stages."""
    return Instructions(**_INSTRUCTIONS(spot, value))


_IMAGE_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


@accepts(STRING)
def repository(spot: Spot, value: object) -> str:
    """Read the repository name of the image."""
    content = line(spot, value)
    if is_repository(content):
        return content
    why = "that is not a repository name"
    if "://" in content:
        why = "a repository name has no scheme"
    elif is_reference(content):
        why = "leave out the tag: it is the project's version, or set with `-t`"
    elif is_reference(content.lower()):
        why = "it must be in lower case"
    raise spot.refuse(value, why)


@accepts(STRING)
def reference(spot: Spot, value: object) -> str:
    """Read an image reference."""
    content = line(spot, value)
    if not is_reference(content):
        raise spot.refuse(value, "that is not a valid image reference")
    return content


@accepts(STRING)
def base_image(spot: Spot, value: object) -> str:
    """Read an image reference in which `{python}` stands for the version."""
    content = line(spot, value)
    filled = content.replace("{python}", "3.12")
    if "{" in filled or "}" in filled:
        raise spot.refuse(value, "`{python}` is the only placeholder")
    if not is_reference(filled):
        raise spot.refuse(value, "that is not a valid image reference")
    return content


@accepts(either(FALSE, STRING))
def syntax(spot: Spot, value: object) -> str | Literal[False]:
    """Read the frontend: an image, "auto", or `false` for no `# syntax` line."""
    if value is False:
        return False
    if value is True:
        raise spot.refuse(value, 'that does not name a frontend; "auto" is the default')
    return reference(spot, value)


# The schema of the whole table says what is in each of them.
@accepts(named({"type": "object"}, _IMAGE_NAME))
def image_names(spot: Spot, value: object) -> tuple[str, ...]:
    """Read the names of several images, sorted; `settings.image_tables` reads their tables."""
    found = entries(spot, value)
    for name, content in found.items():
        here = spot.entry(name)
        why = ""
        if not _IMAGE_NAME.fullmatch(name):
            why = "the name must be lower-case letters and digits, with single - or _ between them"
        elif name == "default":
            why = "`docker buildx bake` uses that name for all images"
        elif not isinstance(content, Mapping):
            why = f"that is {kind(content)}, not a table"
        if why:
            raise here.refuse(content, why)
    return tuple(sorted(found))
