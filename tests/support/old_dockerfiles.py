"""Projects with a handwritten Dockerfile, and what `init` proposes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poetry.factory import Factory
from projects import make_project, package

from poetry_docker_cache.commands.old_dockerfile import read_old_dockerfile
from poetry_docker_cache.migrate.findings import OldImage, find_costs
from poetry_docker_cache.migrate.proposal import Proposal, propose

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from poetry_docker_cache.commands.old_dockerfile import OldDockerfile

PYPROJECT = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["gunicorn"]
optional-dependencies = { postgres = ["psycopg"] }
[tool.poetry.group.dev.dependencies]
pytest = "*"
[tool.poetry.group.server.dependencies]
uvicorn = "*"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
TREE = f"{PYPROJECT}[tool.poetry]\npackage-mode = false\n"
PACKAGES = [
    package("gunicorn"),
    package("psycopg", optional=True, markers='extra == "postgres"'),
    package("pytest", groups=["dev"]),
    package("uvicorn", groups=["server"]),
]
FILES = {"shop/__init__.py": "", "shop/wsgi.py": "application = None\n"}


def make_shop(
    folder: Path,
    dockerfile: str | None,
    files: Mapping[str, str] = FILES,
    *,
    pyproject: str = PYPROJECT,
    packages: list[dict[str, Any]] = PACKAGES,
) -> Path:
    """Write a project with these files and, if given, this Dockerfile."""
    make_project(folder, pyproject, list(packages))
    found = dict(files) if dockerfile is None else {**files, "Dockerfile": dockerfile}
    for name, text in found.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def read_shop(folder: Path, name: str = "Dockerfile") -> OldDockerfile:
    """Read the Dockerfile of a project."""
    text = (folder / name).read_text(encoding="utf-8")
    return read_old_dockerfile(Factory().create_poetry(folder), name, text)


def proposal_of(old: OldDockerfile) -> Proposal:
    """Return what `init` proposes."""
    return propose(old.reading, old.around.project, {}, old.stage.base, old.others)


def image_of(old: OldDockerfile) -> OldImage:
    """Return the Dockerfile as the detectors of costs see it."""
    return OldImage(
        dockerfile=old.dockerfile,
        stage=old.stage,
        user=old.reading.user,
        project=old.around.project,
    )


def costs_of(old: OldDockerfile) -> dict[str, tuple[int, ...]]:
    """Return the findings with their lines."""
    return {finding.text: finding.lines for finding in find_costs(image_of(old))}
