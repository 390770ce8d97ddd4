"""CMD and ENTRYPOINT: the start command in the new image."""

from __future__ import annotations

import contextlib
import posixpath
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside, outermost
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.migrate.outcomes import Outcome, left_over, unneeded
from poetry_docker_cache.plan.start_command import Start, choose_start
from poetry_docker_cache.project.command_lines import SHELLS
from poetry_docker_cache.settings.setting_errors import SettingsError
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry_docker_cache.docker.final_stage import Command
    from poetry_docker_cache.project.model import Project, StatedStart

_INITS = ("tini", "dumb-init", "catatonit", "s6-svscan", "docker-init")


@dataclass(frozen=True, kw_only=True)
class StatedStarts:
    """What a Dockerfile starts, as it is written and as the project's files explain it."""

    entrypoint: Command = ()
    command: Command = ()
    both: StatedStart | None = None
    """The start command as a whole."""
    first: StatedStart | None = None
    """The entrypoint alone."""
    rest: StatedStart | None = None
    """The command alone."""
    health: StatedStart | None = None
    """The command of HEALTHCHECK."""


@dataclass(frozen=True, kw_only=True)
class Starts:
    """What becomes of CMD and ENTRYPOINT."""

    command: Outcome
    entrypoint: Outcome
    paths: tuple[str, ...] = ()
    """The files of the project that the start command needs."""
    idle: str | None = None
    """The script of an ENTRYPOINT that only starts CMD."""
    texts: str = ""
    """The commands and the scripts that they run."""
    health: tuple[str, ...] | None = None
    """The command of the health check."""
    health_problem: str = ""
    """Why it cannot be used."""


def read_starts(
    stated: StatedStarts, project: Project, installed: Collection[str], ports: Sequence[object]
) -> Starts:
    """Translate CMD and ENTRYPOINT; `ports` are those of EXPOSE."""
    reader = _Reader(stated, project, installed, ports)
    command, entrypoint = reader.read()
    known = (stated.both, stated.first, stated.rest)
    paths = tuple(dict.fromkeys(path for start in reader.used for path in start.paths))
    evidence = [start.evidence for start in known if start and start.evidence]
    health, problem = reader.start(stated.health)
    return Starts(
        command=command,
        entrypoint=entrypoint,
        paths=paths,
        texts="\n".join(evidence),
        health=health.command if health else None,
        health_problem=problem,
    )


class _Reader:
    def __init__(
        self,
        stated: StatedStarts,
        project: Project,
        installed: Collection[str],
        ports: Sequence[object],
    ) -> None:
        self._stated = stated
        self._project = project
        self._installed = installed
        self._settings = Settings()
        with contextlib.suppress(SettingsError):  # EXPOSE is left over if it is not a port
            self._settings = Settings.parse({"ports": [*ports]})
        self.used: list[StatedStart] = []

    def read(self) -> tuple[Outcome, Outcome]:
        """Return the outcomes of CMD and of ENTRYPOINT."""
        stated = self._stated
        entrypoint = _without_init(stated.entrypoint)
        init = entrypoint != stated.entrypoint or _without_init(stated.command) != stated.command
        extra: tuple[tuple[str, object], ...] = (("init", True),) if init else ()
        if not entrypoint or _is_shell(entrypoint):
            done = Outcome(settings=extra) if extra else unneeded("it only starts CMD")
            return self._command(stated.rest if not entrypoint else stated.both, extra), done
        both, problem = self.start(stated.both)
        if both is None:
            command = (
                self._command(stated.rest, ()) if stated.command else unneeded("it has no effect")
            )
            return command, left_over(f"It {problem}. {_ADVICE}")
        if not stated.command:
            return unneeded("it has no effect"), self._set("entrypoint", both, stated.both, extra)
        first, _ = self.start(stated.first)
        parts = first.command if first else ()
        if first and both.command[: len(parts)] == parts and len(both.command) > len(parts):
            rest = replace(both, command=both.command[len(parts) :])
            return (
                self._set("command", rest, stated.both, ()),
                self._set("entrypoint", first, stated.first, extra),
            )
        whole = self._set("command", both, stated.both, extra)
        return whole, unneeded("part of `command`")

    def _command(
        self, stated: StatedStart | None, extra: tuple[tuple[str, object], ...]
    ) -> Outcome:
        start, problem = self.start(stated)
        if start is None:
            return left_over(f"It {problem}. {_ADVICE}" if problem else _ADVICE)
        return self._set("command", start, stated, extra)

    def _set(
        self,
        key: str,
        start: Start,
        stated: StatedStart | None,
        extra: tuple[tuple[str, object], ...],
    ) -> Outcome:
        files: list[str] = []
        if stated:
            self.used.append(stated)
            default = self._project.files
            files = [
                path
                for path in stated.paths
                if default is not None and not is_inside(path, default)
            ]
        ports = tuple(int(port) if port.isdecimal() else port for port in start.ports)
        added = [("ports", [*ports])] if ports else []
        environment = [("env", dict(start.environment))] if start.environment else []
        beside = [("files", files)] if files else []
        return Outcome(settings=((key, [*start.command]), *added, *environment, *beside, *extra))

    def start(self, stated: StatedStart | None) -> tuple[Start | None, str]:
        """Return the command in the new image, or why it cannot be used."""
        if stated is None:
            return None, ""
        if stated.problem:
            return None, stated.problem
        files = self._project.files
        if files is not None:
            files = outermost((*files, *stated.paths))
        project = replace(self._project, stated_starts=(stated,), files=files)
        try:
            choice = choose_start(project, self._settings, self._installed, has_shell=True)
        except DockerCacheError as error:
            return None, error.problem
        if choice.problems:
            return None, choice.problems[0].partition(": it ")[2]
        start = choice.start
        if start is None or not start.source.startswith(stated.file):
            return None, "is not clear"
        return start, ""


_ADVICE = (
    "Set `command` to the program and its arguments. A script that only waits or migrates can go to"
    " your deployment."
)


def _without_init(command: Command) -> Command:
    """Return the command after an init process."""
    if isinstance(command, str):
        match = re.match(rf"(?:\S*/)?(?:{'|'.join(_INITS)})\s+(?:-\S+\s+)*(.*)", command)
        return match[1] if match else command
    words = [*command]
    if words and posixpath.basename(words[0]) in _INITS:
        words = words[1:]
        while words and words[0].startswith("-"):
            words = words[1:]
        return tuple(words)
    return command


def _is_shell(command: Command) -> bool:
    """Whether an entrypoint only starts the command in a shell or by Poetry."""
    try:
        words = shlex.split(command) if isinstance(command, str) else [*command]
    except ValueError:
        return False
    name = posixpath.basename(words[0]) if words else ""
    return words == ["poetry", "run"] or (
        name in SHELLS and all(w.startswith("-") for w in words[1:])
    )
