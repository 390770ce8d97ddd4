"""Read the dependencies of a project and of its locked packages: PEP 508 and Poetry's tables.

Only for lock files with a format older than version 2.1.
"""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from .markers import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAIN = "main"
REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:\[(?P<extras>[^]]*)\])?\s*"
    r"(?:@\s*(?P<url>\S+)|\(?(?P<constraint>[^;()@]*)\)?)\s*(?:;(?P<marker>.*))?",
    re.DOTALL,
)
IN_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']*)|["']([^"']*)["']\s*==\s*extra\b""")
# Keys of a table that act as a marker, and their marker variables.
MARKER_KEYS = {"python": "python_version", "platform": "sys_platform"}
# Keys of a table for a package that does not come from an index, and the kind of origin.
DIRECT = {"git": "git", "url": "url", "path": "path", "file": "path"}


class Dependency(NamedTuple):
    """A required package, if its marker holds.

    `in_extras` are the extras of the dependent that include it. `origin` is the required kind of
    source, or "index NAME", if there is one.
    """

    name: str
    constraints: tuple[str, ...]
    marker: str = ""
    extras: frozenset[str] = frozenset()
    optional: bool = False
    in_extras: frozenset[str] = frozenset()
    origin: str = ""


class Graph(NamedTuple):
    """The dependencies of the project's groups and of each locked package.

    Packages are identified by their index in the lock, which may have several versions of a name.
    An extra is a list of package names, each with extras of that package.
    """

    project: str
    groups: Mapping[str, list[Dependency]]
    names: list[str]
    requires: list[list[Dependency]]
    extras: list[dict[str, list[tuple[str, frozenset[str]]]]]

    def with_extras(self, number: int, extras: frozenset[str]) -> list[str]:
        """List "" (the package itself), the given extras, and those that they include."""
        if not extras:
            return [""]
        found, todo = {""}, sorted(extras)
        while todo:
            extra = todo.pop()
            if extra not in found:
                found.add(extra)
                for name, more in self.extras[number].get(extra, ()):
                    todo += more if name == self.names[number] else ()
        return sorted(found)

    def required(self, number: int, extra: str) -> list[Dependency]:
        """List what a package always requires, or what one of its extras adds."""
        requires = self.requires[number]
        if not extra:
            return [required for required in requires if not required.optional]
        parts = {name for name, _ in self.extras[number].get(extra, ())}
        return [
            required
            for required in requires
            if required.optional
            and required.name in parts
            and (not required.in_extras or extra in required.in_extras)
        ]


def read_requirement(text: str) -> Dependency:
    """Read a requirement of PEP 508. Raises ValueError if it is not valid."""
    found = REQUIREMENT.fullmatch(text.partition(" #")[0].strip())
    if not found:
        raise ValueError(f"not a requirement: {text}")
    name, extras, url, constraint, marker = found.groups("")
    kinds = {"git": "git", "file": "path"}
    return add_markers(
        Dependency(
            name=canonical(name),
            constraints=(constraint.strip() or "*",),
            extras=canonical_names(extras.split(",")),
            origin=kinds.get(re.split(r"[+:]", url)[0], "url") if url else "",
        ),
        [marker],
    )


def read_tables(tables: Mapping[str, Any]) -> list[Dependency]:
    """Read Poetry's dependencies by name: each is a version, a table, or a list of them."""
    return [
        read_table(name, {"version": entry} if isinstance(entry, str) else entry)
        for name, value in tables.items()
        for entry in (value if isinstance(value, list) else [value])
        if name.lower() != "python"
    ]


def read_table(name: str, table: Mapping[str, Any]) -> Dependency:
    """Read a dependency as Poetry's `Factory.create_dependency` does."""
    markers = [as_marker(MARKER_KEYS[key], table[key]) for key in MARKER_KEYS if key in table]
    index = f"index {table['source'].lower()}" if "source" in table else ""
    return add_markers(
        Dependency(
            name=canonical(name),
            constraints=(table.get("version", "*"),),
            extras=canonical_names(table.get("extras", [])),
            optional=bool(table.get("optional")),
            origin=next((DIRECT[key] for key in DIRECT if key in table), index),
        ),
        [table.get("markers", ""), *markers],
    )


def add_markers(dependency: Dependency, markers: Iterable[str]) -> Dependency:
    """Set the marker of a dependency; as in Poetry, one with `extra` makes it optional."""
    marker = " and ".join(f"({text})" for text in markers if text.strip() not in ("", "*"))
    found = canonical_names(name for pair in IN_EXTRA.findall(marker) for name in pair)
    optional = dependency.optional or bool(re.search(r"\bextra\b", marker))
    in_extras = dependency.in_extras | found
    return dependency._replace(marker=marker, optional=optional, in_extras=in_extras)


def canonical_names(texts: Iterable[str]) -> frozenset[str]:
    """Normalize names, without empty ones."""
    return frozenset(canonical(text.strip()) for text in texts if text.strip())


def read_groups(pyproject: Mapping[str, Any]) -> dict[str, list[Dependency]]:
    """Return the dependencies of each group, by the rules of poetry-core's factory.py."""
    project, tool = pyproject.get("project", {}), pyproject.get("tool", {}).get("poetry", {})
    strings: dict[str, list[Dependency]] = defaultdict(list)
    tables: dict[str, list[Dependency]] = defaultdict(list)
    included: dict[str, list[str]] = defaultdict(list)
    strings[MAIN] += map(read_requirement, project.get("dependencies", []))
    for extra, texts in project.get("optional-dependencies", {}).items():
        strings[MAIN] += [
            read_requirement(text)._replace(optional=True, in_extras=canonical_names([extra]))
            for text in texts
        ]
    tables[MAIN] += read_tables(tool.get("dependencies", {}))
    tables["dev"] += read_tables(tool.get("dev-dependencies", {}))
    for group, entries in pyproject.get("dependency-groups", {}).items():
        for entry in entries:
            if isinstance(entry, str):
                strings[canonical(group)].append(read_requirement(entry))
            else:
                included[canonical(group)].append(canonical(entry["include-group"]))
    for group, table in tool.get("group", {}).items():
        tables[canonical(group)] += read_tables(table.get("dependencies", {}))
        included[canonical(group)] += map(canonical, table.get("include-groups", []))
    mixed = {"dependencies", "optional-dependencies"} & {*project.get("dynamic", [])}
    found = {
        group: merge_tables(strings[group], tables[group], mixed=bool(mixed) and group == MAIN)
        for group in {*strings, *tables, *included}
    }
    if not project.get("dependencies") and not project.get("optional-dependencies"):
        found[MAIN] = assign_extras(found[MAIN], tool.get("extras", {}))

    def with_included(group: str, above: tuple[str, ...] = ()) -> list[Dependency]:
        result = [*found[group]]
        for other in included[group]:
            if other in found and other not in (group, *above):
                result += with_included(other, (group, *above))
        return result

    return {group: with_included(group) for group in sorted(found)}


def assign_extras(
    dependencies: Iterable[Dependency], extras: Mapping[str, Iterable[str]]
) -> list[Dependency]:
    """Set `in_extras` of dependencies from the table of Poetry's own extras."""
    parts = {canonical(extra): canonical_names(listed) for extra, listed in extras.items()}
    result = []
    for dependency in dependencies:
        found = {extra for extra, listed in parts.items() if dependency.name in listed}
        result.append(dependency._replace(in_extras=dependency.in_extras | found))
    return result


def merge_tables(
    strings: list[Dependency], tables: list[Dependency], *, mixed: bool
) -> list[Dependency]:
    """Merge a group's PEP 508 dependencies with Poetry's tables, which add information to them.

    The rule is `dependencies_for_locking` of poetry-core's dependency_group.py.
    """
    if not strings or not tables:
        return strings or tables
    optional = {dependency.optional for dependency in strings}
    if mixed and len(optional) == 1:  # the other kind is in the tables
        strings = strings + [table for table in tables if table.optional not in optional]
    result = []
    for dependency in strings:
        same = [table for table in tables if table.name == dependency.name]
        result += [merge_table(dependency, table) for table in same] or [dependency]
    return result


def merge_table(dependency: Dependency, table: Dependency) -> Dependency:
    """Add the information of a table to a dependency of the same name."""
    chosen = ""
    if table.marker:
        chosen = " or ".join(f'extra == "{extra}"' for extra in sorted(dependency.in_extras))
    return add_markers(
        dependency._replace(
            constraints=dependency.constraints + table.constraints,
            origin=dependency.origin or table.origin,
        ),
        [dependency.marker, table.marker, chosen],
    )


def satisfies(package: Mapping[str, Any], dependency: Dependency) -> bool:
    """Return whether a locked package satisfies a dependency."""
    source = package.get("source", {})
    kind = source.get("type", "legacy")
    index = f"index {source.get('reference', 'pypi').lower()}"
    origin = {"legacy": index, "directory": "path", "file": "path"}.get(kind, kind)
    if dependency.origin and dependency.origin != origin:
        return False
    if dependency.origin and not dependency.origin.startswith("index "):
        return True
    return all(allows(constraint, package["version"]) for constraint in dependency.constraints)


PART = re.compile(r"(\^|~=|~|===?|=|!=|<>|<=|>=|<|>)?\s*((?:\d+!)?[^\s,^~=!<>]+)")
WILDCARDS = re.compile(r"(?:^|\.)[*xX](?:\.[*xX])*$")


def allows(constraint: str, version: str) -> bool:
    """Return whether a constraint allows a version. Raises ValueError if either is not valid."""
    specifier_set = packaging("specifiers").SpecifierSet
    texts = [",".join(map("".join, comparisons)) for comparisons in alternatives(constraint)]
    return any(specifier_set(text).contains(version, prereleases=True) for text in texts)


def as_marker(name: str, constraint: str) -> str:
    """Write a constraint on `python_version` or `sys_platform` as a marker; "" always holds."""
    parts = [
        " and ".join(
            f'{marker_variable(name, op, version)} {op} "{version}"' for op, version in comparisons
        )
        for comparisons in alternatives(constraint)
    ]
    return "" if "" in parts else " or ".join(f"({part})" for part in parts)


def marker_variable(name: str, op: str, version: str) -> str:
    """Return `python_full_version` instead of `python_version` if the patch number matters.

    The rule is `create_nested_marker` of poetry-core.
    """
    minor = version.count(".") < 2 and op in ("<", ">=", "==", "~=") and "*" not in version  # noqa: PLR2004  # X.Y
    return name if name != "python_version" or minor else "python_full_version"


def alternatives(constraint: str) -> list[list[tuple[str, str]]]:
    """Split a constraint into lists of comparisons: all comparisons of one list must hold."""
    return [
        [comparison for op, version in PART.findall(part) for comparison in expand(op, version)]
        for part in re.split(r"\|\|?", constraint)
    ]


def expand(op: str, version: str) -> list[tuple[str, str]]:
    """Turn a part of a constraint into comparisons of PEP 440; `*` gives none."""
    release = WILDCARDS.sub("", version)
    if not release:
        return []
    if op in ("^", "~") or (op == "~=" and "." not in release):
        return [(">=", release), ("<", range_end(op, release))]
    op = {"": "==", "=": "==", "<>": "!="}.get(op, op)
    return [(op, f"{release}.*" if release != version and op in ("==", "!=") else release)]


def range_end(op: str, version: str) -> str:
    """Return the version before which the range of a caret or tilde ends."""
    found = re.match(r"v?(\d+!)?(\d+(?:\.\d+)*)", version)
    if not found:
        raise ValueError(f"not a version: {version}")
    numbers = [int(number) for number in found[2].split(".")]
    if op == "^":  # the first number that is not zero, of three
        known = numbers[:3]
        place = next((index for index, number in enumerate(known) if number), len(known) - 1)
    else:
        place = min(1, len(numbers) - 1)
    end = [*numbers[:place], numbers[place] + 1]
    return (found[1] or "") + ".".join(map(str, end))


def packaging(module: str) -> Any:  # noqa: ANN401  # a module
    """Import a module of `packaging`: pip's copy, or Poetry's.

    A copy is in `install.architecture`: the two packages cannot import each other, because the
    build mounts them separately.
    """
    try:
        return importlib.import_module(f"pip._vendor.packaging.{module}")
    except ImportError:
        return importlib.import_module(f"packaging.{module}")
