"""Credentials for npm registries: those that a project refers to, and the user's own."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from poetry_docker_cache.project.model import FrontEnd

_CREDENTIAL = re.compile(
    r"^\s*(?:\S*:)?(?:_authToken|_password|_auth|npmAuthToken|npmAuthIdent)\s*[=:]\s*(\S.*?)\s*$",
    re.MULTILINE,
)
_VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}")
_URL = re.compile(r"https?://[^/\s\"'#]+/")
_LINE = re.compile(r"\s*([^#;=\s][^=\s]*)\s*=\s*(.*?)\s*")
_AUTHORITIES = "ca[]"
"""The key of a list: it may be there several times."""
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_REGISTRY = re.compile(r"(?:(@[^:]+):)?registry")
_CONNECTION = ("strict-ssl", "ca", "proxy", "https-proxy", "noproxy")
"""The user's settings that an install in the build needs as well."""


def credential_variables(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables with credentials that `.npmrc` and `.yarnrc.yml` refer to.

    `texts` are by path. Raises DockerCacheError for a credential that is written out: the file is
    copied into a build stage.
    """
    found: dict[str, None] = {}
    for path, text in texts.items():
        for value in _CREDENTIAL.findall(text):
            names = _VARIABLE.findall(value)
            if not names:
                raise DockerCacheError(
                    f"{path} contains a credential, which a build stage and its caches would keep.",
                    fix="Move the line to ~/.npmrc, or write `${NPM_TOKEN}` instead of the value:"
                    " the build then gets the variable as a secret.",
                )
            found.update(dict.fromkeys(names))
    return tuple(found)


def hosts_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts of all addresses in lock files and configuration, sorted."""
    urls = {url for text in texts for url in _URL.findall(text)}
    return tuple(sorted({urlsplit(url).netloc.rpartition("@")[2] for url in urls}))


def refuse_unset(variables: Iterable[str], environment: Mapping[str, str]) -> None:
    """Raise DockerCacheError for a variable that the configuration of npm refers to."""
    for name in variables:
        if not environment.get(name):
            raise DockerCacheError(
                f"The configuration of the front end refers to {name}, which is not set.",
                fix=f"Set it to the registry's token: `export {name}=…`.",
            )


def user_npmrc(front_ends: Iterable[FrontEnd], environment: Mapping[str, str]) -> str:
    """Return the lines of the user's `.npmrc` that an install of these front ends needs.

    These are registries, proxies and certificates, and the credentials of the registries that are
    used. Empty if there are none.
    """
    used = [*front_ends]
    if not used:
        return ""
    every = [*_entries(_text(environment), environment)]
    entries = dict(every)
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if value := environment.get(name):
            entries["registry"] = value
    scopes = {scope for each in used for scope in each.scopes}
    registries = {
        key: value
        for key, value in entries.items()
        if (match := _REGISTRY.fullmatch(key)) and (match[1] is None or match[1] in scopes)
    }
    hosts = {host for each in used for host in each.hosts}
    hosts |= {*hosts_in(f"{value.rstrip('/')}/" for value in registries.values())}
    kept = {
        key: value
        for key, value in entries.items()
        if key in registries or key in _CONNECTION or _is_for(key, hosts)
    }
    authorities = [value for key, value in every if key == _AUTHORITIES]
    if "cafile" in entries and "ca" not in entries:  # the file is not in the build
        authorities = _authorities(entries["cafile"])
    lines = [*kept.items(), *((_AUTHORITIES, value) for value in authorities)]
    return "".join(f"{key}={value}\n" for key, value in lines)


def _authorities(path: str) -> list[str]:
    """Return the certificates of a file, as npm reads them in a setting."""
    try:
        place = os.path.expanduser(path.strip("\"'"))  # noqa: PTH111  # as below
        text = Path(place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DockerCacheError(
            f"`cafile` in the user's .npmrc cannot be read: {error}.",
            fix="Correct its path: `npm config set cafile PATH`.",
        ) from error
    return [json.dumps(found) for found in _CERTIFICATE.findall(text)]


def _is_for(key: str, hosts: Iterable[str]) -> bool:
    """Return whether a key such as `//host/path/:_authToken` is for one of these hosts."""
    return key.startswith("//") and key.removeprefix("//").partition("/")[0] in hosts


def _text(environment: Mapping[str, str]) -> str:
    named = environment.get("NPM_CONFIG_USERCONFIG") or environment.get("npm_config_userconfig")
    path = Path(named or os.path.expanduser("~/.npmrc"))  # noqa: PTH111  # Path.home() may raise
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise DockerCacheError(
            f"{path} cannot be read: {error}.", fix="Fix its permissions, or its encoding."
        ) from error


def _entries(text: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the settings, with the values of environment variables as npm fills them in."""
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            filled = _VARIABLE.sub(lambda name: environment.get(name[1], name[0]), match[2])
            yield match[1], filled
