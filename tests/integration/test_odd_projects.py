"""Unusual features of real projects, all in one project, and an exact Python version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomlkit
from acme import AcmeIndex, Project
from builds import build, inspect_image
from clean_poetry import POETRY
from harmless import edit_harmlessly
from poetry.packages.locker import Locker
from tls_index import tls_index
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall

pytestmark = pytest.mark.engine

# The README is missing and the code is in src, so the project runs from source.
PYPROJECT = """\
[tool.poetry]
name = "acme-odd"
version = "1.0"
description = ""
authors = []
readme = "README.md"
requires-poetry = "=={poetry}"

[tool.poetry.dependencies]
python = "^3.11"

[tool.poetry.group.main.dependencies]
acme-lib = "^1.0"
acme-tls = {{ version = "*", source = "acme-tls" }}

[tool.poetry.group."dev,tests".dependencies]
acme-extra = "*"

[[tool.poetry.source]]
name = "acme"
url = "{url}"

[[tool.poetry.source]]
name = "acme-tls"
url = "{tls}"
priority = "explicit"

[tool.poetry-docker-cache]
groups = ["main", "dev,tests"]
command = ["python", "-m", "acme_odd"]
"""
CODE = """\
import platform
import acme_extra, acme_lib, acme_tls

print("odd", acme_tls.VERSION, platform.python_version())
"""


@dataclass(frozen=True, kw_only=True)
class Odd:
    """The project, and what is needed to install it."""

    project: Project
    python: str
    """The exact Python version in the images."""
    certificates: Path


@pytest.fixture
def odd(
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    engine: DockerEngine,
    tmp_path: Path,
) -> Iterator[Odd]:
    """Lock the project, with Windows line endings; one of its sources has a private CA."""
    code = "import platform; print(platform.python_version())"
    python = engine.run("python:3.13-slim", "python", "-c", code).strip()
    engine.docker("tag", "python:3.13-slim", f"python:{python}-slim")
    packages, certificates = tmp_path / "packages", tmp_path / "certificates"
    (packages / "acme-tls").mkdir(parents=True)
    certificates.mkdir()
    make_wheel(packages / "acme-tls", "acme-tls")
    project = Project(tmp_path / "acme-odd", poetry_home(engine))
    with tls_index(packages, certificates) as tls:
        text = PYPROJECT.format(url=index.url, tls=tls.url, poetry=POETRY)
        project.write("pyproject.toml", text.encode())
        project.write("src/acme_odd/__init__.py", "")
        project.write("src/acme_odd/__main__.py", CODE)
        project.write(".python-version", f"{python}\n")
        project.log_in(index.password)
        needed = {"cert": str(tls.ca), "client-cert": str(tls.client)}
        config = Path(project.poetry.env["POETRY_CONFIG_DIR"]) / "config.toml"
        config.write_text(tomlkit.dumps({"certificates": {"acme-tls": needed}}), encoding="utf-8")
        project.lock()
        for path in project.folder.rglob("*.*"):
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        yield Odd(project=project, python=python, certificates=certificates)


def pin(project: Project, python: str) -> None:
    """Allow this Python only; a Poetry on another Python would refuse to lock that."""
    project.replace("pyproject.toml", 'python = "^3.11"', f'python = "{python}"')
    data = tomlkit.parse(project.read("pyproject.toml")).unwrap()
    fresh = Locker(Path("poetry.lock"), data)._get_content_hash()
    lock = re.sub(r'(?<=content-hash = ")\w+', fresh, project.read("poetry.lock"))
    project.write("poetry.lock", lock.encode())


def test_unusual_features_of_real_projects(
    engine: DockerEngine, odd: Odd, poetry_install: PoetryInstall
) -> None:
    """The image is correct, keeps its layers, and has the requested Python either way."""
    project, certificates = odd.project, [f"--volume={odd.certificates}:{odd.certificates}:ro"]
    assert b"\r\n" in (project.folder / "poetry.lock").read_bytes()
    steps = build(project, "--tag=acme-odd:source")
    assert f"Python {odd.python}: from .python-version." in steps.said
    assert "the README `README.md` does not exist" in steps.said
    assert engine.run("acme-odd:source") == f"odd 1.0 {odd.python}\n"
    found = inspect_image(engine, "acme-odd:source")
    installed = poetry_install(project, "--no-root", container=certificates)
    assert found["distributions"] == installed
    assert (found["writable"], found["leftovers"]) == ([], [])

    # This writes the README, so that a wheel can be built, and plain line endings.
    edit_harmlessly(project, sources=["src/acme_odd/__main__.py"])
    (project.folder / ".python-version").unlink()
    pin(project, odd.python)
    steps = build(project, "--tag=acme-odd:wheel")
    assert f"Python {odd.python}: the only one that the project allows." in steps.said
    assert (steps.installed, steps.rebuilt) == ((), frozenset())
    assert engine.run("acme-odd:wheel") == f"odd 1.0 {odd.python}\n"
    found = inspect_image(engine, "acme-odd:wheel")
    assert found["distributions"] == sorted([*installed, ["acme-odd", "7.0"]])
