"""The auth secret: one file with the credentials and certificates for package sources.

It is an auth.toml that every supported Poetry reads. For the scripts in the build it also has a
table per source, `[poetry-docker-cache.sources.NAME]`, with exact values and certificates.
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

    from poetry_docker_cache.project.destinations import Destination

MAX_SIZE = 500 * 1024
"""BuildKit's limit in bytes (MaxSecretSize)."""

_HEADER = "# Credentials for one build, written by poetry-docker-cache. Never commit this file.\n"
# Poetry interpolates `{setting}` in every value. A closing brace alone is safe; an opening one is
# written as a setting whose value is a brace.
_BRACE = "{poetry-docker-cache.brace}"


@dataclass(frozen=True, kw_only=True)
class SourceAuth:
    """Credentials and certificates for one package source or another server; all may be empty."""

    name: str
    login: tuple[str, str] | None = field(default=None, repr=False)
    ca: str = field(default="", repr=False)
    """PEM, as `client_cert` is."""
    client_cert: str = field(default="", repr=False)
    verify: bool = True
    url: str = ""
    """The address of a server that is not a source of the project; Poetry looks it up."""
    destinations: tuple[Destination, ...] = ()
    """The server, for each name that credentials were found by."""

    @property
    def has_content(self) -> bool:
        """Whether the secret needs an entry for this server."""
        return bool(self.login or self.ca or self.client_cert or not self.verify)


def auth_file(sources: Sequence[SourceAuth]) -> str:
    """Write the file for sources that are sorted by name.

    Raises DockerCacheError for names that Poetry cannot distinguish, and for a file larger than
    BuildKit's limit.
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
    return {
        source.name: {"url": source.url.replace("{", _BRACE)} for source in sources if source.url
    }


def _add_login(basic: dict[str, Any], name: str, login: Mapping[str, str]) -> None:
    escaped = {key: value.replace("{", _BRACE) for key, value in login.items()}
    if "." in name:
        basic[name] = dict(escaped)  # read by Poetry 2.4 and later
    table: Any = basic
    # Read by older versions. Names are sorted: `a` has its entries before `a.username` needs one.
    for part in name.split("."):
        table = table.setdefault(part, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise DockerCacheError(
            f"The name of the source {name!r} looks like a setting of another source: Poetry before"
            " 2.4 reads each dot as one level of its settings.",
            fix="Rename it in [[tool.poetry.source]] of pyproject.toml, then run `poetry lock`.",
        )
    table.update(escaped)


def _block(text: str) -> tomlkit.items.String:
    # Literal, since tomlkit's escaping takes quadratic time.
    return tomlkit.string(text, literal=True, multiline=True)


def _too_large(size: int, sources: Iterable[SourceAuth]) -> DockerCacheError:
    parts = [(len(s.ca), f"certificates.{s.name}.cert") for s in sources]
    parts += [(len(s.client_cert), f"certificates.{s.name}.client-cert") for s in sources]
    listed = ", ".join(f"{setting} ({n // 1024} KiB)" for n, setting in sorted(parts)[::-1] if n)
    return DockerCacheError(
        f"The secret with credentials and certificates has {size // 1024} KiB. BuildKit's limit is"
        f" 500 KiB. It contains {listed or 'no certificate'}.",
        fix="Configure only the certificate that a source's own server needs, not the system's"
        " bundle:\n\n    poetry config certificates.NAME.cert PATH",
    )


_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[\t\r\n\x20-\x26\x28-\x7e]+?-----END \1-----")
# The kinds that TLS uses. An OpenSSH key, for example, has another one.
_KINDS = {
    "certificate": re.compile(r"((X509|TRUSTED) )?CERTIFICATE"),
    "private key": re.compile(r"((RSA|DSA|EC|ENCRYPTED) )?PRIVATE KEY"),
}


def certificates_in(path: Path | None, setting: str) -> str:
    """Return the certificates of a file in PEM format, without comments and keys.

    Raises DockerCacheError for a file that has none or cannot be read; `setting` names it.
    """
    return _pem_blocks(path, setting, ("certificate",))


def client_certificate_in(path: Path | None, setting: str) -> str:
    """Return the certificates of a file and their private key, which must be in the same file.

    Raises DockerCacheError as `certificates_in` does, and for a file without a key.
    """
    return _pem_blocks(path, setting, ("certificate", "private key"))


def _pem_blocks(path: Path | None, setting: str, kinds: Sequence[str]) -> str:
    if path is None:
        return ""
    content, problem = b"", ""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", "") or "not a path"
    blocks = [
        (kind, block[0].decode("ascii").replace("\r", ""))
        for block in _PEM.finditer(content)
        for kind in kinds
        if _KINDS[kind].fullmatch(block[1].decode())
    ]
    missing = [kind for kind in kinds if kind not in dict(blocks)]
    if missing:
        problem = problem or f"it has no {' and no '.join(missing)} in PEM format"
        raise DockerCacheError(
            f"The file of the setting {setting} cannot be used: {path}: {problem}",
            fix=f"Name a PEM file with {' and '.join(kinds)}:\n\n"
            f"    poetry config {shlex.quote(setting)} PATH\n\n"
            "Poetry does not expand ~, and resolves a relative path from the current folder.",
        )
    return "\n".join(text for _, text in blocks) + "\n"
