"""Read what a project and its locked packages depend on: strings of PEP 508, and Poetry's tables.

Only a lock file older than version 2.1 needs it.
"""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from .wheel_files import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAIN = "main"
REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:\[(?P<extras>[^]]*)\])?\s*"
    r"(?:@\s*(?P<url>\S+)|\(?(?P<constraint>[^;()@]*)\)?)\s*(?:;(?P<marker>.*))?",
    re.DOTALL,
)
IN_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']*)|["']([^"']*)["']\s*==\s*extra\b""")
# The keys of a table that say where it holds, and the variables of markers for the same.
PLACES = {"python": "python_version", "platform": "sys_platform"}
# What a table says of where a package comes from, if not from an index.
DIRECT = {"git": "git", "url": "url", "path": "path", "file": "path"}


class Dependency(NamedTuple):
    """What is asked for, where its marker holds.

    `in_extras` are the extras of the dependent that it is a part of; `origin` is the only kind
    of source, or "index NAME", that it may come from, if that is said.
    """

    name: str
    constraints: tuple[str, ...]
    marker: str = ""
    extras: frozenset[str] = frozenset()
    optional: bool = False
    in_extras: frozenset[str] = frozenset()
    origin: str = ""


class Graph(NamedTuple):
    """What the project's groups ask for, and what each locked package requires, with its extras.

    Packages are known by their number in the lock, which may have one of a name more than once. An
    extra is the names of its parts, each with extras of its own.
    """

    project: str
    asked: Mapping[str, list[Dependency]]
    names: list[str]
    requires: list[list[Dependency]]
    extras: list[dict[str, list[tuple[str, frozenset[str]]]]]

    def with_extras(self, number: int, extras: frozenset[str]) -> list[str]:
        """List "", the package itself, and the extras that are asked for with those they take."""
        if not extras:
            return [""]
        found, todo = {""}, sorted(extras)
        while todo:
            extra = todo.pop()
            if extra not in found:
                found.add(extra)
                parts = self.extras[number].get(extra, ())
                todo += [it for part, more in parts if part == self.names[number] for it in more]
        return sorted(found)

    def required(self, number: int, extra: str) -> list[Dependency]:
        """List what a package always requires, or what one of its extras adds to that."""
        requires = self.requires[number]
        if not extra:
            return [it for it in requires if not it.optional]
        parts = {name for name, _ in self.extras[number].get(extra, ())}
        optional = [it for it in requires if it.optional and it.name in parts]
        return [it for it in optional if not it.in_extras or extra in it.in_extras]


def read_requirement(text: str) -> Dependency:
    """Read a string of PEP 508. Raises ValueError if it is not valid."""
    found = REQUIREMENT.fullmatch(text.partition(" #")[0].strip())
    if not found:
        raise ValueError(f"not a requirement: {text}")
    name, extras, url, constraint, marker = found.groups("")
    kinds = {"git": "git", "file": "path"}
    return with_marker(
        Dependency(
            name=canonical(name),
            constraints=(constraint.strip() or "*",),
            extras=names(extras.split(",")),
            origin=kinds.get(re.split(r"[+:]", url)[0], "url") if url else "",
        ),
        [marker],
    )


def read_tables(tables: Mapping[str, Any]) -> list[Dependency]:
    """Read tables of dependencies, by their names: versions, tables, or lists of either."""
    return [
        read_table(name, {"version": entry} if isinstance(entry, str) else entry)
        for name, value in tables.items()
        for entry in (value if isinstance(value, list) else [value])
        if name.lower() != "python"
    ]


def read_table(name: str, table: Mapping[str, Any]) -> Dependency:
    """Read a dependency as Poetry's `Factory.create_dependency` does."""
    places = [as_marker(PLACES[key], table[key]) for key in PLACES if key in table]
    index = f"index {table['source'].lower()}" if "source" in table else ""
    return with_marker(
        Dependency(
            name=canonical(name),
            constraints=(table.get("version", "*"),),
            extras=names(table.get("extras", [])),
            optional=bool(table.get("optional")),
            origin=next((DIRECT[key] for key in DIRECT if key in table), index),
        ),
        [table.get("markers", ""), *places],
    )


def with_marker(dependency: Dependency, markers: Iterable[str]) -> Dependency:
    """Have markers hold, too. As to Poetry, who speaks of extras speaks of what is optional."""
    marker = " and ".join(f"({it})" for it in markers if it.strip() not in ("", "*"))
    found = names(it for both in IN_EXTRA.findall(marker) for it in both)
    optional = dependency.optional or bool(re.search(r"\bextra\b", marker))
    in_extras = dependency.in_extras | found
    return dependency._replace(marker=marker, optional=optional, in_extras=in_extras)


def names(texts: Iterable[str]) -> frozenset[str]:
    """Normalise names."""
    return frozenset(canonical(text.strip()) for text in texts if text.strip())


def of_project(pyproject: Mapping[str, Any]) -> dict[str, list[Dependency]]:
    """List what each dependency group asks for, by the rules of poetry-core's factory.py."""
    project, tool = pyproject.get("project", {}), pyproject.get("tool", {}).get("poetry", {})
    strings: dict[str, list[Dependency]] = defaultdict(list)
    tables: dict[str, list[Dependency]] = defaultdict(list)
    included: dict[str, list[str]] = defaultdict(list)
    strings[MAIN] += map(read_requirement, project.get("dependencies", []))
    for extra, texts in project.get("optional-dependencies", {}).items():
        strings[MAIN] += [
            read_requirement(text)._replace(optional=True, in_extras=names([extra]))
            for text in texts
        ]
    tables[MAIN] += read_tables(tool.get("dependencies", {}))
    tables["dev"] += read_tables(tool.get("dev-dependencies", {}))
    for group, entries in pyproject.get("dependency-groups", {}).items():
        strings[canonical(group)] += [read_requirement(it) for it in entries if isinstance(it, str)]
        others = [it["include-group"] for it in entries if not isinstance(it, str)]
        included[canonical(group)] += map(canonical, others)
    for group, table in tool.get("group", {}).items():
        tables[canonical(group)] += read_tables(table.get("dependencies", {}))
        included[canonical(group)] += map(canonical, table.get("include-groups", []))
    mixed = {"dependencies", "optional-dependencies"} & {*project.get("dynamic", [])}
    found = {
        group: merged(strings[group], tables[group], mixed=bool(mixed) and group == MAIN)
        for group in {*strings, *tables, *included}
    }
    if not project.get("dependencies") and not project.get("optional-dependencies"):
        found[MAIN] = in_extras(found[MAIN], tool.get("extras", {}))

    def whole(group: str, above: tuple[str, ...] = ()) -> list[Dependency]:
        more = [it for it in included[group] if it in found and it not in (group, *above)]
        return found[group] + [it for other in more for it in whole(other, (group, *above))]

    return {group: whole(group) for group in sorted(found)}


def in_extras(
    dependencies: Iterable[Dependency], extras: Mapping[str, Iterable[str]]
) -> list[Dependency]:
    """Say of dependencies which of Poetry's own extras they are a part of."""
    parts = {canonical(extra): names(listed) for extra, listed in extras.items()}
    return [
        it._replace(
            in_extras=it.in_extras | {e for e, listed in parts.items() if it.name in listed}
        )
        for it in dependencies
    ]


def merged(strings: list[Dependency], tables: list[Dependency], *, mixed: bool) -> list[Dependency]:
    """Join what a group has as strings with Poetry's tables, which say more of the same.

    The rule is `dependencies_for_locking` of poetry-core's dependency_group.py.
    """
    if not strings or not tables:
        return strings or tables
    optional = {it.optional for it in strings}
    if mixed and len(optional) == 1:  # the other kind is in the tables
        strings = strings + [it for it in tables if it.optional not in optional]
    result = []
    for dependency in strings:
        same = [it for it in tables if it.name == dependency.name]
        result += [enriched(dependency, it) for it in same] or [dependency]
    return result


def enriched(dependency: Dependency, table: Dependency) -> Dependency:
    """Add to a dependency what a table of the same name says."""
    chosen = ""
    if table.marker:
        chosen = " or ".join(f'extra == "{extra}"' for extra in sorted(dependency.in_extras))
    return with_marker(
        dependency._replace(
            constraints=dependency.constraints + table.constraints,
            origin=dependency.origin or table.origin,
        ),
        [dependency.marker, table.marker, chosen],
    )


def is_asked(package: Mapping[str, Any], dependency: Dependency) -> bool:
    """Tell whether a locked package is what a dependency asks for."""
    source = package.get("source", {})
    kind = source.get("type", "legacy")
    index = f"index {source.get('reference', 'pypi').lower()}"
    origin = {"legacy": index, "directory": "path", "file": "path"}.get(kind, kind)
    if dependency.origin and dependency.origin != origin:
        return False
    if dependency.origin and not dependency.origin.startswith("index "):
        return True
    return all(allows(it, package["version"]) for it in dependency.constraints)


PART = re.compile(r"(\^|~=|~|===?|=|!=|<>|<=|>=|<|>)?\s*((?:\d+!)?[^\s,^~=!<>]+)")
WILDCARDS = re.compile(r"(?:^|\.)[*xX](?:\.[*xX])*$")


def allows(constraint: str, version: str) -> bool:
    """Tell whether a version is within a constraint. Raises ValueError for what is neither."""
    specifiers = packaging("specifiers")
    texts = [",".join(op + it for op, it in parts) for parts in alternatives(constraint)]
    return any(specifiers.SpecifierSet(it).contains(version, prereleases=True) for it in texts)


def as_marker(name: str, constraint: str) -> str:
    """Write a constraint on `python_version` or `sys_platform` as a marker; "" is no condition."""
    parts = [
        " and ".join(
            f'{precise(name, op, version)} {op} "{version}"' for op, version in comparisons
        )
        for comparisons in alternatives(constraint)
    ]
    return "" if "" in parts else " or ".join(f"({part})" for part in parts)


def precise(name: str, op: str, version: str) -> str:
    """Name what a Python is compared by: its patch counts where the version has one, or `op` says.

    The rule is `create_nested_marker` of poetry-core.
    """
    minor = version.count(".") < 2 and op in ("<", ">=", "==", "~=") and "*" not in version  # noqa: PLR2004  # X.Y
    return name if name != "python_version" or minor else "python_full_version"


def alternatives(constraint: str) -> list[list[tuple[str, str]]]:
    """Split a constraint into lists of comparisons: one of the lists must hold, and all of it."""
    return [
        [comparison for op, version in PART.findall(part) for comparison in compared(op, version)]
        for part in re.split(r"\|\|?", constraint)
    ]


def compared(op: str, version: str) -> list[tuple[str, str]]:
    """Read a part of a constraint as comparisons; a mere `*` gives none."""
    release = WILDCARDS.sub("", version)
    if not release:
        return []
    if op in ("^", "~") or (op == "~=" and "." not in release):
        return [(">=", release), ("<", following(op, release))]
    op = {"": "==", "=": "==", "<>": "!="}.get(op, op)
    return [(op, f"{release}.*" if release != version and op in ("==", "!=") else release)]


def following(op: str, version: str) -> str:
    """Give the release before which a caret's or a tilde's range ends."""
    found = re.match(r"v?(\d+!)?(\d+(?:\.\d+)*)", version)
    if not found:
        raise ValueError(f"not a version: {version}")
    numbers = [int(number) for number in found[2].split(".")]
    if op == "^":  # the first number that is not zero, of three
        known = numbers[:3]
        place = next((it for it, number in enumerate(known) if number), len(known) - 1)
    else:
        place = min(1, len(numbers) - 1)
    end = [*numbers[:place], numbers[place] + 1]
    return (found[1] or "") + ".".join(map(str, end))


def packaging(module: str) -> Any:  # noqa: ANN401  # a module
    """Import a module of the packaging that is here: pip's own, or Poetry's.

    `install.architecture` has the same: neither can import from the other (see `OLD_PIP`).
    """
    try:
        return importlib.import_module(f"pip._vendor.packaging.{module}")
    except ImportError:
        return importlib.import_module(f"packaging.{module}")
