"""Check that console scripts and the start command point at what exists. Pure."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.doctor.checks import error, ok, warning
from poetry_docker_cache.plan.image_plan import NO_COMMAND
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from poetry_docker_cache.doctor.checks import Check
    from poetry_docker_cache.verify.distributions import Distribution
    from poetry_docker_cache.verify.image_tree import ImageTree

_MOST = 5
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_PYTHON = re.compile(r"python[\d.]*t?")
# The servers that take `module:attribute` as an argument.
_SERVERS = {"daphne", "granian", "gunicorn", "hypercorn", "uvicorn", "waitress-serve"}
_TARGET = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*):[A-Za-z_]\w*(?:[.(].*)?")
_SHELLS = {"sh", "bash", "ash", "dash"}
_SET_COMMAND = "Set `command` in [tool.poetry-docker-cache], and build the image again."


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a container looks for programs and modules."""

    tree: ImageTree
    programs: Sequence[str]
    """The folders of PATH."""
    modules: Sequence[str]
    """The folders that Python imports from."""
    workdir: str

    def has_module(self, name: str) -> bool:
        """Return whether a module or package exists."""
        return any(self._is_module(f"{folder}/{name.replace('.', '/')}") for folder in self.modules)

    def _is_module(self, path: str) -> bool:
        node = self.tree.get(path)
        if (node and node.kind == "folder") or self.tree.get(f"{path}.py"):
            return True
        place = self.tree.resolve(posixpath.dirname(path))
        start = f"{posixpath.join(place, posixpath.basename(path))}."
        return any(each.startswith(start) and each.endswith(".so") for each in self.tree.nodes)

    def find_program(self, name: str) -> str | None:
        """Return the path of a program, as a shell finds it."""
        paths = [f"{folder}/{name}" for folder in self.programs]
        if "/" in name:
            paths = [posixpath.join(self.workdir, name)]
        for path in paths:
            node = self.tree.get(path)
            if node and node.kind == "file" and node.mode & 0o111:
                return self.tree.resolve(path)
        return None


def check_scripts(
    places: Places, installed: Sequence[Distribution], bin_folder: str, intact: Collection[str]
) -> Iterator[Check]:
    """Check that each console script exists, and the module that it calls.

    A published package may name a module that it lacks: that is not wrong in the image if its files
    are `intact`.
    """
    missing: list[str] = []
    broken: list[str] = []
    strange: list[str] = []
    count = 0
    for each in installed:
        for script, target in each.scripts.items():
            count += 1
            module = target.partition(":")[0].strip()
            if places.tree.get(f"{bin_folder}/{script}") is None:
                missing.append(f"{script} ({each.name})")
            elif not places.has_module(module):
                text = f"{script} ({each.name}) calls {module}"
                (strange if each.name in intact else broken).append(text)
    fix = "Build the image again. For your own scripts, correct them in pyproject.toml."
    if missing:
        yield error("scripts", f"Missing programs: {listing(missing, _MOST)}.", fix)
    if broken:
        yield error("scripts", f"Modules that do not exist: {listing(broken, _MOST)}.", fix)
    if strange:
        yield warning(
            "scripts",
            f"Modules that the packages do not contain: {listing(strange, _MOST)}.",
            "They may need an extra. Else report it to the package's maintainers.",
        )
    if not (missing or broken or strange):
        yield ok("scripts", f"All {count} programs of packages call modules that exist.")


def check_program(places: Places, settings: Mapping[str, Any]) -> Check:
    """Check that the program of ENTRYPOINT and CMD exists, and the module or file it starts."""
    words = [*(settings.get("Entrypoint") or ()), *(settings.get("Cmd") or ())]
    if not words or tuple(words) == NO_COMMAND:
        return warning("start", "The image starts nothing: no start command is set.", _SET_COMMAND)
    text = " ".join(words)
    program = places.find_program(words[0])
    if program is None:
        return error(
            "start", f"The image starts `{text}`, but has no program {words[0]}.", _SET_COMMAND
        )
    missing = _missing_argument(places, words)
    if missing:
        return error("start", f"The image starts `{text}`, but has no {missing}.", _SET_COMMAND)
    return ok("start", f"The image starts `{text}`, which exists.")


def _missing_argument(places: Places, words: Sequence[str]) -> str:
    """Return the module or file that is missing; empty if none is."""
    name, rest = posixpath.basename(words[0]), words[1:]
    if name in _SHELLS:
        return ""
    if _PYTHON.fullmatch(name):
        for number, word in enumerate(rest):
            if word in ("-m", "-c") or not word.startswith("-"):
                return _missing_python(places, rest[number:])
        return ""
    if name in _SERVERS:
        found = (_TARGET.fullmatch(word) for word in rest)
        for match in filter(None, found):
            if not places.has_module(match[1]):
                return f"module {match[1]}"
    return ""


def _missing_python(places: Places, words: Sequence[str]) -> str:
    if words[0] == "-c":
        return ""
    if words[0] == "-m":
        module = words[1] if len(words) > 1 else ""
        exists = not _MODULE.fullmatch(module) or places.has_module(module)
        return "" if exists else f"module {module}"
    path = posixpath.join(places.workdir, words[0])
    return "" if places.tree.get(path) else f"file {path}"
