"""Settings in the project's own `poetry.toml` that name credentials or files of the user.

A pull request can change that file. So the build gets credentials only from the user's
configuration, the keyring and the environment.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from poetry.toml.file import TOMLFile

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import real_path
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poetry.poetry import Poetry

FILE = "poetry.toml"

_VALUES = {
    "http-basic": "USERNAME    (asks for the password)",
    "pypi-token": "TOKEN",
    "certificates": "PATH",
    "repositories": "URL",
}
"""The tables about credentials and servers, and what `poetry config` takes for their keys."""


def leaves(table: Mapping[str, Any], *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the keys and the value of each setting, whatever tables it is in."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from leaves(value, *above, key)
        else:
            yield (*above, key), value


def refuse_untrusted_settings(poetry: Poetry) -> None:
    """Raise DockerCacheError for settings of the project that could send a secret of the user.

    A certificate authority is not secret, so a file inside the project counts.
    """
    folder = poetry.pyproject_path.parent
    for source in poetry.local_config.get("source", []):
        if "{" in source.get("url", ""):
            raise DockerCacheError(
                f"The URL of the source {source.get('name')!r} contains {{, which Poetry replaces"
                " by another setting, such as a password.",
                fix="Write the whole URL in [[tool.poetry.source]] of pyproject.toml.",
            )
    file = TOMLFile(folder / FILE)
    settings = file.read() if file.exists() else {}
    refused = {
        _name(keys): _command(keys, value)
        for keys, value in leaves(settings)
        if not _is_trusted(keys, value, folder)
    }
    if refused:
        raise DockerCacheError(
            f"{FILE} of the project sets {listing([*refused])}. Every contributor can change"
            " that file, so it must not name credentials, client certificates, placeholders or"
            " files outside the project, nor turn verification off.",
            fix=f"Remove these settings from {FILE}. If you need them, store them in your own"
            " configuration:\n\n" + "\n".join(refused.values()),
        )


def _is_trusted(keys: tuple[str, ...], value: object, folder: Path) -> bool:
    table = keys[0]
    if table in {"http-basic", "pypi-token"}:
        return False
    if table == "repositories":
        return "{" not in str(value)
    if table == "certificates" and keys[-1] != "client-cert":
        return value is True or (isinstance(value, str) and _is_inside(value, folder))
    return table != "certificates"


def _is_inside(path: str, folder: Path) -> bool:
    # Poetry resolves it from the current folder, after it has replaced placeholders.
    place = real_path(path)
    return "{" not in path and real_path(folder) in place.parents


def _name(keys: tuple[str, ...]) -> str:
    return ".".join(keys[:-1] if keys[-1] in {"username", "password", "url"} else keys)


def _command(keys: tuple[str, ...], value: object) -> str:
    if keys[-1] == "verify":  # `poetry config` does not know it
        keys = (*keys[:-1], "cert")
    given = "false" if value is False else _VALUES[keys[0]]
    return f"    poetry config {shlex.quote(_name(keys))} {given}"
