"""An image from the lock of the oldest supported Poetry, which also installs inside the build."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from acme import AcmeIndex, Project, make_shop
from builds import build, inspect_image
from poetry_versions import POETRY_VERSIONS, poetry_python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall

pytestmark = pytest.mark.engine

# Poetry itself comes from pip's default index: Acme's index has only the newest.
PYPROJECT = """\
[project]
name = "acme-shop"
version = "1"
requires-python = ">=3.11,<4"
dependencies = ["acme-lib", "acme-native", "acme-util"]

[project.scripts]
acme-shop = "acme_shop:main"

[project.optional-dependencies]
more = ["acme-extra"]

[tool.poetry]
packages = [{{ include = "acme_shop", from = "src" }}]

[tool.poetry.dependencies]
acme-lib = {{ source = "acme", markers = "platform_release != '5'" }}
acme-native = {{ source = "acme" }}
acme-util = {{ source = "acme" }}
acme-extra = {{ source = "acme" }}

[tool.poetry.group.dev.dependencies]
acme-lint = {{ version = "*", source = "acme" }}

[[tool.poetry.source]]
name = "acme"
url = "{url}"
priority = "explicit"

[tool.poetry-docker-cache]
python = "{python}"
extras = ["more"]
"""


@pytest.fixture(scope="module")
def shop(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a project that the newest Poetry locked."""
    folder: Path = tmp_path_factory.mktemp("locked") / "shop"
    return make_shop(folder, poetry_home(engine), index, pyproject=PYPROJECT)


@pytest.fixture(scope="module")
def installed(shop: Project, poetry_install: PoetryInstall) -> list[list[str]]:
    """Return what `poetry install` installs, which is the same for every lock."""
    return poetry_install(shop, "--only=main", "--extras=more")


def test_image_from_lock_by_oldest_poetry(
    engine: DockerEngine, shop: Project, installed: list[list[str]], tmp_path: Path
) -> None:
    """The image contains the locked main dependencies and the extra, and runs."""
    version = POETRY_VERSIONS[0]
    project = Project(tmp_path / "shop", shop.poetry)
    shutil.copytree(shop.folder, project.folder)
    (project.folder / "poetry.lock").unlink()
    command = [str(poetry_python(version)), "-m", "poetry", "lock", "--no-interaction"]
    cache = {"POETRY_CACHE_DIR": str(tmp_path / "cache")}
    env = {**project.poetry.env, **cache}
    subprocess.run(command, cwd=project.folder, env=env, check=True, capture_output=True)
    shown = project.poetry.run(project.folder, "docker", "export", "-o", "-").stdout
    assert f" --pinned=pins/poetry-{version}.txt\n" in shown
    image = f"shop:poetry-{version}"
    build(project, f"--tag={image}")
    assert engine.run(image) == "shop 1.1 1.0\n"
    assert inspect_image(engine, image)["distributions"] == installed
