"""Command lines of Procfiles and Dockerfiles, as far as they can run in another image. Pure."""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PORT = "\N{BULLET}port\N{BULLET}"
"""Stands for the port that the image listens on, which the settings may name."""
SHELLS = ("sh", "bash", "dash", "ash")
_USUAL = {"PORT": PORT, "HOST": "0.0.0.0"}  # noqa: S104  # all addresses of the container
# These only wrap the program: package managers, and init processes (see `docker run --init`).
_RUNNERS = ("poetry", "uv", "pipenv", "pdm", "hatch", "rye")
_WRAPPERS = ("exec", "tini", "dumb-init", "catatonit")
_DEVELOPMENT = {
    "flask": ("run",),
    "fastapi": ("dev",),
    "django-admin": ("runserver",),
    "manage.py": ("runserver", "runserver_plus", "shell", "test"),
}
_TOOLS = {
    *("bash", "black", "debugpy", "ipython", "jupyter", "mypy", "nodemon", "nox", "ptw", "pytest"),
    *("ruff", "sleep", "tail", "tox", "watchfiles", "watchmedo"),
}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_SYNTAX = re.compile(r"[\\\"'`$;&|<>(){}#]")
_OPTION = re.compile(r"--[\w-]+ ")
_SINGLE_QUOTED = re.compile(r"('[^']*')")
_NAMED = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
_DEFAULT = re.compile(r"\$\{\w+:?-([^${}]*)\}")
_PORT_OPTIONS = re.compile(
    r"(?:--port|-p|--bind|-b|--listen|--http|--http-socket|--socket|--server\.port)"
    rf"(?:=|\s+)(?:\S*:)?(\d+|{PORT})(?=\s|$)"
)


class UnclearError(Exception):
    """The reason why a command line cannot be used in another image."""


class DevelopmentError(UnclearError):
    """The reason if the command is for development."""


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """One command, or several that run one after the other."""

    commands: tuple[tuple[str, ...], ...]
    """The words of each, with defaults for variables."""
    texts: tuple[str, ...] = ()
    """The same for a shell; empty if no shell is needed."""
    folder: str = "."
    """The folder that it changes to first."""
    changes: tuple[str, ...] = ()
    """Options that were removed, since an image does not need them."""

    @property
    def last(self) -> tuple[str, ...]:
        """The words of the command that keeps running."""
        return self.commands[-1]


def parse_line(given: Sequence[str] | str, variables: Mapping[str, str]) -> CommandLine:
    """Read a command in exec form (words) or shell form (text), with the values of variables.

    Raises UnclearError if it cannot be used in another image.
    """
    if not isinstance(given, str):
        # Docker does not split a word, but a script that gets it may.
        split = [
            part
            for word in given
            for part in (word.split(" ", 1) if _OPTION.match(word) else [word])
        ]
        words = _without_wrappers(split)
        if (
            posixpath.basename(words[0] if words else "") not in SHELLS
            or not words[2:]
            or (words[1] not in ("-c", "-ec"))
        ):
            return _checked(CommandLine(commands=(tuple(words),)))
        given = words[2]
    text = _with_defaults(" ".join(given.split()), variables)
    texts: list[str] = []
    folder = "."
    for part in _parts(text):
        words = _split(_filled(part))
        if words[:1] == ["cd"] and len(words) == 2 and not texts:  # noqa: PLR2004  # cd FOLDER
            folder = posixpath.join(folder, words[1])
        elif words:
            rest = _without_wrappers(words)
            given = part.split(" ")
            before = len([*itertools.takewhile(_ASSIGNMENT.match, words)])
            after = before + len(words) - len(rest)
            texts.append(" ".join([*given[:before], *given[after:]]))
    line = CommandLine(
        commands=tuple(tuple(_split(_filled(part))) for part in texts),
        texts=tuple(texts),
        folder=folder,
    )
    line = _checked(line)
    plain = len(texts) == 1 and not re.search(r"[$*?~]|^\w+=", texts[0])
    return replace(line, texts=()) if plain else line


def _with_defaults(text: str, variables: Mapping[str, str]) -> str:
    """Give each variable a default, outside single quotes."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        default = variables.get(name) or _USUAL.get(name)
        if not default or _SYNTAX.search(default):  # the shell does not parse values, but defaults
            raise UnclearError(f"needs the variable {name}")
        return f"${{{name}:-{default}}}"

    parts = _SINGLE_QUOTED.split(text)
    return "".join(part if part.startswith("'") else _NAMED.sub(value, part) for part in parts)


def _filled(text: str) -> str:
    """Replace variables by their defaults, the innermost first."""
    while (filled := _DEFAULT.sub(r"\1", text)) != text:
        text = filled
    return text


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UnclearError("has a quote that is not closed") from error


def _parts(text: str) -> list[str]:
    """Split at `&&` and `;`. Raises UnclearError for other syntax of a shell."""
    parts, quote, start, at = [], "", 0, 0
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 1
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif text.startswith("&&", at) or letter == ";":
            parts.append(text[start:at])
            at += letter == "&"
            start = at + 1
        elif letter in "|&<>`()":
            raise UnclearError(f"uses the shell syntax `{letter}`")
        at += 1
    if "$(" in text or "$@" in text or "$*" in text or re.search(r"\$\d", text):
        raise UnclearError("uses arguments of a shell, or the output of a command")
    return [part.strip() for part in (*parts, text[start:])]


def _without_wrappers(words: list[str]) -> list[str]:
    """Remove `poetry run`, `exec`, `tini --` and their options from the start."""
    before = [*itertools.takewhile(_ASSIGNMENT.match, words)]
    words = words[len(before) :]
    while words:
        name = posixpath.basename(words[0])
        if words[0].startswith("python") and words[1:3] == ["-m", "poetry"]:
            words = words[2:]
        elif name in _RUNNERS and "run" in words:
            if any(not word.startswith("-") for word in words[1 : words.index("run")]):
                break
            words = words[words.index("run") + 1 :]
            while words and words[0].startswith("-"):
                words = words[1:]
        elif name in _WRAPPERS:
            words = words[1:]
            while words and words[0].startswith("-"):
                words = words[1:]
        else:
            break
    return [*before, *words]


def _checked(line: CommandLine) -> CommandLine:
    """Remove `--reload`. Raises UnclearError for a development server, or without a command."""
    commands = tuple(tuple(word for word in words if word != "--reload") for words in line.commands)
    texts = tuple(re.sub(r" --reload(?= |$)", "", text) for text in line.texts)
    changes = ("--reload",) if commands != line.commands else ()
    if not commands or not all(commands):
        raise UnclearError("has no command")
    for words in commands:
        if reason := _development(program_words(words)):
            raise DevelopmentError(f"starts a development server or tool (`{reason}`)")
    return replace(line, commands=commands, texts=texts, changes=changes)


def program_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the program's name and its arguments, without assignments and `python -m`."""
    rest = [*words]
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] == "env"):
        rest = rest[1:]
    return (posixpath.basename(rest[0]), *rest[1:]) if rest else ()


def _development(words: tuple[str, ...]) -> str | None:
    program, rest = words[0] if words else "", words[1:]
    if re.fullmatch(r"python[\d.]*", program):
        while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
            rest = rest[1:]
        rest = rest[1:] if rest[:1] == ("-m",) else rest
        program, rest = (posixpath.basename(rest[0]), rest[1:]) if rest else (program, ())
        if not rest and re.fullmatch(r"python[\d.]*", program):
            return program
    if program in SHELLS:
        return program if not rest else None
    if program in _TOOLS:
        return program
    for word in _DEVELOPMENT.get(program, ()):
        if word in rest:
            return f"{program} {word}"
    return next((word for word in rest if word == "--debug" or word.startswith("--reload-")), None)


def port_of(words: Sequence[str]) -> str | None:
    """Return the port that a command names, or PORT; None if it names none."""
    text = " ".join(words)
    found = _PORT_OPTIONS.findall(text)
    found += re.findall(rf"(?<=\s)[\w.\[\]]*:(\d+|{PORT})(?=\s|$)", text)
    return str(found[0]) if found else None
