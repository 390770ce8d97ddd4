"""Alpine packages that well-known Python packages need: as `debian`, for images with musl.

Far more of them are built here, since few projects publish wheels for musl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.images import is_official_alpine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poetry_docker_cache.plan import Direct

# Names from Alpine's own recipes (aports); those that begin with `so:` are libraries, whichever
# package has them, as WeasyPrint's documentation names them.
_BUILD = {
    "cffi": ("libffi-dev",),
    "gssapi": ("krb5-dev",),
    "lxml": ("libxml2-dev", "libxslt-dev"),
    "mysqlclient": ("mariadb-connector-c-dev",),
    "psutil": ("linux-headers",),
    "psycopg-c": ("libpq-dev",),
    "psycopg2": ("libpq-dev",),
    "pyodbc": ("unixodbc-dev",),
    "python-ldap": ("cyrus-sasl-dev", "openldap-dev"),
    "uwsgi": ("linux-headers",),
    "xmlsec": ("xmlsec-dev",),
}
_RUN = {
    "gssapi": ("krb5-libs",),
    "lxml": ("libxml2", "libxslt"),
    "mysqlclient": ("mariadb-connector-c",),
    "psycopg-c": ("libpq",),
    "psycopg2": ("libpq",),
    "pyodbc": ("unixodbc",),
    "python-ldap": ("libldap", "libsasl"),
    "xmlsec": ("xmlsec",),
}
# Pure wheels that load a library when they run, which no check sees.
_LOADED = {
    "cairosvg": ("so:libcairo.so.2",),
    "python-magic": ("libmagic",),
    "weasyprint": (
        "so:libfontconfig.so.1",
        "so:libgobject-2.0.so.0",
        "so:libharfbuzz-subset.so.0",
        "so:libharfbuzz.so.0",
        "so:libpango-1.0.so.0",
        "so:libpangoft2-1.0.so.0",
    ),
}


def usual_packages(
    built: Iterable[str], wheels: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The packages to build these with, and those to run them with.

    `built` are the normalised names of what is built from source, `wheels` those of the others.
    """
    built = tuple(built)
    build = {package for name in built for package in _BUILD.get(name, ())}
    run = {package for name in built for package in _RUN.get(name, ())}
    run |= {package for name in (*built, *wheels) for package in _LOADED.get(name, ())}
    return tuple(sorted(build)), tuple(sorted(run))


def tools(image: str, direct: Direct | None = None) -> tuple[str, ...]:
    """What builds, and fetches direct dependencies; nothing where that is the maker's affair."""
    if not is_official_alpine(image):
        return ()
    fetch = ("git", *["openssh-client"] * direct.ssh) if direct else ()
    return ("build-base", *fetch)
