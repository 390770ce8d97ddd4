"""Which packages are installed from a lock older than version 2.1.

It tells neither groups nor markers of a package. From such a lock Poetry resolves once more, with
nothing but what is locked (installer.py, solver.py, provider.py). Here the same is found by
following the dependencies of the locked packages from those of the project.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .conditions import NEVER, Condition, decided
from .constraints import as_marker, packaging
from .dependencies import Graph, names, of_project, read_tables
from .layers import MACHINE
from .markers import combine, evaluate
from .names import canonical
from .versions import Versions
from .walk import Walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class DamagedError(ValueError):
    """An entry of the lock is not what Poetry writes."""

    def __init__(self, what: str) -> None:
        """Say what is wrong, and what to type: this is all that a build says of it."""
        super().__init__(
            f"poetry.lock is damaged: {what} is not what Poetry writes:"
            " run `poetry lock --regenerate`"
        )
        self.what = what


def with_graph(pyproject: Mapping[str, Any], lock: Mapping[str, Any]) -> dict[str, Any]:
    """Add to an older lock what `select` needs: a graph, and the files at each package.

    Raises DamagedError, and ValueError for what else cannot be read.
    """
    project = pyproject.get("project", {})
    name = project.get("name") or pyproject.get("tool", {}).get("poetry", {}).get("name", "")
    packages = [as_written(it) for it in lock.get("package", [])]
    graph = Graph(
        project=canonical(name),
        asked=of_project(pyproject),
        names=[canonical(package["name"]) for package in packages],
        requires=[read_tables(package.get("dependencies", {})) for package in packages],
        extras=[read_extras(package.get("extras", {})) for package in packages],
    )
    try:
        packages = with_files(packages, lock)
    except (AttributeError, LookupError, TypeError):
        raise DamagedError("what it says of files") from None
    return {**lock, "package": packages, "graph": graph}


def as_written(package: dict[str, Any]) -> dict[str, Any]:
    """Give a package if its entry is one that can be read. Raises DamagedError with its name."""
    try:
        packaging("version").Version(package["version"])
        requires = read_tables(package.get("dependencies", {}))
        read_extras(package.get("extras", {}))
        markers = [as_marker("python_version", package.get("python-versions", "*"))]
        markers += [it.marker for it in requires]
        for marker in markers:
            evaluate(marker, {"python_version": "3.12"}, set())
        texts = [package["name"], package.get("source", {}).get("reference", "")]
        texts += [text for it in requires for text in it.constraints]
        broken = not all(isinstance(it, str) for it in texts)
    except (AttributeError, LookupError, TypeError, ValueError):
        broken = True
    if broken:
        name = package.get("name") if isinstance(package, dict) else package
        raise DamagedError(f"the entry of {name}")
    return package


def read_extras(
    extras: Mapping[str, Iterable[str]],
) -> dict[str, list[tuple[str, frozenset[str]]]]:
    """Read a package's extras: the names of their parts, each with the extras of its own."""
    found: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for extra, texts in extras.items():
        parts = [re.match(r"([\w.-]+)\s*(?:\[([^]]*)\])?", text) for text in texts]
        found[canonical(extra)] = [
            (canonical(it[1]), names((it[2] or "").split(","))) for it in parts if it
        ]
    return found


def with_files(packages: list[dict[str, Any]], lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put at each package its files, which Poetry 1.1 listed apart, for all versions of a name."""
    listed = lock.get("metadata", {}).get("files", {})
    every = [package["name"] for package in packages]
    return [
        {
            "files": files_of(it, listed.get(it["name"], []), alone=every.count(it["name"]) == 1),
            **it,
        }
        for it in packages
    ]


def files_of(
    package: Mapping[str, Any], files: list[dict[str, str]], *, alone: bool
) -> list[dict[str, str]]:
    """Choose a package's files among those of its name."""
    source = package.get("source", {})
    if source.get("type") == "file":
        return [it for it in files if it["file"] == source["url"].rpartition("/")[2]]
    version = re.compile(rf"-v?{re.escape(package['version'])}(-|\.(tar|zip|tgz))", re.IGNORECASE)
    return files if alone else [it for it in files if version.search(it["file"])]


def select_older(
    lock: Mapping[str, Any],
    groups: Collection[str],
    extras: set[str],
    environment: Mapping[str, str],
) -> list[tuple[Mapping[str, Any], str]]:
    """Choose the packages of a lock with a graph, as `select` does; the names are canonical.

    Raises ValueError where the lock does not tell.
    """
    packages, graph = lock["package"], lock["graph"]
    asked = [it for group, listed in graph.asked.items() if group in groups for it in listed]
    versions = Versions(packages, graph, environment, extras)
    worlds = {
        machines: Walk(versions.elsewhere(here)).choose_packages(asked)
        for machines, here in each_machine(versions.left_open(asked), environment)
    }
    return [
        (package, joined({it: world.get(number, NEVER) for it, world in worlds.items()}))
        for number, package in enumerate(packages)
        if any(number in world for world in worlds.values())
    ]


def each_machine(
    markers: Collection[str], environment: Mapping[str, str]
) -> list[tuple[frozenset[str], Mapping[str, str]]]:
    """List the environments that differ by their machine alone, each with all that are alike there.

    "" is any machine that no marker names. Where markers tell more of a machine than its name,
    which one it is stays open.
    """
    text = " ".join(markers)
    named = re.findall(rf'{MACHINE} [!=]= "([^"]*)"', text)
    if len(named) < text.count(MACHINE):
        return [(frozenset([""]), environment)]
    alike: dict[tuple[bool | str, ...], list[str]] = {}
    for machine in sorted({"", *named}):
        here = {**environment, MACHINE: machine}
        alike.setdefault(tuple(evaluate(it, here, set()) for it in markers), []).append(machine)
    return [(frozenset(them), {**environment, MACHINE: them[0]}) for them in alike.values()]


def joined(conditions: Mapping[frozenset[str], Condition]) -> str:
    """Write as a marker under which condition something is wanted on which machines; "" is always.

    Only those machines are named on which it differs from what it is on any other: what else the
    lock says of machines changes nothing.
    """
    other = next(condition for machines, condition in conditions.items() if "" in machines)
    special: dict[Condition, list[str]] = {}
    for machines, condition in conditions.items():
        if condition != other:
            special.setdefault(condition, []).extend(machines)
    named = [it for machines in special.values() for it in machines]
    parts = [combine("and", [decided(other), *(f'{MACHINE} != "{it}"' for it in named)])]
    for condition, them in special.items():
        one = combine("or", [f'{MACHINE} == "{it}"' for it in them])
        parts.append(combine("and", [decided(condition), one]))
    text = combine("or", parts)
    return text if isinstance(text, str) else ""
