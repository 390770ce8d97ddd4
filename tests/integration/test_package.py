"""What a user installs: the built wheel, in a Poetry that contains nothing else."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import clean_poetry as clean
import pytest
from projects import make_project, package

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.10"
dependencies = ["rich"]
"""
FILES = ("Dockerfile", "Dockerfile.dockerignore")


@pytest.fixture
def poetry(clean_poetry: Path, tmp_path: Path) -> clean.Poetry:
    """Return a Poetry with the wheel and no settings."""
    return clean.Poetry.isolated(clean_poetry, tmp_path / "home", os.environ)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a small project."""
    folder = make_project(tmp_path / "shop", PYPROJECT, [package("rich")])
    (folder / "shop.py").touch()
    return folder


def names(wheel: Path) -> set[str]:
    """List the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_contents(plugin_wheel: Path) -> None:
    """It has modules, pins, templates, schema, type marker and licence; no tests or scripts."""
    held = names(plugin_wheel)
    source = clean.ROOT / "src"
    modules = {path.relative_to(source).as_posix() for path in source.rglob("*.py")}
    pins = {path.relative_to(source).as_posix() for path in source.rglob("pins/*.txt")}
    templates = {
        f"poetry_docker_cache/{path.relative_to(clean.ROOT).as_posix()}"
        for path in (clean.ROOT / "templates").rglob("*")
        if path.is_file()
    }
    (info,) = {name.split("/")[0] for name in held if ".dist-info/" in name}
    metadata = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    licences = {name for name in held if name.startswith(info) and name.endswith("LICENSE")}
    assert len(licences) == 1
    data = {"poetry_docker_cache/py.typed", "poetry_docker_cache/schema.json"}
    own = {*pins, *templates, *data}
    assert held == {*modules, *own, *metadata, *licences}


def test_wheel_has_the_entry_point(plugin_wheel: Path) -> None:
    """`poetry self add` relies on the entry point."""
    with zipfile.ZipFile(plugin_wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(path).decode())
    plugin = "poetry_docker_cache.plugin:DockerCachePlugin"
    assert dict(entries["poetry.application.plugin"]) == {"docker-cache": plugin}


def test_wheel_from_sdist_is_the_same(plugin_wheel: Path, tmp_path: Path) -> None:
    """The sdist includes the templates, and they are installed into the package."""
    build = "import sys; from poetry.core.masonry import api; api.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=clean.ROOT, check=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"templates/Dockerfile.j2", "LICENSE", "README.md"} <= held
    assert not any(name.startswith(("tests", "scripts", ".")) for name in held)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", tmp_path, sdist], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert names(wheel) == names(plugin_wheel)


def test_poetry_finds_the_plugin(poetry: clean.Poetry, shop: Path) -> None:
    """It is listed as a plugin, and its commands with their descriptions."""
    plugins = poetry.run(shop, "self", "show", "plugins").stdout
    assert "poetry-docker-cache (0.1.0)" in plugins
    assert "1 application plugin" in plugins
    listed = poetry.run(shop, "list").stdout
    assert "docker build" in listed
    assert "Builds a Docker image of the project." in listed
    assert "docker export" in listed
    assert "Writes a Dockerfile and its ignore file for the project." in listed
    for command, option in (("build", "--cache-from"), ("export", "--auth-file")):
        text = poetry.run(shop, "docker", command, "--help").stdout
        assert option in text
        assert "<info>" not in text


def test_export_from_the_wheel(poetry: clean.Poetry, shop: Path) -> None:
    """New, up to date, outdated and edited by hand: each state is handled as in a checkout."""
    poetry.run(shop, "docker", "export")
    assert "FROM python:" in (shop / "Dockerfile").read_text()
    assert poetry.run(shop, "docker", "export", "--check").stdout == "Up to date.\n"
    printed = poetry.run(shop, "docker", "export", "-o", "-").stdout
    written = (shop / "Dockerfile").read_text()
    assert "<<" in printed.partition("FROM python:")[0]  # it has the scripts in itself
    assert printed.partition("FROM python:")[2] == written.partition("FROM python:")[2] != ""
    (shop / "Dockerfile").write_text("FROM scratch\n")
    ignore = (shop / FILES[1]).read_bytes()
    drifted = poetry.run(shop, "docker", "export", "--check", check=False)
    assert drifted.returncode == 1
    assert (drifted.stdout, "was written by hand" in drifted.stderr) == ("", True)
    foreign = poetry.run(shop, "docker", "export", check=False)
    assert foreign.returncode == 1
    assert "--force" in foreign.stderr
    assert (shop / "Dockerfile").read_text() == "FROM scratch\n"
    assert (shop / FILES[1]).read_bytes() == ignore
    poetry.run(shop, "docker", "export", "--force")
    assert (shop / "Dockerfile").read_text() == written
