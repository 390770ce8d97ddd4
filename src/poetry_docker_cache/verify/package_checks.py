"""Compare the installed packages with the lock file, their RECORD files and the SBOM. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from poetry_docker_cache.doctor.checks import error, ok, warning
from poetry_docker_cache.text import listing

_Listed = dict[str, tuple[str | None, bool]]
"""The version of each package, and whether it is required."""
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from poetry_docker_cache.doctor.checks import Check
    from poetry_docker_cache.verify.distributions import Distribution
    from poetry_docker_cache.verify.image_tree import ImageTree
    from poetry_docker_cache.verify.locked_contents import Locked, LockedVersion

_MOST = 8
_AGAIN = "Build the image again: poetry docker build"
_REPLACE = "Build the image again, and do not change files in /venv afterwards."
_GROUPS = (
    "If it was built with other groups or extras, pass them, such as `--with dev`. Else build the"
    " image again."
)
_PUSH = "Build and push the image again: poetry docker build --push"
_PATH_PROPERTY = "poetry-docker-cache:path"
_SHA256 = "sha256="
_MISSING, _ADDITIONAL = "Missing", "Not in poetry.lock for these groups"
_OTHER, _UNKNOWN = "Other versions", "Unknown commits"
# What `python -m venv` writes to the folder of programs.
_OWN_PROGRAMS = re.compile(r"(python[\d.]*t?|𝜋thon|activate(\.\w+)?|Activate\.ps1|deactivate\.\w+)")


def check_packages(
    installed: Sequence[Distribution], locked: Locked, *, optional: Collection[str] = ()
) -> Iterator[Check]:
    """Check which packages are installed, in which versions; `optional` may be there, too."""
    found: dict[str, list[str]] = {}
    for kind, text in _differences(installed, locked, optional):
        found.setdefault(kind, []).append(text)
    for kind, texts in found.items():
        message = f"{kind}: {listing(texts, _MOST)}."
        if kind == _UNKNOWN:
            yield warning("packages", message, _AGAIN)
        else:
            yield error("packages", message, _AGAIN if kind == _OTHER else _GROUPS)
    if not found.keys() - {_UNKNOWN}:
        count = len({each.name for each in installed} & locked.keys())
        yield ok("packages", f"All {count} packages are those of poetry.lock.")


def _differences(
    installed: Sequence[Distribution], locked: Locked, optional: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield each difference from the lock file, with its kind."""
    versions: dict[str, list[Distribution]] = {}
    for each in installed:
        versions.setdefault(each.name, []).append(each)
    for name, wanted in sorted(locked.items()):
        if name not in versions and any(each.required for each in wanted):
            yield _MISSING, f"{name} {wanted[0].version or ''}".rstrip()
    for name, found in versions.items():
        known = name in locked or name in optional
        if not known:
            yield from ((_ADDITIONAL, str(each)) for each in found)
        elif len(found) > 1:
            yield _OTHER, f"{name} twice, {' and '.join(each.version for each in found)}"
        elif name in locked:
            yield from _other_version(found[0], locked[name])


def _other_version(
    found: Distribution, wanted: Sequence[LockedVersion]
) -> Iterator[tuple[str, str]]:
    fitting = [each for each in wanted if _same_version(each.version, found.version)]
    commits = [each.commit for each in fitting if each.commit]
    if not fitting:
        yield _OTHER, f"{found}, locked {' or '.join(str(each.version) for each in wanted)}"
    elif commits and not found.commit:
        yield _UNKNOWN, str(found)
    elif commits and found.commit not in commits:
        yield _OTHER, f"{found} of commit {found.commit[:12]}, locked {commits[0][:12]}"


def _same_version(wanted: str | None, found: str) -> bool:
    if wanted is None:
        return True
    try:
        return Version(wanted) == Version(found)
    except InvalidVersion:
        return wanted == found


def check_project(
    installed: Sequence[Distribution], name: str, version: str | None, *, from_git: bool
) -> Check:
    """Check that the project itself is installed; its version may come from git."""
    found = next((each for each in installed if each.name == canonicalize_name(name)), None)
    if found is None:
        return error("packages", f"The project {name} is not installed.", _AGAIN)
    if version is None or _same_version(version, found.version):
        return ok("packages", f"The project is installed: {found}.")
    if from_git:
        return warning(
            "packages",
            f"The project is installed as {found}; git says {version} now.",
            "To compare, check out the commit that the image was built from.",
        )
    return error("packages", f"The project is {found}; pyproject.toml has {version}.", _AGAIN)


def check_records(  # noqa: PLR0913  # what may be there
    tree: ImageTree,
    installed: Sequence[Distribution],
    folders: Sequence[str],
    *,
    programs: str,
    compiled: bool,
    others: Sequence[str],
) -> Iterator[Check]:
    """Check all files of packages against the RECORD files.

    `folders` have the packages, `programs` their commands. `compiled` allows bytecode without a
    hash, and `others` are paths that the settings add.
    """
    known: dict[str, set[str]] = {}
    for each in installed:
        for path, digest in (each.record or {}).items():
            known.setdefault(tree.resolve(path), set()).add(digest)
    unlisted = [str(each) for each in installed if each.record is None]
    missing, changed = [], []
    for path, digests in sorted(known.items()):
        node = tree.nodes.get(path)
        expected = {digest for digest in digests if digest.startswith(_SHA256)}
        if node is None:
            # The build removes the bytecode that some wheels have.
            missing += [path] if not path.endswith(".pyc") else []
        elif expected and f"{_SHA256}{node.digest}" not in expected:
            changed.append(path)
    added = [
        path
        for folder in (*folders, programs)
        for path, node in tree.below(folder)
        if node.kind != "folder" and path not in known
        if not (compiled and path.endswith(".pyc"))
        if not (folder == programs and _OWN_PROGRAMS.fullmatch(posixpath.basename(path)))
        if not any(path == other or path.startswith(f"{other}/") for other in others)
    ]
    if unlisted:
        yield error("installed-files", f"Without a RECORD: {listing(unlisted, _MOST)}.", _REPLACE)
    for title, paths in (
        ("Changed since they were installed", changed),
        ("Missing", missing),
        ("Not part of any package", sorted(added)),
    ):
        if paths:
            names = listing([f"/{path}" for path in paths], _MOST)
            yield error("installed-files", f"{title}: {names}.", _REPLACE)
    if not (unlisted or missing or changed or added):
        count = sum(path in tree.nodes for path in known)
        yield ok("installed-files", f"All {count} files of packages match their RECORD.")


def check_sbom(documents: Sequence[bytes], installed: Sequence[Distribution], name: str) -> Check:
    """Check that an attached SBOM lists the installed packages; `name` is the project's."""
    if not documents:
        return ok("sbom", "No SBOM is attached.")
    listed = [found for found in map(_listed, documents) if found is not None]
    if not listed:
        return error("sbom", "The attached SBOM cannot be read.", _PUSH)
    # The same image may have been pushed by several releases of the plugin.
    differing = min((_unlike(found, installed, name) for found in listed), key=len)
    if differing:
        return error(
            "sbom",
            f"The attached SBOM does not agree with the image: {listing(differing, _MOST)}.",
            _PUSH,
        )
    return ok("sbom", "The attached SBOM lists the installed packages.")


def _unlike(listed: _Listed, installed: Sequence[Distribution], name: str) -> list[str]:
    """Describe the differences between an SBOM and the image."""
    here = {each.name: each for each in installed if each.name != canonicalize_name(name)}
    more = [f"{each} is not listed" for key, each in here.items() if key not in listed]
    for key, (version, required) in listed.items():
        if key not in here:
            more += [f"{key} is not installed"] if required else []
        elif not _same_version(version, here[key].version):
            more.append(f"{here[key]} is listed as {version}")
    return sorted(more)


def _listed(document: bytes) -> _Listed | None:
    """Return the Python packages in a CycloneDX document; None if it cannot be read."""
    found: _Listed = {}
    try:
        for each in json.loads(document)["components"]:
            properties = [pair["name"] for pair in each.get("properties") or ()]
            is_path = _PATH_PROPERTY in properties
            if is_path or str(each.get("purl", "")).startswith("pkg:pypi/"):
                # The lock file may have an older version of a path dependency.
                version = None if is_path else str(each["version"])
                name = str(canonicalize_name(each["name"]))
                found[name] = (version, each.get("scope") != "optional")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return found
