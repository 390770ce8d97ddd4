"""A version from git, by poetry-dynamic-versioning, in an image without git."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from acme import IMAGE_PYTHON, AcmeIndex, Project
from builds import LAYER, build, inspect_image
from harmless import edit_harmlessly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

# The backend comes from pip's default index, as no source replaces PyPI.
PYPROJECT = """\
[project]
name = "acme-tagged"
dynamic = ["version"]
requires-python = ">=3.11,<4"
dependencies = ["acme-lib", "acme-util"]

[project.scripts]
acme-tagged = "acme_tagged:main"

[tool.poetry]
version = "0.0.0"

[tool.poetry.dependencies]
acme-lib = {{ source = "acme" }}
acme-util = {{ source = "acme" }}

[[tool.poetry.source]]
name = "acme"
url = "{url}"
priority = "explicit"

[tool.poetry-dynamic-versioning]
enable = true

[tool.poetry-docker-cache]
python = "{python}"

[build-system]
requires = ["poetry-core>=2.0", "poetry-dynamic-versioning>=1.8,<2.0"]
build-backend = "poetry_dynamic_versioning.backend"
"""
CODE = """\
from importlib.metadata import version

__version__ = "0.0.0"

def main() -> None:
    print("tagged", __version__, version("acme-tagged"))
"""
LISTING = (
    "import importlib.metadata as m, json;"
    "print(json.dumps(sorted([d.metadata['Name'], d.version] for d in m.distributions())))"
)


@pytest.fixture(scope="module")
def plain(poetry_home: Callable[[DockerEngine], Poetry], engine: DockerEngine) -> Poetry:
    """Return a Poetry without poetry-dynamic-versioning."""
    return poetry_home(engine)


@pytest.fixture(scope="module")
def project(plain: Poetry, index: AcmeIndex, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Tag a project with files in git besides its code, and give Poetry the plugin."""
    plugins = tmp_path_factory.mktemp("plugins")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"--target={plugins}"]
    subprocess.run([*pip, "poetry-dynamic-versioning>=1.8,<2", "dunamai"], check=True)
    poetry = replace(plain, env={**plain.env, "PYTHONPATH": str(plugins)})
    made = Project(tmp_path_factory.mktemp("git") / "acme-tagged", poetry)
    text = PYPROJECT.format(url=index.url, python=IMAGE_PYTHON)
    made.write("pyproject.toml", text.encode())
    made.write("acme_tagged/__init__.py", CODE)
    made.write(".dockerignore", ".git\n")
    made.write("film.bin", os.urandom(2_000_000))
    made.log_in(index.password)
    git(made, "init", "--quiet")
    made.lock()
    commit(made)
    git(made, "tag", "v1.2.3")
    return made


def git(project: Project, *arguments: str) -> str:
    """Run git in the project."""
    who = ["-c", "user.name=x", "-c", "user.email=x@acme.example"]
    command = ["git", *who, *arguments]
    done = subprocess.run(command, cwd=project.folder, check=True, capture_output=True, text=True)
    return done.stdout


def commit(project: Project) -> None:
    """Commit everything."""
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=x")


def built_nothing_but_the_wheel(steps: Steps) -> bool:
    """Return whether all dependency layers were cached and the project's wheel was built."""
    layers = {stage for stage in steps.ran | steps.cached if LAYER.fullmatch(stage)}
    return bool(layers) and layers <= steps.cached and "application" in steps.ran


def test_version_from_git(
    engine: DockerEngine, project: Project, plain: Poetry, tmp_path: Path
) -> None:
    """The backend gets the version; a commit rebuilds only the wheel, and no Dockerfile changes."""
    steps = build(project)
    assert 0 < steps.sent < 100_000, "what git keeps is not sent"
    image = "acme-tagged:1.2.3"
    assert engine.run(image) == "tagged 1.2.3 1.2.3\n"
    labels = engine.docker("image", "inspect", "--format", "{{json .Config.Labels}}", image).stdout
    assert json.loads(labels)["org.opencontainers.image.version"] == "1.2.3"
    find = "find / -xdev -name .git 2> /dev/null || true"
    assert engine.run(image, "sh", "-c", find) == ""
    found = inspect_image(engine, image)
    assert (found["leftovers"], found["writable"]) == ([], [])

    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    environment = {"VIRTUAL_ENV": str(venv), "TMPDIR": str(tmp_path)}
    project.poetry.run(project.folder, "install", "--only=main", env=environment)
    listed = subprocess.run(
        [venv / "bin" / "python", "-c", LISTING], check=True, capture_output=True
    )
    assert found["distributions"] == json.loads(listed.stdout)
    assert git(project, "status", "--porcelain") == ""

    export = ("docker", "export", "-o", "-")
    vendored = project.poetry.run(project.folder, *export).stdout
    project.replace("acme_tagged/__init__.py", '"tagged"', '"tagged again"')
    commit(project)
    assert project.poetry.run(project.folder, *export).stdout == vendored
    assert built_nothing_but_the_wheel(build(project, "--tag=acme-tagged:next"))
    said = engine.run("acme-tagged:next")
    again = re.fullmatch(r"tagged again (1\.2\.3\.post1\.dev0\+[0-9a-f]+) (\S+)\n", said)
    assert again is not None, said
    assert again[1] == again[2]

    # Without the plugin, for example in CI with a vendored Dockerfile, pass the version.
    argument = ("--", "--build-arg=VERSION=2.0.0")
    steps = build(project, "--tag=acme-tagged:said", *argument, poetry=plain)
    assert built_nothing_but_the_wheel(steps)
    assert engine.run("acme-tagged:said") == "tagged again 2.0.0 2.0.0\n"

    edit_harmlessly(
        project,
        sources=["acme_tagged/__init__.py"],
        wider=('"acme-lib"', '"acme-lib (>=0.5)"'),
    )
    commit(project)
    assert built_nothing_but_the_wheel(build(project, "--", "--output=type=cacheonly"))
