"""The Debian packages that well-known Python packages need."""

from __future__ import annotations

import pytest

from poetry_docker_cache.plan.system_packages import debian_packages

OPENCV = ("libgl1", "libglib2.0-0", "libgomp1", "libxcb1")
LDAP = ("libldap-dev", "libsasl2-dev")
XMLSEC = ("libxmlsec1-dev",)
DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("built", "image", "packages"),
    [
        (["psycopg2", "flask"], "python:3.13-slim", ((), ("libpq5",))),
        (["python-ldap"], "python:3.13-slim", (LDAP, ("libldap2", "libsasl2-2"))),
        (["python-ldap"], "python:3.13-slim-bookworm", (LDAP, ("libldap-2.5-0", "libsasl2-2"))),
        (["python-ldap"], "python:3.9-slim-bullseye", (LDAP, ("libldap-2.4-2", "libsasl2-2"))),
        (["python-ldap"], "bookworm-tools/python:3.13", (LDAP, ("libldap2", "libsasl2-2"))),
        (["xmlsec"], f"bullseye/python:3.9-bookworm@{DIGEST}", (XMLSEC, ("libxmlsec1-openssl",))),
        (["xmlsec"], "python:3.13-slim", (XMLSEC, ("libxmlsec1t64-openssl",))),
        (["xmlsec"], "python:3.13-slim-bookworm", (XMLSEC, ("libxmlsec1-openssl",))),
        (["pyodbc"], "python:3.9-slim-bullseye", (("unixodbc-dev",), ("libodbc1",))),
        (["gssapi", "uwsgi"], "python:3.13-slim", ((), ("libgssapi-krb5-2", "libxml2"))),
        (["lxml", "psycopg-c"], "python:3.13-slim", ((), ("libpq5", "libxml2", "libxslt1.1"))),
        (["psycopg2", "mysqlclient"], "x/python:3.12", ((), ("libmariadb3", "libpq5"))),
        (["psycopg2"], "python:3.13-alpine", ((), ())),
        (["psycopg2"], "company/base:1", ((), ())),
        (["xmlsec"], "cgr.dev/acme/python:3.13-dev", ((), ())),
        ([], "python:3.13-slim", ((), ())),
    ],
)
def test_adds_usual_packages(
    built: list[str], image: str, packages: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    """The names are those of the image's Debian release."""
    assert debian_packages(built, ["psycopg2", "numpy"], image) == packages


@pytest.mark.parametrize(
    ("names", "image", "packages"),
    [
        (["lightgbm", "numpy"], "python:3.13-slim", ("libgomp1",)),
        (["opencv-python", "lightgbm"], "python:3.13-slim-bookworm", OPENCV),
        (["pyodbc"], "python:3.9-slim-bullseye", ("libodbc1",)),
        (["wand"], "python:3.13-slim", ("libmagickwand-7.q16-10",)),
        (["wand"], "python:3.11-slim-bookworm", ("libmagickwand-6.q16-6",)),
        (["lightgbm"], "python:3.13-alpine", ()),
    ],
)
def test_adds_libraries_missing_from_wheels(
    names: list[str], image: str, packages: tuple[str, ...]
) -> None:
    """The same packages need the libraries when they are built from source."""
    assert debian_packages([], names, image) == ((), packages)
    assert debian_packages(names, [], image)[1] == packages
