"""Export all golden cases with the lowest and the newest dependencies that pyproject.toml allows.

The newest ones also run the unit tests, which compare with the behaviour of the newest Poetry.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tomlkit
from interpreters import find_python, supported_pythons
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("lowest", "newest")
EXPORTS = "tests/golden/test_golden.py::test_export_writes_golden_files"
# Poetry 2.1 reads neither [dependency-groups] nor build constraints, and says so.
NEWER = ("groups", "images", "shape_extension", "shape_groups", "shape_markers")
TESTS = {
    # Old dependencies warn of what newer ones have fixed.
    "lowest": (
        *(EXPORTS, "--override-ini=filterwarnings=default"),
        *(f"--deselect={EXPORTS}[{name}]" for name in NEWER),
    ),
    "newest": (EXPORTS, "tests/unit"),
}
VERSIONS = """
import importlib.metadata, sys
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in sys.argv[1:]))
"""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument(
        "--poetry", metavar="URL", help="test with this Poetry, such as git+https://..., only"
    )
    options = parser.parse_args()
    pyproject = tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8")).unwrap()
    kinds = [options.only] if options.only else KINDS
    if options.poetry:
        kinds = ["newest"]
        pyproject["project"]["dependencies"].append(f"poetry @ {options.poetry}")
    failed = [kind for kind in kinds if not run_tests(pyproject, kind)]
    for kind in failed:
        print(f"error: the tests fail with the {kind} dependencies.", file=sys.stderr)
    return bool(failed)


def run_tests(pyproject: dict[str, Any], kind: str) -> bool:
    """Run the tests in a new environment; return whether they pass."""
    # Old dependencies may have no wheels for a new Python.
    pythons = supported_pythons(pyproject)[:: 1 if kind == "lowest" else -1]
    minor, python = next((minor, path) for minor in pythons if (path := find_python(minor)))
    skipped = pythons[: pythons.index(minor)]
    missing = f" (not found: {', '.join(skipped)})" if skipped else ""
    requirements = pyproject["project"]["dependencies"]
    with tempfile.TemporaryDirectory(prefix="bounds-") as name:
        folder = Path(name)
        environment = folder / "venv"
        subprocess.run([python, "-m", "venv", environment], check=True)
        own = str(environment / "bin" / "python")
        install = [own, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, "--upgrade", "pip>=25.3"], check=True)  # --build-constraint
        options = lowest_only(pyproject, folder) if kind == "lowest" else requirements
        subprocess.run([*install, "--editable=.", "--group=test", *options], check=True, cwd=ROOT)
        names = dict.fromkeys(Requirement(text).name for text in requirements)
        listed = [own, "-c", VERSIONS, *names]
        versions = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.strip()
        print(f"{kind}: Python {minor}{missing}, {versions}", flush=True)
        tests = [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS[kind]]
        return subprocess.run(tests, cwd=ROOT, check=False).returncode == 0


def lowest_only(pyproject: dict[str, Any], folder: Path) -> list[str]:
    """Write files that pin each requirement to its lowest version; return pip's options."""
    files = {
        "--constraint": pyproject["project"]["dependencies"],
        "--build-constraint": pyproject["build-system"]["requires"],
    }
    for option, requirements in files.items():
        lines = (f"{lowest(text)}\n" for text in requirements)
        (folder / option).write_text("".join(lines), encoding="utf-8")
    return [f"{option}={folder / option}" for option in files]


def lowest(requirement: str) -> str:
    """Pin a requirement to its lower bound; raises ValueError if it has none."""
    parsed = Requirement(requirement)
    bounds = [each.version for each in parsed.specifier if each.operator in (">=", "~=", "==")]
    if len(bounds) != 1:
        raise ValueError(f"{requirement} in pyproject.toml needs a lower bound, such as >=1.2.")
    marker = f" ; {parsed.marker}" if parsed.marker else ""
    return f"{parsed.name}=={bounds[0]}{marker}"


if __name__ == "__main__":
    sys.exit(main())
