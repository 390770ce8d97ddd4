"""Build the exported Dockerfile with buildah (as `podman build` does) instead of BuildKit."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from acme import CANARY, make_shop
from buildah import Buildah
from builds import inspect_image
from edits import PACKAGES, change_pure_version, release
from engines import STATE
from leaks import Search

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from acme import AcmeIndex
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

# Without metadata that becomes labels: each label costs buildah a step, about a second.
PYPROJECT = """\
[project]
name = "acme-shop"
version = "1.2.3"
requires-python = ">=3.11,<4"
dependencies = ["acme-lib (>=1.0,<2)", "acme-native"]

[tool.poetry]
packages = [{{ include = "acme_shop", from = "src" }}]

[[tool.poetry.source]]
name = "acme"
url = "{url}"

[tool.poetry-docker-cache]
python = "{python}"
layers = 4

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""


def test_exported_files_build_with_buildah(
    engine: DockerEngine,
    registry: str,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path: Path,
) -> None:
    """The image has what is locked; a release installs nothing again, an upgrade does."""
    storage = tmp_path / "storage"
    storage.mkdir()
    buildah = Buildah.set_up(STATE, storage, registry)
    shop = make_shop(storage / "shop", poetry_home(engine), index, pyproject=PYPROJECT)
    tag = f"buildah-shop:{os.urandom(4).hex()}"

    def export_and_build() -> tuple[str, ...]:
        """Build as the README says, push the image, and return the installed dependencies."""
        shop.poetry.run(shop.folder, "docker", "export", f"--auth-file={storage / 'auth.toml'}")
        log = buildah.build("shop", "--secret=id=auth,src=/storage/auth.toml", f"--tag={tag}")
        buildah.run("push", tag, f"docker://{registry}/{tag}")
        return tuple(sorted(re.findall(r"^ +- Installed (\S+) \(", log, re.MULTILINE)))

    def list_distributions() -> list[list[str]]:
        """Run the image on a real engine, and return its distributions."""
        engine.docker("pull", f"{registry}/{tag}")
        found = inspect_image(engine, f"{registry}/{tag}")
        assert (found["user"], found["leftovers"]) == ([10001, 10001], [])
        return list(found["distributions"])

    assert export_and_build() == PACKAGES
    native, util = ["acme-native", "1.0"], ["acme-util", "1.0"]
    assert list_distributions() == [["acme-lib", "1.1"], native, ["acme-shop", "1.2.3"], util]
    search = Search(CANARY)
    search.image("image", f"{registry}/{tag}")
    assert search.found == set()

    release(shop)
    assert export_and_build() == ()
    assert list_distributions() == [["acme-lib", "1.1"], native, ["acme-shop", "1.3.0"], util]

    change_pure_version(shop)
    assert "acme-lib" in export_and_build()
    assert list_distributions() == [["acme-lib", "1.0"], native, ["acme-shop", "1.3.0"], util]
