"""Where a locked package comes from, without credentials: its package URL and its addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from packageurl import PackageURL
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCP = re.compile(r"(?:(?P<user>[^@/\s]+)@)?(?P<host>[^:/\s]+):(?P<path>[^/\s].*)")
"""The short form of git for ssh: `git@host.test:team/app.git`."""


def without_credentials(url: str) -> str:
    """Return a URL without user, password and query; empty for a URL that is not valid.

    The user of ssh stays: it is part of the address, and not a secret.

    >>> without_credentials("https://me:secret@host.test/simple?key=secret")
    'https://host.test/simple'
    >>> without_credentials("git@host.test:team/app.git")
    'ssh://git@host.test/team/app.git'
    """
    if "://" not in url and (short := _SCP.fullmatch(url)):
        url = f"ssh://{short['user'] or 'git'}@{short['host']}/{short['path']}"
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if not host:
        return ""
    scheme = parts.scheme.removeprefix("git+")
    user = f"{parts.username}@" if scheme == "ssh" and parts.username else ""
    return f"{scheme}://{user}{host}{port}{quote(parts.path, safe='/%:@!$&()*+,;=~')}"


def commit_url(source: Mapping[str, str]) -> str:
    """Return the address of a git commit, as pip writes it; empty if it is not valid."""
    address = without_credentials(source.get("url", ""))
    commit = source.get("resolved_reference") or source.get("reference", "")
    folder = source.get("subdirectory", "")
    end = f"#subdirectory={quote(folder)}" if folder else ""
    return f"git+{address}@{quote(commit)}{end}" if address else ""


def package_url(name: str, version: str, source: Mapping[str, str]) -> PackageURL | None:
    """Return the package URL; None for a folder, which no index has."""
    kind = source.get("type", "legacy")
    if kind == "directory":
        return None
    url = source.get("url", "")
    values = {
        "legacy": ("repository_url", without_credentials(url)),
        "git": ("vcs_url", commit_url(source)),
        "url": ("download_url", without_credentials(url)),
        "file": ("file_name", url.rpartition("/")[2]),
    }
    key, value = values.get(kind, ("", ""))
    return PackageURL(
        type="pypi",
        name=str(canonicalize_name(name)),
        version=version,
        qualifiers={key: value} if value else None,
    )


def file_url(name: str, file: str, source: Mapping[str, str], index: str) -> str:
    """Return the address of a file: that of a URL, else the page of an index that lists it.

    `index` is the address of the index for packages without a source.
    """
    kind = source.get("type", "legacy")
    url = without_credentials(source.get("url", index))
    if kind == "url" and url:
        return url
    if kind == "legacy" and url:
        return f"{url.rstrip('/')}/{canonicalize_name(name)}/#{quote(file)}"
    return quote(file)
