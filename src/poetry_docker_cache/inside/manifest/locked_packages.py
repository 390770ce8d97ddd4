"""List the packages that `poetry install` would install from poetry.lock, by layer.

A change that does not affect an installation does not change a byte of these manifests. The rules
are those of Poetry's installer.py, transaction.py and chooser.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .layer_choice import DIRECT, MACHINE, SOURCE, allowed, assign, kind
from .lock_entries import refuse_damaged
from .markers import canonical, combine, compare, evaluate
from .target import Target
from .wheel_files import fitting_wheels, usable_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Wanted:
    """The options of the command line.

    `libc` and `machines` are what the plugin knew when it planned the layers.
    """

    groups: Sequence[str]
    extras: Sequence[str]
    no_binary: Sequence[str]
    only_binary: Sequence[str]
    libc: str | None
    layers: Sequence[str]
    machines: Sequence[str] = ()


def readable(pyproject: Mapping[str, Any], lock: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check a lock, and prepare it for `select`: one before version 2.1 gets a dependency graph.

    Raises ValueError if this build cannot read it, and DamagedError for an entry that Poetry would
    not write.
    """
    version = str(lock.get("metadata", {}).get("lock-version", "0"))
    if compare(version, ">=", "2.1"):
        refuse_damaged(lock.get("package", ()))
        return lock
    if compare(version, "<", "1.0"):
        raise ValueError(
            "poetry.lock has a format older than version 1.0. Run `poetry lock --regenerate`."
        )
    try:
        from .old_locks import with_graph  # noqa: PLC0415  # not in every build
    except ImportError:
        raise ValueError(
            f"the Dockerfile was exported for a newer format of poetry.lock than {version}."
            " Run `poetry docker export`, then build again."
        ) from None
    found = with_graph(pyproject, lock)
    refuse_damaged(found["package"])
    return found


def select(
    lock: Mapping[str, Any],
    groups: Iterable[str],
    extras: Iterable[str],
    environment: Mapping[str, str],
) -> list[tuple[Mapping[str, Any], str]]:
    """Return the locked packages to install, each with the undecided part of its marker, or "".

    The lock comes from `readable`. Raises ValueError if the lock is ambiguous.
    """
    wanted, active = {canonical(group) for group in groups}, {canonical(e) for e in extras}
    if "graph" in lock:
        from .old_locks import select_older  # noqa: PLC0415  # not in every build

        return select_older(lock, wanted, active, environment)
    chosen = []
    for package in lock.get("package", []):
        markers = package.get("markers", "*")
        each = dict.fromkeys(package["groups"], markers) if isinstance(markers, str) else markers
        left = combine(
            "or",
            (
                evaluate(each.get(group, "*"), environment, active)
                for group in package["groups"]
                if canonical(group) in wanted
            ),
        )
        if left:
            chosen.append((package, "" if left is True else str(left)))
    return chosen


def is_path_dependency(package: Mapping[str, Any]) -> bool:
    """Return whether a locked package is a folder: it has a build stage, and is in no layer."""
    return bool(package.get("source", {}).get("type") == "directory")


def sources(pyproject: Mapping[str, Any], used: set[str]) -> list[dict[str, str]]:
    """List the package sources that Poetry may use, in the project's order."""
    result = []
    for source in pyproject.get("tool", {}).get("poetry", {}).get("source", []):
        name, priority = source["name"], str(source.get("priority", "primary")).lower()
        priority = "primary" if priority == "default" else priority
        if priority == "primary" or name.lower() in used:
            url = {} if name.lower() == "pypi" else {"url": source["url"]}
            result.append({"name": "PyPI" if not url else name, **url, "priority": priority})
    return result


def layer_sources(
    pyproject: Mapping[str, Any], layer: str, packages: Iterable[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """List the package sources that a layer needs.

    If each package names its source, no other source matters, and neither do order and priority.
    For a package without a source, and for build requirements, Poetry may use all sources.
    """
    if layer == DIRECT:
        return sources(pyproject, {"pypi"})
    origins = [package.get("source", {}) for package in packages]
    if layer == SOURCE or not all(origins):
        return sources(pyproject, {origin.get("reference", "PyPI").lower() for origin in origins})
    used = {origin["reference"].lower() for origin in origins if "reference" in origin}
    named = [source for source in sources(pyproject, used) if source["name"].lower() in used]
    named = [{key: source[key] for key in ("name", "url") if key in source} for source in named]
    return sorted(named, key=lambda source: source["name"])


def build_constraints(
    pyproject: Mapping[str, Any], packages: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the project's constraints for the builds of these packages, by package name."""
    constraints = pyproject.get("tool", {}).get("poetry", {}).get("build-constraints", {})
    names = {package["name"] for package in packages}
    named = {canonical(name): constraint for name, constraint in constraints.items()}
    return {name: constraint for name, constraint in named.items() if name in names}


def locked_files(
    package: Mapping[str, Any], layer: str, wanted: Wanted, target: Target, marker: str
) -> list[dict[str, str]]:
    """List the files of a package that its layer may install, for all architectures.

    A package that does not come from an index keeps all its files. A layer of wheels builds
    nothing. Raises ValueError if no file fits this image, unless only some machines want it.
    """
    locked = package.get("files", ())
    if layer == DIRECT:
        known = {(file["file"], file["hash"]) for file in locked}
        return [{"file": name, "hash": digest} for name, digest in sorted(known)]
    wheels, sdists = allowed(package["name"], wanted.no_binary, wanted.only_binary)
    if layer == SOURCE:
        found = usable_files(locked, target, wheels=wheels, sdists=sdists)
    else:
        found = fitting_wheels(locked, target)
    if not found and MACHINE not in marker:
        raise ValueError(_explain_none(package, target, wanted, wheels=wheels, sdists=sdists))
    return found


def _explain_none(
    package: Mapping[str, Any], target: Target, wanted: Wanted, *, wheels: bool, sdists: bool
) -> str:
    """Explain why no file of a package can be installed in this image, and what to do."""
    name, locked = canonical(package["name"]), package.get("files", ())
    this, image = f"{name} {package['version']}", f"this image, which has {target}"
    if usable_files(locked, target, wheels=False, sdists=sdists):
        return (
            f"{this} has no wheel for {image}."
            " Set another `base-image` in [tool.poetry-docker-cache], or build it from source: run"
            f" `poetry config --local installer.no-binary {_with(name, wanted.no_binary)}`."
        )
    if fitting_wheels(locked, target) or usable_files(locked, target, wheels=False):
        setting, other = ("only", "no") if wheels else ("no", "only")
        others = wanted.no_binary if wheels else wanted.only_binary
        return (
            f"Poetry's setting `installer.{setting}-binary` excludes every file of {this} that"
            " poetry.lock has for this image. Remove the package from it. If the setting is"
            f" `:all:`, run `poetry config --local installer.{other}-binary {_with(name, others)}`."
        )
    return (
        f"{this} has neither a source distribution nor a wheel for {image}. Set another"
        " `base-image` or `python` in [tool.poetry-docker-cache]. If only other systems need it,"
        " add a marker in pyproject.toml."
    )


def _with(name: str, names: Iterable[str]) -> str:
    """Return a setting with one more name, because `poetry config` replaces the old value."""
    return ",".join(sorted({name, *names}))


def manifests(
    pyproject: Mapping[str, Any], lock: Mapping[str, Any], wanted: Wanted, target: Target
) -> dict[str, dict[str, Any]]:
    """Return the manifest of each layer; `target` is the Python of this image.

    Raises ValueError if a package has no layer, or no file that its layer can install.
    """
    python = "{}.{}".format(*target.python)
    planned = Target.linux(python, libc=wanted.libc, machines=wanted.machines)
    # Assign layers as the plugin did, which did not know Python's patch version: for it, more of a
    # marker is undecided.
    choice = (readable(pyproject, lock), wanted.groups, wanted.extras)
    seen = {id(package): marker for package, marker in select(*choice, planned.environment)}
    content: dict[str, list[dict[str, Any]]] = {layer: [] for layer in wanted.layers}
    for package, marker in select(*choice, target.environment):
        if is_path_dependency(package):
            continue
        name = canonical(package["name"])
        policy = {"no_binary": wanted.no_binary, "only_binary": wanted.only_binary}
        known = {**package, "marker": seen.get(id(package), marker)}
        layer = assign(name, kind(known, planned, **policy), wanted.layers)
        files = locked_files(package, layer, wanted, target, marker)
        entry = {"name": name, "version": package["version"], "files": files, "marker": marker}
        entry["source"] = package.get(
            "source"
        )  # without `develop`: nothing in an image is editable
        content[layer].append({k: v for k, v in entry.items() if v or k == "files"})
    result: dict[str, dict[str, Any]] = {
        layer: {
            "packages": sorted(packages, key=lambda entry: json.dumps(entry, sort_keys=True)),
            "sources": layer_sources(pyproject, layer, packages),
        }
        for layer, packages in content.items()
    }
    for layer in (SOURCE, DIRECT):
        if constraints := build_constraints(pyproject, content.get(layer, ())):
            result[layer]["build-constraints"] = constraints
    return result
