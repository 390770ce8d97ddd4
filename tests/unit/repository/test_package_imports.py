"""Rules that import-linter cannot check: processes, levels, and what build scripts import."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import poetry_docker_cache

PACKAGE = "poetry_docker_cache"
ROOT = Path(str(poetry_docker_cache.__file__)).parent
OTHERS = re.compile(r"^from (\w+\.)*test_\w+ import", re.MULTILINE)


def imported(path: Path, *, when_called: bool = True) -> set[str]:
    """Return the imports of a module, except those for type checking only.

    Without `when_called`, imports inside functions are left out as well.
    """
    package = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {
        id(below)
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (isinstance(node, ast.FunctionDef) and not when_called)
        for below in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            found |= {module, *(f"{module}.{name.name}" for name in node.names)}
    return found


def name_of(path: Path) -> str:
    """Return the name that a module is imported by."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): imported(path) for path in sorted(ROOT.rglob("*.py"))}


def below(names: set[str], *packages: str) -> set[str]:
    """Return the names that are in these packages."""
    return {name for name in names for package in packages if f"{name}.".startswith(f"{package}.")}


def test_only_named_modules_run_processes() -> None:
    """They run the engine, compilers, build backends and credential helpers, and query git."""
    runners = {name for name, found in MODULES.items() if "subprocess" in found}
    host = {name for name in runners if not below({name}, f"{PACKAGE}.inside")}
    names = ("buildx.engine", "no_engine.bytecode", "no_engine.host_wheels")
    assert host == {
        f"{PACKAGE}.{name}"
        for name in (*names, "registry.registry_login", "project.git", "system.signals")
    }


def test_imports_are_at_most_eight_levels_deep() -> None:
    """Counted above `errors`, which imports nothing, and without imports that a command delays."""
    direct = {
        name_of(path): imported(path, when_called=False) - {PACKAGE, name_of(path)}
        for path in ROOT.rglob("*.py")
    }

    @functools.cache
    def level(module: str) -> int:
        return max((1 + level(name) for name in direct[module] if name in direct), default=0)

    assert level(f"{PACKAGE}.errors") == 0
    levels = {module: level(module) for module in direct}
    deepest = max(levels, key=levels.__getitem__)
    assert levels[deepest] <= 8, deepest


def test_scripts_in_the_build_import_only_their_folder() -> None:
    """The rest of the package is not installed in the image."""
    scripts = {name: found for name, found in MODULES.items() if below({name}, f"{PACKAGE}.inside")}
    assert scripts
    for module, found in scripts.items():
        assert below(found, PACKAGE) <= below(found, f"{PACKAGE}.inside"), module


def test_no_test_module_imports_another_one() -> None:
    """Shared helpers are in tests/support."""
    tests = Path(__file__).parents[2]
    found = [
        path.name for path in tests.rglob("test_*.py") if OTHERS.search(path.read_text("utf-8"))
    ]
    assert not found
