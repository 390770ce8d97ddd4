"""COPY and ADD: which files the new image has anyway, and which ones `files` or `copy` name."""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.migrate.outcomes import Outcome, left_over, setting, unneeded
from poetry_docker_cache.project.model import SourceTreeRoot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poetry_docker_cache.docker.dockerfile_syntax import Instruction
    from poetry_docker_cache.migrate.stage_state import StageState
    from poetry_docker_cache.migrate.starts import Starts

_MANIFEST = re.compile(
    r"(?:pyproject\.toml|poetry\.(?:lock|toml)|setup\.(?:py|cfg)|MANIFEST\.in|\.python-version"
    r"|requirements[\w.-]*\.(?:txt|in)|README(?:\.\w+)?|LICEN[SC]E(?:\.\w+)?|CHANGELOG(?:\.\w+)?"
    r"|Pipfile(?:\.lock)?|uv\.lock|Makefile|pip\.conf)[*?]*"
)
_READ_BY_BUILD = "the build reads the project's metadata and lock file itself"
_IN_WHEEL = "part of the project's wheel, which is installed"
_ANYWAY = "the image has these files without a setting"


@dataclass(frozen=True, kw_only=True)
class Copying:
    """A COPY or ADD, split into its parts."""

    sources: tuple[str, ...]
    target: str
    origin: str = ""
    """The image or stage of `--from`."""
    owner: str = ""
    mode: str = ""


def read_copying(instruction: Instruction, state: StageState) -> Copying | None:
    """Split a COPY or ADD; None for one that Docker would refuse."""
    rest = instruction.arguments
    flags: dict[str, str] = {}
    while match := re.match(r"--([a-z-]+)(?:=(\S+))?\s+", rest):
        flags[match[1]] = state.expand((match[2] or "true").strip("\"'"))
        rest = rest[match.end() :]
    words = _words(rest)
    if len(words) < 2:  # noqa: PLR2004  # source and target
        return None
    *sources, target = (state.expand(word) for word in words)
    return Copying(
        sources=tuple(sources),
        target=target,
        origin=flags.get("from", ""),
        owner=flags.get("chown", ""),
        mode=flags.get("chmod", ""),
    )


def _words(rest: str) -> list[str]:
    if rest.startswith("["):
        with contextlib.suppress(ValueError):
            words = json.loads(rest)
            if isinstance(words, list) and all(isinstance(word, str) for word in words):
                return words
    return [word.strip("\"'") for word in rest.split()]


class ContextCopies:
    """Translates what comes from the build context."""

    def __init__(self, state: StageState, prefix: str, starts: Starts | None = None) -> None:
        self._state = state
        self._prefix = prefix
        self._needed = {*(starts.paths if starts else ())}
        self._idle = starts.idle if starts else None
        self.whole = False
        """Whether the whole project was copied."""
        self.covered: list[str] = []
        """The copied paths that the image has by default."""

    def read(self, copying: Copying) -> list[Outcome]:
        """Translate each source."""
        found = [outcome for source in copying.sources for outcome in self._source(source, copying)]
        return [*{str(outcome): outcome for outcome in found}.values()]

    def _source(self, source: str, copying: Copying) -> list[Outcome]:
        if "://" in source or source.startswith("git@"):
            return [
                left_over(
                    "Add the file to the project and to `copy`, or download it with a line in"
                    " `instructions.runtime` that checks its sha256."
                )
            ]
        if source.startswith("<<"):
            return [left_over("Write the file into the project, and add it to `copy`.")]
        path = _in_context(source)
        if _MANIFEST.fullmatch(posixpath.basename(path)):
            return [unneeded(_READ_BY_BUILD)]
        if "$" in path:
            return [left_over("The path has a variable. Add the file to `files` or `copy`.")]
        inner = self._in_project(path)
        if inner is None:
            return [self._outside(path)]
        around = self._state.around
        paths = [inner] if inner == "." else around.matching(inner)
        if not paths:
            if path.endswith("*") or set(path) & set("*?["):
                return [unneeded("no file of the project matches")]
            return [
                left_over(
                    f"{inner} is not in the project. If CI makes it, add it to `files` or `copy`;"
                    " the build then needs it."
                )
            ]
        several = len(copying.sources) > 1 or len(paths) > 1
        return [self._path(each, copying, several=several) for each in paths]

    def _in_project(self, path: str) -> str | None:
        """Return the path relative to the project; None outside of it."""
        prefix = self._prefix
        if not prefix or path in (".", prefix):
            return "." if path in (".", prefix) else path
        inside = path.startswith(f"{prefix}/")
        return path[len(prefix) + 1 :] if inside else None

    def _outside(self, path: str) -> Outcome:
        places = {package.path for package in self._state.around.project.path_packages}
        names = {posixpath.basename(posixpath.normpath(place)) for place in places}
        if posixpath.basename(path) in names:
            return unneeded("a path dependency, which the build installs from a wheel")
        return left_over(
            f"{path} is outside the project, but an image contains only files of the project. Move"
            " it into the project, or make it a path dependency."
        )

    def _path(self, path: str, copying: Copying, *, several: bool) -> Outcome:
        state, around = self._state, self._state.around
        target = posixpath.normpath(posixpath.join(state.workdir, copying.target))
        file = around.is_file(path)
        into = copying.target.endswith(("/", ".")) or several or target == state.workdir
        into = into or target in state.copied or target == state.home
        place = posixpath.join(target, posixpath.basename(path)) if file and into else target
        state.copied[place] = path
        if not state.is_final:
            return unneeded("the build takes what it needs from the project")
        if path == ".":
            self.whole = True
            return unneeded(
                "the project is installed from its wheel, with the files that a running application"
                " needs beside it"
                if around.project.files is not None
                else "the image has the whole project, except for what the ignore file excludes"
            )
        if around.in_wheel(path):
            return unneeded(_IN_WHEEL)
        if place == posixpath.join(state.home, path):
            if around.found_by_default(path):
                self.covered.append(path)
                return unneeded(_ANYWAY)
            return setting("files", [path])
        if re.match(r"\.(?:bash|zsh|vim|profile|inputrc)", posixpath.basename(place)):
            return unneeded("settings of a shell")
        if path == self._idle:
            return unneeded("it only starts CMD")
        if path in self._needed:
            self.covered.append(path)
            return unneeded("the start command runs it from its place in the project")
        moved = not file and around.has_code(path)
        if moved and isinstance(around.project.root, SourceTreeRoot):
            self.covered.append(path)
            return unneeded("the code keeps its place in the project")
        if moved and any(around.in_wheel(f"{path}/{name}") for name in _top(path, around.files)):
            return unneeded(_IN_WHEEL)
        return self._copy(path, place, copying)

    def _copy(self, path: str, place: str, copying: Copying) -> Outcome:
        entry: dict[str, str] = {"from": path, "to": place}
        if re.fullmatch(r"0?[0-7]{3,4}", copying.mode):
            entry["mode"] = copying.mode.zfill(4)
        elif path.endswith(".sh"):
            entry["mode"] = "0755"
        return setting("copy", [entry])


def _top(folder: str, files: Iterable[str]) -> set[str]:
    inside = (name[len(folder) + 1 :] for name in files if name.startswith(f"{folder}/"))
    return {name.partition("/")[0] for name in inside}


def _in_context(source: str) -> str:
    """Return a source relative to the build context, which `..` cannot leave."""
    return posixpath.normpath(posixpath.join("/", source)).lstrip("/") or "."
