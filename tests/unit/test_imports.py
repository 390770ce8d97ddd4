"""The data goes one way: commands, then project and settings, planner, render, and the engine."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import poetry_docker_cache

PACKAGE = "poetry_docker_cache"
ROOT = Path(str(poetry_docker_cache.__file__)).parent
OTHERS = re.compile(r"^from (\w+\.)*test_\w+ import", re.MULTILINE)


def imported(path: Path) -> set[str]:
    """Name what a module imports when it runs, with what it has for types only left out."""
    package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(below)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for below in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            found |= {module, *(f"{module}.{name.name}" for name in node.names)}
    return found


def name_of(path: Path) -> str:
    """Name a module as it is imported."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): imported(path) for path in sorted(ROOT.rglob("*.py"))}


def reached(module: str) -> set[str]:
    """Name all that comes along with a module, however far."""
    found, new = set(), {module}
    while new:
        found |= new
        new = {name for it in new for name in MODULES.get(it, ())} - found
    return found


def below(names: set[str], *packages: str) -> set[str]:
    """Give the names that are in these packages."""
    return {name for name in names for it in packages if name == it or name.startswith(f"{it}.")}


def test_the_map_of_the_package() -> None:
    """Who reads its docstring finds each module."""
    left = re.findall(r"^ {2,4}(\w.*?)(?:  |$)", str(poetry_docker_cache.__doc__), re.MULTILINE)
    named = {name for column in left for name in column.split(", ")}
    modules = {name.removeprefix(f"{PACKAGE}.").partition(".")[0] for name in MODULES} - {PACKAGE}
    assert len(modules) > 50
    assert named == modules, "the docstring of the package has a place for each"


def test_nothing_leads_back_to_the_commands() -> None:
    """They are the only sequencers."""
    inner = {it for it in MODULES if not below({it}, f"{PACKAGE}.commands", f"{PACKAGE}.plugin")}
    assert len(inner) > 50
    assert not {it: found for it in inner if (found := below(MODULES[it], f"{PACKAGE}.commands"))}


@pytest.mark.parametrize("module", ["plan", "planner", "render", "settings", "bake_file", "layers"])
def test_what_is_pure(module: str) -> None:
    """It runs no process, asks no index, uses no Poetry and holds no credential."""
    found = reached(f"{PACKAGE}.{module}")
    effects = {f"{PACKAGE}.{it}" for it in ("credentials", "engine", "project", "ignore.git")}
    assert not below(found, "requests", "keyring", *effects)
    # Poetry's words for versions are no Poetry.
    assert not below(found, "poetry") - below(found, "poetry.core.constraints")


@pytest.mark.parametrize("module", ["plan", "render"])
def test_plan_and_render_know_no_poetry(module: str) -> None:
    """So a Dockerfile cannot hold what only Poetry knows."""
    assert not below(reached(f"{PACKAGE}.{module}"), "poetry", "cleo", "tomlkit")


def test_who_runs_processes() -> None:
    """The engine's runner, its way to all that a command has started, and the questions to git."""
    runners = {it for it, found in MODULES.items() if "subprocess" in found}
    host = {it for it in runners if not below({it}, f"{PACKAGE}.inside")}
    assert host == {f"{PACKAGE}.{it}" for it in ("engine", "engine.forwarding", "ignore.git")}


def test_what_runs_in_the_build_stands_alone() -> None:
    """The image has no more than its Python: of ours, a script imports its own folder only."""
    scripts = {it: found for it, found in MODULES.items() if below({it}, f"{PACKAGE}.inside")}
    assert scripts
    for module, found in scripts.items():
        assert below(found, PACKAGE) <= below(found, f"{PACKAGE}.inside"), module


def test_no_test_module_imports_another_one() -> None:
    """What several need is a helper beside the folders of tests."""
    tests = Path(__file__).parents[1]
    found = [
        path.name for path in tests.rglob("test_*.py") if OTHERS.search(path.read_text("utf-8"))
    ]
    assert not found
