"""Image references: the full image of a suite, and what cannot fit together."""

from __future__ import annotations

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images import build_image, final_image
from poetry_docker_cache.python import Python
from poetry_docker_cache.settings import Settings

PYTHON = Python(tag="3.12", reason="")


def full(base: str, build: str | None = None, python: str = "3.12") -> str:
    """The build image beside this base."""
    settings = Settings(base_image=base, build_image=build, python=python)
    return build_image(settings, PYTHON, final_image(settings, PYTHON))


@pytest.mark.parametrize(
    ("base", "image"),
    [
        ("python:{python}-slim", "python:3.12"),
        ("python:{python}-slim-bookworm", "python:3.12-bookworm"),
        ("registry.example:5000/m/python:{python}-slim", "registry.example:5000/m/python:3.12"),
        ("python:{python}-alpine3.20", "python:3.12-alpine3.20"),
        ("company/base:1", "company/base:1"),
        ("python:3.12-slim@sha256:" + "a" * 64, "python:3.12-slim@sha256:" + "a" * 64),
    ],
)
def test_the_full_image_of_the_same_suite(base: str, image: str) -> None:
    """An official slim image has a full one; any other base serves itself."""
    assert full(base) == image


@pytest.mark.parametrize(
    ("base", "build", "what"),
    [
        ("python:{python}-slim", "python:3.11", "another Python"),
        ("python:{python}-slim", "python:{python}-alpine", "another C library"),
        ("python:{python}-alpine", "python:{python}-bookworm", "another C library"),
    ],
)
def test_a_build_image_that_cannot_fit(base: str, build: str, what: str) -> None:
    """What their names show is refused before anything is built."""
    with pytest.raises(DockerCacheError, match=what):
        full(base, build)


def test_a_build_image_that_fits() -> None:
    """It is taken as it is, the Python filled in."""
    assert full("python:{python}-slim", "company/build:{python}") == "company/build:3.12"


def test_a_base_that_has_another_python_by_its_name() -> None:
    """Packages for one Python do not run on another."""
    with pytest.raises(DockerCacheError, match=r"has Python 3\.11, but the packages"):
        full("python:3.11-slim")
    assert full("company/python-3.11:1") == "company/python-3.11:1"
