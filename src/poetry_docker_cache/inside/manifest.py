"""Write what is to be installed, and nothing else: the cache key of the dependency layer.

Keeps those packages of poetry.lock that `poetry install` would install with this Python for the
chosen groups and extras. What does not change the installation does not change one byte. The rules
are Poetry's own: installer.py, transaction.py, chooser.py; poetry-core's markers.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STRING_OPERATORS = ("==", "!=", "in", "not in")
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "===": "=="}
MANYLINUX = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}
SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tar.Z", ".tgz", ".tar")
TOKEN = re.compile(r"""\s*([()]|"[^"]*"|'[^']*'|not\s+in\b|[\w.]+|[<>=!~]+)\s*""")
VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc)[a-z]*[-_.]?(\d*))?", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """The Python that the packages are for; an unknown libc (None) takes every Linux wheel."""

    python: tuple[int, int]
    abi: str
    libc: str | None
    libc_version: tuple[int, int] | None
    environment: Mapping[str, str]

    @classmethod
    def linux(cls, python: str, *, libc: str | None = None) -> Target:
        """Describe a CPython in a Linux image: "3.12" or, if the patch is known, "3.12.4"."""
        major, minor, *patch = python.split(".")
        patched = ("python_full_version", "implementation_version") if patch else ()
        environment = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"}
        environment["implementation_name"] = "cpython"
        environment["platform_python_implementation"] = "CPython"
        environment.update(dict.fromkeys(patched, python), python_version=f"{major}.{minor}")
        return cls((int(major), int(minor)), f"cp{major}{minor}", libc, None, environment)

    @classmethod
    def here(cls) -> Target:
        """Describe the interpreter that runs this, without what an update of the kernel changes."""
        full, own = platform.python_version().rstrip("+"), sys.implementation
        level = own.version.releaselevel
        suffix = "" if level == "final" else f"{level[0]}{own.version.serial}"
        environment = {
            "os_name": os.name,
            "sys_platform": sys.platform,
            "platform_system": platform.system(),
            "platform_machine": platform.machine(),
            "platform_python_implementation": platform.python_implementation(),
            "implementation_name": own.name,
            "implementation_version": ".".join(map(str, own.version[:3])) + suffix,
            "python_version": ".".join(full.split(".")[:2]),
            "python_full_version": full,
        }
        short = {"cpython": "cp", "pypy": "pp"}.get(own.name, own.name)
        threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
        major, minor = sys.version_info[:2]
        return cls((major, minor), f"{short}{major}{minor}{threads}", *libc_here(), environment)


def libc_here() -> tuple[str | None, tuple[int, int] | None]:
    """Name the C library and its version; musl's is told by its loader, on stderr."""
    loaders = sorted(Path("/lib").glob("ld-musl-*.so.1"))
    if loaders and platform.libc_ver()[0] != "glibc":
        run = subprocess.run([str(loaders[0])], capture_output=True, text=True, check=False)
        name, found = "musl", re.search(r"Version (\d+)\.(\d+)", run.stderr)
    else:
        name, found = "glibc", re.match(r"(\d+)\.(\d+)", platform.libc_ver()[1])
    return (name, (int(found[1]), int(found[2]))) if found else (None, None)


# --- Markers: each is decided here, but for what depends on the kernel that installs -------------
class Comparison(NamedTuple):
    """A part of a marker: `name op "value"`, or `"value" op name` when mirrored."""

    name: str
    op: str
    value: str
    mirrored: bool = False

    def __str__(self) -> str:
        """Write it as PEP 508 does."""
        quoted = f"'{self.value}'" if '"' in self.value else f'"{self.value}"'
        sides = (quoted, self.op, self.name) if self.mirrored else (self.name, self.op, quoted)
        return " ".join(sides)


def combine(word: str, conditions: Iterable[bool | str]) -> bool | str:
    """Join by `and` or `or` what is decided, or the text of what is left to decide."""
    decisive, found = word == "or", set(conditions)
    if decisive in found:
        return decisive
    texts = sorted(condition for condition in found if isinstance(condition, str))
    joined = f" {word} ".join(texts) or not decisive
    return f"({joined})" if word == "or" and len(texts) > 1 else joined


def tokenize(marker: str) -> list[str]:
    """Split a marker, last token first, behind a `)` that closes it; ValueError if it is none."""
    tokens, position = ["("], 0
    while position < len(marker):
        match = TOKEN.match(marker, position)
        if not match:
            raise ValueError(f"not a marker: {marker}")
        tokens.append(" ".join(match[1].split()) if match[1].startswith("not") else match[1])
        position = match.end()
    return [")", *reversed(tokens)]


def evaluate(marker: str, environment: Mapping[str, str], extras: set[str]) -> bool | str:
    """Decide a PEP 508 marker; give what is left where the environment does not say enough.

    Raises ValueError if it is none.
    """

    def operand() -> bool | str:
        left = tokens.pop()
        if left == "(":
            return alternatives()
        op, right = tokens.pop(), tokens.pop()
        mirrored = left[0] in "\"'"
        name, value = (right, left) if mirrored else (left, right)
        return decide(Comparison(name, op, value[1:-1], mirrored), environment, extras)

    def alternatives() -> bool | str:
        found, conditions = [], [operand()]
        while (word := tokens.pop()) != ")":
            if word == "or":
                found.append(combine("and", conditions))
                conditions = []
            elif word != "and":
                raise IndexError
            conditions.append(operand())
        return combine("or", [*found, combine("and", conditions)])

    if marker in ("", "*"):
        return True
    tokens = tokenize(marker)
    try:
        result = operand()
    except IndexError:
        tokens = [marker]
    if tokens:
        raise ValueError(f"not a marker: {marker}")
    return result


def decide(comparison: Comparison, environment: Mapping[str, str], extras: set[str]) -> bool | str:
    """Decide one comparison as poetry-core does: a list after `in`, no order of mere strings."""
    name, op, value, mirrored = comparison
    name = name.replace(".", "_")
    name = "platform_python_implementation" if name == "python_implementation" else name
    version = name in ("python_version", "python_full_version")
    inside = op in ("in", "not in")
    if inside and name != "platform_release" and (version or name == "extra" or not mirrored):
        word, each = ("or", "==") if op == "in" else ("and", "!=")
        values = re.findall(r"[^ ,|]+", value)
        if version:  # "3.9" means any patch
            values = [v if v.count(".") > 1 else f"{v}.*" for v in values]
        return combine(
            word, (decide(Comparison(name, each, v), environment, extras) for v in values)
        )
    if not inside:
        op, mirrored = MIRRORED.get(op, op) if mirrored or op == "===" else op, False
    if not version and name != "platform_release" and op not in STRING_OPERATORS:
        return False
    if version:
        return decide_version(name, op, value, environment)
    if name == "extra":
        return (canonical(value) in extras) == (op == "==")
    if name not in environment:
        return str(Comparison(name, op, value, mirrored))
    here = environment[name]
    return (value in here if mirrored else value == here) == (op in ("==", "in"))


def decide_version(name: str, op: str, value: str, environment: Mapping[str, str]) -> bool | str:
    """Decide a comparison with the Python's version, of which the patch may not be known."""
    minor = environment["python_version"]
    own = [value] if compare(value, "==", f"{minor}.*") else []
    possible = [environment[name]] if name in environment else [f"{minor}.0", *own, f"{minor}.999"]
    answers = {compare(version, op, value) for version in possible}
    return answers.pop() if len(answers) == 1 else str(Comparison(name, op, value))


def version_key(text: str) -> tuple[list[int], str, int]:
    """Order versions as PEP 440 does, as far as Pythons need it."""
    match = VERSION.match(text)
    if not match:
        raise ValueError(f"not a version in a marker: {text}")
    parts = [int(part) for part in match[1].split(".")]
    return parts + [0] * (6 - len(parts)), (match[2] or "z").lower()[0], int(match[3] or 0)


def compare(here: str, op: str, value: str) -> bool:
    """Compare two versions; `.*` and `~=` as PEP 440 says."""
    left, right, width = version_key(here), version_key(value), value.count(".")
    if op == "~=":
        prefix = value.rpartition(".")[0] or value
        return left >= right and compare(here, "==", f"{prefix}.*")
    equal = left == right
    if value.endswith(".*"):  # a range of releases: to Poetry, 3.14.0rc1 is a 3.13.*
        *parents, last = right[0][:width]
        equal = right <= left < (parents + [last + 1] + [0] * (6 - width), "z", 0)
    outcomes = {"==": equal, "!=": not equal, "<": left < right, "<=": left <= right}
    outcomes.update({">": left > right, ">=": left >= right})
    if op not in outcomes:
        raise ValueError(f"not a comparison of versions: {op}")
    return outcomes[op]


# --- Files ---------------------------------------------------------------------------------------
def fits(filename: str, target: Target) -> bool:
    """Tell whether a wheel can be installed, on some architecture (PEP 425, 600, 656)."""
    parts = filename[: -len(".whl")].split("-")
    if not filename.endswith(".whl") or len(parts) not in (5, 6):
        return False
    pythons, abis, systems = (part.split(".") for part in parts[-3:])
    return any(
        fits_python(python, abi, target)
        and ((abi, system) == ("none", "any") or fits_system(system, target))
        for python in pythons
        for abi in abis
        for system in systems
    )


def fits_python(python: str, abi: str, target: Target) -> bool:
    """Tell whether code for a Python and an ABI runs on the target's Python."""
    major, minor = target.python
    own = target.abi.rstrip("t")
    older = re.fullmatch(rf"(py|cp){major}(\d*)", python)
    since = int(older[2] or 0) if older else minor + 1
    if abi == "none":
        return python == own or (python.startswith("py") and since <= minor)
    if abi == "abi3":
        return target.abi == own and python.startswith("cp") and 2 <= since <= minor  # noqa: PLR2004  # abi3 began with 3.2
    return python == own and (abi == target.abi or not own.startswith("cp"))


def fits_system(system: str, target: Target) -> bool:
    """Tell whether it is Linux with the target's C library, on whatever architecture."""
    match = re.match(r"(many|musl)?linux(1|20\d\d|_(\d+)_(\d+))?_", system)
    if not match or not match[1]:
        return bool(match)
    needed = MANYLINUX.get(match[2]) or (int(match[3]), int(match[4]))
    known = target.libc_version
    libc = "glibc" if match[1] == "many" else "musl"
    return target.libc in (None, libc) and (known is None or needed <= known)


def usable_files(
    files: Iterable[Mapping[str, str]], target: Target, *, wheels: bool = True, sdists: bool = True
) -> list[dict[str, str]]:
    """Keep the files that an installation may take; all if none fits, so that Poetry says why.

    A source distribution is never taken where a pure wheel can be.
    """
    known = {(file["file"], file["hash"]) for file in files}
    kept = {file for file in known if wheels and fits(file[0], target)}
    if sdists and not any(name.endswith("-any.whl") for name, _ in kept):
        kept |= {file for file in known if file[0].endswith(SDIST)}
    return [{"file": name, "hash": digest} for name, digest in sorted(kept or known)]


def needs_build(package: Mapping[str, Any], target: Target) -> bool:
    """Tell whether a locked package has no wheel that fits."""
    return not any(fits(file["file"], target) for file in package.get("files", ()))


# --- The manifest --------------------------------------------------------------------------------
def canonical(name: str) -> str:
    """Normalise the name of a package, group or extra (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def select(
    lock: Mapping[str, Any],
    groups: Iterable[str],
    extras: Iterable[str],
    environment: Mapping[str, str],
) -> list[tuple[Mapping[str, Any], str]]:
    """Choose the locked packages to install, each with what its marker leaves undecided, or "".

    Raises ValueError for a lock older than version 2.1.
    """
    if not compare(str(lock.get("metadata", {}).get("lock-version", "0")), ">=", "2.1"):
        raise ValueError("poetry.lock is older than version 2.1 of its format: run `poetry lock`")
    wanted, active = {canonical(group) for group in groups}, {canonical(e) for e in extras}
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


def sources(pyproject: Mapping[str, Any], used: set[str]) -> list[dict[str, str]]:
    """List the package sources that the installation may ask, in the project's order."""
    result = []
    for source in pyproject.get("tool", {}).get("poetry", {}).get("source", []):
        name, priority = source["name"], str(source.get("priority", "primary")).lower()
        priority = "primary" if priority == "default" else priority
        if priority == "primary" or name.lower() in used:
            url = {} if name.lower() == "pypi" else {"url": source["url"]}
            result.append({"name": "PyPI" if not url else name, **url, "priority": priority})
    return result


def manifest(
    pyproject: Mapping[str, Any],
    lock: Mapping[str, Any],
    options: argparse.Namespace,
    target: Target,
) -> dict[str, Any]:
    """Gather what is to be installed, and from where."""
    binary, source = set(options.no_binary), set(options.only_binary)
    packages: list[dict[str, Any]] = []
    for package, marker in select(lock, options.group, options.extra, target.environment):
        name = canonical(package["name"])
        # A name counts more than `:all:` of the other list, as in Poetry's chooser.
        wheels = name not in binary and (":all:" not in binary or name in source)
        sdists = name not in source and (":all:" not in source or name in binary)
        files = usable_files(package.get("files", ()), target, wheels=wheels, sdists=sdists)
        entry = {"name": name, "version": package["version"], "files": files, "marker": marker}
        entry.update(source=package.get("source"), develop=package.get("develop"))
        packages.append({key: value for key, value in entry.items() if value or key == "files"})
    packages.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    used = {str(p.get("source", {}).get("reference", "PyPI")).lower() for p in packages}
    return {"packages": packages, "sources": sources(pyproject, used)}


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; Python before 3.11 borrows pip's parser."""
    if sys.version_info >= (3, 11):
        import tomllib as toml  # noqa: PLC0415  # not in 3.9 and 3.10
    else:
        from pip._vendor import tomli as toml  # noqa: PLC0415  # gone from the pip of later Pythons
    with path.open("rb") as file:
        return toml.load(file)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    for option in ("--group", "--extra", "--no-binary", "--only-binary"):
        parser.add_argument(option, action="append", default=[])
    for option in ("--project", "--output"):
        parser.add_argument(option, type=Path, required=True)
    options = parser.parse_args(arguments)
    project, output = options.project, options.output
    pyproject, lock = read_toml(project / "pyproject.toml"), read_toml(project / "poetry.lock")
    try:
        content = manifest(pyproject, lock, options, Target.here())
    except ValueError as error:
        print(f"manifest: {error}", file=sys.stderr)
        return 1
    output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    output.write_bytes(text.encode())
    output.chmod(0o644)  # the mode is part of the key; the umask must not be
    return 0


if __name__ == "__main__":
    sys.exit(main())
