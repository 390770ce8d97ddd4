"""Read the credentials and certificates of package sources from the build secret."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Source(NamedTuple):
    """A package source of the project; without name and URL, the default index of the image."""

    name: str = ""
    url: str = ""


def read(path: Path) -> dict[str, Any]:
    """Read the secret; a project with only public sources has none."""
    return toml(path.read_text(encoding="utf-8")) if path.is_file() else {}


def toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError for text that is not valid."""
    if sys.version_info >= (3, 11):
        import tomllib as parser  # noqa: PLC0415  # not in 3.9 and 3.10
    else:
        try:
            import tomli as parser  # noqa: PLC0415  # a dependency of Poetry
        except ImportError:
            from pip._vendor import tomli as parser  # noqa: PLC0415  # the image's pip
    return dict(parser.loads(text))


def sources(secret: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the credentials and certificates of each source, by its name."""
    return dict(secret.get("poetry-docker-cache", {}).get("sources", {}))


def get_source(secret: dict[str, Any], name: str) -> dict[str, Any]:
    """Return those of one source; Poetry ignores the case of names."""
    for own, known in sources(secret).items():
        if own.lower() == name.lower():
            return known
    return {}


def certificates(known: dict[str, Any], folder: Path, prefix: str = "") -> dict[str, Path]:
    """Write the certificates of a source to files that only this user can read."""
    result: dict[str, Path] = {}
    for key in ("ca", "client-cert"):
        if key in known:
            path = folder / f"{prefix}{key}.pem"
            path.touch(mode=0o600)
            path.write_text(known[key], encoding="utf-8")
            result[key] = path
    return result
