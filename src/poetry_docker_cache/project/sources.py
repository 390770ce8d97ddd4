"""The package sources of a project, and those that a build needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT_TYPES
from poetry_docker_cache.project.model import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from poetry_docker_cache.project.model import Source

WEB = re.compile(r"https?://", re.IGNORECASE)


def login_variables(name: str) -> tuple[str, str]:
    """The environment variables of a source's user name and password.

    They are Poetry's own, except that `_` replaces all characters that are not allowed in the name
    of a variable. Poetry keeps spaces and, since 2.4, dots, which no shell or CI can set.
    """
    prefix = f"POETRY_HTTP_BASIC_{in_variables(name)}"
    return f"{prefix}_USERNAME", f"{prefix}_PASSWORD"


def in_variables(name: str) -> str:
    """The name of a source as a part of the names of its environment variables."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def refuse_unknown_sources(
    sources: Iterable[Source], packages: Iterable[Mapping[str, Any]]
) -> None:
    """Raise DockerCacheError for a locked package from an unknown source."""
    known = {source.name.lower() for source in sources}
    for package in packages:
        source = package.get("source", {})
        kind = source.get("type", "legacy")
        if kind in DIRECT_TYPES:  # checked in `plan.direct_dependencies`
            continue
        if kind != "legacy":
            raise DockerCacheError(
                f"The source of {package['name']} in poetry.lock has the unknown type {kind!r}.",
                fix="Run `poetry lock`. If a newer Poetry wrote the lock file, update the plugin.",
            )
        if source and str(source.get("reference", "")).lower() not in known:
            raise DockerCacheError(
                f"{package['name']} in poetry.lock comes from the source"
                f" {source.get('reference')!r}, which pyproject.toml does not define.",
                fix="Add it as a [[tool.poetry.source]], or run `poetry lock`.",
            )


def used_sources(
    sources: Iterable[Source], packages: Iterable[Mapping[str, Any]], index: Source | None
) -> tuple[str, ...]:
    """The names of the sources that a build contacts: those of the packages, and the index."""
    tables = (package["source"] for package in packages if package.get("source"))
    used = {
        str(table["reference"]).lower() for table in tables if table.get("type") not in DIRECT_TYPES
    }
    if index:
        used.add(index.name.lower())
    return tuple(
        source.name for source in sources if source.name.lower() in used and not source.is_pypi
    )


def direct_addresses(packages: Iterable[Mapping[str, Any]]) -> tuple[Address, ...]:
    """The addresses outside the sources that a build downloads these packages from, sorted."""
    found = {
        Address(str(source["url"]), source["type"] == "git")
        for _, source in direct_dependencies(packages)
        if WEB.match(str(source["url"]))
    }
    return tuple(sorted(found))


def direct_dependencies(
    packages: Iterable[Mapping[str, Any]],
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The name and source of each locked package that comes from git, a URL or a file."""
    for package in packages:
        source = package.get("source", {})
        if source.get("type") in DIRECT_TYPES:
            yield str(package["name"]), source
