"""The files of an image that do not come from wheels.

These are the virtual environment's own, the user's home, the working directory and the project's.
"""

from __future__ import annotations

import hashlib
import posixpath
import shlex
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside, parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside import check
from poetry_docker_cache.inside.install.installed_files import EPOCH
from poetry_docker_cache.no_engine.context_walk import visible_paths
from poetry_docker_cache.no_engine.tree import Bytes, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from poetry_docker_cache.no_engine.base_facts import BaseFacts
    from poetry_docker_cache.plan.image_plan import Copy, ImagePlan, Runtime

_VENV = "/venv"
_IGNORED_BY_GIT = (
    "# Created by venv; see https://docs.python.org/3/library/venv.html\n*\n"  # since Python 3.13
)
_BLOCK = 1 << 18
_FOLDER, _PROGRAM, _FILE, _LINK = 0o755, 0o755, 0o644, 0o777


@dataclass(frozen=True)
class HostFile:
    """A file of this machine."""

    path: Path
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Yield it in pieces."""
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block

    def deflated(self) -> None:
        """Return None: the file is not compressed."""


def environment_files(facts: BaseFacts) -> Iterator[Entry]:
    """Yield what `python -m venv --without-pip /venv` writes on the base image.

    The scripts for shells are those of the base image; a base without them gives none.
    """
    minor = ".".join(facts.python.split(".")[:2])
    number = int(minor.partition(".")[2])
    name = f"python{minor}{'t' if facts.abi.endswith('t') else ''}"
    # As `sysconfig` names it in the scheme of virtual environments, since Python 3.11.
    headers = (f"include/{name}",) if number >= 11 else ()  # noqa: PLR2004
    for folder in (
        "",
        "bin",
        "include",
        *headers,
        "lib",
        f"lib/{name}",
        f"lib/{name}/site-packages",
    ):
        yield Entry(path=posixpath.join("venv", folder).rstrip("/"), mtime=EPOCH, mode=_FOLDER)
    own = posixpath.basename(facts.interpreter)
    yield Entry(path=f"venv/bin/{own}", mtime=EPOCH, mode=_LINK, link=facts.interpreter)
    for other in _python_names(number):
        if other != own:
            yield Entry(path=f"venv/bin/{other}", mtime=EPOCH, mode=_LINK, link=own)
    yield Entry(path="venv/lib64", mtime=EPOCH, mode=_LINK, link="lib")
    yield Entry(
        path="venv/pyvenv.cfg",
        mtime=EPOCH,
        mode=_FILE,
        content=Bytes(_configuration(facts, number).encode()),
    )
    if number >= 13:  # noqa: PLR2004
        yield Entry(
            path="venv/.gitignore", mtime=EPOCH, mode=_FILE, content=Bytes(_IGNORED_BY_GIT.encode())
        )
    for script, template in sorted(facts.scripts.items()):
        text = _filled(script, template, own, number)
        yield Entry(
            path=f"venv/bin/{script}", mtime=EPOCH, mode=_FILE, content=Bytes(text.encode())
        )


def _python_names(number: int) -> tuple[str, ...]:
    names = ("python", "python3", f"python3.{number}")
    return (*names, "𝜋thon") if number == 14 else names  # noqa: PLR2004  # only that version


def _configuration(facts: BaseFacts, number: int) -> str:
    version = ".".join(part.rstrip("abcr") for part in facts.python.split(".")[:3])
    lines = [
        f"home = {posixpath.dirname(facts.interpreter)}",
        "include-system-site-packages = false",
        f"version = {version}",
    ]
    if number >= 11:  # noqa: PLR2004
        lines.append(f"executable = {facts.executable}")
        lines.append(f"command = {facts.interpreter} -m venv --without-pip {_VENV}")
    return "\n".join([*lines, ""])


def _filled(script: str, template: str, python: str, number: int) -> str:
    """Fill in the template of a script."""
    # Newer templates rely on quotes in the values.
    is_quoted = any(f"{quote}__VENV_DIR__{quote}" in template for quote in "\"'")
    values = {
        "__VENV_DIR__": _VENV,
        "__VENV_NAME__": "venv",
        "__VENV_PROMPT__": "venv" if number >= 13 else "(venv) ",  # noqa: PLR2004
        "__VENV_BIN_NAME__": "bin",
        "__VENV_PYTHON__": f"{_VENV}/bin/{python}",
    }
    for name, value in values.items():
        quoted = f"'{value}'" if script.endswith(".ps1") else shlex.quote(value)
        template = template.replace(name, value if is_quoted else quoted)
    return template


def workdir_folders(facts: BaseFacts, runtime: Runtime) -> Iterator[Entry]:
    """Yield the working directory and the folders above it; existing ones stay as they are."""
    for path in _above(facts.resolve(runtime.workdir)):
        yield _folder(path, facts.folders.get(path, (_FOLDER, 0, 0)))


def user_folders(facts: BaseFacts, runtime: Runtime) -> Iterator[Entry]:
    """Yield the folders that the user owns, and those above them.

    Raises DockerCacheError for a user that the base image does not have.
    """
    wanted = {
        facts.resolve(each.path): int(each.mode, 8) if each.mode else None for each in runtime.owned
    }

    def existing(path: str) -> check.Folder | None:
        known = facts.folders.get(path)
        return check.Folder(*known) if known else None

    folders = check.plan_folders(wanted, ids(facts, runtime.user), existing)
    for path, folder in folders.items():
        yield _folder(path, folder)


def ids(facts: BaseFacts, user: str) -> tuple[int, int]:
    """Return the uid and gid of a user. Raises DockerCacheError for an unknown name."""
    if user == "root":
        return 0, 0
    found = check.find_user(user, facts.users)
    if isinstance(found, str):
        problem, _, fix = found.partition("\n")
        raise DockerCacheError(problem, fix=fix)
    return found


def _folder(path: str, facts: tuple[int, int, int]) -> Entry:
    mode, uid, gid = facts
    return Entry(path=path, mtime=EPOCH, mode=mode, uid=uid, gid=gid)


def _above(path: str) -> list[str]:
    """List a path and the folders above it, from the top."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)] if path else []


def project_files(
    context: Path, plan: ImagePlan, ignore: str, unsent: Sequence[str]
) -> list[Entry]:
    """List the project's files in the working directory, as COPY does with an ignore file.

    `ignore` is the text of the ignore file, and `unsent` are paths that no image gets. A file's
    time depends on its content, because servers compare static files by time and size.
    Raises DockerCacheError for a file that cannot be read.
    """
    workdir = plan.runtime.workdir.strip("/")
    copied = _Copied(context, ignore, unsent)
    for path in (plan.files.paths or (".",)) if plan.files else ():
        copied.add(plan.located(path), posixpath.normpath(posixpath.join(workdir, path)))
    for each in sorted(plan.runtime.copied_beside, key=lambda each: not each.is_made_readable):
        copied.add_as(each, each.to, _numbers(each.owner))
    return copied.entries


def other_files(
    context: Path, plan: ImagePlan, ignore: str, unsent: Sequence[str], facts: BaseFacts
) -> list[Entry]:
    """List the project's files in other places, as `project_files` does for those beside it."""
    copied = _Copied(context, ignore, unsent, facts)
    for each in plan.runtime.copied_elsewhere:
        copied.add_as(each, facts.resolve(each.to), ids(facts, each.owner))
    return copied.entries


def _numbers(owner: str) -> tuple[int, int]:
    uid, _, gid = owner.partition(":")
    return (int(uid), int(gid)) if gid else (0, 0)


class _Copied:
    """What COPY makes of the files of a context that an ignore file does not exclude."""

    def __init__(
        self, context: Path, ignore: str, unsent: Sequence[str], facts: BaseFacts | None = None
    ) -> None:
        self._context, self._unsent = context, unsent
        self._lines = [parse(line) for line in ignore.split("\n")]
        self._existing = facts.folders if facts else {}
        self._found: dict[str, Entry] = {}

    @property
    def entries(self) -> list[Entry]:
        """All files, links and folders, by path."""
        return [self._found[path] for path in sorted(self._found)]

    def add_as(self, each: Copy, to: str, owner: tuple[int, int]) -> None:
        """Copy a file or folder to a place, into which a file goes if it ends with a slash."""
        inside = to.strip("/")
        if each.to.endswith("/") and not (self._context / each.source).is_dir():
            inside = posixpath.join(inside, posixpath.basename(each.source))
        self.add(each.source, inside, owner, int(each.mode, 8) if each.mode else None)

    def add(
        self, place: str, to: str, owner: tuple[int, int] = (0, 0), mode: int | None = None
    ) -> None:
        """Copy a path of the context. Raises DockerCacheError for a file that cannot be read."""
        try:
            for source in visible_paths(self._context, place, self._lines):
                if is_inside(source, self._unsent):
                    continue
                inside = posixpath.normpath(posixpath.join(to, posixpath.relpath(source, place)))
                # COPY follows a link that it names, but not the links in a folder.
                member = _member(self._context / source, inside, follow=source == place)
                keeps = inside in self._found or inside in self._existing
                if member.is_folder and source == place and keeps:
                    continue
                changed = replace(member, uid=owner[0], gid=owner[1])
                if mode is not None and member.link is None:
                    changed = replace(changed, mode=mode)
                for folder in _above(posixpath.dirname(inside)):
                    if folder not in self._found:
                        known = self._existing.get(folder, (_FOLDER, *owner))
                        self._found[folder] = _folder(folder, known)
                self._found[inside] = changed
        except OSError as error:
            raise DockerCacheError(
                f"{error.filename} cannot be read: {error.strerror}.",
                fix="Make it readable, or leave it out with `ignore` in"
                " [tool.poetry-docker-cache].",
            ) from error


def _member(source: Path, path: str, *, follow: bool) -> Entry:
    state = source.stat() if follow else source.lstat()
    if stat.S_ISLNK(state.st_mode):
        return Entry(path=path, mtime=EPOCH, mode=_LINK, link=str(source.readlink()))
    if stat.S_ISDIR(state.st_mode):
        return Entry(path=path, mtime=EPOCH, mode=_FOLDER)
    if not stat.S_ISREG(state.st_mode):
        raise DockerCacheError(
            f"{source} is not a file, folder or link, so an image cannot contain it.",
            fix="Leave it out with `ignore` in [tool.poetry-docker-cache].",
        )
    content = HostFile(source, state.st_size)
    digest = hashlib.sha256()
    for chunk in content.chunks():
        digest.update(chunk)
    return Entry(
        path=path,
        mode=_PROGRAM if state.st_mode & 0o111 else _FILE,
        content=content,
        mtime=EPOCH + int(digest.hexdigest()[:8], 16) % 10**9,
    )
