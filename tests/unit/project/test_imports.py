"""Modules that the code imports but the wheel lacks, and scripts that the image can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from roots import POETRY, PROJECT, read, write

from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.imports import find_unpackaged

if TYPE_CHECKING:
    from pathlib import Path

FLAT = POETRY + 'packages = [{include = "acme"}]\n'
SRC = POETRY + 'packages = [{include = "acme", from = "src"}]\n'
BUILD = 'requires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
SETUPTOOLS = f"{PROJECT}[build-system]\n{BUILD}"
INSTALLED = {"click", "my-redis"}


def modules(folder: Path, toml: str, *files: str, beside: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Write a project as `read` does, and return the modules that it needs beside its wheel."""
    root = read(folder, toml, *files)
    assert isinstance(root, WheelRoot)
    found = find_unpackaged(folder, root, files=beside, scripts={}, installed=INSTALLED)
    return found.modules


@pytest.mark.parametrize(
    ("toml", "files", "expected"),
    [
        (FLAT, ["acme/a.py=import config\n", "config.py"], ("config.py",)),
        (FLAT, ["acme/a.py=from config import x\n", "config/a/b.py"], ("config",)),
        (FLAT, ["acme/a.py=def f():\n    import os, config.x as c\n", "config.py"], ("config.py",)),
        (SRC, ["src/acme/a.py=import config\n", "src/config.py"], ("src/config.py",)),
        (SRC, ["src/acme/a.py=import config\n", "config.py"], ()),
        (
            FLAT,
            ["acme/a.py=import config\n", "config.py=import db\n", "db/a.py"],
            ("config.py", "db"),
        ),
        (FLAT, ["acme/a.py=import config\n", "config.py=import config, acme\n"], ("config.py",)),
        (FLAT, ["acme/a.py=from . import config\n", "config.py"], ()),
        (FLAT, ["acme/a.py=import configs\n# import config\n", "config.py"], ()),
        (FLAT, ["acme/a.py=import config\n", "config/a.yaml"], ()),
        (FLAT, ["acme/a.py=import my_redis, logging, acme.b\n", "my_redis/a.py", "logging.py"], ()),
        (FLAT, ["acme/a.py=import tests.x\n", "tests/x.py"], ()),
        (FLAT, ["acme/tests/a.py=import config\n", "acme/a.py", "config.py"], ()),
        (
            POETRY + 'packages = [{include = "acme/api"}]\n',
            ["acme/api/a.py=import acme.other\n", "acme/other.py"],
            (),
        ),
    ],
)
def test_imported_modules_are_found(
    tmp_path: Path, toml: str, files: list[str], expected: tuple[str, ...]
) -> None:
    """They are on the path, imported by code that runs, and not a dependency."""
    assert modules(tmp_path, toml, *files) == expected


def test_imports_of_files_beside_the_package_count(tmp_path: Path) -> None:
    """A `main.py` is part of the application."""
    files = ("acme/a.py", "main.py=import routes\n", "routes/a.py", "unused.py")
    assert modules(tmp_path, FLAT, *files) == ()
    assert modules(tmp_path, FLAT, *files, beside=("main.py",)) == ("routes",)


def test_started_file_can_import_from_its_folder(tmp_path: Path) -> None:
    """The packages may be in `src`."""
    files = ("src/acme/a.py", "main.py=import config\n", "config.py")
    assert modules(tmp_path, SRC, *files) == ()
    assert modules(tmp_path, SRC, *files, beside=("main.py",)) == ("config.py",)


def test_folders_above_the_project_do_not_count(tmp_path: Path) -> None:
    """Packages may come from there."""
    write(tmp_path, "base/acme/a.py=import config\n", "base/config.py")
    toml = POETRY + 'packages = [{include = "acme", from = "../base"}]\n'
    assert modules(tmp_path / "app", toml, "config.py") == ()


@pytest.mark.parametrize(
    ("scripts", "own", "taken"),
    [
        ({"a": "acme.cli", "lint": "tools.lint", "test": "tests.run"}, ("a",), ()),
        ({"a": "tools.lint", "b": "tools.run"}, ("a", "b"), ("tools",)),
        ({"a": "uvicorn.main", "lint": "tools.lint"}, ("a",), ()),
        ({"test": "tests.run"}, ("test",), ()),
        ({}, (), ()),
    ],
)
def test_scripts_of_missing_modules_are_development_tools(
    tmp_path: Path, scripts: dict[str, str], own: tuple[str, ...], taken: tuple[str, ...]
) -> None:
    """If this is true of all scripts, they belong to the application."""
    root = read(tmp_path, FLAT, "acme/cli.py", "tools/lint.py", "tests/run.py")
    found = find_unpackaged(tmp_path, root, files=(), scripts=scripts, installed=INSTALLED)
    assert (found.scripts, found.modules, found.whole) == (own, taken, bool(taken))


@pytest.mark.parametrize(
    ("toml", "code"), [(SRC, "src/acme/cli.py"), (SETUPTOOLS, "src/my_app/cli.py")]
)
def test_script_outside_src_is_a_development_tool(tmp_path: Path, toml: str, code: str) -> None:
    """`poetry run` finds it, but the image does not have it."""
    root = read(tmp_path, toml, code, "tools/lint.py")
    scripts = {"a": code.split("/")[1] + ".cli", "lint": "tools.lint"}
    found = find_unpackaged(tmp_path, root, files=(), scripts=scripts, installed=INSTALLED)
    assert (found.scripts, found.modules, found.whole) == (("a",), (), False)


def test_source_tree_lacks_no_module(tmp_path: Path) -> None:
    """There is no wheel, or its content is unknown."""
    write(tmp_path, "a.py=import b\n", "b.py")
    tree = SourceTreeRoot(reason="x")
    found = find_unpackaged(tmp_path, tree, files=(), scripts={"b": "b", "a": "a"}, installed=())
    assert (found.scripts, found.modules) == (("a", "b"), ())
    root = read(tmp_path, SETUPTOOLS, "setup.py=from setuptools import setup\nsetup(name=1)\n")
    assert isinstance(root, WheelRoot)
    assert root.whole
    assert find_unpackaged(tmp_path, root, files=("a.py",), scripts={}, installed=()).modules == ()
