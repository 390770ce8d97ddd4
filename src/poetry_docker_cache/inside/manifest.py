"""Write what is to be installed here, and nothing else: the cache key of the dependency layer.

Reads pyproject.toml and poetry.lock, keeps the packages that `poetry install` would install with
this Python for the chosen groups and extras, and writes them as canonical JSON. An edit that does
not change the installation does not change one byte of it. The rules are Poetry's own, for locks
of version 2.1 and later.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, NamedTuple

# What differs between machines of one image: it stays in the manifest as a marker.
MACHINE = ("platform_machine", "platform_release", "platform_version")
OPPOSITE = {"==": "!=", "in": "not in", "<": ">=", ">": "<="}
OPPOSITE.update({negative: positive for positive, negative in OPPOSITE.items()})
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
LEGACY_GLIBC = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tar.Z", ".tgz", ".tar")
TOKEN = re.compile(r"""\s*(\(|\)|"[^"]*"|'[^']*'|not\s+in\b|[\w.]+|[<>=!~]+)""")
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
        """A CPython of a Linux image; `python` is "3.12" or, where it is known, "3.12.4"."""
        major, minor, *patch = python.split(".")
        versions = ("python_full_version", "implementation_version") if patch else ()
        environment = {
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "python_version": f"{major}.{minor}",
            **dict.fromkeys(versions, python),
        }
        return cls((int(major), int(minor)), f"cp{major}{minor}", libc, None, environment)

    @classmethod
    def here(cls) -> Target:
        """The interpreter that runs this, with its libc."""
        full = platform.python_version().rstrip("+")
        environment = {
            "os_name": os.name,
            "sys_platform": sys.platform,
            "platform_system": platform.system(),
            "implementation_name": sys.implementation.name,
            "implementation_version": implementation_version(),
            "platform_python_implementation": platform.python_implementation(),
            "python_full_version": full,
            "python_version": ".".join(full.split(".")[:2]),
        }
        prefix = {"cpython": "cp", "pypy": "pp"}.get(sys.implementation.name, "py")
        threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
        abi = f"{prefix}{sys.version_info[0]}{sys.version_info[1]}{threads}"
        libc, version = libc_here()
        return cls((sys.version_info[0], sys.version_info[1]), abi, libc, version, environment)


def implementation_version() -> str:
    """As PEP 508 defines it."""
    info = sys.implementation.version
    suffix = "" if info.releaselevel == "final" else f"{info.releaselevel[0]}{info.serial}"
    return f"{info.major}.{info.minor}.{info.micro}{suffix}"


def libc_here() -> tuple[str | None, tuple[int, int] | None]:
    """The C library and its version: glibc answers by itself, musl's loader tells it on stderr."""
    for loader in sorted(glob.glob("/lib/ld-musl-*.so.1")):
        told = subprocess.run([loader], capture_output=True, text=True, check=False).stderr
        name, found = "musl", re.search(r"Version (\d+)\.(\d+)", told)
        break
    else:
        name, text = platform.libc_ver()
        found = re.match(r"(\d+)\.(\d+)", text)
    return (name, (int(found[1]), int(found[2]))) if found else (None, None)


# Markers. A marker becomes a disjunction of conjunctions of what this image cannot decide:
# no term at all is "never", one empty term is "always".
class Atom(NamedTuple):
    """One undecided comparison, `name op "value"`, or `"value" op name` when mirrored."""

    name: str
    op: str
    value: str
    mirrored: bool = False

    def __str__(self) -> str:
        quoted = f"'{self.value}'" if '"' in self.value else f'"{self.value}"'
        sides = (quoted, self.op, self.name) if self.mirrored else (self.name, self.op, quoted)
        return " ".join(sides)

    def implies(self, other: Atom) -> bool:
        """`== a` implies `!= b`."""
        one_value = (self.name, self.op, other.op) == (other.name, "==", "!=")
        return self == other or (one_value and self.value != other.value)

    def excludes(self, other: Atom) -> bool:
        """`== a` excludes `== b` and `!= a`."""
        return self.implies(other.negated()) or other.implies(self.negated())

    def negated(self) -> Atom:
        """The opposite comparison (of `~=`, one that is written nowhere)."""
        return self._replace(op=OPPOSITE.get(self.op, f"not {self.op}"))


Terms = frozenset  # of frozensets of Atom; NEVER and ALWAYS are its two ends
NEVER: frozenset[frozenset[Atom]] = frozenset()
ALWAYS: frozenset[frozenset[Atom]] = frozenset([frozenset()])


def simplify(terms: Iterable[frozenset[Atom]]) -> frozenset[frozenset[Atom]]:
    """The prime implicants: equal markers come out equal, however a lock writes them."""
    found: set[frozenset[Atom]] = set()
    queue = list(terms)
    while queue:
        term = queue.pop()
        if any(a.excludes(b) for a in term for b in term):
            continue
        term = frozenset(b for b in term if not any(a != b and a.implies(b) for a in term))
        if any(covers(known, term) for known in found):
            continue
        found = {known for known in found if not covers(term, known)}
        for known in found:
            for atom in term:
                if atom.negated() in known:
                    queue.append((term - {atom}) | (known - {atom.negated()}))
        found.add(term)
    return frozenset(found)


def covers(wide: frozenset[Atom], narrow: frozenset[Atom]) -> bool:
    """Whether the wide term holds wherever the narrow one does."""
    return all(any(a.implies(b) for a in narrow) for b in wide)


def parse_marker(
    text: str, environment: Mapping[str, str], extras: Iterable[str]
) -> frozenset[frozenset[Atom]]:
    """What is left of a PEP 508 marker in this environment; ValueError if it is none."""
    tokens: list[str] = []
    position, text = 0, text.strip()
    if text in ("", "*"):
        return ALWAYS
    while position < len(text):
        match = TOKEN.match(text, position)
        if not match:
            raise ValueError(f"not a marker: {text}")
        tokens.append(match[1])
        position = match.end()
    tokens.reverse()
    active = {canonical(extra) for extra in extras}

    def either() -> frozenset[frozenset[Atom]]:
        terms = both()
        while tokens and tokens[-1] == "or":
            tokens.pop()
            terms = simplify(terms | both())
        return terms

    def both() -> frozenset[frozenset[Atom]]:
        terms = single()
        while tokens and tokens[-1] == "and":
            tokens.pop()
            right = single()
            terms = simplify(a | b for a in terms for b in right)
        return terms

    def single() -> frozenset[frozenset[Atom]]:
        first = tokens.pop()
        if first == "(":
            inner = either()
            if tokens.pop() != ")":
                raise ValueError(f"not a marker: {text}")
            return inner
        op, second = " ".join(tokens.pop().split()), tokens.pop()
        mirrored = first[0] in "'\""
        name, value = (second, first[1:-1]) if mirrored else (first, second[1:-1])
        return decide(name, op, value, mirrored, environment, active)

    try:
        result = either()
    except IndexError:
        raise ValueError(f"not a marker: {text}") from None
    if tokens:
        raise ValueError(f"not a marker: {text}")
    return result


def decide(
    name: str,
    op: str,
    value: str,
    mirrored: bool,
    environment: Mapping[str, str],
    extras: set[str],
) -> frozenset[frozenset[Atom]]:
    """One comparison, as poetry-core makes it (its `in` takes a list, not a substring)."""
    name = name.replace(".", "_")
    name = "platform_python_implementation" if name == "python_implementation" else name
    op = "==" if op == "===" else op
    if mirrored and op not in ("in", "not in"):
        mirrored, op = False, MIRRORED.get(op, op)
    versions = name in ("python_version", "python_full_version")
    if (not mirrored or versions) and op in ("in", "not in") and name != "platform_release":
        words = [word for word in re.split(r"[ ,|]+", value) if word]
        if versions:
            words = [word if word.count(".") > 1 else f"{word}.*" for word in words]
        parts = [decide(name, "==", word, False, environment, extras) for word in words]
        terms = simplify(term for part in parts for term in part)
        return terms if op == "in" else negation(terms)
    if name == "extra":
        return ALWAYS if (canonical(value) in extras) == (op == "==") else NEVER
    if versions:
        return decide_version(name, op, value, environment)
    if name != "platform_release" and op not in ("==", "!=", "in", "not in"):
        return NEVER  # Poetry knows no order of other strings
    if name not in environment:
        return frozenset([frozenset([Atom(name, op, value, mirrored)])])
    here = environment[name]
    holds = value in here if mirrored else value == here
    return ALWAYS if holds == (op in ("==", "in")) else NEVER


def negation(terms: frozenset[frozenset[Atom]]) -> frozenset[frozenset[Atom]]:
    """Not any of the terms."""
    result = ALWAYS
    for term in terms:
        result = simplify(left | {atom.negated()} for left in result for atom in term)
    return result


def decide_version(
    name: str, op: str, value: str, environment: Mapping[str, str]
) -> frozenset[frozenset[Atom]]:
    """A comparison with the Python version; where its patch is unknown, only what all agree on."""
    if name in environment:
        return ALWAYS if compare(environment[name], op, value) else NEVER
    minor = environment["python_version"]
    patches = [f"{minor}.0", f"{minor}.999"]
    if release(value)[0][:2] == release(minor)[0]:
        patches.append(value.replace(".*", ""))
    answers = {compare(patch, op, value) for patch in patches}
    if len(answers) > 1:
        return frozenset([frozenset([Atom(name, op, value)])])
    return ALWAYS if answers.pop() else NEVER


def release(text: str) -> tuple[tuple[int, ...], tuple[str, int]]:
    """A version as PEP 440 orders it, as far as a Python has it."""
    match = VERSION.match(text)
    if not match:
        raise ValueError(f"not a version in a marker: {text}")
    parts = [int(part) for part in match[1].split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    letter = (match[2] or "z").lower().replace("rc", "c")
    return tuple(parts), (letter, int(match[3] or 0))


def compare(here: str, op: str, value: str) -> bool:
    """Compare two versions."""
    left, right = release(here), release(value)
    if value.endswith(".*") and op in ("==", "!="):
        width = value.count(".")
        parts = [int(part) for part in VERSION.match(here)[1].split(".")]  # type: ignore[index]
        wanted = [int(part) for part in value[:-2].lstrip("v").split(".")]
        return (([*parts, 0, 0, 0][:width]) == wanted) == (op == "==")
    if op == "~=":
        parts = [int(part) for part in VERSION.match(value)[1].split(".")]  # type: ignore[index]
        prefix = ".".join(map(str, parts[:-1] or parts))
        return left >= right and compare(here, "==", f"{prefix}.*")
    results = {"==": left == right, "!=": left != right, "<": left < right, ">": left > right}
    results.update({"<=": left <= right, ">=": left >= right})
    if op not in results:
        raise ValueError(f"not an operator of a version: {op}")
    return results[op]


# Files.
def fits(filename: str, target: Target) -> bool:
    """Whether a wheel can be installed here, on some architecture (PEP 425, 600 and 656)."""
    parts = filename[: -len(".whl")].split("-")
    if not filename.endswith(".whl") or len(parts) not in (5, 6):
        return False
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    return any(
        fits_python(python, abi, target) and fits_platform(system, abi, target)
        for python in pythons
        for abi in abis
        for system in platforms
    )


def fits_python(python: str, abi: str, target: Target) -> bool:
    """Whether code for this Python and ABI runs on the target's."""
    major, minor = target.python
    own = f"{target.abi[:2]}{major}{minor}"
    if not target.abi.startswith("cp") and abi != "none":
        return python == own  # PyPy and others: Poetry knows the ABI
    if abi == "none":
        older = re.fullmatch(rf"py{major}(\d*)", python)
        return python == own or bool(older and int(older[1] or 0) <= minor)
    if abi == "abi3" and not target.abi.endswith("t"):
        stable = re.fullmatch(rf"cp{major}(\d+)", python)
        return bool(stable and 2 <= int(stable[1]) <= minor)
    return (python, abi) == (own, target.abi)


def fits_platform(system: str, abi: str, target: Target) -> bool:
    """Whether it is for any platform, or for Linux with the target's C library."""
    if system == "any":
        return abi == "none"
    if system.startswith("linux_"):
        return True
    match = re.match(r"(manylinux1|manylinux20\d\d|(many|musl)linux_(\d+)_(\d+))_", system)
    if not match or target.libc not in (None, "musl" if match[2] == "musl" else "glibc"):
        return False
    needed = LEGACY_GLIBC.get(match[1]) or (int(match[3]), int(match[4]))
    return target.libc_version is None or needed <= target.libc_version


def usable_files(
    files: Iterable[Mapping[str, str]], target: Target, *, build: bool = False
) -> list[dict[str, str]]:
    """The files that an installation here may take; all, if none fits, so that Poetry says so.

    A source distribution counts only where no pure wheel can be had, or where `build` asks for it.
    """
    known = {(file["file"], file["hash"]) for file in files}
    wheels = {file for file in known if fits(file[0], target)}
    pure = any(name.endswith("-any.whl") for name, _ in wheels)
    sdists = {file for file in known if file[0].endswith(SDIST)} if build or not pure else set()
    return [{"file": name, "hash": digest} for name, digest in sorted(wheels | sdists or known)]


def needs_build(package: Mapping[str, Any], target: Target) -> bool:
    """Whether no wheel of a locked package fits."""
    return not any(fits(file["file"], target) for file in package.get("files", ()))


# The manifest.
def canonical(name: str) -> str:
    """A package's, group's or extra's normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def select(
    lock: Mapping[str, Any],
    groups: Iterable[str],
    extras: Iterable[str],
    environment: Mapping[str, str],
) -> list[tuple[dict[str, Any], str]]:
    """The locked packages that belong to the installation, each with its residual marker.

    Raises ValueError for a lock that predates version 2.1.
    """
    version = str(lock.get("metadata", {}).get("lock-version", "0"))
    if release(version) < release("2.1"):
        raise ValueError("poetry.lock is older than version 2.1 of its format: run `poetry lock`")
    wanted, active, chosen = {canonical(group) for group in groups}, list(extras), []
    for package in lock.get("package", []):
        terms = NEVER
        for group in package["groups"]:
            if canonical(group) in wanted:
                marker = package.get("markers", "*")
                text = marker if isinstance(marker, str) else marker.get(group, "*")
                terms = simplify(terms | parse_marker(text, environment, active))
        if terms:
            texts = [" and ".join(sorted(map(str, term))) for term in terms]
            chosen.append((package, " or ".join(sorted(texts))))
    return chosen


def sources(pyproject: Mapping[str, Any], used: set[str]) -> list[dict[str, str]]:
    """The package sources that the installation may ask, in the project's order."""
    result = []
    for source in pyproject.get("tool", {}).get("poetry", {}).get("source", []):
        priority = str(source.get("priority", "primary")).lower()
        priority = "primary" if priority == "default" else priority
        if source["name"].lower() == "pypi":
            result.append({"name": "PyPI", "priority": priority})
        elif priority == "primary" or source["name"].lower() in used:
            result.append({"name": source["name"], "url": source["url"], "priority": priority})
    return result


def manifest(  # noqa: PLR0913  # its inputs are six
    pyproject: Mapping[str, Any],
    lock: Mapping[str, Any],
    groups: Iterable[str],
    extras: Iterable[str],
    no_binary: Iterable[str],
    target: Target,
) -> dict[str, Any]:
    """What is to be installed, and from where."""
    built = {canonical(name) for name in no_binary}
    packages: list[dict[str, Any]] = []
    for package, marker in select(lock, groups, extras, target.environment):
        name = canonical(package["name"])
        build = name in built or ":all:" in built
        entry = {
            "name": name,
            "version": package["version"],
            "files": usable_files(package.get("files", ()), target, build=build),
        }
        optional = {
            "marker": marker,
            "source": package.get("source"),
            "develop": package.get("develop"),
        }
        packages.append({**entry, **{key: value for key, value in optional.items() if value}})
    packages.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    used = {str(p["source"].get("reference", "")).lower() for p in packages if "source" in p}
    return {"packages": packages, "sources": sources(pyproject, used)}


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; Python before 3.11 borrows pip's parser."""
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        from pip._vendor import tomli as toml
    with path.open("rb") as file:
        return toml.load(file)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option in ("--group", "--extra", "--no-binary"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    pyproject = read_toml(options.project / "pyproject.toml")
    lock = read_toml(options.project / "poetry.lock")
    try:
        found = manifest(
            pyproject, lock, options.group, options.extra, options.no_binary, Target.here()
        )
    except ValueError as error:
        print(f"manifest: {error}", file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    options.output.write_bytes(text.encode())
    options.output.chmod(0o644)
    return 0


if __name__ == "__main__":
    sys.exit(main())
