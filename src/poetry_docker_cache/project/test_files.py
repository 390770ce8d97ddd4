"""The project's tests: which of its files they are made of."""

from __future__ import annotations

import configparser
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.ignore_patterns import is_inside, outermost
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.root.declared import is_here
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from poetry_docker_cache.project.model import Project, SourceTreeRoot

FOLDER_NAMES = ("tests", "test")
_DATA = ("fixtures", "testdata")
_CONFIGURATION = (
    "conftest.py",
    "pyproject.toml",
    "pytest.toml",
    ".pytest.toml",
    "pytest.ini",
    ".pytest.ini",
    "tox.ini",
    "setup.cfg",
    ".coveragerc",
)
_MODULES = ("test_*.py", "*_test.py", "tests.py")


def with_test_files(folder: Path, project: Project) -> Project:
    """Add what only images for development and tests take from the project."""
    return replace(
        project,
        tests=find_test_files(folder, project.root),
        has_manage_py=(folder / "manage.py").is_file(),
    )


def find_test_files(folder: Path, root: WheelRoot | SourceTreeRoot) -> tuple[str, ...]:
    """Find the tests and the configuration of pytest: paths relative to the project, sorted.

    Tests inside a package come with all of it, because they import its other modules.
    """
    found = [name for name in (*FOLDER_NAMES, *_DATA) if (folder / name).is_dir()]
    found += [path.name for pattern in _MODULES for path in folder.glob(pattern)]
    found += _test_paths(folder)
    packages = root.paths if isinstance(root, WheelRoot) else ()
    if not found:
        found += [path for path in packages if _has_tests(folder / path)]
    within = {path: package for path in found for package in packages if is_inside(path, [package])}
    found = [within.get(path, path) for path in found]
    found += [name for name in _CONFIGURATION if (folder / name).is_file()]
    return outermost(path for path in found if not path.startswith("..") and is_here(folder, path))


def _has_tests(path: Path) -> bool:
    if not path.is_dir():
        return False
    return any(
        next(path.rglob(pattern), None) is not None for pattern in (*FOLDER_NAMES, *_MODULES)
    )


def _test_paths(folder: Path) -> list[str]:
    """The folders in pytest's setting `testpaths`, which may be patterns."""
    found = []
    for pattern in _stated(folder):
        plain = posixpath.normpath(pattern)
        if PurePosixPath(plain).is_absolute() or plain.startswith("..") or plain == ".":
            continue
        found += [path.relative_to(folder).as_posix() for path in sorted(folder.glob(plain))]
    return found


def _stated(folder: Path) -> list[str]:
    """The values of `testpaths` in the file that pytest reads: the first one that has a section."""
    for name, sections in (
        ("pytest.toml", ("pytest",)),
        (".pytest.toml", ("pytest",)),
        ("pytest.ini", ("pytest",)),
        (".pytest.ini", ("pytest",)),
        ("pyproject.toml", ("tool.pytest.ini_options", "tool.pytest")),
        ("tox.ini", ("pytest",)),
        ("setup.cfg", ("tool:pytest",)),
    ):
        tables = _tables(folder / name)
        for section in sections:
            if (table := tables.get(section)) is not None and "testpaths" in table:
                return _words(table["testpaths"])
    return []


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(each) for each in value] if isinstance(value, list) else []


def _tables(path: Path) -> dict[str, Mapping[str, Any]]:
    """Read the tables of a file by their names; empty if it cannot be read, as pytest will say."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".toml":
            return dict(_named(tomllib.loads(text), ""))
        parser = configparser.RawConfigParser()
        parser.read_string(text)
    except (OSError, ValueError, configparser.Error):
        return {}
    return {name: dict(parser[name]) for name in parser.sections()}


def _named(table: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield f"{prefix}{key}", value
            yield from _named(value, f"{prefix}{key}.")
