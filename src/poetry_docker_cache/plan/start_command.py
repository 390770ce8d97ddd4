"""The default start command: the first step that finds exactly one. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.ignore_patterns import hiding_line, is_inside, parse
from poetry_docker_cache.plan.programs import has_program
from poetry_docker_cache.project.command_lines import PORT, port_of
from poetry_docker_cache.project.model import UNLIKELY, WheelRoot
from poetry_docker_cache.project.selection import DEVELOPMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from poetry_docker_cache.project.model import App, AppKind, Project, StatedStart
    from poetry_docker_cache.settings.table import Settings

_PORT = "8000"
_AIOHTTP_PORT = "8080"
_ALL = "0.0.0.0"  # noqa: S104  # all addresses of the container
_ADDRESS = ("--host", _ALL, "--port", "{port}")
# By kind of application, then by package, the likeliest first.
_SERVERS: dict[str, dict[str, tuple[str, ...]]] = {
    "asgi": {
        "uvicorn": ("uvicorn", "{app}", *_ADDRESS),
        "hypercorn": ("hypercorn", "{app}", "--bind", f"{_ALL}:{{port}}"),
        "granian": ("granian", "--interface", "asgi", "{app}", *_ADDRESS),
        "daphne": ("daphne", "-b", _ALL, "-p", "{port}", "{app}"),
        "fastapi-cli": ("fastapi", "run", "{path}", *_ADDRESS),
    },
    "wsgi": {
        "gunicorn": ("gunicorn", "{app}", "--bind", f"{_ALL}:{{port}}"),
        "waitress": ("waitress-serve", f"--listen={_ALL}:{{port}}", "{app}"),
        "granian": ("granian", "--interface", "wsgi", "{app}", *_ADDRESS),
        "uwsgi": ("uwsgi", f"--http={_ALL}:{{port}}", "--module", "{app}"),
    },
    "aiohttp": {
        "gunicorn": (
            *("gunicorn", "{app}", "--bind", f"{_ALL}:{{port}}"),
            *("--worker-class", "aiohttp.GunicornWebWorker"),
        ),
    },
    "sanic": {"sanic": ("sanic", "{app}", *_ADDRESS)},
    "streamlit": {
        "streamlit": (
            *("streamlit", "run", "{app}", f"--server.address={_ALL}", "--server.port={port}"),
            "--server.headless=true",
        ),
    },
    "gradio": {"gradio": ("python", "-m", "{app}")},
}
_STATED = 2
"""The number of steps that read commands which the project states."""
# With one of these, an application of the kind `web` uses ASGI.
_ASGI_FRAMEWORKS = {"fastapi", "litestar", "quart", "starlette"}
_WORKERS: dict[str, tuple[str, ...]] = {
    "celery": ("celery", "-A", "{app}", "worker", "--loglevel=info"),
    "arq": ("arq", "{app}"),
    "dramatiq": ("dramatiq", "{app}"),
    "rq": ("rq", "worker"),
}
# The option with which a server accepts a factory function; for others the target is a call.
_FACTORY_OPTIONS = {"uvicorn": "--factory", "granian": "--factory", "waitress": "--call"}
# What a server needs to listen on all addresses, and options that already say where it listens.
_LISTENING: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "uvicorn": (("--host", _ALL), ("--host", "--uds", "--fd")),
    "granian": (("--host", _ALL), ("--host",)),
    "sanic": (("--host", _ALL), ("--host", "-H", "--unix")),
    "daphne": (("-b", _ALL), ("-b", "--bind", "-u", "-e", "--endpoint", "--fd")),
    "hypercorn": (("--bind", f"{_ALL}:{PORT}"), ("-b", "--bind", "-c", "--config")),
    "gunicorn": (("--bind", f"{_ALL}:{PORT}"), ("-b", "--bind", "-c", "--config")),
    "streamlit": ((f"--server.port={PORT}",), ("--server.port",)),
}

_GENERIC = {
    *(words[0] for servers in _SERVERS.values() for words in servers.values()),
    *(words[0] for words in _WORKERS.values()),
    *("run", "worker", "wsgi", "asgi", "aiohttp.GunicornWebWorker"),
    *("uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker"),
}
"""Words of a command that do not say which application it starts."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """A command that may start the application."""

    command: tuple[str, ...]
    source: str = ""
    """The reason for it: the file that says so."""
    ports: tuple[str, ...] = ()
    """The ports that it listens on, if the settings do not have them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str | None = None
    """The package that it needs but the image lacks."""
    group: str | None = None
    """The group with this package, which the image does not install."""

    def __str__(self) -> str:
        """The settings to paste."""
        text = f"`command = {json.dumps(self.command, ensure_ascii=False)}`"
        text += f" and `ports = [{', '.join(self.ports)}]`" if self.ports else ""
        if self.group:
            return f"{text} with `--with {self.group}`"
        return text + (f" after `poetry add {self.missing}`" if self.missing else "")


@dataclass(frozen=True, kw_only=True)
class StartChoice:
    """The start command of an image, if there is exactly one, with what explains it."""

    start: Start | None
    proposals: tuple[Start, ...] = ()
    """Commands to choose from, without a start."""
    problems: tuple[str, ...] = ()
    """Why commands that the project states are not used."""


def choose_start(
    project: Project, settings: Settings, installed: Collection[str], *, has_shell: bool
) -> StartChoice:
    """Choose the command of the first step that finds any, if it finds exactly one.

    `installed` are the names of the packages in the image.
    """
    choice = _Choice(project=project, settings=settings, installed={*installed}, shell=has_shell)
    stated = [*project.stated_starts]
    steps: tuple[Callable[[], list[Start]], ...] = (
        lambda: choice.stated([start for start in stated if start.file == "Procfile"]),
        lambda: choice.stated([start for start in stated if start.file != "Procfile"]),
        choice.named_script,
        choice.web,
        choice.lone_script,
        choice.python,
        choice.worker,
    )
    for number, step in enumerate(steps):
        starts = step() if number < _STATED else filter(choice.is_confirmed, step())
        found = list({start.command: start for start in starts}.values())
        if len(found) == 1:
            return StartChoice(start=found[0], problems=choice.problems)
        if found:
            return StartChoice(start=None, proposals=tuple(found), problems=choice.problems)
    return StartChoice(start=None, proposals=choice.proposals(), problems=choice.problems)


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """The inputs of all steps."""

    project: Project
    settings: Settings
    installed: set[str]
    shell: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """The reasons against commands that the project states."""
        reasons = [
            (start.file, self._reason_against(start)) for start in self.project.stated_starts
        ]
        return tuple(f"{file}: it {reason}" for file, reason in reasons if reason)

    def stated(self, starts: Sequence[StatedStart]) -> list[Start]:
        """The commands that a file of the project states."""
        return [self._of(start) for start in starts if not self._reason_against(start)]

    def is_confirmed(self, start: Start) -> bool:
        """Whether the unusable commands that the project states, if any, mention this one."""
        texts = [
            stated.evidence
            for stated in self.project.stated_starts
            if stated.evidence and self._reason_against(stated)
        ]
        names = [name for word in start.command for name in _names(word)]
        return not texts or any(re.search(name, text) for name in names for text in texts)

    def named_script(self) -> list[Start]:
        """The only console script, if it is named like the project."""
        names = self._scripts()
        name = canonicalize_name(self.project.metadata.name or "")
        return [
            start
            for start in names
            if len(names) == 1 and canonicalize_name(start.command[0]) == name
        ]

    def lone_script(self) -> list[Start]:
        """The console scripts that are not development tools."""
        tool = f"{canonicalize_name(self.project.metadata.name or '')}-cli"
        return [start for start in self._scripts() if canonicalize_name(start.command[0]) != tool]

    def web(self) -> list[Start]:
        """The commands that serve the likeliest applications, with an installed server."""
        conf = self.project.gunicorn or ""
        target = re.search(r"^wsgi_app\s*=\s*[\"']([^\"']+)", conf, re.MULTILINE)
        if target and "gunicorn" in self.installed:
            return [self._started(("gunicorn",), "gunicorn.conf.py")]
        found = [self._served(app) for app in self._likeliest(_SERVERS.keys() | {"web"})]
        return [start for start in found if start and not start.missing]

    def python(self) -> list[Start]:
        """What Python itself starts: a package with `__main__.py`, or a file."""
        return [] if self._best_rank({"python"}) == UNLIKELY else self._programs()

    def _programs(self) -> list[Start]:
        best = self._best_rank({"python"})
        return [
            Start(
                command=("python", *app.target.split(" ")), source=app.path or "its `__main__.py`"
            )
            for app in self._apps({"python"})
            if app.rank == best
        ]

    def _best_rank(self, kinds: Collection[str]) -> int:
        return min((app.rank for app in self._apps(kinds)), default=0)

    def worker(self) -> list[Start]:
        """The commands of workers whose package is installed."""
        return [
            Start(
                command=tuple(word.format(app=app.target) for word in _WORKERS[app.kind]),
                source=f"{app.kind} in {app.path}",
            )
            for app in self._apps(_WORKERS.keys())
            if app.kind in self.installed
        ]

    def proposals(self) -> tuple[Start, ...]:
        """The likeliest application with the server that is not installed, or a file to start."""
        found = [self._served(app) for app in self._likeliest(_SERVERS.keys() | {"web"})]
        return tuple(start for start in (*found, *self._programs()) if start)[:1]

    # The stated commands.

    def _reason_against(self, start: StatedStart) -> str | None:
        if start.problem:
            return start.problem
        for name in start.programs:
            if not has_program(name, self.installed, self._script_names()):
                return f"runs `{name.removeprefix('-m ')}`, which the image does not have"
        for path in start.paths:
            if not self._holds(path):
                return f"needs {path}, which `files` does not have"
        if not self.shell and not start.words:
            return "needs a shell, which the base image does not have"
        return None

    def _of(self, start: StatedStart) -> Start:
        exposed = [port for port in start.ports if port != PORT]
        tcp = [*self._ports(), *(port for port in exposed if port.isdecimal())]
        port = next(iter(tcp), _PORT)
        extra = self._listening(start.last)
        uses_shell = start.shell and (self.shell or not start.words)
        words = ("sh", "-c", " ".join((start.shell, *extra))) if uses_shell else start.words + extra
        command = tuple(word.replace(PORT, port) for word in words)
        configured = {"-c", "--config"} & {word.partition("=")[0] for word in start.last}
        known = _server_of(start.last) in _LISTENING and not configured
        serves = bool(start.ports or extra) or known
        if serves and not exposed:
            exposed = [port_of(command) or port]
        source = start.file
        if start.changes:
            source += f", without {' and '.join(start.changes)}"
        return Start(
            command=command,
            source=source,
            ports=self._new(tuple(exposed)),
            environment=self._environment_of(start, port),
        )

    def _environment_of(self, start: StatedStart, port: str) -> Mapping[str, str]:
        """What Gradio needs to listen on all addresses."""
        gradio = any(app.kind == "gradio" and app.path in start.paths for app in self.project.apps)
        return _gradio(port) if gradio else {}

    def _listening(self, words: Sequence[str]) -> tuple[str, ...]:
        """What a stated command lacks to listen on all addresses."""
        server = _server_of(words)
        added, options = _LISTENING.get(server, ((), ()))
        if server == "gunicorn" and re.search(r"(?m)^bind\s*=", self.project.gunicorn or ""):
            return ()
        short = "|".join(option for option in options if not option.startswith("--"))
        given = {word.partition("=")[0] for word in words}
        joined = bool(short) and any(re.match(rf"(?:{short})[\w.:\[]", word) for word in words)
        return () if joined or given & {*options} else added

    # The project's scripts.

    def _script_names(self) -> tuple[str, ...]:
        return self.project.scripts if isinstance(self.project.root, WheelRoot) else ()

    def _scripts(self) -> list[Start]:
        name = canonicalize_name(self.project.metadata.name or "")
        return [
            Start(command=(script,), source=f"the script `{script}` in pyproject.toml")
            for script in self._script_names()
            if script not in self.project.development_scripts or canonicalize_name(script) == name
        ]

    # The applications in the source.

    def _apps(self, kinds: Collection[str]) -> list[App]:
        held = [app for app in self.project.apps if app.kind in kinds]
        return [
            app
            for app in held
            if not app.path or self._holds(app.path, wheel=app.kind != "streamlit")
        ]

    def _likeliest(self, kinds: Collection[str]) -> list[App]:
        web: AppKind = "asgi" if _ASGI_FRAMEWORKS & self.installed else "wsgi"
        apps = [replace(app, kind=web) if app.kind == "web" else app for app in self._apps(kinds)]
        apps = [app for app in apps if app.rank == self._best_rank(kinds)]
        kinds = {app.kind for app in apps}
        if kinds == {"asgi", "wsgi"}:  # such as asgi.py and wsgi.py of Django
            asgi = bool({"channels", "daphne"} & self.installed) or any(
                server in self._own() for server in ("uvicorn", "hypercorn", "daphne")
            )
            apps = [app for app in apps if app.kind == ("asgi" if asgi else "wsgi")]
        return apps

    def _own(self) -> set[str]:
        """The installed packages that the project depends on itself."""
        return self.installed & self.project.direct or self.installed

    def _served(self, app: App) -> Start | None:
        """The command for an application; if no server is installed, one is named as missing."""
        source = f"the application in {app.path}" if app.path else "the application"
        servers = _SERVERS[app.kind]
        if ":" not in app.target and app.kind in ("aiohttp", "gradio"):
            return self._run(app, source)
        if app.kind == "asgi" and not app.factory and self._has_gunicorn_for_asgi():
            worker = "uvicorn_worker" if "uvicorn-worker" in self.installed else "uvicorn.workers"
            words = ("gunicorn", app.target, "--worker-class", f"{worker}.UvicornWorker")
            return self._started(words + self._listening(words), source)
        best = sorted(servers, key=lambda server: server not in self._own())
        for server in best:
            if server in self.installed:
                return self._started(self._words(app, server), source)
        server = next(iter(servers))
        start = self._started(self._words(app, server), source)
        return replace(start, missing=server, group=self._group_of(server))

    def _run(self, app: App, source: str) -> Start | None:
        """The command for a module that starts its own server."""
        if app.kind not in self.installed:
            return None
        command = ("python", "-m", app.target)
        if app.kind == "aiohttp":
            return Start(command=command, source=source, ports=self._new((_AIOHTTP_PORT,)))
        environment = _gradio(next(iter(self._ports()), _PORT))
        return replace(self._started(command, source), environment=environment)

    def _has_gunicorn_for_asgi(self) -> bool:
        """Whether the project depends on gunicorn itself, which then manages uvicorn."""
        return {"gunicorn", "uvicorn"} <= self.installed and "gunicorn" in self._own()

    def _words(self, app: App, server: str) -> tuple[str, ...]:
        words = list(_SERVERS[app.kind][server])
        target = app.target
        if app.factory and server in _FACTORY_OPTIONS:
            words.insert(1, _FACTORY_OPTIONS[server])
        elif app.factory:
            target += "()"
        if server == "gunicorn" and not self._listening(("gunicorn",)):
            words = [word for word in words if word != "--bind" and "{port}" not in word]
        return tuple(word.format(app=target, path=app.path, port=PORT) for word in words)

    def _started(self, words: tuple[str, ...], source: str) -> Start:
        port = next(iter(self._ports()), _PORT)
        if words[0] == "gunicorn" and not self._listening(words) and port_of(words) is None:
            bind = re.search(r"^bind\s*=.*:(\d+)", self.project.gunicorn or "", re.MULTILINE)
            port = bind[1] if bind else port
        words = tuple(word.replace(PORT, port) for word in words)
        return Start(command=words, source=source, ports=self._new((port,)))

    def _ports(self) -> list[str]:
        """The TCP ports in the settings."""
        tcp = (each.removesuffix("/tcp") for each in self.settings.ports)
        return [each for each in tcp if each.isdecimal()]

    def _new(self, ports: tuple[str, ...]) -> tuple[str, ...]:
        return () if self._ports() else ports

    def _group_of(self, package: str) -> str | None:
        """The default group of `poetry install` with a package that the image lacks."""
        locked = [table for table in self.project.lock.packages if table["name"] == package]
        groups = {group for table in locked for group in table.get("groups", ())}
        return next(iter(sorted(groups & self.project.default_groups - DEVELOPMENT)), None)

    # The files in the image.

    def _holds(self, path: str, *, wheel: bool = True) -> bool:
        """Whether the image has a path of the project, in the wheel or in the working directory."""
        root = self.project.root
        if wheel and isinstance(root, WheelRoot) and is_inside(path, root.paths):
            return True
        files = self.settings.files if self.settings.files is not None else self.project.files
        if files is not None and files != (".",) and not is_inside(path, files):
            return False
        return not is_hidden(path, self.project.dockerignore)


def _gradio(port: str) -> dict[str, str]:
    return {"GRADIO_SERVER_NAME": _ALL, "GRADIO_SERVER_PORT": port}


def _names(word: str) -> list[str]:
    """Patterns of a module, file or script, but not of options and servers."""
    name = word.partition(":")[0].partition("(")[0]
    if not re.fullmatch(r"[A-Za-z_][\w./-]*", name) or name in _GENERIC:
        return []
    path = re.escape(name.replace(".", "/"))
    return [rf"(?<![\w./-]){re.escape(name)}(?![\w-])", rf"(?<![\w-]){path}\.py"]


def _server_of(words: Sequence[str]) -> str:
    rest = [word for word in words if not re.match(r"\w+=", word)]
    if rest[:2] == ["python", "-m"]:
        rest = rest[2:]
    return rest[0] if rest else ""


def is_hidden(path: str, dockerignore: str | None) -> bool:
    """Whether the project's own ignore file excludes a path that was found automatically."""
    lines = [parse(line) for line in (dockerignore or "").removeprefix("\ufeff").split("\n")]
    return hiding_line(lines, path) >= 0
