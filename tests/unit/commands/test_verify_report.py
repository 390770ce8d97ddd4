"""What `poetry docker verify` compares an image with, and what it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from base_images import docker_archive
from cleo.io.buffered_io import BufferedIO
from poetry.factory import Factory
from projects import make_project, package
from shop_images import CONFIG, LAYERS, Item, Layer, archive

from poetry_docker_cache.commands.console import CleoConsole
from poetry_docker_cache.commands.options import VerifyOptions
from poetry_docker_cache.commands.verify_report import report_content
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.selection import SelectionOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PYPROJECT = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.12"
dependencies = ["gunicorn", "a-lib"]

[tool.poetry]
packages = [{ include = "shop" }]

[tool.poetry-docker-cache]
python = "3.13"
directories = ["data"]

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
SEVERAL = PYPROJECT.replace(
    "[build-system]",
    "[tool.poetry-docker-cache.images.web]\n\n[tool.poetry-docker-cache.images.jobs]\n"
    "groups = []\n\n[build-system]",
)


def verify(
    folder: Path,
    *more: Layer,
    text: str = PYPROJECT,
    labels: Mapping[str, str] | None = None,
    wanted: str | None = None,
    as_json: bool = False,
) -> tuple[int, str]:
    """Verify an archive of the image in memory; return exit status and output."""
    project = make_project(folder, text, [package("gunicorn", "23.0.0"), package("a-lib", "1.0")])
    (folder / "shop").mkdir()
    (folder / "shop/__init__.py").touch()
    config = {**CONFIG, "Labels": {**CONFIG["Labels"], **(labels or {})}}
    layers = [archive(layer) for layer in (*LAYERS, *more)]
    described = {"os": "linux", "architecture": "amd64", "config": config}
    path = folder / "image.tar"
    path.write_bytes(docker_archive(described, *layers))
    options = VerifyOptions(
        image=str(path),
        wanted=wanted,
        platform=None,
        selection=SelectionOptions(),
        json=as_json,
    )
    io = BufferedIO()
    status = report_content(
        options,
        Factory().create_poetry(project),
        CleoConsole(io),
    )
    return status, io.fetch_output()


def test_exit_status_is_1_with_an_error(tmp_path: Path) -> None:
    """Each problem has its fix."""
    assert verify(tmp_path / "1")[0] == 0
    status, output = verify(tmp_path / "2", {"app/.git/HEAD": Item(b"")})
    assert status == 1
    assert " ✗ The image contains a git repository: /app/.git.\n    Keep it out" in output
    assert output.endswith("\n1 error.\n")


def test_json_has_all_checks(tmp_path: Path) -> None:
    """In the form of doctor's."""
    status, output = verify(tmp_path, as_json=True)
    data = json.loads(output)
    assert (status, data["ok"]) == (0, True)
    assert {"name": "base", "status": "ok"}.items() <= data["checks"][-1].items()


def test_image_of_another_project_is_an_error(tmp_path: Path) -> None:
    """Its title says so."""
    labels = {"org.opencontainers.image.title": "board"}
    with pytest.raises(DockerCacheError, match="is board, not shop of this project"):
        verify(tmp_path, labels=labels)


def test_one_of_several_images_is_chosen_by_option(tmp_path: Path) -> None:
    """It is needed if neither name nor title says which one."""
    assert verify(tmp_path / "1", text=SEVERAL, wanted="web")[0] == 0
    status, output = verify(tmp_path / "2", text=SEVERAL, wanted="jobs")
    assert status == 1
    assert "Not in poetry.lock for these groups: a-lib 1.0, gunicorn 23.0.0." in output
    with pytest.raises(DockerCacheError, match=r"several images(.|\n)*--as jobs`"):
        verify(tmp_path / "3", text=SEVERAL)
