"""What git ignores inside the folders that a wheel is made of.

Poetry and hatchling leave these files out of a wheel, but the build has no git repository. So the
lines of `.gitignore` become lines of the ignore file that are limited to these folders; elsewhere
only the project's own `.dockerignore` decides.
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
    moved,
    parse,
)
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.inside.install.process import SAFE_GIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


_MOST_NAMES = 100
_SAFE = tuple(word for key, value in SAFE_GIT.items() for word in ("-c", f"{key}={value}"))
_HOOK_VARIABLES = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE")


def git_ignored(
    folder: Path, inside: Sequence[str], *, included: Sequence[str], ask_git: bool
) -> tuple[str, ...]:
    """Return lines for the ignore file.

    `included` are globs that are in the wheel anyway. `ask_git`: whether tracked files are, too;
    Poetry asks git, hatchling reads only `.gitignore`.
    """
    found: dict[str, None] = {}
    for text, below in _git_ignore_files(folder):
        found.update(dict.fromkeys(translate(text, inside, below=below)))
    if all(line.startswith("!") for line in found):
        return ()
    again = _included_again(folder, inside, list(found))
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


def _included_again(folder: Path, inside: Sequence[str], texts: Sequence[str]) -> list[str]:
    """List the files that `!` lines include again, to be written in place of these lines.

    A `!` line with a wildcard would make BuildKit read every folder of the context.
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
    """List the files that git does not ignore, or all files without git."""
    if repository_of(folder):
        others = ("--cached", "--others", "--exclude-per-directory=.gitignore")
        found = _git_files(folder, *others, "--", *inside)
        if found is not None:
            return sorted(set(found))
    paths = (path for name in inside for path in (folder / name).rglob("*"))
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def translate(text: str, inside: Iterable[str], *, below: str = "") -> Iterator[str]:
    """Translate one file's lines; `below` is the project's path from its folder."""
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
            continue  # git then only looks into the folders; Docker would include all their files
        if not pattern.strip("/") or (not sign and is_kept_out(pattern)):
            continue
        for folder in folders:
            rest = _inside(pattern, posixpath.join(below, folder))
            if rest and is_readable(rest):
                yield f"{sign}{literal(folder)}/{rest}"


def _inside(pattern: str, folder: str) -> str:
    """Return the part of a pattern that applies below a folder; empty if it does not apply."""
    if "/" not in pattern:
        return f"**/{pattern}"
    parts = pattern.removeprefix("/").split("/")
    for name in folder.split("/") if folder != "." else ():
        if not parts or "**" in parts[0]:
            break
        if not matches(parts[0], name):
            return ""
        parts = parts[1:]
    # A line that matches the folder itself has no effect, since the wheel is made of the folder.
    return "/".join(parts)


def ignored_in_image(
    folder: Path, ignore_file: str, within: Sequence[str], *, place: str = "."
) -> tuple[str, ...]:
    """List what git ignores within these paths although the image would contain it.

    `ignore_file` is the text of the ignore file, `place` the folder's path in the build context.
    Built assets belong in an image and local secrets do not, so a person has to decide.
    """
    if not repository_of(folder):
        return ()
    lines = [parse(line) for line in ignore_file.split("\n")]
    others = ("--others", "--ignored", "--directory", "--exclude-per-directory=.gitignore")
    found = _git_files(folder, *others, "--", *within) or []
    names = [name.rstrip("/") for name in found]
    located = {name: posixpath.normpath(posixpath.join(place, name)) for name in names}
    taken = [name for name in names if hiding_line(lines, located[name]) < 0]
    # Git lists a fully ignored folder as well as the ignored folders in it.
    return tuple(name for name in taken if not any(name.startswith(f"{other}/") for other in taken))


def own_git_ignored(folder: Path, place: str) -> tuple[str, ...]:
    """Return lines for the ignore file from the `.gitignore` in a folder of the project.

    Lines that include files again have an effect only without a wildcard, as above.
    """
    path = folder / place / ".gitignore"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    lines = [moved(line, place) for line in translate(text, ["."])]
    return tuple(line for line in lines if not (line.startswith("!") and "*" in line))


def is_git_ignored(folder: Path, path: str) -> bool:
    """Return whether the project's own `.gitignore` files exclude a path, which may not exist."""
    if not repository_of(folder):
        return False
    done = run_git(folder, "-c", "core.excludesFile=", "check-ignore", "--quiet", "--", path)
    return done is not None and not done.returncode


def repository_of(folder: Path) -> Path | None:
    """Return the root of the git repository that contains a folder; None outside a repository."""
    places = (folder, *folder.parents)
    return next((place for place in places if (place / ".git").exists()), None)


def _git_ignore_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the text of each `.gitignore` from the repository's root down to the folder."""
    repository = repository_of(folder) or folder
    for place in reversed((folder, *folder.parents)):
        if place == repository or repository in place.parents:
            below = folder.relative_to(place).as_posix()
            path = place / ".gitignore"
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                yield text, "" if below == "." else below


def _tracked(folder: Path, inside: Sequence[str]) -> list[str]:
    """List the files that `.gitignore` matches although git tracks them."""
    if not inside or not repository_of(folder):
        return []
    # Not `--exclude-standard`, which reads this machine's own ignore files as well.
    own = "--exclude-per-directory=.gitignore"
    found = _git_files(folder, "--cached", "--ignored", own, "--", *inside) or []
    return sorted(map(literal, found))


def git_problem(folder: Path) -> str | None:
    """Return why git cannot list the files of the folder's repository; None if it can.

    Git may not be installed, or the repository may belong to another user.
    """
    if not repository_of(folder):
        return None
    done = run_git(folder, "rev-parse", "--git-dir")
    if done is None:
        return "git is not installed"
    if not done.returncode:
        return None
    said = done.stderr.decode(errors="replace").split("\n")
    fixes = [f"; run `{line.strip()}`" for line in said if line.startswith("\tgit config")]
    return f"{said[0]}{''.join(fixes[:1])}"


def _git_files(folder: Path, *options: str) -> list[str] | None:
    """Run `git ls-files`; return None if that fails."""
    done = run_git(folder, "ls-files", "-z", *options)
    if done is None or done.returncode:
        return None
    names = done.stdout.decode(errors="surrogateescape").split("\0")
    return [name for name in names if name]


def run_git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes] | None:
    """Run git in a folder; return None if it is not installed."""
    # In a hook, these variables have paths relative to the root of the work tree.
    env = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    command = ["git", *_SAFE, "--literal-pathspecs", *words]
    try:
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
    except OSError:
        return None
