"""Dependencies that come from no package index: git repositories, URLs, files. Pure.

Which they are, poetry.lock says; it is judged here, before anything is written or run.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layers import DIRECT_TYPES
from poetry_docker_cache.known_hosts import refuse_unknown, ssh_host
from poetry_docker_cache.plan import Direct
from poetry_docker_cache.runtime import checked_paths
from poetry_docker_cache.wording import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.known_hosts import Host

_KINDS = {"file": "file", "git": "git", "url": "URL"}
_WEB = re.compile(r"https?://", re.IGNORECASE)
# A host with or without a port: nothing in front of it, and no part of a password.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(:\d*)?")
_TOKEN = re.compile(
    r".*(token|key|secret|passwor?d|signature|credential)s?|(.*[-_])?(sig|pwd)|x-(amz|goog)-.*",
    re.IGNORECASE,
)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_ANOTHER_WAY = (
    "Take it from a package index, or leave its group out of the image"
    " (`--without`, or `groups` in [tool.poetry-docker-cache])."
)


class Address(NamedTuple):
    """Where a build asks for a dependency, over http."""

    url: str
    is_git: bool


def direct_addresses(packages: Iterable[Mapping[str, Any]]) -> tuple[Address, ...]:
    """The addresses that a build of these packages asks beside its package sources, sorted."""
    found = {
        Address(str(source["url"]), source["type"] == "git")
        for _, source in _direct(packages)
        if _WEB.match(str(source["url"]))
    }
    return tuple(sorted(found))


def plan_direct(packages: Iterable[Mapping[str, Any]], known_hosts: Sequence[str]) -> Direct | None:
    """What these dependencies need of a build beside their manifest; None if there are none.

    `known_hosts` is the setting. Raises DockerCacheError for what no build can have, for
    credentials in a URL, and for a host that nobody has vouched for.
    """
    found = list(_direct(packages))
    files: set[str] = set()
    hosts: set[Host] = set()
    for name, source in found:
        url = str(source.get("url", ""))
        if source["type"] == "file":
            files.add(_relative_path(name, url))
            continue
        _refuse_credentials(name, source["type"], url)
        host = ssh_host(url) if source["type"] == "git" else None
        if host:
            hosts.add(host)
        elif not _WEB.match(url):
            raise DockerCacheError(
                f"{name} is a {_KINDS[source['type']]} dependency ({url}), which a build cannot"
                " reach: it asks over https or ssh only.",
                fix=f"Put it on a server that serves it so. {_ANOTHER_WAY}",
            )
        _refuse_no_commit(name, source)
    for host in sorted(hosts):
        refuse_unknown(host, known_hosts)
    if not found:
        return None
    return Direct(
        files=checked_paths(sorted(files)),
        ssh=bool(hosts),
        known_hosts=tuple(known_hosts) if hosts else (),
    )


def direct_notes(names: Sequence[str], direct: Direct | None, builder: str) -> list[str]:
    """What is told of these packages, and of the SSH agent that they may need."""
    if not names:
        return []
    by_poetry = f"{listing(names)}: from no package index, and so installed by Poetry"
    notes = [f"{by_poetry}, on {builder}, in a layer apart."]
    if direct and direct.ssh:
        notes.append(
            "A git dependency comes over ssh: `poetry docker build` passes on your SSH agent,"
            " `docker build` does so with `--ssh default`."
        )
    return notes


def _direct(packages: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for package in packages:
        source = package.get("source", {})
        if source.get("type") in DIRECT_TYPES:
            yield str(package["name"]), source


def _relative_path(name: str, url: str) -> str:
    """The path of a file, from the project; it may lie beside that."""
    if re.match("/|[A-Za-z]:", url):
        raise DockerCacheError(
            f"{name} is a file dependency ({url}) by an absolute path, which no build has.",
            fix="Run `poetry lock`, which writes a relative one.",
        )
    return posixpath.normpath(url)


def _refuse_no_commit(name: str, source: Mapping[str, Any]) -> None:
    commit = str(source.get("resolved_reference"))
    if source["type"] == "git" and not _COMMIT.fullmatch(commit):
        raise DockerCacheError(
            f"poetry.lock does not name the commit of {name}, a git dependency ({source['url']}):"
            " what is installed would change with the repository.",
            fix="Run `poetry lock`.",
        )


def _refuse_credentials(name: str, kind: str, url: str) -> None:
    """Raise DockerCacheError for a user name, password or token in a URL; ssh needs the first."""
    scheme, _, rest = url.partition("://")
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    user, _, host = netloc.rpartition("@")
    path, mark, query = rest[len(netloc) :].partition("?")
    is_host = bool(_HOST.fullmatch(host))
    if not (user or not is_host or _has_token(query) if _WEB.match(url) else ":" in user):
        return
    shown = f"{scheme}://{host}{path}" + f"{mark}{query}" * (not _has_token(query))
    if not is_host:  # https://user:pass/word@host
        shown = f"{scheme}://HOST/PATH"
    raise DockerCacheError(
        f"The URL of {name}, a {_KINDS[kind]} dependency, holds credentials. Poetry copies them"
        " into poetry.lock, and installing it would write them into the image.",
        fix=f"Take them out of pyproject.toml, which then has\n\n    {shown}\n\nand type\n\n"
        f"    poetry config repositories.NAME {shown}\n"
        "    poetry config http-basic.NAME USERNAME    (asks for the password)\n"
        "    poetry lock\n\n"
        "What was committed or published once is known: replace the password as well.",
    )


def _has_token(query: str) -> bool:
    keys = (pair.partition("=")[0] for pair in re.split("[&;]", query))
    return any(_TOKEN.fullmatch(unquote(key)) for key in keys)
