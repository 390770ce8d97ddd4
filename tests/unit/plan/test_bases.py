"""Image references: the full image of a suite, and what cannot fit together."""

from __future__ import annotations

import pytest

from poetry_docker_cache.docker.base_names import (
    has_shell,
    is_official_alpine,
    libc,
    may_have_user,
    package_manager,
)
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.bases import build_image, final_image
from poetry_docker_cache.plan.python_version import Python
from poetry_docker_cache.settings.table import Settings

PYTHON = Python(tag="3.12", reason="")
DIGEST = "@sha256:" + "a" * 64


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
        ("python:{python}", "python:3.12"),
        (f"python:3.12-slim{DIGEST}", "python:3.12"),
        (f"x.io/python:3.12-slim-bookworm{DIGEST}", "x.io/python:3.12-bookworm"),
        (f"python:3.12{DIGEST}", f"python:3.12{DIGEST}"),
        (f"python:3.12-alpine{DIGEST}", f"python:3.12-alpine{DIGEST}"),
        (f"company/base{DIGEST}", f"company/base{DIGEST}"),
    ],
)
def test_the_full_image_of_the_same_suite(base: str, image: str) -> None:
    """An official slim image has a full one, of another digest; any other base serves itself."""
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


@pytest.mark.parametrize(
    ("image", "shell"),
    [
        ("python:3.13-slim", True),
        ("company/base:1", True),
        ("gcr.io/distroless/python3-debian12", False),
        ("gcr.io/distroless/python3-debian12:debug-nonroot", False),
        (f"mirror.example/distroless/python3{DIGEST}", False),
        ("cgr.dev/chainguard/python", False),
        (f"cgr.dev/acme.com/python:3.13{DIGEST}", False),
        ("cgr.dev/chainguard/python:latest-dev", True),
        (f"cgr.dev/acme.com/python:3.13-dev{DIGEST}", True),
        ("cgr.dev/chainguard/wolfi-base", True),
        ("chainguard/python", False),
        ("docker.io/chainguard/python:latest", False),
        ("docker.io/chainguard/python:latest-dev", True),
        ("company/chainguard-like/python:3.13", True),
        ("dhi.io/python:3.13", False),
        ("dhi.io/python:3.13-debian13", False),
        ("dhi.io/python:3.13-debian13-dev", True),
        ("dhi.io/python:3.13-dev-debian13", True),
        ("dhi.io/alpine-base:3.23-dev", True),
        ("my-dev.example/distroless/python3-debian12", False),
    ],
)
def test_images_without_a_shell(image: str, shell: bool) -> None:
    """Their names tell; of Chainguard's and Docker's hardened ones, `-dev` has a shell."""
    assert has_shell(image) == shell


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("python:3.13-slim", False),
        (f"docker.io/library/python:3.13{DIGEST}", False),
        (f"python{DIGEST}", False),
        ("company/python:3.13-slim", True),
        ("registry.example:5000/python:3.13-slim", True),
        ("pythonic:1", True),
    ],
)
def test_images_that_may_have_a_user(image: str, user: bool) -> None:
    """Docker's own runs as root; of any other nobody knows."""
    assert may_have_user(image) == user


@pytest.mark.parametrize(
    ("image", "manager", "bare"),
    [
        ("python:3.13-alpine", "apk", True),
        ("mirror.example/python:3.13-alpine3.22", "apk", True),
        ("company/python-alpine:3.13", "apk", False),
        ("cgr.dev/chainguard/python:latest-dev", "apk", False),
        ("cgr.dev/acme.com/python:3.13-dev", "apk", False),
        ("docker.io/chainguard/python:latest-dev", "apk", False),
        ("company/wolfi-base:1", "apk", False),
        ("dhi.io/python:3.13-alpine3.22-dev", "apk", True),
        ("dhi.io/python:3.13-debian13-dev", "apt", False),
        ("registry.alpine-climbing.com/python:3.13-slim", "apt", False),
        ("registry.example/wolfi/base:3.13", "apt", False),
        ("registry.example/chainguard-mirror/python:3.13-slim", "apt", False),
        ("python:3.13-slim", "apt", False),
        ("company/base:1", "apt", False),
    ],
)
def test_package_managers(image: str, manager: str, bare: bool) -> None:
    """Alpine and Wolfi have apk; of the official images, those with Alpine have no compiler."""
    assert package_manager(image) == manager
    assert is_official_alpine(image) == bare


@pytest.mark.parametrize(
    ("image", "of"),
    [
        ("python:3.13-alpine", "musl"),
        ("company/python-alpine:3.13", "musl"),
        ("company/base:3-alpine", "musl"),
        ("registry.alpine-climbing.com/python:{python}-slim", "glibc"),
        ("company/alpine/base:1", None),
    ],
)
def test_c_libraries(image: str, of: str | None) -> None:
    """The name and the tag tell; the host and the folders are somebody's own."""
    assert libc(image) == of
