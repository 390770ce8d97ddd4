"""How an application that was found in the source is started, with the packages of the image.

Only a note proposes this: what a container starts is never guessed. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry_docker_cache.root import App
    from poetry_docker_cache.root.applications import Kind

_PORT = 8000
_ADDRESS = ("--host", "0.0.0.0", "--port", str(_PORT))  # noqa: S104  # of a container: it is let out by `-p`
# By kind of application and by package, the likeliest first; {} is the application.
_SERVERS: dict[str, dict[str, tuple[str, ...]]] = {
    "asgi": {
        "uvicorn": ("uvicorn", "{}", *_ADDRESS),
        "hypercorn": ("hypercorn", "{}", "--bind", f"0.0.0.0:{_PORT}"),
        "daphne": ("daphne", "-b", "0.0.0.0", "-p", str(_PORT), "{}"),  # noqa: S104
        "granian": ("granian", "--interface", "asgi", "{}", *_ADDRESS),
    },
    "wsgi": {
        "gunicorn": ("gunicorn", "{}", "--bind", f"0.0.0.0:{_PORT}"),
        "waitress": ("waitress-serve", f"--listen=0.0.0.0:{_PORT}", "{}"),
        "granian": ("granian", "--interface", "wsgi", "{}", *_ADDRESS),
        "uwsgi": ("uwsgi", f"--http=0.0.0.0:{_PORT}", "--module", "{}"),
    },
}
# Those of which a `web` application is one by ASGI.
_ASGI_FRAMEWORKS = {"fastapi", "litestar", "quart", "starlette"}
_WORKERS: dict[str, tuple[str, ...]] = {
    "celery": ("celery", "-A", "{}", "worker", "--loglevel=info"),
    "arq": ("arq", "{}"),
}
# Where a function that makes the application is not written as a call of it.
_FACTORY_OPTIONS = {"uvicorn": "--factory", "granian": "--factory", "waitress": "--call"}


@dataclass(frozen=True, kw_only=True)
class Start:
    """A way to start something."""

    command: tuple[str, ...]
    serves: bool = False
    """Whether it listens on the port."""
    missing: str | None = None
    """A package that the image lacks for it."""
    group: str | None = None
    """The group that has this package, and is not in the image."""

    def __str__(self) -> str:
        """The lines to paste."""
        text = f"`command = {json.dumps(self.command)}`"
        text += f" and `ports = [{_PORT}]`" * self.serves
        if self.group:
            return f"{text} with `--with {self.group}`"
        return text + (f" after `poetry add {self.missing}`" if self.missing else "")


def web_start(apps: Sequence[App], installed: Collection[str]) -> Start | None:
    """How to serve the first application that a server is there for, else what is missing."""
    web: Kind = "asgi" if _ASGI_FRAMEWORKS & {*installed} else "wsgi"
    known = [replace(app, kind=web) if app.kind == "web" else app for app in apps]
    for app in known:
        for server in _SERVERS.get(app.kind, ()):
            if server in installed:
                return Start(command=_serving(app, server), serves=True)
    served = [app for app in apps if app.kind in _SERVERS]
    for app in served[:1]:
        server = next(iter(_SERVERS[app.kind]))
        return Start(command=_serving(app, server), serves=True, missing=server)
    return None


def worker_start(apps: Sequence[App], installed: Collection[str]) -> Start | None:
    """How to start a worker, if its package is there."""
    for app in apps:
        if app.kind in _WORKERS and app.kind in installed:
            return Start(command=tuple(it.format(app.target) for it in _WORKERS[app.kind]))
    return Start(command=("rq", "worker")) if "rq" in installed else None


def _serving(app: App, server: str) -> tuple[str, ...]:
    words = list(_SERVERS[app.kind][server])
    target = app.target
    if app.factory and server in _FACTORY_OPTIONS:
        words.insert(1, _FACTORY_OPTIONS[server])
    elif app.factory:
        target += "()"
    return tuple(word.format(target) for word in words)
