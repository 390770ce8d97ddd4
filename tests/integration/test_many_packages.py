"""A lock with 300 packages, the size of large real ones."""

from __future__ import annotations

import hashlib
import platform
from typing import TYPE_CHECKING

import pytest
import tomlkit
from acme import IMAGE_PYTHON, Project
from builds import build, inspect_image
from harmless import OTHER_POETRY
from index import PrivateIndex
from projects import lock_text, package
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine

NAMES = [f"acme-{number:03}" for number in range(300)]
PYPROJECT = """\
[project]
name = "acme-many"
version = "1.0"
requires-python = ">=3.11,<4"
dependencies = {names}

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "many"
url = "{url}"
priority = "primary"

[tool.poetry-docker-cache]
python = "{python}"
command = ["python", "main.py"]
"""


@pytest.mark.engine
def test_three_hundred_packages(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    tmp_path: Path,
) -> None:
    """All are installed in fewer layers than the limit of an image, and stay cached."""
    packages = tmp_path / "packages"
    packages.mkdir()
    native = f"py3-none-manylinux_2_17_{platform.machine()}"
    wheels = {
        name: make_wheel(packages, name, tag="py3-none-any" if number % 5 else native)
        for number, name in enumerate(NAMES)
    }
    project = Project(tmp_path / "acme-many", poetry_home(engine))
    project.write("main.py", "import acme_000, acme_299\nprint(acme_299.VERSION)\n")
    with PrivateIndex(packages, {}) as index:
        source = {"type": "legacy", "url": index.url.rstrip("/"), "reference": "many"}
        locked = []
        for name, wheel in wheels.items():
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            files = [{"file": wheel.name, "hash": f"sha256:{digest}"}]
            locked.append({**package(name), "files": files, "source": source})
        text = PYPROJECT.format(names=NAMES, url=index.url, python=IMAGE_PYTHON)
        project.write("pyproject.toml", text.encode())
        data = tomlkit.parse(text).unwrap()
        project.write("poetry.lock", lock_text(data, locked).encode())
        steps = build(project)
        assert steps.installed == tuple(NAMES)
        assert 1 < len(steps.layers) < 50
        assert engine.run("acme-many:1.0") == "1.0\n"
        found = inspect_image(engine, "acme-many:1.0")["distributions"]
        assert found == [[name, "1.0"] for name in NAMES]
        project.replace("pyproject.toml", 'version = "1.0"', 'version = "1.1"')
        other = lock_text(data, locked, generator=OTHER_POETRY)
        project.write("poetry.lock", other.encode())
        again = build(project)
        assert again.layers == steps.layers
        assert (again.installed, again.rebuilt) == ((), frozenset())
