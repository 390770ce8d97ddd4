"""Alpine: its system packages, and how its C library is detected."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging._musllinux import _parse_musl_version

from poetry_docker_cache.inside.manifest import target
from poetry_docker_cache.plan.image_plan import Direct
from poetry_docker_cache.plan.system_packages import alpine_packages, tools

if TYPE_CHECKING:
    from pathlib import Path

XML = (("libffi-dev", "libxml2-dev", "libxslt-dev"), ("libxml2", "libxslt"))
LDAP = (("cyrus-sasl-dev", "openldap-dev"), ("libldap", "libsasl"))
# What the loader of Alpine 3.22 prints when called without arguments.
LOADER = """\
musl libc (x86_64)
Version 1.2.5
Dynamic Program Loader
Usage: /lib/ld-musl-x86_64.so.1 [options] [--] pathname [args]
"""


@pytest.mark.parametrize(
    ("built", "wheels", "packages"),
    [
        (["psycopg2"], ["flask"], (("libpq-dev",), ("libpq",))),
        (["python-ldap"], [], LDAP),
        (["lxml", "cffi"], [], XML),
        ([], ["lxml", "psycopg2", "python-magic"], ((), ("libmagic",))),
        (["python-magic"], [], ((), ("libmagic",))),
        ([], [], ((), ())),
    ],
)
def test_adds_usual_packages(
    built: list[str], wheels: list[str], packages: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    """A build needs headers and a library; a wheel only the libraries it does not contain."""
    assert alpine_packages(built, wheels) == packages


def test_only_official_image_gets_build_tools() -> None:
    """The official Alpine image has no compiler; a custom image is used as it is."""
    image = "python:3.13-alpine3.22"
    assert tools(image) == ("build-base",)
    git = Direct(files=(), ssh=(), known_hosts=())
    assert tools(image, git) == ("build-base", "git")
    assert tools(image, replace(git, ssh=("acme",))) == ("build-base", "git", "openssh-client")
    assert tools("company/python-alpine:3.13", git) == tools("python:3.13", git) == ()


@pytest.mark.parametrize(
    ("python", "libc"), [(("", ""), ("musl", (1, 2))), (("glibc", "2.41"), ("glibc", (2, 41)))]
)
def test_detects_c_library(
    python: tuple[str, str],
    libc: tuple[str, tuple[int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The musl version agrees with `packaging`; a Python built for glibc ignores musl."""
    loader = tmp_path / "ld-musl-x86_64.so.1"
    loader.touch()

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command == [str(loader)]
        return subprocess.CompletedProcess(command, 1, stdout="", stderr=LOADER)

    monkeypatch.setattr(target, "Path", lambda _: tmp_path)
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("platform.libc_ver", lambda: python)
    assert target.libc_here() == libc
    assert _parse_musl_version(LOADER) == (1, 2)
