"""Which packages are installed from a lock older than version 2.1.

It tells neither groups nor markers of a package. From such a lock Poetry resolves once more, with
nothing but what is locked (installer.py, solver.py, provider.py). Here the same is found by
following the dependencies of the locked packages from those of the project.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .conditions import NEVER, Condition, shortest, text_of
from .dependencies import names, of_project, read_tables
from .layers import MACHINE
from .names import canonical
from .walk import Graph, UnclearError, Walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def with_graph(pyproject: Mapping[str, Any], lock: Mapping[str, Any]) -> dict[str, Any]:
    """Add to an older lock what `select` needs: a graph, and the files at each package.

    Raises ValueError for what cannot be read.
    """
    project = pyproject.get("project", {})
    name = project.get("name") or pyproject.get("tool", {}).get("poetry", {}).get("name", "")
    packages = lock.get("package", [])
    graph = Graph(
        project=canonical(name),
        asked=of_project(pyproject),
        requires=[read_tables(package.get("dependencies", {})) for package in packages],
        extras=[read_extras(package.get("extras", {})) for package in packages],
    )
    return {**lock, "package": with_files(packages, lock), "graph": graph}


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
    walk = Walk(packages, graph, environment, extras)
    try:
        conditions = walk.choose_packages(asked)
    except UnclearError:
        # Other versions on other machines may be what makes it so.
        worlds = {
            here: Walk(packages, graph, {**environment, MACHINE: machine}, extras)
            for here, machine in each(walk.machines(asked))
        }
        if not worlds:
            raise
        conditions = joined({here: it.choose_packages(asked) for here, it in worlds.items()})
    return [
        (package, text_of(conditions[number]))
        for number, package in enumerate(packages)
        if number in conditions
    ]


def each(machines: list[str]) -> list[tuple[frozenset[str], str]]:
    """Give the condition for each machine, and for any other one, each with a name for it."""
    one = [(frozenset([f'{MACHINE} == "{it}"']), it) for it in machines]
    other = frozenset(f'{MACHINE} != "{it}"' for it in machines)
    return [*one, (other, "")] if machines else []


def joined(worlds: Mapping[frozenset[str], Mapping[int, Condition]]) -> dict[int, Condition]:
    """Join what is installed on each machine; what is the same on all depends on none."""
    result: dict[int, Condition] = {}
    for number in {it for world in worlds.values() for it in world}:
        found = {here: world.get(number, NEVER) for here, world in worlds.items()}
        terms = {here | term for here, condition in found.items() for term in condition}
        same = len(set(found.values())) == 1
        result[number] = next(iter(found.values())) if same else shortest(terms)
    return result
