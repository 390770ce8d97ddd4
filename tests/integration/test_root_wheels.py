"""The files that the plugin selects give the same wheel as the whole project, by any backend."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest
from dockerignore import passing
from environments import fill_environment
from poetry.factory import Factory
from poetry_versions import OLDEST_AND_NEWEST, poetry_python

from poetry_docker_cache.project.git import ignored_in_image
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.root.root_package import read_root
from poetry_docker_cache.render.ignore_file import IgnorePlan, render_ignore

if TYPE_CHECKING:
    from pathlib import Path

POETRY_PROJECT = """
[tool.poetry]
name = "my-app"
version = "1"
description = ""
authors = []
readme = ["README.md", "CHANGES.md"]
packages = [{ include = "my_app", from = "src" }, { include = "data/**/*", to = "my_app" }]
include = [
    { path = "src/my_app/gen/*.py", format = ["sdist", "wheel"] },
    { path = "notes.txt", format = "wheel" },
    "sdist.txt",
]
exclude = ["src/my_app/left_out.py"]
[tool.poetry.scripts]
run = { reference = "bin/run.sh", type = "file" }
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
HATCH_PROJECT = """
[project]
name = "my-app"
dynamic = ["version"]
readme = "README.md"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.poetry]
version = "0"
[tool.hatch.version]
path = "src/my_app/__init__.py"
[tool.hatch.build.targets.wheel.force-include]
"data/x.json" = "my_app/x.json"
"""
SETUPTOOLS_PROJECT = """
[project]
name = "my-app"
dynamic = ["version", "readme"]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[tool.poetry]
version = "0"
[tool.setuptools.dynamic]
version = { file = "VERSION" }
readme = { file = ["README.md", "CHANGES.md"] }
"""
SETUP_PY = """
from setuptools import setup
setup(
    packages=["my_app", "acme.legacy"],
    package_dir={"my_app": "src/my_app", "acme.legacy": "code"},
    py_modules=["helpers"],
    install_requires=open("requirements.txt").read().split(),
)
"""
LEGACY_PROJECT = """
[project]
name = "my-app"
version = "1"
dynamic = ["dependencies"]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""
LEGACY_FILES = {
    "setup.py": SETUP_PY,
    "requirements.txt": "acme-pure",
    "helpers.py": "",
    "code/a.py": "",
}
FILES = {
    ".gitignore": "*.log\n!kept.log\n/src/my_app/local.py\ngen/\n/data/cache\n",
    "CHANGES.md": "",
    "LICENSE": "",
    "README.md": "",
    "VERSION": "1.2",
    "bin/run.sh": "",
    "data/__init__.py": "",
    "data/cache/x": "ignored by git",
    "data/x.json": "",
    "docs/x": "",
    "notes.txt": "",
    "sdist.txt": "",
    "src/my_app/__init__.py": '__version__ = "1"',
    "src/my_app/a/b.html": "",
    "src/my_app/gen/x.py": "ignored by git, included by Poetry",
    "src/my_app/left_out.py": "excluded by Poetry",
    "src/my_app/local.py": "ignored by git",
    "src/my_app/a/kept.log": "git does not ignore it",
    "src/my_app/run.log": "ignored by git",
    "src/my_app/tracked.log": "ignored by git, but tracked",
    "src/other/__init__.py": "",
    "tests/t.py": "",
}
BUILD = "import sys, importlib as i; print(i.import_module(sys.argv[1]).build_wheel(sys.argv[2]))"


def make(folder: Path, toml: str, files: dict[str, str]) -> None:
    """Write a project into a git repository."""
    for name, text in {**FILES, **files, "pyproject.toml": toml}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for command in (["init", "--quiet"], ["add", "."], ["add", "-f", "src/my_app/tracked.log"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def wheel_contents(python: Path | str, folder: Path, backend: str) -> dict[str, str]:
    """Build a wheel and return its files, except RECORD."""
    out = folder / "out"
    out.mkdir()
    command = [str(python), "-c", BUILD, backend, str(out)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = (name for name in archive.namelist() if not name.endswith("RECORD"))
        return {name: archive.read(name).decode() for name in names}


def copy_selected_files(project: Path, root: WheelRoot, target: Path) -> None:
    """Copy what the build's stage can see: the selected paths, through the ignore file."""
    keep = ("pyproject.toml", *root.paths)
    ignore = render_ignore(
        IgnorePlan(
            keep=keep,
            dockerfile="Dockerfile",
            git_ignored=root.git_ignored,
        )
    )
    files = [path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()]
    for name in passing(ignore, files):
        if root.whole or any(name == kept or name.startswith(f"{kept}/") for kept in keep):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(project / name, target / name)


def compare_wheels(
    tmp_path: Path, python: Path | str, toml: str, files: dict[str, str] | None = None
) -> dict[str, str]:
    """Build both ways, the whole project from a fresh checkout's state."""
    project, target = tmp_path / "project", tmp_path / "target"
    make(project, toml, files or {})
    root = read_root(Factory().create_poetry(project))
    assert isinstance(root, WheelRoot), root
    copy_selected_files(project, root, target)
    found = wheel_contents(python, target, root.backend)
    assert found == wheel_contents(python, project, root.backend)
    return found


@pytest.mark.parametrize("version", OLDEST_AND_NEWEST)
def test_poetry_core_builds_the_same_wheel(tmp_path: Path, version: str) -> None:
    """In the build there is no git, but files ignored by git are left out, and no others."""
    found = compare_wheels(tmp_path, poetry_python(version), POETRY_PROJECT)
    assert {"my_app/a/kept.log", "my_app/tracked.log"} <= found.keys()
    assert "my_app/gen/x.py" in found or "src/my_app/gen/x.py" in found
    assert "my_app-1.data/scripts/run.sh" in found
    assert not [name for name in found if name.endswith(("local.py", "run.log", "left_out.py"))]


@pytest.mark.parametrize(
    ("requirement", "toml", "files", "expected"),
    [
        ("hatchling", HATCH_PROJECT, {}, "my_app/x.json"),
        ("setuptools>=70", SETUPTOOLS_PROJECT, {}, "my_app/local.py"),
        ("setuptools>=70", LEGACY_PROJECT, LEGACY_FILES, "acme/legacy/a.py"),
    ],
)
def test_other_backends_build_the_same_wheel(
    tmp_path: Path, requirement: str, toml: str, files: dict[str, str], expected: str
) -> None:
    """By convention, by what pyproject.toml names, and by what setup.py does."""
    venv = tmp_path / "venv"
    fill_environment(venv, requirement)
    python = venv / "bin" / "python"
    assert {"my_app/__init__.py", expected} <= compare_wheels(tmp_path, python, toml, files).keys()


def test_files_ignored_by_git_but_copied_are_listed(tmp_path: Path) -> None:
    """Files that the ignore file excludes, or the image does not copy, are not listed."""
    files = {".gitignore": "secrets/\n*.sql\nstatic/dist\n.env\n", "app.py": ""}
    files |= {"secrets/key": "", "a/dump.sql": "", "static/dist/x.css": "", ".env": "", "a/b": ""}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert ignored_in_image(tmp_path, "**/.env**\n", ()) == ()
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    found = ignored_in_image(tmp_path, "**/.env**\n", ())
    assert sorted(found) == ["a/dump.sql", "secrets", "static"]
    (tmp_path / "static/logo.svg").touch()
    assert ignored_in_image(tmp_path, "**/.env**\n", ("static",)) == ("static/dist",)
