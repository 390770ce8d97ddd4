"""Facts about the engine, kept for ten minutes: most builds need not query it.

The name of their file is a digest of what chooses the engine, so another context, builder or client
has other facts. A failed build removes them. They contain no secret.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx import engine
from poetry_docker_cache.buildx.engine_info import EngineInfo
from poetry_docker_cache.system.cache_folder import cache_folder
from poetry_docker_cache.system.private_files import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 10 * 60
_VARIABLES = ("HOME", "USERPROFILE", "BUILDX_BUILDER", "BUILDX_CONFIG")
_PREFIX = "DOCKER_"
"""Variables with this prefix choose the engine, its certificates and the client's settings."""
_PLUGINS = tuple(
    Path(top, kind, "docker/cli-plugins/docker-buildx")
    for top in ("/usr/local", "/usr")
    for kind in ("lib", "libexec")
)
_SOCKET = "/var/run/docker.sock"


@contextlib.contextmanager
def known_or_probing(
    builder: str | None = None, *, fresh: bool = False
) -> Iterator[Callable[[], EngineInfo]]:
    """Recall the facts about a builder and its engine, else query them; see `engine.probing`.

    `fresh` queries them in any case. They are forgotten if the block raises an exception, which
    may be due to them.
    """
    client = engine.find()
    file = _file(client, builder)
    known = None if fresh else _recall(file)
    try:
        if known is not None:
            yield lambda: known
        else:
            with engine.probing(builder, docker=client) as probe:
                yield functools.cache(lambda: _keep(file, probe()))
    except BaseException:
        _forget(file)
        raise


def _file(client: str, builder: str | None) -> Path | None:
    """Return the file for the facts; None without a home folder."""
    try:
        folder = cache_folder() / "engines"
    except RuntimeError:
        return None
    variables = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name in _VARIABLES or name.startswith(_PREFIX)
    ]
    docker, buildx = _folders()
    files = [_state(path) for path in (Path(client), *_docker_files(docker))]
    files += [_content(path) for path in _buildx_files(buildx)]
    parts = [builder or "", *variables, *files]
    return folder / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"


def _folders() -> tuple[Path, Path]:
    """Return the folders of docker's settings and of buildx's."""
    home = os.path.expanduser("~")  # noqa: PTH111  # Path.home() may raise
    docker = Path(os.environ.get("DOCKER_CONFIG") or Path(home, ".docker"))
    return docker, Path(os.environ.get("BUILDX_CONFIG") or docker / "buildx")


def _docker_files(folder: Path) -> Iterator[Path]:
    """Yield the files that choose the engine, buildx's program, and the engine's socket."""
    yield folder / "config.json"
    yield from sorted(folder.glob("contexts/meta/*/meta.json"))
    yield from (folder / "cli-plugins" / "docker-buildx", *_PLUGINS)
    # An engine that was restarted, perhaps as a newer version, has a new socket.
    yield Path(os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or _SOCKET)


def _buildx_files(folder: Path) -> Iterator[Path]:
    """Yield the files that choose the builder."""
    for pattern in ("current", "defaults/*", "instances/*"):
        yield from sorted(folder.glob(pattern))


def _state(path: Path) -> str:
    """Describe a file, so that a changed one differs."""
    try:
        found = path.stat()
    except OSError:
        return f"{path} is missing"
    return f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns}"


def _content(path: Path) -> str:
    """Return a file's content: buildx writes the same again in each build."""
    try:
        return f"{path} {path.read_text(encoding='utf-8', errors='replace')}"
    except OSError:
        return f"{path} is not a file"


def _recall(file: Path | None) -> EngineInfo | None:
    """Read the facts, unless they are old or another user's."""
    if file is None:
        return None
    try:
        with file.open(encoding="utf-8") as text:
            status = os.fstat(text.fileno())
            mine = sys.platform == "win32" or status.st_uid == os.geteuid()
            if not (mine and 0 <= time.time() - status.st_mtime < SECONDS):
                return None
            facts: dict[str, Any] = json.load(text)
        versions = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
        return EngineInfo(**{**facts, **versions})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _keep(file: Path | None, found: EngineInfo) -> EngineInfo:
    """Write the facts, if there is a place for them, and return them."""
    if file is not None:
        with contextlib.suppress(OSError):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for other in file.parent.glob("*.json"):
                if time.time() - other.stat().st_mtime > SECONDS:
                    other.unlink(missing_ok=True)
            put(file, json.dumps(dataclasses.asdict(found)))
    return found


def _forget(file: Path | None) -> None:
    if file is not None:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
