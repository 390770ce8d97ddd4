"""The project as of a git revision, read from git's objects.

Git writes no file: no attribute, filter or hook of the repository has any effect.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.git import git_problem, repository_of, run_git

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LARGEST = 1 << 20
"""Larger files, such as models, are left empty: only their names matter to a plan."""
_NEEDED = ("poetry.lock", ".toml")
_AT_ONCE = 32 << 20
"""How many bytes of content are held in memory."""
_LINK, _EXECUTABLE = "120000", "100755"
_RESERVED = ("", ".", "..", ".git")


@dataclass(frozen=True, kw_only=True)
class _Entry:
    mode: str
    name: str
    """The name of the object."""
    size: int | None
    """None if the repository does not have it, as a partial clone."""
    path: str


def find_commit(folder: Path, revision: str) -> str | None:
    """Return the commit that a revision names; None without one, and if git cannot look it up."""
    if repository_of(folder) is None:
        return None
    words = ("--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    done = run_git(folder, "rev-parse", *words)
    return None if done is None or done.returncode else done.stdout.decode().strip()


def no_commit(folder: Path, revision: str) -> DockerCacheError:
    """Return the error for a revision that was not found."""
    if repository_of(folder) is None:
        return DockerCacheError(
            f"The project is not in a git repository, so there is no revision {revision!r}.",
            fix="Run the command in a clone, or compare with an image.",
        )
    if problem := git_problem(folder):
        return DockerCacheError(
            f"The revision {revision!r} cannot be found: {problem}.",
            fix="Fix that, or compare with an image.",
        )
    done = run_git(folder, "rev-parse", "--is-shallow-repository")
    if done is not None and done.stdout.strip() == b"true":
        return DockerCacheError(
            f"This clone is shallow and has no revision {revision!r}.",
            fix="Run `git fetch --unshallow`; for GitHub's actions/checkout, set `fetch-depth: 0`.",
        )
    return DockerCacheError(
        f"The git repository has no revision {revision!r}.",
        fix="Check the name; `git fetch` gets new branches and tags.",
    )


def write_tree(folder: Path, commit: str, into: Path) -> Path:
    """Write the repository's files as of a commit; return the project's folder among them.

    The folder of the repository keeps its name. Raises DockerCacheError if that cannot be done.
    """
    repository = repository_of(folder)
    assert repository is not None  # noqa: S101  # it has the commit
    root = into / (repository.name or "project")
    try:
        root.mkdir(parents=True)
        # Links last, so that no file is written through one of them.
        entries = sorted(_entries(repository, commit), key=lambda entry: entry.mode == _LINK)
        for entry, content in _contents(repository, entries):
            _write(root / entry.path, content, entry.mode)
    except OSError as error:
        raise DockerCacheError(
            f"The files of commit {commit} cannot be written: {error.strerror}.",
            fix="Set TMPDIR to a folder with more room.",
        ) from error
    return root / folder.relative_to(repository)


def _entries(repository: Path, commit: str) -> Iterator[_Entry]:
    """Yield the files of a commit, without those of submodules."""
    listed = _run(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    for line in filter(None, listed.split(b"\0")):
        facts, _, path = line.partition(b"\t")
        mode, kind, name, size = facts.decode().split()
        found = os.fsdecode(path)
        # Git refuses such paths, but a repository made by other tools may have them.
        parts = {part.lower() for part in found.split("/")}
        if kind == "blob" and parts.isdisjoint(_RESERVED):
            known = int(size) if size.isdecimal() else None
            if known is None and found.endswith(_NEEDED):
                raise DockerCacheError(
                    f"The git repository does not have the content of {found}.",
                    fix="Run `git fetch --refetch --no-filter`; `git fsck` shows more.",
                )
            yield _Entry(mode=mode, name=name, size=known, path=found)


def _contents(repository: Path, entries: Sequence[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
    batch: list[_Entry] = []
    size = 0
    for entry in entries:
        if entry.size is None or (entry.size > _LARGEST and not entry.path.endswith(_NEEDED)):
            yield entry, b""
            continue
        batch.append(entry)
        size += entry.size
        if size > _AT_ONCE:
            yield from _read(repository, batch)
            batch, size = [], 0
    yield from _read(repository, batch)


def _read(repository: Path, batch: Sequence[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
    names = "".join(f"{entry.name}\n" for entry in batch).encode()
    output = _run(repository, "cat-file", "--batch", given=names) if batch else b""
    start = 0
    for entry in batch:
        end = output.index(b"\n", start)
        start = end + 1 + (entry.size or 0)
        yield entry, output[end + 1 : start]
        start += 1


def _write(path: Path, content: bytes, mode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == _LINK:
        with contextlib.suppress(FileExistsError):  # a file system without upper and lower case
            path.symlink_to(os.fsdecode(content))
        return
    path.write_bytes(content)
    if mode == _EXECUTABLE:
        path.chmod(0o755)


def _run(repository: Path, *words: str, given: bytes | None = None) -> bytes:
    done = run_git(repository, *words, given=given)
    if done is None or done.returncode:
        said = done.stderr.decode(errors="replace").strip() if done else "git is not installed"
        raise DockerCacheError(
            f"git cannot read the commit: {said.rstrip('.')}.", fix="`git fsck` shows more."
        )
    return done.stdout
