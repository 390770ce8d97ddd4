"""The start command of the image for development: it starts again when the source changes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_ANY_HOST = "0.0.0.0"  # noqa: S104  # a container is reached from outside it
_PORT = "8000"
# Options with a value that cannot be combined with reloading.
_WORKERS = {"--workers", "-w"}


@dataclass(frozen=True, kw_only=True)
class Reloading:
    """A start command, and whether it starts again by itself."""

    words: tuple[str, ...]
    reloads: bool


def reloading(
    words: Sequence[str], *, installed: Collection[str], has_manage_py: bool
) -> Reloading:
    """Return the command with which the same application reloads; the command itself if none does.

    `installed` are the names of the packages in the image.
    """
    program = 2 if list(words[:2]) == ["python", "-m"] else 0
    if len(words) <= program:
        return Reloading(words=tuple(words), reloads=False)
    start, name, rest = words[:program], words[program], tuple(words[program + 1 :])
    name = name.rpartition("/")[2]
    found: tuple[str, ...] | None = None
    if name == "gunicorn":
        found = _gunicorn(rest, installed, has_manage_py=has_manage_py)
        start = ()
    elif name in ("uvicorn", "hypercorn", "granian", "litestar", "sanic"):
        found = (name, *_with(rest, "--reload"))
    elif name == "flask":
        found = (name, *_flask(rest))
    elif name == "fastapi" and rest[:1] in (("run",), ("dev",)):
        host = () if _has(rest, "--host") else ("--host", _ANY_HOST)
        found = (name, "dev", *_without_workers(rest[1:]), *host)
    elif name == "streamlit":
        found = (name, *rest[:2], "--server.runOnSave=true", *rest[2:])
    elif name == "uwsgi":
        found = (name, *rest, "--py-autoreload=1")
    elif "runserver" in rest:
        found = (name, *rest)
    if found is None:
        return Reloading(words=tuple(words), reloads=False)
    return Reloading(words=(*start, *found), reloads=True)


def _gunicorn(
    rest: Sequence[str], installed: Collection[str], *, has_manage_py: bool
) -> tuple[str, ...]:
    """Replace gunicorn by the development server of the framework, if that is known.

    gunicorn reloads its own workers, but not those of uvicorn.
    """
    bind = re.search(r"(?:--bind[ =]|(?:^| )-b ?)(\S*?):(\d+)(?: |$)", " ".join(rest))
    host, port = (bind[1].strip("[]") or _ANY_HOST, bind[2]) if bind else (_ANY_HOST, _PORT)
    target = next(
        (word for word in rest if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", word)), ""
    )
    if has_manage_py and "django" in installed:
        return ("python", "manage.py", "runserver", f"{host}:{port}")
    if target and "uvicorn" in installed and any("uvicorn" in word for word in rest):
        return ("uvicorn", target, "--host", host, "--port", port, "--reload")
    return ("gunicorn", *_with(rest, "--reload", workers=False))


def _flask(rest: Sequence[str]) -> tuple[str, ...]:
    if "run" not in rest:
        return tuple(rest)
    at = list(rest).index("run") + 1
    return (*rest[:at], *([] if "--debug" in rest else ["--debug"]), *rest[at:])


def _with(rest: Sequence[str], option: str, *, workers: bool = True) -> tuple[str, ...]:
    kept = _without_workers(rest) if workers else tuple(rest)
    return kept if option in kept else (*kept, option)


def _without_workers(rest: Sequence[str]) -> tuple[str, ...]:
    kept: list[str] = []
    skips = False
    for word in rest:
        if skips:
            skips = False
        elif word in _WORKERS:
            skips = True
        elif not word.startswith("--workers="):
            kept.append(word)
    return tuple(kept)


def _has(rest: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in rest)
