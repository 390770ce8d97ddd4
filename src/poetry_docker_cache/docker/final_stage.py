"""What a Dockerfile says about its last stage: the start command, and what it depends on."""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.dockerfile_syntax import instructions

if TYPE_CHECKING:
    from collections.abc import Mapping

Command = tuple[str, ...] | str
"""The exec form as words, or the shell form as text."""

_VARIABLE = re.compile(r"(?<!\\)\$(?:(\w+)|\{(\w+)(?::?([-+])([^}]*))?\})")
# In a shell, the words of CMD are `$0` and `$@`: the same as the exec form of the program alone.
_PASSES_ALL = re.compile(r"([\w./-]+)\s+\"?\$0\"?\s+\"?\$@\"?")
_EXPOSED = re.compile(r"\d+(?:/(?:tcp|udp))?")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a Dockerfile, with what it inherits from the stage that it is based on."""

    base: str
    """The image that it is based on, also through other stages."""
    workdir: str = "/"
    variables: Mapping[str, str] = field(default_factory=dict)
    """The variables of ENV."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """The variables of ARG with a default."""
    entrypoint: Command = ()
    command: Command = ()
    exposed: tuple[str, ...] = ()
    copied: tuple[tuple[str, str], ...] = ()
    """Path in the build context, and absolute path in the image."""

    def origin(self, path: str) -> str | None:
        """Return the path in the build context of an absolute path in the image; None if unknown.

        >>> Stage(base="", copied=(("src", "/app"),)).origin("/app/shop")
        'src/shop'
        """
        for source, target in reversed(self.copied):
            inner = posixpath.relpath(path, target)
            if inner != ".." and not inner.startswith("../"):
                return posixpath.normpath(posixpath.join(source, inner))
        return None


def final_stage(text: str) -> Stage | None:
    """Read the last stage of a Dockerfile; None without `FROM`."""
    outer: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    sets_command = False
    names: list[str] = []
    for line in instructions(text):
        keyword, rest = [*line.strip().split(None, 1), ""][:2]
        keyword = keyword.upper()
        if keyword == "FROM":
            _keep(stages, names, stage)
            words = [word for word in rest.split() if not word.startswith("--")]
            image = expand(words[0], outer) if words else ""
            stage = (
                replace(stages[image.lower()], arguments={}) if image.lower() in stages else None
            )
            stage = stage or Stage(base=image)
            names = [words[-1].lower()] if len(words) > 1 else []
            sets_command = False
        elif keyword == "ARG" and stage is None:
            outer.update(assignments(rest, outer))
        elif stage is not None:
            resets = keyword == "ENTRYPOINT" and not sets_command
            stage = _read(
                replace(stage, command=()) if resets else stage, keyword, rest, outer, stages
            )
            sets_command = sets_command or keyword == "CMD"
    return stage


def _keep(stages: dict[str, Stage], names: list[str], stage: Stage | None) -> None:
    if stage is not None:
        number = sum(name.isdecimal() for name in stages)
        stages.update(dict.fromkeys([*names, str(number)], stage))


def _read(
    stage: Stage, keyword: str, rest: str, outer: Mapping[str, str], stages: Mapping[str, Stage]
) -> Stage:
    known = {**stage.arguments, **stage.variables}
    match keyword:
        case "ENV":
            stage = replace(stage, variables={**stage.variables, **assignments(rest, known)})
        case "ARG":
            given = {name: outer[name] for name in rest.split() if name in outer}
            given.update(assignments(rest, known))
            stage = replace(stage, arguments={**stage.arguments, **given})
        case "WORKDIR":
            stage = replace(stage, workdir=_place(stage, expand(rest.strip("\"'"), known)))
        case "EXPOSE":
            words = expand(rest, known).split()
            ports = [word.removesuffix("/tcp") for word in words if _EXPOSED.fullmatch(word)]
            stage = replace(stage, exposed=tuple(dict.fromkeys((*stage.exposed, *ports))))
        case "COPY" | "ADD":
            copied = _copied(stage, rest, known, stages)
            stage = replace(stage, copied=(*stage.copied, *copied))
        case "CMD":
            stage = replace(stage, command=_command(rest))
        case "ENTRYPOINT":
            passing = _PASSES_ALL.fullmatch(rest)
            entrypoint = (passing[1],) if passing else _command(rest)
            stage = replace(stage, entrypoint=entrypoint)
    return stage


def _place(stage: Stage, path: str) -> str:
    return posixpath.normpath(posixpath.join(stage.workdir, path))


def _copied(
    stage: Stage, rest: str, known: Mapping[str, str], stages: Mapping[str, Stage]
) -> list[tuple[str, str]]:
    listed = _command(re.sub(r"^(--\S+\s+)*", "", rest))
    words = (
        [*listed] if isinstance(listed, tuple) else [word.strip("\"'") for word in listed.split()]
    )
    if len(words) < 2:  # noqa: PLR2004  # source and target
        return []
    *sources, target = (expand(word, known) for word in words)
    other = re.search(r"--from=(\S+)", rest)
    origin = stages.get(other[1].lower()) if other else None
    found = []
    for source in sources:
        path: str | None = posixpath.normpath(source.lstrip("/") or ".")
        if other:
            path = origin.origin(posixpath.normpath(source)) if origin else None
        if path is None:
            continue
        # A folder's content is copied, a file keeps its name in a folder.
        named = "." in posixpath.basename(path)[1:] and not origin
        into = target.endswith("/") or len(sources) > 1 or target in (".", "..")
        inner = posixpath.basename(path) if named and into else ""
        found.append((path, _place(stage, posixpath.join(target, inner))))
    return found


def _command(rest: str) -> Command:
    if match := re.fullmatch(r"(\[.*\])(?:\s+#.*)?", rest):
        with contextlib.suppress(json.JSONDecodeError):
            words = json.loads(match[1])
            if all(isinstance(word, str) for word in words):
                return tuple(words)
    return rest


def assignments(rest: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that ENV or ARG sets; an ARG without a default sets none."""
    if not re.match(r"\w+=", rest):  # `ENV NAME value`, or `ARG NAME`
        name, _, value = rest.partition(" ")
        return {name: expand(value.strip().strip("\"'"), known)} if value.strip() else {}
    try:
        words = shlex.split(rest)
    except ValueError:
        return {}
    pairs = (word.partition("=") for word in words)
    return {name: expand(value, known) for name, equals, value in pairs if equals}


def expand(text: str, known: Mapping[str, str]) -> str:
    """Fill in variables; unknown ones stay as they are.

    >>> expand("python:${VERSION}-$SUITE-${A:-b}", {"VERSION": "3.12"})
    'python:3.12-$SUITE-b'
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if match[3] == "+":
            return match[4] if known.get(name) else ""
        return known.get(name) or (match[4] if match[3] else match[0])

    return _VARIABLE.sub(value, text)
