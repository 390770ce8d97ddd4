"""The auth secret: one file with the credentials and certificates for package sources.

It is an auth.toml that every supported Poetry reads, plus a table per source of our own,
`[poetry-docker-cache.sources.NAME]`, with exact values and certificates for the scripts that run
inside the build.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tomlkit

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MAX_SIZE = 500 * 1024
"""The largest secret that BuildKit takes, in bytes (its MaxSecretSize)."""

_HEADER = "# Credentials for one build, written by poetry-docker-cache. Never commit this file.\n"
# Poetry interpolates `{setting}` inside every value that it reads. A lone closing brace is safe;
# an opening one is written as the name of a setting whose value is a brace.
_BRACE = "{poetry-docker-cache.brace}"


@dataclass(frozen=True, kw_only=True)
class SourceAuth:
    """What one package source, or another server, is shown; empty where it asks for nothing."""

    name: str
    login: tuple[str, str] | None = field(default=None, repr=False)
    ca: str = field(default="", repr=False)
    """PEM, as `client_cert` is."""
    client_cert: str = field(default="", repr=False)
    verify: bool = True
    url: str = ""
    """Where it is shown, if that is no source of the project: Poetry is told so."""

    @property
    def says_something(self) -> bool:
        """Whether anything is shown there, or held against its certificate."""
        return bool(self.login or self.ca or self.client_cert or not self.verify)


def auth_file(sources: Sequence[SourceAuth]) -> str:
    """Write the file; the sources come sorted by name.

    Raises DockerCacheError for names that it cannot hold side by side, and if BuildKit would
    refuse it for its size.
    """
    text = _compose(sources)
    size = len(text.encode())
    if size > MAX_SIZE:
        raise _too_large(size, sources)
    return text


def _compose(sources: Sequence[SourceAuth]) -> str:
    basic: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for source in sources:
        table: dict[str, Any] = {}
        if source.login:
            table["username"], table["password"] = source.login
            _add_login(basic, source.name, table)
        if source.ca:
            table["ca"] = _block(source.ca)
        if source.client_cert:
            table["client-cert"] = _block(source.client_cert)
        if not source.verify:
            table["verify"] = False
        if table:
            tables[source.name] = table
    document: dict[str, Any] = {}
    if basic:
        document["http-basic"] = basic
    if repositories := _repositories(sources):
        document["repositories"] = repositories
    if tables:
        document["poetry-docker-cache"] = {"brace": "{", "sources": tables}
    return _HEADER + tomlkit.dumps(document)


def _repositories(sources: Iterable[SourceAuth]) -> dict[str, Any]:
    return {it.name: {"url": it.url.replace("{", _BRACE)} for it in sources if it.url}


def _add_login(basic: dict[str, Any], name: str, login: Mapping[str, str]) -> None:
    escaped = {key: value.replace("{", _BRACE) for key, value in login.items()}
    if "." in name:
        basic[name] = dict(escaped)  # where Poetry looks from 2.4 on
    table: Any = basic
    # Where it looked before. Names come sorted: `a` has its entries before `a.username` claims one.
    for part in name.split("."):
        table = table.setdefault(part, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise DockerCacheError(
            f"The name of the source {name!r} cannot be told from a setting of another source:"
            " Poetry before 2.4 reads each dot as one level of its settings.",
            fix="Rename it in [[tool.poetry.source]] of pyproject.toml, then type `poetry lock`.",
        )
    table.update(escaped)


def _block(text: str) -> tomlkit.items.String:
    # Literal, as tomlkit's escaping takes quadratic time.
    return tomlkit.string(text, literal=True, multiline=True)


def _too_large(size: int, sources: Iterable[SourceAuth]) -> DockerCacheError:
    parts = [(len(s.ca), f"certificates.{s.name}.cert") for s in sources]
    parts += [(len(s.client_cert), f"certificates.{s.name}.client-cert") for s in sources]
    listed = ", ".join(f"{setting} ({n // 1024} KiB)" for n, setting in sorted(parts)[::-1] if n)
    return DockerCacheError(
        f"The credentials and certificates make a secret of {size // 1024} KiB, and BuildKit"
        f" takes 500 KiB at most. It holds {listed or 'no certificate'}.",
        fix="Give a source only the certificate that its own server needs, not the system's"
        " whole bundle:\n\n    poetry config certificates.NAME.cert PATH",
    )


_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[\t\r\n\x20-\x26\x28-\x7e]+?-----END \1-----")


def pem_blocks(path: Path | None, setting: str, kind: str) -> str:
    """Give the PEM blocks of a file whose kind ends so: comments stay behind.

    Raises DockerCacheError for a file that has none, or cannot be read; `setting` names it.
    """
    if path is None:
        return ""
    content = b""
    try:
        content = path.read_bytes()
        problem = "it holds no certificate in PEM format"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", "") or "not a path"
    found = (block for block in _PEM.finditer(content) if block[1].decode().endswith(kind))
    blocks = [block[0].decode("ascii").replace("\r", "") for block in found]
    if not blocks:
        raise DockerCacheError(
            f"The file of the setting {setting} cannot be used: {path}: {problem}",
            fix=f"Name a file with PEM blocks:\n\n    poetry config {shlex.quote(setting)} PATH\n\n"
            "Poetry takes the path as it stands: a relative one counts from where poetry runs,"
            " and a ~ is not expanded.",
        )
    return "\n".join(blocks) + "\n"
