"""Start commands for the applications found in the source. Pure.

They only appear in notes, as proposals.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry_docker_cache.project.model import App, AppKind

_PORT = "8000"
# All addresses of the container; `docker run --publish` decides which port can be reached.
_ADDRESS = ("--host", "0.0.0.0", "--port", "{port}")  # noqa: S104
# By kind of application, then by package, the likeliest first.
_SERVERS: dict[str, dict[str, tuple[str, ...]]] = {
    "asgi": {
        "uvicorn": ("uvicorn", "{app}", *_ADDRESS),
        "hypercorn": ("hypercorn", "{app}", "--bind", "0.0.0.0:{port}"),
        "daphne": ("daphne", "-b", "0.0.0.0", "-p", "{port}", "{app}"),  # noqa: S104
        "granian": ("granian", "--interface", "asgi", "{app}", *_ADDRESS),
    },
    "wsgi": {
        "gunicorn": ("gunicorn", "{app}", "--bind", "0.0.0.0:{port}"),
        "waitress": ("waitress-serve", "--listen=0.0.0.0:{port}", "{app}"),
        "granian": ("granian", "--interface", "wsgi", "{app}", *_ADDRESS),
        "uwsgi": ("uwsgi", "--http=0.0.0.0:{port}", "--module", "{app}"),
    },
}
# With one of these, an application of the kind `web` uses ASGI.
_ASGI_FRAMEWORKS = {"fastapi", "litestar", "quart", "starlette"}
_WORKERS: dict[str, tuple[str, ...]] = {
    "celery": ("celery", "-A", "{app}", "worker", "--loglevel=info"),
    "arq": ("arq", "{app}"),
}
# The option with which a server accepts a factory function; for others the target is a call.
_FACTORY_OPTIONS = {"uvicorn": "--factory", "granian": "--factory", "waitress": "--call"}


@dataclass(frozen=True, kw_only=True)
class Start:
    """A command that starts an application or a worker."""

    command: tuple[str, ...]
    port: str | None = None
    """The port that it listens on, if the settings do not have it."""
    missing: str | None = None
    """The package that it needs but the image lacks."""
    group: str | None = None
    """The group with this package, which the image does not install."""

    def __str__(self) -> str:
        """The settings to paste."""
        text = f"`command = {json.dumps(self.command)}`"
        text += f" and `ports = [{self.port}]`" if self.port else ""
        if self.group:
            return f"{text} with `--with {self.group}`"
        return text + (f" after `poetry add {self.missing}`" if self.missing else "")


def web_start(
    apps: Sequence[App], installed: Collection[str], ports: Sequence[str] = ()
) -> Start | None:
    """A command that serves the first application with an installed server, on the first TCP port.

    If no such server is installed, the result names one as missing.
    """
    web: AppKind = "asgi" if _ASGI_FRAMEWORKS & {*installed} else "wsgi"
    known = [replace(app, kind=web) if app.kind == "web" else app for app in apps]
    tcp = (each.removesuffix("/tcp") for each in ports)
    port = next((each for each in tcp if each.isdecimal()), None)
    new = None if port else _PORT
    for app in known:
        for server in _SERVERS.get(app.kind, ()):
            if server in installed:
                return Start(command=_serving(app, server, port or _PORT), port=new)
    served = [app for app in apps if app.kind in _SERVERS]
    for app in served[:1]:
        server = next(iter(_SERVERS[app.kind]))
        return Start(command=_serving(app, server, port or _PORT), port=new, missing=server)
    return None


def worker_start(apps: Sequence[App], installed: Collection[str]) -> Start | None:
    """A command that starts a worker, if its package is installed."""
    for app in apps:
        if app.kind in _WORKERS and app.kind in installed:
            return Start(command=tuple(word.format(app=app.target) for word in _WORKERS[app.kind]))
    return Start(command=("rq", "worker")) if "rq" in installed else None


def _serving(app: App, server: str, port: str) -> tuple[str, ...]:
    words = list(_SERVERS[app.kind][server])
    target = app.target
    if app.factory and server in _FACTORY_OPTIONS:
        words.insert(1, _FACTORY_OPTIONS[server])
    elif app.factory:
        target += "()"
    return tuple(word.format(app=target, port=port) for word in words)
