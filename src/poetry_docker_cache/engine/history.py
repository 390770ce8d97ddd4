"""Asks BuildKit what it remembers of a build that has just ended."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache import engine
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.engine import Answer, Ask

_SECONDS = 5
"""The build is done: nobody waits long for what is only told about it."""


def _briefly(commands: Sequence[Sequence[str]]) -> list[Answer]:
    return engine.ask(commands, seconds=_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is remembered; empty where the history does not exist or does not answer."""

    log: str = ""
    """What the steps did, a JSON object a line (`--progress=rawjson`)."""
    manifest: str = ""
    """That of the image, as it is in a registry."""


def recall(docker: str, ref: str, *, ask: Ask = _briefly) -> Record:
    """Give what is remembered of a build, all asked at once; never raises.

    `ref` is what buildx calls it in its metadata file: `BUILDER/NODE/ID`.
    """
    builder, _, rest = ref.partition("/")
    build = rest.rpartition("/")[2]
    if not builder or not build:
        return Record()
    history = [docker, "buildx", "--builder", builder, "history"]
    questions = [
        [*history, "logs", "--progress=rawjson", build],
        [*history, "inspect", "attachment", "--type=manifest", build],
    ]
    with contextlib.suppress(DockerCacheError):
        log, manifest = ask(questions)
        return Record(
            # buildx shows progress of any form on stderr, that of the past too.
            log=log.out + log.err if log.status == 0 else "",
            manifest=manifest.out if manifest.status == 0 else "",
        )
    return Record()
