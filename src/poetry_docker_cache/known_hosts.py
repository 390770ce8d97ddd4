"""Hosts that are reached over ssh, and the lines that vouch for them, as ssh matches these. Pure.

The format is that of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT; what of a host is looked up, that of
`check_host_key` in OpenSSH's sshconnect.c.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SSH = re.compile(r"ssh://(?:[^/@:]+@)?(?P<host>[\w.-]+)(?::(?P<port>\d+))?/")
_SCP = re.compile(r"(?:[^/@:]+@)?(?P<host>[\w.-]{2,}):(?!//)")  # as scp has it; C: is no host
_USUAL_PORT = 22


class Host(NamedTuple):
    """A host, in lower case as ssh has it, and where its ssh server listens."""

    name: str
    port: int = _USUAL_PORT

    def __str__(self) -> str:
        """The host as known_hosts names it."""
        return self.name if self.port == _USUAL_PORT else f"[{self.name}]:{self.port}"


def ssh_host(url: str) -> Host | None:
    """The host of a repository that is reached over ssh."""
    if found := _SSH.match(url):
        return Host(found["host"].lower(), int(found["port"] or _USUAL_PORT))
    found = None if "://" in url else _SCP.match(url)
    return Host(found["host"].lower()) if found else None


def refuse_unknown(host: Host, lines: Sequence[str]) -> None:
    """Raise DockerCacheError for a host that no line of known_hosts vouches for."""
    # Without an entry for the port, ssh takes the one of the host.
    if any(_names(line, name) for line in lines for name in (str(host), host.name)):
        return
    other = "" if host.port == _USUAL_PORT else f"-p {host.port} "
    raise DockerCacheError(
        f"A git dependency comes from {host} over ssh, and nobody has said which key that host"
        " has: a build has no known_hosts of yours, and asks nobody.",
        fix=f"Type `ssh-keyscan {other}{host.name}`, compare what it prints with the keys that the"
        " host's owner publishes, and add a line of it to [tool.poetry-docker-cache]:\n\n"
        f'    ssh-known-hosts = ["{host} ssh-ed25519 …"]',
    )


def _names(line: str, name: str) -> bool:
    marker, *fields = line.split() if line.startswith("@") else ["", *line.split()]
    if marker == "@revoked" or not fields:
        return False
    patterns = fields[0].split(",")
    refused = any(_matches(it[1:], name) for it in patterns if it.startswith("!"))
    return not refused and any(_matches(it, name) for it in patterns)


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _is_hash_of(pattern, name)
    # By hand: to fnmatch, the brackets around a host with a port would be a set of characters.
    parts = (re.escape(it) for it in re.split(r"([*?])", pattern.lower()))
    expression = "".join({r"\*": ".*", r"\?": "."}.get(it, it) for it in parts)
    return bool(re.fullmatch(expression, name))


def _is_hash_of(pattern: str, name: str) -> bool:
    salt, _, digest = pattern.removeprefix("|1|").partition("|")
    try:
        key, expected = (base64.b64decode(it, validate=True) for it in (salt, digest))
    except ValueError:
        return False
    return hmac.digest(key, name.encode(), hashlib.sha1) == expected
