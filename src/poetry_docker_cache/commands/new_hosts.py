"""The note about a host that gets credentials for the first time, and the memory of such hosts."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from typing import TYPE_CHECKING

from poetry import locations

from poetry_docker_cache.system.private_files import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.project.destinations import Destination

_PLACE = ("poetry-docker-cache", "credential-hosts")
"""Beside Poetry's own settings, where no project can choose the file."""


def note_new_hosts(console: Console, destinations: Iterable[Destination]) -> None:
    """Print a note for each host that is new for a name, and remember it.

    The file contains names and hosts only. If it cannot be written, the next build repeats the
    note.
    """
    path = locations.CONFIG_DIR.joinpath(*_PLACE)
    known: set[bytes] = set()
    with contextlib.suppress(OSError):
        known.update(path.read_bytes().splitlines())
    for destination in destinations:
        line = json.dumps([destination.name, destination.host]).encode()
        if line in known:
            continue
        setting = shlex.quote(f"repositories.{destination.name}")
        console.note(
            f"{destination.host} gets your credentials for {destination.name!r} for the first time."
            f" To allow no other host: `poetry config {setting} {shlex.quote(destination.url)}`."
        )
        if console.is_quiet:  # not said, so not remembered
            continue
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # One write at the end of the file: builds at the same time lose no line.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
            try:
                os.write(descriptor, line + b"\n")
            finally:
                os.close(descriptor)
