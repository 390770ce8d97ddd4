"""Files that only development needs: an image of the whole source tree is built without them."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.docker.kept_out import DEVELOPMENT, TESTS, is_kept_out
from poetry_docker_cache.project.root.declared import is_file, text_of
from poetry_docker_cache.system.compat import is_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_DATA = ("fixtures",)
"""Folders that Django loads from by a command that no code contains."""
_CONFIGURATION = {".cfg", ".conf", ".ini", ".json", ".sh", ".toml", ".yaml", ".yml", ""}
_OF_TOOLS = re.compile(
    r"\..*|(docker-)?compose.*|.*Dockerfile.*|Makefile|[Tt]askfile.*|justfile|mkdocs.*\.yml|mypy\.ini"
    r"|codecov\.yml|package(-lock)?\.json|poetry\.lock|pyproject\.toml|pytest\.ini|ruff\.toml"
    r"|setup\.(cfg|py)|tox\.ini|tsconfig.*|conftest\.py|noxfile\.py|test_.*\.py|.*_tests?\.py"
)
"""Files of tools, which name tests and documentation but do not run in the image."""
_COMMANDS_OF_TOOLS = re.compile(
    r"\b(?:bandit|black|cov(?:erage)?|flake8|isort|locust|mkdocs|mypy|pylint|pytest|ruff|sphinx"
    r"|terraform|unittest)\b"
)
_ADDRESS = re.compile(r"://[^\s\"']+")
_SKIPPED = ("locale", "migrations", "node_modules", "static")
_LARGEST = 200_000


def development_files(folder: Path, needed: Collection[str]) -> tuple[str, ...]:
    """List what to leave out of a whole source tree: no code or configuration in it names these.

    `needed` are paths that the image needs in any case.
    """
    paths = [*_at_top(folder)]
    nested, others = _test_folders(folder, paths)
    paths += [] if others else nested
    sure = [path for path in paths if path.startswith(".")]
    names = {Path(path).name for path in paths if path not in sure}
    names = {name for name in names if not any(name in path.split("/") for path in needed)}
    texts = _texts(folder, paths, names)
    while names and (text := next(texts, None)) is not None:
        names -= _named(text, names)
    return tuple(sorted(path for path in paths if path in sure or Path(path).name in names))


def _at_top(folder: Path) -> Iterator[str]:
    """Yield the names at the top that are usually for development."""
    is_django = is_file(folder / "manage.py")
    for path in sorted(folder.iterdir()):
        usual = any(fnmatchcase(path.name, pattern) for pattern in DEVELOPMENT)
        if usual and not (is_django and path.name in _DATA):
            if is_folder(path) or path.suffix != ".py":
                yield path.name
        elif is_file(path / "package.json") and is_folder(path / "src") and not _has_code(path):
            yield path.name


def _has_code(folder: Path) -> bool:
    return any(any(folder.glob(pattern)) for pattern in ("*.py", "*/*.py", "*/*/*.py"))


def _test_folders(folder: Path, top: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the folders below the top that hold tests, and others of the same names."""
    tests: list[str] = []
    others: list[str] = []
    for here, folders, _ in os.walk(folder):
        place = Path(here)
        folders[:] = [name for name in folders if not _is_skipped(name) and "." not in name]
        if place == folder:
            folders[:] = [name for name in folders if name not in top]
            continue
        for name in [name for name in folders if name in TESTS]:
            inner = place / name
            holds = any(any(inner.glob(f"**/{pattern}")) for pattern in ("test*.py", "conftest.py"))
            (tests if holds else others).append(inner.relative_to(folder).as_posix())
            folders.remove(name)
    return tests, others


def _is_skipped(name: str) -> bool:
    return name in _SKIPPED or is_kept_out(name)


def _texts(folder: Path, without: Collection[str], names: Collection[str]) -> Iterator[str]:
    """Yield code, and configuration near the top, that may name one of `names`.

    `without` are paths to leave out.
    """
    for here, folders, files in os.walk(folder):
        place = os.path.relpath(here, folder)
        depth = 0 if place == "." else place.count("/") + 1
        folders[:] = [
            name
            for name in folders
            if not _is_skipped(name) and not is_inside(os.path.normpath(f"{place}/{name}"), without)
        ]
        for name in files:
            path = Path(here, name)
            is_code = path.suffix == ".py"
            if _OF_TOOLS.fullmatch(name) or not (is_code or path.suffix in _CONFIGURATION):
                continue
            if is_code or depth <= 1:
                text = text_of(path) if is_code or _size(path) <= _LARGEST else ""
                if any(word in text for word in names):
                    text = _ADDRESS.sub("", text)
                    yield _paths_in(text) if is_code else _without_tools(text)


def _size(path: Path) -> int:
    """Return the size of a file, or 0 for a link without a target."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _named(text: str, names: Collection[str]) -> set[str]:
    """Return the names that a path or a dotted name in a text contains."""
    any_name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    # An address of the application, such as "/docs", begins with a slash.
    pattern = rf"(?:(?<![^\s\"'.:=(,])|(?<=[^\s\"'=(,]/))({any_name})(?![^\s\"'/.:),])"
    return {*re.findall(pattern, text)}


def _without_tools(text: str) -> str:
    lines = (line.partition("#")[0] for line in text.splitlines())
    return "\n".join(line for line in lines if not _COMMANDS_OF_TOOLS.search(line))


def _paths_in(code: str) -> str:
    """Return what may be a path or a module in Python code: imports, and strings without spaces."""
    strings = re.findall(r"\"[^\"\s]*\"|'[^'\s]*'", code)
    imports = re.findall(r"^[ \t]*(?:from|import)[ \t]+([\w., \t]+)", code, re.MULTILINE)
    return "\n".join([*strings, *imports])
