"""A project's own template in `poetry docker export`; test_applications.py builds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from command_line import ERROR, poetry
from projects import make_project, package

from poetry_docker_cache.render.exported_files import is_ours

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.12"
dependencies = ["rich"]
[tool.poetry-docker-cache]
template = "docker/Dockerfile.j2"
command = ["shop"]
"""
TEMPLATE = """\
{% extends "Dockerfile.j2" %}
{% block base %}
{{ super() -}}
{% include "part.j2" %}
{% endblock %}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project with a template that includes a file."""
    folder = make_project(tmp_path / "shop", PYPROJECT, [package("rich")])
    (folder / "shop.py").touch()
    (folder / "docker").mkdir()
    (folder / "docker" / "Dockerfile.j2").write_text(TEMPLATE)
    (folder / "docker" / "part.j2").write_text("ENV PART=1\n")
    return folder


def test_check_fails_after_an_edit_of_the_template(shop: Path) -> None:
    """The template is part of what is rendered."""
    done = poetry(shop, "docker", "export")
    assert done.status == 0, done.err
    text = (shop / "Dockerfile").read_text()
    assert "\nENV PART=1\n" in text
    assert is_ours(text)
    assert not is_ours(text.replace("PART=1", "PART=2"))
    assert poetry(shop, "docker", "export", "--check").out == "Up to date.\n"
    (shop / "docker" / "part.j2").write_text("ENV PART=2\n")
    done = poetry(shop, "docker", "export", "--check")
    assert done.status == 1
    assert "-ENV PART=1\n" in done.out
    assert "+ENV PART=2\n" in done.out
    done = poetry(shop.parent, "-C", "shop", "docker", "export", "-o", "-")
    assert "\nENV PART=2\n" in done.out
    assert (
        "docker/Dockerfile.j2\ndocker/part.j2\n" in (shop / "Dockerfile.dockerignore").read_text()
    )


def test_mistake_in_template_writes_nothing(shop: Path) -> None:
    """There is one error with file and line; the exported files are kept."""
    (shop / "docker" / "part.j2").write_text("ENV PART=1\nENV NAME={{ name }}\n")
    done = poetry(shop, "docker", "export", colours=True)
    assert done.status == 1
    assert done.err.count(ERROR) == 1
    assert "docker/part.j2, line 2: 'name' is undefined." in done.err
    assert not (shop / "Dockerfile").exists()


def test_replaced_lines_are_noted(shop: Path) -> None:
    """The note is on stderr, because a later release may have more lines there."""
    template = shop / "docker" / "Dockerfile.j2"
    template.write_text(TEMPLATE.replace("{{ super() -}}\n", ""))
    done = poetry(shop, "docker", "export")
    assert done.status == 0
    assert "docker/Dockerfile.j2 replaces base, so " in done.err
    assert "Add `{{ super() }}` to keep them." in done.err
