"""The servers that credentials go to, compared with those that the user's configuration names.

Poetry finds credentials by the name of a source, and the project chooses the URL of that name.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from poetry import locations
from poetry.config.config import Config
from poetry.toml.file import TOMLFile

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.project_settings import leaves
from poetry_docker_cache.project.sources import in_variables

if TYPE_CHECKING:
    from collections.abc import Iterable

_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


class Destination(NamedTuple):
    """A server that gets the credentials which the user stored for a name."""

    name: str
    url: str

    @property
    def host(self) -> str:
        """The host, with a port or a scheme that is not the usual one."""
        return _host(self.url)


def _host(url: str) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2].lower()
    host = netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
    return host if parts.scheme == "https" else f"{parts.scheme}://{host}"


def unconfirmed(destinations: Iterable[Destination]) -> tuple[Destination, ...]:
    """Return those whose host the user's configuration does not name, sorted.

    Raises DockerCacheError for one whose name has another host there.
    """
    urls = _configured_urls()
    found = {}
    for destination in sorted(set(destinations)):
        known = {_host(url) for url in urls.get(in_variables(destination.name), ())}
        if known and destination.host not in known:
            raise _other_host(destination, min(known))
        if not known:
            found[destination.name, destination.host] = destination
    return tuple(found.values())


def _configured_urls() -> dict[str, list[str]]:
    """Return the URLs that the user stored for each name, as environment variables write it."""
    config = Config()
    for name in ("config.toml", "auth.toml"):
        file = TOMLFile(locations.CONFIG_DIR / name)
        if file.exists():
            config.merge(file.read())
    urls: dict[str, list[str]] = {}
    for keys, value in leaves(config.raw().get("repositories", {})):
        if keys[-1] == "url":
            name = in_variables(".".join(keys[:-1]))
            urls.setdefault(name, []).append(config.process(value))
    for variable, value in os.environ.items():
        name = variable.removeprefix("POETRY_REPOSITORIES_").removesuffix("_URL")
        if value and variable == f"POETRY_REPOSITORIES_{name}_URL":
            urls[name] = [value]
    return urls


def _other_host(destination: Destination, known: str) -> DockerCacheError:
    name, url = destination
    return DockerCacheError(
        f"The project uses {name!r} for {destination.host}, but your configuration uses it for"
        f" {known}. The credentials of {name!r} were not sent.",
        fix=f"If {destination.host} may have them, run\n\n"
        f"    poetry config {shlex.quote(f'repositories.{name}')} {shlex.quote(url)}\n\n"
        f"Otherwise rename {name!r} where the project defines it, in pyproject.toml or poetry.toml,"
        " and run `poetry lock`.",
    )
