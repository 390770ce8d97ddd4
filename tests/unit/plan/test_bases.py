"""Base and build images: which full image matches a slim one, and which do not fit together."""

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
    """Return the build image for this base image."""
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
def test_build_image_defaults_to_full_image_of_same_suite(base: str, image: str) -> None:
    """The digest of a slim image is dropped; a base that is not slim is its own build image."""
    assert full(base) == image


@pytest.mark.parametrize(
    ("base", "build", "what"),
    [
        ("python:{python}-slim", "python:3.11", "another Python"),
        ("python:{python}-slim", "python:{python}-alpine", "another C library"),
        ("python:{python}-alpine", "python:{python}-bookworm", "another C library"),
    ],
)
def test_rejects_build_image_that_does_not_fit_by_name(base: str, build: str, what: str) -> None:
    """The error comes before anything is built."""
    with pytest.raises(DockerCacheError, match=what):
        full(base, build)


def test_build_image_that_fits_is_used() -> None:
    """`{python}` is filled in, and the rest stays as it is."""
    assert full("python:{python}-slim", "company/build:{python}") == "company/build:3.12"


def test_rejects_base_whose_name_has_another_python() -> None:
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
def test_image_name_shows_whether_there_is_a_shell(image: str, shell: bool) -> None:
    """Hardened images of Chainguard and Docker have a shell only if they are `-dev` images."""
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
def test_only_official_image_is_sure_to_run_as_root(image: str, user: bool) -> None:
    """Any other image may set another user."""
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
        ("registry.example/fedora/python:3.13-slim-bookworm", "apt", False),
        ("fedora.example/python:3.13-slim", "apt", False),
        ("registry.example/ubiquity/almanac:1-minimal", "apt", False),
        ("registry.access.redhat.com/ubi9/python-312", "dnf", False),
        ("registry.access.redhat.com/ubi9/python-312-minimal:1", "microdnf", False),
        ("registry.access.redhat.com/ubi8:8.10", "dnf", False),
        ("registry.example/ubi-minimal:9", "microdnf", False),
        ("quay.io/fedora/python-313", "dnf", False),
        ("fedora:41", "dnf", False),
        ("rockylinux/rockylinux:9-minimal", "microdnf", False),
        ("almalinux:9", "dnf", False),
        ("quay.io/centos/centos:stream9", "dnf", False),
        ("centos:7", "yum", False),
        ("oraclelinux:9-slim", "microdnf", False),
        ("amazonlinux:2023", "dnf", False),
        ("amazonlinux:2", "yum", False),
        ("public.ecr.aws/lambda/python:3.13", "microdnf", False),
        ("public.ecr.aws/lambda/python:3.11", "yum", False),
        ("amazon/aws-lambda-python:3.12", "microdnf", False),
        ("registry.suse.com/bci/python:3.11", "zypper", False),
        ("opensuse/leap:15.6", "zypper", False),
        ("mcr.microsoft.com/azurelinux/base/python:3.12", "tdnf", False),
    ],
)
def test_image_name_shows_package_manager(image: str, manager: str, bare: bool) -> None:
    """Alpine and Wolfi have apk, the Red Hat family dnf; official Alpine has no compiler."""
    assert package_manager(image) == manager
    assert is_official_alpine(image) == bare


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("python:3.13-alpine", "musl"),
        ("company/python-alpine:3.13", "musl"),
        ("company/base:3-alpine", "musl"),
        ("registry.alpine-climbing.com/python:{python}-slim", "glibc"),
        ("company/alpine/base:1", None),
    ],
)
def test_image_name_shows_c_library(image: str, expected: str | None) -> None:
    """Only the last part of the name and the tag count; host and folders may be called anything."""
    assert libc(image) == expected
