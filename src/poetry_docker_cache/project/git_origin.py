"""The commit and the repository that a project comes from, for the labels of its image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from poetry_docker_cache.project.git import repository_of, run_git

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

DIRTY = "-dirty"
"""The end of a revision with changes that are not committed, as buildx writes it."""
_CONFIG = r"^(remote\..*\.url|filter\..*\.(clean|process))$"
_OF_REPOSITORY = ("local", "worktree")
"""The scopes of git's configuration that are part of the repository."""
_OBJECT = re.compile(r"# branch\.oid ([0-9a-f]{40}|[0-9a-f]{64})")
_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^@/:]+):(?P<path>(?!/).+)")
_HTTP = ("http", "https")
_SSH = ("ssh", "git+ssh", "ssh+git", "git")
# Not an alias from the configuration of ssh, and not a host for ssh only.
_PUBLIC_HOST = re.compile(r"(?!(?:alt)?ssh\.)(?:[a-z0-9-]+\.)+[a-z]{2,}")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a project comes from; what is unknown is empty."""

    revision: str = ""
    """The commit, which ends with `-dirty` if files have changed since."""
    source: str = ""
    """The web address of the repository."""


def read_origin(project: Path, context: Path) -> Origin:
    """Read the commit of a project, and the address of its repository.

    Only files in the build context make a commit dirty, and none that git ignores.
    """
    repository = repository_of(project)
    if repository is None:
        return Origin()
    found = run_git(project, "config", "--show-scope", "--null", "--get-regexp", _CONFIG)
    entries = [] if found is None else [*_entries(found.stdout.decode(errors="replace"))]
    # To compare files, git runs these programs; those of git-lfs are known.
    is_safe = found is not None and not any(
        scope in _OF_REPOSITORY and name.startswith("filter.") and not value.startswith("git-lfs ")
        for scope, name, value in entries
    )
    place = context if repository_of(context) == repository else project
    return Origin(
        revision=_revision(place) if is_safe else "",
        source=_source({name: value for _, name, value in entries}),
    )


def _entries(text: str) -> Iterable[tuple[str, str, str]]:
    """Yield scope, name and value of each entry in the output of `git config`."""
    words = text.split("\0")
    for scope, entry in zip(words[::2], words[1::2], strict=False):
        name, _, value = entry.partition("\n")
        yield scope, name, value


def _revision(folder: Path) -> str:
    """Return the commit; empty without one, and if git fails."""
    # Other programs may use the repository at the same time.
    status = ("--no-optional-locks", "status", "--porcelain=v2", "--branch")
    done = run_git(folder, *status, "--untracked-files=normal", "--", ".")
    if done is None or done.returncode:
        return ""
    lines = done.stdout.decode(errors="replace").splitlines()
    commit = next((match[1] for line in lines if (match := _OBJECT.fullmatch(line))), "")
    is_dirty = any(not line.startswith("#") for line in lines)
    return f"{commit}{DIRTY}" if commit and is_dirty else commit


def _source(remotes: Mapping[str, str]) -> str:
    """Return the address of `origin`, or of the only remote."""
    urls = {name: url for name, url in remotes.items() if name.startswith("remote.")}
    only = next(iter(urls.values())) if len(urls) == 1 else ""
    return web_address(urls.get("remote.origin.url", only))


def web_address(url: str) -> str:
    """Return the web address of a git remote, without credentials; empty if it has none.

    >>> web_address("git@git.example:team/shop.git")
    'https://git.example/team/shop'
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        if not (match := _SCP.fullmatch(url)):
            return ""
        scheme, rest = "ssh", "{host}/{path}".format(**match.groupdict())
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    is_http = scheme in _HTTP
    path = parts.path.strip("/").removesuffix(".git")
    if not (is_http or (scheme in _SSH and _PUBLIC_HOST.fullmatch(host))) or not (host and path):
        return ""
    # The port of ssh is not that of the web.
    place = f"{host}:{port}" if port and is_http else host
    address = f"{scheme if is_http else 'https'}://{place}/{path}"
    return address if address.isascii() and address.isprintable() and " " not in address else ""
