"""Dependencies that come from git repositories, URLs and files."""

from __future__ import annotations

import base64
import hashlib
import hmac
import posixpath
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.image_plan import Direct
from poetry_docker_cache.project.sources import WEB, direct_dependencies
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Notes

_SSH = re.compile(r"ssh://(?:[^/@:]+@)?(?P<host>[\w.-]+)(?::(?P<port>\d+))?/")
# A host has two letters or more: `C:` is a drive.
_SCP = re.compile(r"(?:[^/@:]+@)?(?P<host>[\w.-]{2,}):(?!//)")
_USUAL_PORT = 22


class Host(NamedTuple):
    """A host, in lower case as ssh writes it, and the port of its ssh server."""

    name: str
    port: int = _USUAL_PORT

    def __str__(self) -> str:
        """The host as known_hosts writes it."""
        return self.name if self.port == _USUAL_PORT else f"[{self.name}]:{self.port}"


def ssh_host(url: str) -> Host | None:
    """The host of a repository that is cloned over ssh; None for other protocols."""
    if found := _SSH.match(url):
        return Host(found["host"].lower(), int(found["port"] or _USUAL_PORT))
    found = None if "://" in url else _SCP.match(url)
    return Host(found["host"].lower()) if found else None


def refuse_unknown(host: Host, lines: Sequence[str]) -> None:
    """Raise DockerCacheError for a host whose key is in no line of known_hosts."""
    # Like ssh, fall back to the entry of the host without a port.
    if any(_has_host(line, name) for line in lines for name in (str(host), host.name)):
        return
    port = "" if host.port == _USUAL_PORT else f"-p {host.port} "
    raise DockerCacheError(
        f"A git dependency is cloned from {host} over ssh, but the host key is not known: the build"
        " cannot read your known_hosts file.",
        fix=f"Run `ssh-keyscan {port}{host.name}`, compare the output with the keys that the host"
        " publishes, and add a line of it to [tool.poetry-docker-cache]:\n\n"
        f'    ssh-known-hosts = ["{host} ssh-ed25519 …"]',
    )


def _has_host(line: str, name: str) -> bool:
    marker, *fields = line.split() if line.startswith("@") else ["", *line.split()]
    if marker == "@revoked" or not fields:
        return False
    patterns = fields[0].split(",")
    refused = any(_matches(each[1:], name) for each in patterns if each.startswith("!"))
    return not refused and any(_matches(each, name) for each in patterns)


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _is_hash_of(pattern, name)
    # Not fnmatch, which takes the brackets of [host]:port as a set of characters.
    parts = (re.escape(part) for part in re.split(r"([*?])", pattern.lower()))
    expression = "".join({r"\*": ".*", r"\?": "."}.get(part, part) for part in parts)
    return bool(re.fullmatch(expression, name))


def _is_hash_of(pattern: str, name: str) -> bool:
    salt, _, digest = pattern.removeprefix("|1|").partition("|")
    try:
        key, expected = (base64.b64decode(text, validate=True) for text in (salt, digest))
    except ValueError:
        return False
    return hmac.digest(key, name.encode(), hashlib.sha1) == expected


_KINDS = {"file": "file", "git": "git", "url": "URL"}
# A host with or without a port, and nothing else: no part of a password.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(:\d*)?")
_TOKEN = re.compile(
    r".*(token|key|secret|passwor?d|signature|credential)s?|(.*[-_])?(sig|pwd)|x-(amz|goog)-.*",
    re.IGNORECASE,
)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_ALTERNATIVES = (
    "Install it from a package index, or leave its group out of the image"
    " (`--without`, or `groups` in [tool.poetry-docker-cache])."
)


def plan_direct(packages: Iterable[Mapping[str, Any]], known_hosts: Sequence[str]) -> Direct | None:
    """What git, URL and file dependencies need in the build; None if there are none.

    `known_hosts` is the setting. Raises DockerCacheError for a dependency that the build cannot
    reach, for credentials in a URL, and for a host without a known key.
    """
    found = list(direct_dependencies(packages))
    files: set[str] = set()
    hosts: dict[str, Host] = {}
    for name, source in found:
        url = str(source.get("url", ""))
        if source["type"] == "file":
            files.add(_relative_path(name, url))
            continue
        _refuse_credentials(name, source["type"], url)
        host = ssh_host(url) if source["type"] == "git" else None
        if host:
            hosts[name] = host
        elif not WEB.match(url):
            raise DockerCacheError(
                f"{name} is a {_KINDS[source['type']]} dependency ({url}) that the build cannot"
                " reach: only https, http and ssh are supported.",
                fix=f"Move it to a server with one of these protocols. {_ALTERNATIVES}",
            )
        _refuse_missing_commit(name, source)
    for host in sorted(set(hosts.values())):
        refuse_unknown(host, known_hosts)
    if not found:
        return None
    return Direct(
        files=checked_paths(sorted(files)),
        ssh=tuple(sorted(hosts)),
        known_hosts=tuple(known_hosts) if hosts else (),
    )


def direct_notes(names: Sequence[str], direct: Direct | None, builder: str, *, ssh: bool) -> Notes:
    """Notes on packages that do not come from an index, and on the SSH agent they may need.

    `ssh` is the setting.
    """
    if not names:
        return ()
    note = (
        f"{listing(names)} {'do' if len(names) > 1 else 'does'} not come from a package index:"
        f" Poetry installs {'them' if len(names) > 1 else 'it'} on {builder}, in a separate layer."
    )
    how = "`poetry docker build` forwards it. With `docker build`, add `--ssh default`."
    agent = "A git dependency is cloned over ssh, with your SSH agent: " + (
        how if ssh else "add `--ssh default` to `poetry docker build` or `docker build`."
    )
    return (note, agent) if direct and direct.ssh else (note,)


def _relative_path(name: str, url: str) -> str:
    """The path of a file, inside or outside the project, relative to it."""
    if re.match("/|[A-Za-z]:", url):
        raise DockerCacheError(
            f"{name} is a file dependency with an absolute path ({url}), which does not exist in"
            " the build.",
            fix="Run `poetry lock`, which writes a relative path.",
        )
    return posixpath.normpath(url)


def _refuse_missing_commit(name: str, source: Mapping[str, Any]) -> None:
    commit = str(source.get("resolved_reference"))
    if source["type"] == "git" and not _COMMIT.fullmatch(commit):
        raise DockerCacheError(
            f"poetry.lock does not name the commit of the git dependency {name} ({source['url']}):"
            " the installed version would change with the repository.",
            fix="Run `poetry lock`.",
        )


def _refuse_credentials(name: str, kind: str, url: str) -> None:
    """Raise DockerCacheError for a user name, password or token in a URL; ssh needs a user name."""
    scheme, _, rest = url.partition("://")
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    user, _, host = netloc.rpartition("@")
    path, mark, query = rest[len(netloc) :].partition("?")
    is_host = bool(_HOST.fullmatch(host))
    if not (user or not is_host or _has_token(query) if WEB.match(url) else ":" in user):
        return
    shown = f"{scheme}://{host}{path}" + f"{mark}{query}" * (not _has_token(query))
    if not is_host:  # https://user:pass/word@host
        shown = f"{scheme}://HOST/PATH"
    raise DockerCacheError(
        f"The URL of the {_KINDS[kind]} dependency {name} contains credentials. Poetry copies them"
        " into poetry.lock, and the installation would write them into the image.",
        fix=f"Change the URL in pyproject.toml to\n\n    {shown}\n\nand run\n\n"
        f"    poetry config repositories.NAME {shown}\n"
        "    poetry config http-basic.NAME USERNAME    (asks for the password)\n"
        "    poetry lock\n\n"
        "If they were ever committed or published, replace them as well.",
    )


def _has_token(query: str) -> bool:
    keys = (pair.partition("=")[0] for pair in re.split("[&;]", query))
    return any(_TOKEN.fullmatch(unquote(key)) for key in keys)
