"""Write the pins of this release: the tools that an image's build installs, with their hashes.

`make pins` writes one requirements file for each Poetry and each build backend to
src/poetry_docker_cache/pins: its whole dependency tree, for each Python that an image may have.
Poetry locks them. It also pins the actions that CI files and action.yml use.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tomlkit
from action_pins import refresh_actions
from cleo.io.null_io import NullIO
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from poetry.factory import Factory
from poetry.installation.installer import Installer
from poetry.puzzle.exceptions import SolverProblemError
from poetry.utils.env import NullEnv

from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import fits
from poetry_docker_cache.plan.poetry_version import NEWEST_POETRY, OLDEST_POETRY
from poetry_docker_cache.plan.python_version import PYTHONS as NEWEST_FIRST
from poetry_docker_cache.plan.tool_pins import HEADER, PINS

Package = dict[str, Any]
"""An entry of a lock file."""

# All are locked together, so that files for several of them name the same versions.
BACKENDS = (
    "cffi",
    "cython",
    "flit-core",
    "hatch-vcs",
    "hatchling",
    "maturin",
    "meson-python",
    "pdm-backend",
    "poetry-core",
    "poetry-dynamic-versioning",
    "pybind11",
    "scikit-build-core",
    "setuptools",
    "setuptools-rust",
    "setuptools-scm[toml]",
    "versioningit",
    "wheel",
)
PYTHONS = tuple(reversed(NEWEST_FIRST))
# Each range is locked separately: the oldest Python would keep the others from newer versions.
RANGES = {">=3.9.5,<3.10": PYTHONS[:1], ">=3.10.5,<4": PYTHONS[1:]}
TARGETS = [(machine, libc) for machine in ("x86_64", "aarch64") for libc in ("glibc", "musl")]
"""For these, each package must have a wheel; wheels for other machines are pinned, too."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="refresh one tool, such as poetry-2.5.1, or actions")
    options = parser.parse_args()
    sets = [{f"poetry-{version}": f"poetry=={version}"} for version in poetry_versions()]
    sets.append({canonicalize_name(Requirement(root).name): root for root in BACKENDS})
    texts: dict[str, str] = {}
    for roots in sets:
        if not options.only or options.only in roots:
            locks = {requires: lock(list(roots.values()), requires) for requires in RANGES}
            for number, (name, root) in enumerate(roots.items()):
                texts[name] = render(root, f"group-{number}", locks)
                print(f"{name}: {len(texts[name]) / 1000:.0f} kB", flush=True)
    for path in PINS.glob("*.txt") if not options.only else ():
        path.unlink()
    for name, text in texts.items():
        (PINS / f"{name}.txt").write_text(text, encoding="utf-8")
    failures = refresh_actions() if options.only in (None, "actions") else []
    for failure in failures:
        print(f"not refreshed: {failure}", file=sys.stderr)
    return bool(failures)


def poetry_versions() -> list[Version]:
    """Return the final releases of Poetry that an image may get."""
    command = [sys.executable, "-m", "pip", "index", "versions", "poetry"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (line,) = re.findall(r"^Available versions: (.*)$", output, re.MULTILINE)
    versions = (Version(text) for text in line.split(", "))
    return sorted(version for version in versions if OLDEST_POETRY <= version <= NEWEST_POETRY)


def lock(roots: list[str], requires_python: str) -> list[Package]:
    """Lock requirements together, each in a group of its own; [] if they need another Python."""
    document = {
        "project": {"name": "pins", "version": "0", "requires-python": requires_python},
        "dependency-groups": {f"group-{number}": [root] for number, root in enumerate(roots)},
        "tool": {"poetry": {"package-mode": False}},
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pyproject.toml").write_text(tomlkit.dumps(document), encoding="utf-8")
        poetry = Factory().create_poetry(Path(folder))
        # Unlike `poetry lock`, this also locks for a Python that is not installed here.
        installer = Installer(
            NullIO(), NullEnv(), poetry.package, poetry.locker, poetry.pool, poetry.config
        )
        installer.lock()
        try:
            installer.run()
        except SolverProblemError as error:
            if "Python" not in str(error):
                raise
            return []
        text = Path(folder, "poetry.lock").read_text(encoding="utf-8")
    return [dict(package) for package in tomlkit.parse(text).unwrap()["package"]]


def render(root: str, group: str, locks: dict[str, list[Package]]) -> str:
    """Return the requirements file of one root."""
    pythons: dict[tuple[str, str], list[str]] = {}
    files: dict[tuple[str, str], dict[str, str]] = {}
    incomplete: set[str] = set()
    for requires, packages in locks.items():
        for package in packages:
            pin = (package["name"], package["version"])
            found = [python for python in RANGES[requires] if applies(package, group, python)]
            wheels = {f["file"]: f["hash"] for f in package["files"] if is_usable(f["file"])}
            if found:
                pythons.setdefault(pin, []).extend(found)
                files[pin] = wheels
                incomplete.update(python for python in found if not has_all(wheels, python))
        if not packages:
            incomplete.update(RANGES[requires])
    complete = [python for python in PYTHONS if python not in incomplete]
    requirement = Requirement(root)
    requirement.specifier = Requirement("any").specifier
    lines = [HEADER.format(root=requirement, pythons=", ".join(complete))]
    for (name, version), found in sorted(pythons.items(), key=lambda item: item[0]):
        marker = python_marker([python for python in complete if python in found], complete)
        if set(found) & set(complete):
            line = f"{name}=={version}" + (f" ; {marker}" if marker else "")
            hashes = sorted(set(files[name, version].values()))
            lines.append(" \\\n    --hash=".join([line, *hashes]))
    return "".join(f"{line}\n" for line in lines)


def applies(package: Package, group: str, python: str) -> bool:
    """Return whether a group has a package on this Python, on any of the machines."""
    if group not in package["groups"]:
        return False
    markers = package.get("markers", "")
    text = markers.get(group, "") if isinstance(markers, dict) else markers
    environment = {**Target.linux(f"{python}.9").environment}
    return not text or any(
        Marker(text).evaluate({**environment, "platform_machine": machine})
        for machine, _ in TARGETS
    )


def is_usable(file: str) -> bool:
    """Return whether a file is a wheel for Linux and one of the Pythons."""
    if not file.endswith(".whl"):
        return False
    interpreters = {"py3", *(f"cp{python.replace('.', '')}" for python in PYTHONS)}
    return any(
        (tag.interpreter in interpreters or tag.abi == "abi3")
        and (tag.abi in ("none", "abi3") or tag.abi in interpreters)
        and (tag.platform == "any" or "linux" in tag.platform)
        for tag in parse_wheel_filename(file)[3]
    )


def has_all(wheels: dict[str, str], python: str) -> bool:
    """Return whether there is a wheel for each usual machine and C library."""
    targets = [Target.linux(python, libc=libc, machines=[machine]) for machine, libc in TARGETS]
    return all(any(fits(file, target) for file in wheels) for target in targets)


def python_marker(found: list[str], pythons: list[str]) -> str:
    """Return the marker for some of the Pythons, which follow one another; "" for all."""
    if not found:
        return ""
    first, end = pythons.index(found[0]), pythons.index(found[-1]) + 1
    if pythons[first:end] != found:
        raise ValueError(f"A package is for these Pythons, but not for some in between: {found}")
    lower = [f'python_version >= "{found[0]}"'] if first else []
    upper = [f'python_version < "{pythons[end]}"'] if end < len(pythons) else []
    return " and ".join([*lower, *upper])


if __name__ == "__main__":
    sys.exit(main())
