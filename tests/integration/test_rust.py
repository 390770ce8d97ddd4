"""A package that maturin builds: a program in Rust beside a module in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from acme import IMAGE_PYTHON, AcmeIndex, Project
from builds import build, look

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall

PYPROJECT = """\
[project]
name = "acme-rust"
version = "1.0"
requires-python = ">=3.11,<4"
dependencies = ["acme-lib", "acme-util"]

[tool.poetry]
packages = [{{ include = "acme_rust", from = "python" }}]

[tool.poetry.dependencies]
acme-lib = {{ source = "acme" }}
acme-util = {{ source = "acme" }}

[[tool.poetry.source]]
name = "acme"
url = "{url}"
priority = "explicit"

[tool.maturin]
bindings = "bin"
module-name = "acme_rust"
python-source = "python"

[tool.poetry-docker-cache]
python = "{python}"
command = ["acme-rust"]

[build-system]
requires = ["maturin>=1.8,<2"]
build-backend = "maturin"
"""
FILES = {
    "Cargo.toml": '[package]\nname = "acme-rust"\nversion = "1.0.0"\nedition = "2021"\n',
    "src/main.rs": 'fn main() {\n    println!("rust");\n}\n',
    "python/acme_rust/__init__.py": "",
    "python/acme_rust/__main__.py": 'import acme_lib\nprint("python")\n',
}


@pytest.mark.engine
def test_a_program_in_rust(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    poetry_install: PoetryInstall,
    tmp_path: Path,
) -> None:
    """Rust comes from Debian, and stays behind; edits of its code install nothing."""
    project = Project(tmp_path / "acme-rust", poetry_home(engine))
    text = PYPROJECT.format(url=index.url, python=IMAGE_PYTHON)
    project.write("pyproject.toml", text.encode())
    for name, content in FILES.items():
        project.write(name, content)
    project.log_in(index.password)
    project.lock()
    build(project)
    assert engine.run("acme-rust:1.0") == "rust\n"
    assert engine.run("acme-rust:1.0", "python", "-m", "acme_rust") == "python\n"
    found = look(engine, "acme-rust:1.0")
    assert found["distributions"] == poetry_install(project, "--only=main")
    for nothing in ("compilers", "leftovers", "writable", "apt"):
        assert found[nothing] == [], nothing
    project.replace("src/main.rs", '"rust"', '"more rust"')
    steps = build(project)
    assert steps.ran & {"build-backend", "application"} == {"application"}
    assert steps.installed == ()
    assert engine.run("acme-rust:1.0") == "more rust\n"
