"""Tests of all scripts that run inside the build."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from poetry_docker_cache import inside

FOLDER = Path(str(inside.__file__)).parent
SCRIPTS = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_stand_alone(name: str) -> None:
    """Each fits into a heredoc, and needs only Python 3.9 and the standard library."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert "EOF" not in text.splitlines()
    nodes = list(ast.walk(ast.parse(text, feature_version=(3, 9))))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    # Modules of a package import only from that package, single scripts from none.
    alone = name in ("compile.py", "install/build_wheel.py")
    assert {node.level for node in froms} <= ({0} if alone else {0, 1})
    imported = {node.module or "" for node in froms if not node.level}
    imports = [node for node in nodes if isinstance(node, ast.Import)]
    imported |= {alias.name for node in imports for alias in node.names}
    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    known = {"pip._vendor", "tomllib"}  # Python 3.10 does not list tomllib
    if name.startswith("install/"):
        known.add("tomli")  # Poetry's environment has no pip
    if name == "install/index_pages.py":
        known.add("pip._internal.models.index")  # without it, pip downloads the wheels
    if name == "install/poetry_install.py":
        known.add("poetry.packages.locker")
    if name == "install/poetry_download.py":
        known |= {"poetry.console", "poetry.installation", "poetry.utils.cache"}
    if name == "check.py":  # in the build, it is next to the folder
        known.add("install")
    if name == "direct.py":
        known |= {"install", "install.__main__", "install.failures"}
    assert foreign <= known
