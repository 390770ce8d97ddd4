"""A manifest's packages as requirements, by the one source that each may come from."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

# A version without a local part, written as PEP 440 writes it.
PUBLIC = re.compile(
    r"([1-9]\d*!)?(0|[1-9]\d*)(\.(0|[1-9]\d*))*"
    r"((a|b|rc)(0|[1-9]\d*))?(\.post(0|[1-9]\d*))?(\.dev(0|[1-9]\d*))?"
)


class Source(NamedTuple):
    """A package source of the project, or what the image takes for PyPI: no name, no URL."""

    name: str = ""
    url: str = ""


def source_of(package: dict[str, Any], manifest: dict[str, Any]) -> Source:
    """Find the source that Poetry's chooser would ask, and no other.

    Raises ValueError for what comes from no index.
    """
    urls = {source["name"].lower(): source for source in manifest["sources"]}
    named = package.get("source")
    if named and named.get("type") != "legacy":
        raise ValueError(
            f"{package['name']} comes from no package index ({named.get('type')}):"
            " only Poetry can install it."
        )
    if named:
        found = urls.get(named["reference"].lower(), {})
        return Source(found.get("name", named["reference"]), found.get("url", named["url"]))
    primary = [source for source in manifest["sources"] if source.get("priority") == "primary"]
    if "pypi" in urls or not primary:
        return Source()
    return Source(primary[0]["name"], primary[0]["url"])


def by_source(manifest: dict[str, Any]) -> list[tuple[Source, list[dict[str, Any]]]]:
    """Sort the packages by their source."""
    result: dict[Source, list[dict[str, Any]]] = {}
    for package in manifest["packages"]:
        result.setdefault(source_of(package, manifest), []).append(package)
    return sorted(result.items(), key=lambda item: item[0])


def requirement(package: dict[str, Any]) -> str:
    """Write a package as a line of a requirements file: this version, one of these files."""
    marker = f" ; {package['marker']}" if "marker" in package else ""
    hashes = "".join(f" --hash={file['hash']}" for file in package["files"])
    return f"{package['name']}{pinned(package)}{marker}{hashes}\n"


def pinned(package: dict[str, Any]) -> str:
    """Demand a package's version.

    `==1.0` takes a `1.0+cpu` too, and before the 1.0; `===` compares texts, so it does not, but
    needs the version as the files have it.
    """
    version = package["version"]
    named = {file["file"].split("-")[1:2] == [version] for file in package["files"]}
    return f"==={version}" if PUBLIC.fullmatch(version) and named == {True} else f"=={version}"
