"""What the classic image store needs besides a build: an image pushed, or kept in a file."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.cache_folders import IMAGE
from poetry_docker_cache.system.compat import exists

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Run = Callable[[Sequence[str]], int]
    """Runs docker, with its output on stderr, and gives its exit status."""
    Ask = Callable[[Sequence[str]], str]
    """Runs docker and gives what it prints; empty where it fails."""

_LOADED = re.compile(r"^Loaded image: (localhost/poetry-docker-cache:\S+)$", re.MULTILINE)
_DAY = 24 * 60 * 60
SOME_NAME = "localhost/poetry-docker-cache:<name>"
"""What `--dry-run` shows."""


def push_commands(docker: Sequence[str], image: str, reference: str) -> list[list[str]]:
    """Give the commands that push an image under another name."""
    return [[*docker, "tag", image, reference], [*docker, "push", reference]]


def save_commands(docker: Sequence[str], image: str, file: Path, name: str) -> list[list[str]]:
    """Give the commands that keep an image in a file, under a name that needs no registry."""
    return [
        [*docker, "tag", image, name],
        [*docker, "save", "--output", str(file), name],
        [*docker, "image", "rm", name],
    ]


def load_command(docker: Sequence[str], folder: Path) -> list[str]:
    """Give the command that loads the image of a folder."""
    return [*docker, "load", "--input", str(folder / IMAGE)]


def is_in(folder: Path) -> bool:
    """Tell whether a folder has an image to load."""
    return exists(folder / IMAGE)


def new_name() -> str:
    """Give a name that no other build uses."""
    return f"{SOME_NAME.partition(':')[0]}:{secrets.token_hex(8)}"


@contextlib.contextmanager
def loaded(
    docker: Sequence[str], folder: Path, *, ask: Ask, notes: list[str]
) -> Iterator[str | None]:
    """Load a folder's image for the time of a build; give the name that BuildKit imports."""
    if not is_in(folder):
        yield None
        return
    found = _LOADED.search(ask(load_command(docker, folder)))
    if not found:
        notes.append(f"{folder / IMAGE} is not read: it is damaged. This is a first build.")
        yield None
        return
    try:
        yield found[1]
    finally:
        ask([*docker, "image", "rm", found[1]])


def push(docker: Sequence[str], image: str, reference: str, *, run: Run) -> str | None:
    """Push an image under another name; a note where that fails."""
    for command in push_commands(docker, image, reference):
        if run(command):
            return f"The cache was not pushed to {reference}; the image is as it should be."
    return None


def save(docker: Sequence[str], image: str, folder: Path, *, run: Run, ask: Ask) -> str | None:
    """Keep an image in a folder, in place of the one before; a note where that fails."""
    draft = folder / f".{IMAGE}.{secrets.token_hex(8)}"
    tag, save_it, remove = save_commands(docker, image, draft, new_name())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        try:
            saved = run(tag) == 0 and run(save_it) == 0
        finally:  # after a signal, too: the name would keep the image for ever
            ask(remove)
        if not saved:
            return f"The cache folder {folder} was not written; the image is as it should be."
        draft.replace(folder / IMAGE)
    except OSError as error:
        return f"The cache folder {folder} was not written: {error.strerror}."
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return None


def _sweep(folder: Path) -> None:
    """Remove what killed builds have left; what is younger may be of one that runs."""
    for leftover in folder.glob(f".{IMAGE}.*"):
        with contextlib.suppress(OSError):  # another build's, which has just been put in place
            if time.time() - leftover.stat().st_mtime > _DAY:
                leftover.unlink()
