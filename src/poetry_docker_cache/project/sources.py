"""The package sources of a project, and which of them an image needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from poetry.poetry import Poetry

PRIMARY = "primary"
WEB = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A package source of pyproject.toml; a PyPI that is named there has no URL."""

    name: str
    url: str
    priority: str

    @property
    def is_pypi(self) -> bool:
        """Whether this only gives Poetry's built-in source another priority."""
        return self.name.lower() == "pypi"


def read_sources(poetry: Poetry) -> tuple[Source, ...]:
    """The package sources, in pyproject.toml's order."""
    return tuple(
        Source(
            name=str(source["name"]),
            url=str(source.get("url", "")),
            priority=str(source.get("priority", PRIMARY)).lower(),
        )
        for source in poetry.local_config.get("source", [])
    )


def login_variables(name: str) -> tuple[str, str]:
    """The environment variables of a source's user name and password.

    They are Poetry's own; where its own could be set by no shell and no CI (Poetry keeps spaces,
    and dots since 2.4), `_` stands for what cannot be in a name, as Poetry had it for dots.
    """
    prefix = "POETRY_HTTP_BASIC_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    return f"{prefix}_USERNAME", f"{prefix}_PASSWORD"


def refuse_sources(sources: Iterable[Source], packages: Iterable[Mapping[str, Any]]) -> None:
    """Raise DockerCacheError for a locked package that comes from where no build can take it."""
    known = {source.name.lower() for source in sources}
    for package in packages:
        source = package.get("source", {})
        kind = source.get("type", "legacy")
        if kind in DIRECT_TYPES:  # those are judged in `direct`
            continue
        if kind != "legacy":
            raise DockerCacheError(
                f"poetry.lock takes {package['name']} from a source of the unknown type {kind!r}.",
                fix="Run `poetry lock`; update the plugin if a newer Poetry wrote the lock.",
            )
        if source and str(source.get("reference", "")).lower() not in known:
            raise DockerCacheError(
                f"poetry.lock takes {package['name']} from the source"
                f" {source.get('reference')!r}, which pyproject.toml does not have.",
                fix="Add it as a [[tool.poetry.source]], or run `poetry lock`.",
            )


def used_sources(
    sources: Iterable[Source], packages: Iterable[Mapping[str, Any]], index: Source | None
) -> tuple[str, ...]:
    """The names of the sources that a build contacts: those of the packages, and the index."""
    named = (p["source"] for p in packages if p.get("source"))
    used = {str(it["reference"]).lower() for it in named if it.get("type") not in DIRECT_TYPES}
    if index:
        used.add(index.name.lower())
    return tuple(
        source.name for source in sources if source.name.lower() in used and not source.is_pypi
    )


class Address(NamedTuple):
    """A URL that a build downloads a dependency from, beside its package sources."""

    url: str
    is_git: bool


def direct_addresses(packages: Iterable[Mapping[str, Any]]) -> tuple[Address, ...]:
    """The http addresses that a build of these packages contacts beside its sources, sorted."""
    found = {
        Address(str(source["url"]), source["type"] == "git")
        for _, source in direct_dependencies(packages)
        if WEB.match(str(source["url"]))
    }
    return tuple(sorted(found))


def direct_dependencies(
    packages: Iterable[Mapping[str, Any]],
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Name and source of each locked package that comes from git, a URL or a file."""
    for package in packages:
        source = package.get("source", {})
        if source.get("type") in DIRECT_TYPES:
            yield str(package["name"]), source
