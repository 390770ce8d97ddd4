"""Debian packages of well-known Python packages that are built from source.

A wheel brings its libraries along; what is built here is linked with the libraries of the build
image, which the final image needs too. This saves the usual cases a first, failing build; for the
others the build's own check names what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.images import is_debian

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class _Needs:
    runtime: tuple[str, ...]
    build: tuple[str, ...] = ()
    """What the full `python` image does not have anyway."""


_TABLE = {
    "gssapi": _Needs(runtime=("libgssapi-krb5-2",)),
    "lxml": _Needs(runtime=("libxml2", "libxslt1.1")),
    "mysqlclient": _Needs(runtime=("libmariadb3",)),
    "psycopg-c": _Needs(runtime=("libpq5",)),
    "psycopg2": _Needs(runtime=("libpq5",)),
    "pyodbc": _Needs(runtime=("libodbc2",), build=("unixodbc-dev",)),
    "python-ldap": _Needs(
        runtime=("libldap2", "libsasl2-2"), build=("libldap-dev", "libsasl2-dev")
    ),
    "uwsgi": _Needs(runtime=("libxml2",)),
    "xmlsec": _Needs(runtime=("libxmlsec1t64-openssl",), build=("libxmlsec1-dev",)),
}
# What they were called before Debian 13.
_BOOKWORM = {"libldap2": "libldap-2.5-0", "libxmlsec1t64-openssl": "libxmlsec1-openssl"}
_BULLSEYE = {**_BOOKWORM, "libldap2": "libldap-2.4-2", "libodbc2": "libodbc1"}
_OLDER_NAMES = {"bookworm": _BOOKWORM, "bullseye": _BULLSEYE}


def usual_packages(built: Iterable[str], image: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The packages to build these with, and those to run them with; none where it is not Debian.

    `built` are the normalised names of what is built from source, `image` the final image's base.
    """
    needs = [_TABLE[name] for name in built if name in _TABLE] if is_debian(image) else []
    older = next((names for suite, names in _OLDER_NAMES.items() if suite in image), {})
    build = {package for need in needs for package in need.build}
    runtime = {older.get(package, package) for need in needs for package in need.runtime}
    return tuple(sorted(build)), tuple(sorted(runtime))
