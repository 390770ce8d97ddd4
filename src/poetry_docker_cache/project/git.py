"""What git ignores inside the folders that a wheel is made of.

Poetry and hatchling leave it out of a wheel, but in the build there is no git to ask. So the lines
of `.gitignore` become lines of the ignore file, each bound to one of these folders: outside of them
the project's own `.dockerignore` decides alone.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import (
    covers,
    hiding_line,
    is_readable,
    literal,
    matches,
    parse,
)
from poetry_docker_cache.docker.kept_out import is_kept_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


_MOST_NAMES = 100
_OF_A_HOOK = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE")


def git_ignored(
    folder: Path, inside: Sequence[str], *, included: Sequence[str], ask_git: bool
) -> tuple[str, ...]:
    """Give lines for the ignore file.

    `included` are globs that a wheel takes all the same. `ask_git` where what git tracks is taken
    too, whatever its name: Poetry asks git itself, hatchling reads `.gitignore` only.
    """
    found: dict[str, None] = {}
    for text, below in _git_ignore_files(folder):
        found.update(dict.fromkeys(translate(text, inside, below=below)))
    if all(line.startswith("!") for line in found):
        return ()
    again = _brought_back(folder, inside, list(found))
    if len(again) > _MOST_NAMES:  # an allow-list
        lines, again = found, []
    else:
        lines = {line: None for line in found if not line.startswith("!")}
    wanted = [*again, *(_tracked(folder, inside) if ask_git else ()), *included]
    for pattern in wanted:
        if any(pattern.startswith(f"{name}/") for name in inside):
            lines.pop(f"!{pattern}", None)
            lines[f"!{pattern}"] = None
    return tuple(lines)


def _brought_back(folder: Path, inside: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Name the files that a `!` line brings back, in place of the line.

    With a wildcard in it, it would make BuildKit open every folder of the context (see `ignore`).
    """
    lines = [parse(text) for text in texts]
    without = [line for line in lines if not line.negated]
    again = [line for line in lines if line.negated]
    return [
        literal(name)
        for name in (_known(folder, inside) if again else ())
        if any(covers(line.pattern, name) for line in again)
        and hiding_line(without, name) >= 0 > hiding_line(lines, name)
    ]


def _known(folder: Path, inside: Sequence[str]) -> list[str]:
    """List the files that git does not ignore; all, where it cannot tell."""
    if repository_of(folder):
        others = ("--cached", "--others", "--exclude-per-directory=.gitignore")
        found = _git_files(folder, *others, "--", *inside)
        if found is not None:
            return sorted(set(found))
    files = (it for name in inside for it in (folder / name).rglob("*") if it.is_file())
    return sorted(it.relative_to(folder).as_posix() for it in files)


def translate(text: str, inside: Iterable[str], *, below: str = "") -> Iterator[str]:
    """Translate one file's lines; `below` is the way from its folder to the project's."""
    folders = tuple(inside)
    for raw in text.removeprefix("\ufeff").splitlines():
        line = raw if raw.endswith("\\ ") else raw.rstrip()
        if not line or line.startswith("#"):
            continue
        sign = "!" if line.startswith("!") else ""
        pattern = line.removeprefix("!").replace("[!", "[^")
        only_folders = pattern.endswith("/")
        pattern = pattern.rstrip("/")
        if pattern.startswith(("\\#", "\\!")):
            pattern = pattern[1:]
        if sign and only_folders and set(pattern) <= set("*/"):
            continue  # `!*/` lets git look into folders; here that would open all their files
        if not pattern.strip("/") or (not sign and is_kept_out(pattern)):
            continue
        for folder in folders:
            rest = _inside(pattern, posixpath.join(below, folder))
            if rest and is_readable(rest):
                yield f"{sign}{literal(folder)}/{rest}"


def _inside(pattern: str, folder: str) -> str:
    """Give what of a pattern applies below a folder, empty if nothing does."""
    if "/" not in pattern:
        return f"**/{pattern}"
    parts = pattern.removeprefix("/").split("/")
    for name in folder.split("/"):
        if not parts or "**" in parts[0]:
            break
        if not matches(parts[0], name):
            return ""
        parts = parts[1:]
    # A line that matches the folder itself says nothing: what the wheel is made of is there.
    return "/".join(parts)


def let_through(
    folder: Path, ignore_file: str, within: Sequence[str], *, place: str = "."
) -> tuple[str, ...]:
    """List what git ignores and yet is in the folders or files `within`, if the image takes it.

    `ignore_file` is the text that decides, for a context in which the folder has this place. Built
    assets belong into an image, local secrets do not: only a person can tell them apart.
    """
    if not repository_of(folder):
        return ()
    lines = [parse(line) for line in ignore_file.split("\n")]
    others = ("--others", "--ignored", "--directory", "--exclude-per-directory=.gitignore")
    found = _git_files(folder, *others, "--", *within) or []
    names = [name.rstrip("/") for name in found]
    located = {name: posixpath.normpath(posixpath.join(place, name)) for name in names}
    taken = [name for name in names if hiding_line(lines, located[name]) < 0]
    # Git names a folder of nothing else as well as the ignored ones in it.
    return tuple(it for it in taken if not any(it.startswith(f"{other}/") for other in taken))


def repository_of(folder: Path) -> Path | None:
    """Give the root of the repository that a folder is in, or is; None if it is in none."""
    return next((it for it in (folder, *folder.parents) if (it / ".git").exists()), None)


def _git_ignore_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the text of `.gitignore` here and above, up to the repository's root."""
    repository = repository_of(folder) or folder
    for place in reversed((folder, *folder.parents)):
        if place == repository or repository in place.parents:
            below = folder.relative_to(place).as_posix()
            path = place / ".gitignore"
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                yield text, "" if below == "." else below


def _tracked(folder: Path, inside: Sequence[str]) -> list[str]:
    """List the files that a line of `.gitignore` matches but that are in the repository."""
    if not inside or not repository_of(folder):
        return []
    # Not `--exclude-standard`: what this machine's git ignores besides is no part of the project.
    own = "--exclude-per-directory=.gitignore"
    found = _git_files(folder, "--cached", "--ignored", own, "--", *inside) or []
    return sorted(map(literal, found))


def why_silent(folder: Path) -> str | None:
    """Give why git does not tell what is in the repository that a folder is in; None where it does.

    It may not be installed, and it answers nobody but the owner of the repository.
    """
    if not repository_of(folder):
        return None
    done = _git(folder, "rev-parse", "--git-dir")
    if done is None:
        return "git is not installed"
    if not done.returncode:
        return None
    said = done.stderr.decode(errors="replace").split("\n")
    mends = [f"; `{it.strip()}` mends it" for it in said if it.startswith("\tgit config")]
    return f"{said[0]}{''.join(mends[:1])}"


def _git_files(folder: Path, *options: str) -> list[str] | None:
    """Ask git for names; None where it does not tell."""
    done = _git(folder, "ls-files", "-z", *options)
    if done is None or done.returncode:
        return None
    names = done.stdout.decode(errors="surrogateescape").split("\0")
    return [name for name in names if name]


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes] | None:
    """Run git in a folder; None where there is none."""
    # In a hook, git is told of its repository in a way that holds for the root of the work tree.
    env = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    command = ["git", "--literal-pathspecs", *words]
    try:
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
    except OSError:
        return None
