"""Read the credentials and certificates of the package sources from the build's secret."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Source(NamedTuple):
    """A package source of the project, or what the image takes for PyPI: no name, no URL."""

    name: str = ""
    url: str = ""


def read(path: Path) -> dict[str, Any]:
    """Read the secret; a project of public sources has none."""
    if not path.is_file():
        return {}
    if sys.version_info >= (3, 11):
        import tomllib as toml  # noqa: PLC0415  # not in 3.9 and 3.10
    else:
        try:
            import tomli as toml  # noqa: PLC0415  # Poetry brings it along
        except ImportError:
            from pip._vendor import tomli as toml  # noqa: PLC0415  # every other Python has pip
    return dict(toml.loads(path.read_text(encoding="utf-8")))


def sources(secret: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give what is known of each source, by its name."""
    return dict(secret.get("poetry-docker-cache", {}).get("sources", {}))


def of_source(secret: dict[str, Any], name: str) -> dict[str, Any]:
    """Give what is known of one source; Poetry does not tell names apart by their case."""
    for own, known in sources(secret).items():
        if own.lower() == name.lower():
            return known
    return {}


def certificates(known: dict[str, Any], folder: Path, prefix: str = "") -> dict[str, Path]:
    """Unpack the certificates of a source into files that only this user reads."""
    result: dict[str, Path] = {}
    for key in ("ca", "client-cert"):
        if key in known:
            path = folder / f"{prefix}{key}.pem"
            path.touch(mode=0o600)
            path.write_text(known[key], encoding="utf-8")
            result[key] = path
    return result
