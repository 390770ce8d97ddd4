"""An image with the oldest Python: all scripts in the build run on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from acme import AcmeIndex, Project
from builds import build, inspect_image, names
from engine import default_state
from harmless import edit_harmlessly
from registry import Registry

from poetry_docker_cache.plan.python_version import PYTHONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine

OLDEST = PYTHONS[-1]
STATE = default_state()  # a test replaces the home folder
PYPROJECT = """\
[project]
name = "acme-old-python"
version = "1.0"
requires-python = ">={python}"
dependencies = ["acme-lib", "acme-util", "acme-native", "acme-extra; python_version < '3.10'"]

[project.scripts]
acme-old-python = "acme_old_python:main"

[tool.poetry.dependencies]
acme-lib = {{ source = "acme" }}
acme-util = {{ source = "acme" }}
acme-native = {{ source = "acme" }}
acme-extra = {{ source = "acme" }}

[[tool.poetry.source]]
name = "acme"
url = "{url}"
priority = "explicit"

[tool.poetry-docker-cache]
python = "{python}"
layers = 3
compile = true

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""
CODE = """\
import sys
import acme_extra, acme_lib, acme_native

def main() -> None:
    print("old", acme_native.VERSION, *sys.version_info[:2])
"""


@pytest.mark.engine
def test_oldest_python(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path: Path,
) -> None:
    """The image has what is locked for it, and keeps its layers."""
    if engine.registry is not None:  # otherwise the engine can pull the official image
        Registry(STATE).provide(f"{OLDEST}-slim")
    project = Project(tmp_path / "acme-old-python", poetry_home(engine))
    text = PYPROJECT.format(url=index.url, python=OLDEST)
    project.write("pyproject.toml", text.encode())
    project.write("acme_old_python/__init__.py", CODE)
    project.log_in(index.password)
    project.lock()
    build(project)
    assert engine.run("acme-old-python:1.0") == f"old 1.0 {OLDEST.replace('.', ' ')}\n"
    found = inspect_image(engine, "acme-old-python:1.0")
    assert names(found) == [
        *("acme-extra", "acme-lib", "acme-native", "acme-old-python", "acme-util")
    ]
    for nothing in ("leftovers", "writable"):
        assert found[nothing] == [], nothing
    assert found["bytecode"]
    edit_harmlessly(
        project,
        sources=["acme_old_python/__init__.py"],
        wider=('"acme-lib"', '"acme-lib (>=0.5)"'),
    )
    steps = build(project)
    assert (steps.installed, steps.rebuilt) == ((), frozenset())
    assert "application" in steps.ran
