"""Poetry's version constraints as comparisons of PEP 440: `^1.2`, `~1.2`, `1.*`, `<1 || >=2,<3`."""

from __future__ import annotations

import importlib
import re
from typing import Any

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
    """Read a part of a constraint as comparisons; a mere `*` is none."""
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
