"""Download a manifest's wheels from package indexes, with one call of pip for each index.

Each call knows one index only, so a package of the same name in another index is never used.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from . import pip_settings, secret
from .failures import explain_failure
from .secret import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .process import Outcome

    Call = Callable[[Path, Mapping[str, str]], Outcome]
    Packages = list[dict[str, Any]]
    Fetch = Callable[[Packages, Mapping[str, str]], Packages]

# A version without a local part, in the normal form of PEP 440.
PUBLIC = re.compile(
    r"([1-9]\d*!)?(0|[1-9]\d*)(\.(0|[1-9]\d*))*"
    r"((a|b|rc)(0|[1-9]\d*))?(\.post(0|[1-9]\d*))?(\.dev(0|[1-9]\d*))?"
)


# All that a line of a requirements file may contain. pip splits it at spaces before a `-` and a
# `#`, and replaces `${…}`. The manifest's values are checked in `manifest.lock_entries`.
REQUIREMENT = re.compile(
    r"[a-z0-9-]+={2,3}[A-Za-z0-9.!+_-]+"
    r"( --hash=[a-z0-9_]+:[0-9a-f]+)*"
)


def source_of(package: dict[str, Any], manifest: dict[str, Any]) -> Source:
    """Return the source that Poetry would install a package from.

    Raises ValueError for a package that does not come from an index, and for an index that the
    project does not define: its URL in the lock file does not count.
    """
    urls = {source["name"].lower(): source for source in manifest["sources"]}
    named = package.get("source")
    if named and named.get("type") != "legacy":
        raise ValueError(
            f"{package['name']} does not come from a package index ({named.get('type')}):"
            " only Poetry can install it."
        )
    if named:
        found = urls.get(named["reference"].lower())
        if found is None:
            raise ValueError(
                f"{package['name']}: pyproject.toml does not define the source"
                f" {named['reference']!r} of poetry.lock. Run `poetry lock`."
            )
        return Source(found["name"], found["url"]) if "url" in found else Source()
    return primary_source(manifest)


def primary_source(manifest: dict[str, Any]) -> Source:
    """Return the source that replaces the default index, or that index."""
    names = {source["name"].lower() for source in manifest["sources"]}
    primary = [source for source in manifest["sources"] if source.get("priority") == "primary"]
    if "pypi" in names or not primary:
        return Source()
    return Source(primary[0]["name"], primary[0]["url"])


def group_by_source(manifest: dict[str, Any]) -> list[tuple[Source, list[dict[str, Any]]]]:
    """Group the packages by their source."""
    result: dict[Source, list[dict[str, Any]]] = {}
    for package in manifest["packages"]:
        result.setdefault(source_of(package, manifest), []).append(package)
    return sorted(result.items(), key=lambda item: item[0])


def requirement(package: dict[str, Any]) -> str:
    """Return a package as a line of a requirements file: its version, and hashes of its files.

    Raises ValueError for a value that would be more than that.
    """
    hashes = "".join(f" --hash={file['hash']}" for file in package["files"])
    line = f"{package['name']}{version_specifier(package)}{hashes}"
    if not REQUIREMENT.fullmatch(line):
        raise ValueError(
            f"{package['name']!r}: its version or hash in poetry.lock is not valid. Restore"
            " the lock file from version control, or run `poetry lock --regenerate`."
        )
    return f"{line}\n"


def version_specifier(package: dict[str, Any]) -> str:
    """Return the version specifier of a package.

    `==1.0` also matches `1.0+cpu`, and prefers it. `===` compares text, so it matches only 1.0, but
    it needs the version as the file names spell it.
    """
    version = package["version"]
    named = {file["file"].split("-")[1:2] == [version] for file in package["files"]}
    return f"==={version}" if PUBLIC.fullmatch(version) and named == {True} else f"=={version}"


def download(
    manifest: dict[str, Any], auth: dict[str, Any], folder: Path, fetch: Fetch, call: Call
) -> tuple[int, str]:
    """Download each source's packages; return the status, and why it failed.

    `fetch` gets packages and environment variables, and returns the packages that are left to
    `call`, which gets a requirements file. Secrets are in `folder`. Raises ValueError for a
    package that does not come from an index.
    """
    base = pip_settings.clean_environment(os.environ, pip_settings.image_settings(os.environ))
    for number, (source, packages) in enumerate(group_by_source(manifest)):
        place = folder / str(number)
        place.mkdir()
        known = secret.get_source(auth, source.name)
        lines = {id(package): requirement(package) for package in packages}
        environment = pip_settings.for_source(base, source, known, place)
        left = fetch(packages, environment)
        if not left:
            continue
        requirements = place / "requirements.txt"
        text = "".join(lines[id(package)] for package in left)
        requirements.write_text(text, encoding="utf-8")
        status, output = call(requirements, environment)
        if status:
            return status, explain_failure(output, source, known="username" in known)
    return 0, ""
