"""Images for development and tests, built by a real BuildKit."""

from __future__ import annotations

import urllib.error
from typing import TYPE_CHECKING

import pytest
from acme import AcmeIndex, Project, make_shop
from builds import NETWORK
from pushed_images import PushedImage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

TESTS = """\
import os
import unittest

import acme_lint
import acme_shop


class ShopTest(unittest.TestCase):
    def test_image(self) -> None:
        self.assertEqual(os.getuid(), 10001)
        self.assertIn("/venv/", acme_shop.__file__)
        self.assertFalse(os.access(acme_shop.__file__, os.W_OK))
        with open("result.txt", "w") as file:
            file.write("written")
"""
FAILING = """

class Failing(unittest.TestCase):
    def test_fails(self) -> None:
        os._exit(7)
"""


@pytest.fixture(scope="module")
def shop(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a project with a test that checks what it runs in."""
    folder: Path = tmp_path_factory.mktemp("variants")
    project = make_shop(folder / "shop", poetry_home(engine), index)
    project.configure(syntax=False)
    project.write("tests/__init__.py", "")
    project.write("tests/test_shop.py", TESTS.encode())
    return project


def push(project: Project, name: str, *options: str) -> PushedImage:
    """Build and push an image, and read it from the registry."""
    project.poetry.run(project.folder, "docker", "build", "--push", "-t", name, *options, *NETWORK)
    return PushedImage.read(name)


def test_both_images_have_the_layers_of_the_image_first(shop: Project, registry: str) -> None:
    """The digests of the image are the same with the tests before it, and only `--dev` adds any."""
    plain = push(shop, f"{registry}/variants:plain")
    tested = push(shop, f"{registry}/variants:tested", "--test")
    dev = push(shop, f"{registry}/variants:dev", "--dev")
    shop.poetry.run(shop.folder, "docker", "export", "--compose")
    exported = push(shop, f"{registry}/variants:test", "--file=Dockerfile", "--target=test")
    assert tested.layers == plain.layers
    for other in (dev, exported):
        assert other.layers[: len(plain.layers)] == plain.layers
        assert len(other.layers) > len(plain.layers)
    assert dev.config["config"]["Env"][-1] == "PYTHONPATH=/app/src"


def test_tests_decide_about_status_and_push(shop: Project, registry: str) -> None:
    """The output is that of the tests, on stdout, and a failure pushes nothing."""
    done = shop.poetry.run(shop.folder, "docker", "test", "--network=host", "--", "-v")
    assert "Building acme-shop:1.2.3-test" in done.stderr
    assert "test_image" in done.stderr + done.stdout
    assert "OK" in done.stdout
    shop.write("tests/test_shop.py", (TESTS + FAILING).encode())
    failed = shop.poetry.run(shop.folder, "docker", "test", "--network=host", check=False)
    assert failed.returncode == 7
    assert "The tests failed with exit status 7." in failed.stderr
    name = f"{registry}/variants:never"
    command = ("docker", "build", "--push", "--test", "-t", name, *NETWORK)
    assert shop.poetry.run(shop.folder, *command, check=False).returncode == 7
    with pytest.raises(urllib.error.HTTPError, match="404"):
        PushedImage.read(name)
