"""Which packages are installed from a lock older than version 2.1.

It tells neither groups nor markers of a package. From such a lock Poetry resolves once more, with
nothing but what is locked (installer.py, solver.py, provider.py). Here the same is found by
following the dependencies of the locked packages from those of the project.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .dependencies import names, of_project, read_tables
from .names import canonical
from .walk import ALWAYS, NEVER, Graph, Walk, text_of

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
    solution = walk.settle(asked)
    chosen = [it for it in asked if not it.optional or it.in_extras & extras]
    # Poetry installs what is chosen wherever anything else brings it along, even an extra that is
    # not chosen: its own marker counts no more.
    steps = [
        (number, it.extras, solution.get((number, extra), NEVER))
        for it in chosen
        if it.marker
        for number in walk.suiting(it)
        for extra in sorted(it.extras)[:1] or [""]
    ]
    reached = walk.follow(walk.steps(chosen, ALWAYS, of_project=True) + steps)
    conditions = {number: walk.possible(it) for (number, extra), it in reached.items() if not extra}
    walk.refuse_doubles(conditions)
    return [
        (package, text_of(conditions[number]))
        for number, package in enumerate(packages)
        if conditions.get(number)
    ]
