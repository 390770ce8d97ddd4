"""Checks that the package sources answer, with the credentials that a build would use."""

from __future__ import annotations

import shlex
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from poetry_docker_cache.doctor.checks import error, ok
from poetry_docker_cache.no_engine.package_servers import PackageServer
from poetry_docker_cache.project.credentials import collect
from poetry_docker_cache.project.sources import login_variables

if TYPE_CHECKING:
    from poetry.poetry import Poetry

    from poetry_docker_cache.doctor.checks import Check

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_ANY = "pip"
"""The page to request from a source that no locked package names."""


def check_source(poetry: Poetry, name: str, package: str) -> Check:
    """Request the page of a locked package from a source; "" is the default source.

    Without a package, any answer but a refusal will do. Raises DockerCacheError for a source that
    does not answer, and for credentials that cannot be used.
    """
    if name:
        collect(poetry, [name])
    server = PackageServer.of_source(poetry, name)
    status = server.page_status(package or _ANY)
    own = server.source.name
    host = urlsplit(server.source.url).netloc
    title = f"{server.title} ({host})" if own else "The package index PyPI"
    login = " with your credentials" if server.has_login else ""
    if status in _REFUSED:
        cause = "it does not accept the credentials" if login else "it needs credentials"
        return error("source", f"{title} refuses access: {cause}.", _how_to_log_in(own))
    if status in _GONE and package:
        hides = " Some sources also answer so without credentials." if not login else ""
        return error(
            "source",
            f"{title} does not have {package}, which poetry.lock takes from it.",
            f"Check its URL in pyproject.toml.{hides} {_how_to_log_in(own)}".rstrip(),
        )
    if status >= HTTPStatus.BAD_REQUEST and status not in _GONE:
        return error("source", f"{title} answers with the error {status}.", "Try again later.")
    return ok("source", f"{title} answers{login}.")


def _how_to_log_in(name: str) -> str:
    if not name:
        return ""
    username, password = login_variables(name)
    return (
        f"Run `poetry config {shlex.quote(f'http-basic.{name}')} USERNAME` (asks for the password),"
        f" or set {username} and {password}."
    )
