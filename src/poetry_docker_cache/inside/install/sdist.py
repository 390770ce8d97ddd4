"""Build wheels from source distributions (PEP 517), without the secret and without a network."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import wheel_tree
from .architecture import packaging
from .failures import explain_sdist, print_explanation
from .process import run, with_programs
from .secret import toml

if TYPE_CHECKING:
    from .process import Outcome

FILES, WHEELS, MORE = "files", "wheels", "more"
"""The folders with the packages, and with the wheels that each build requires."""
LEGACY: dict[str, Any] = {
    "requires": ["setuptools>=40.8.0", "wheel"],
    "build-backend": "setuptools.build_meta:__legacy__",
    "backend-path": [],
}
"""The build system of a package that names none (PEP 517)."""


def archives(sources: Path) -> list[Path]:
    """Return the downloaded source distributions."""
    return sorted(path for path in (sources / FILES).iterdir() if path.suffix != ".whl")


def build_system(path: Path) -> dict[str, Any]:
    """Return the table [build-system] of a source distribution.

    Raises ValueError for a damaged one.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if is_project(name)]
                text = archive.read(names[0]) if names else b""
        else:
            with tarfile.open(path) as tar:
                found = [member for member in tar if is_project(member.name) and member.isfile()]
                file = tar.extractfile(found[0]) if found else None
                text = file.read() if file else b""
        table = toml(text.decode()).get("build-system", {})
    except (tarfile.TarError, zipfile.BadZipFile, OSError, UnicodeError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    return {**LEGACY, **table} if "requires" in table else LEGACY


def is_project(name: str) -> bool:
    """Return whether an archive's member is the project's pyproject.toml."""
    return re.fullmatch(r"(\./)?[^/]+/pyproject\.toml", name) is not None


def checked(requirement: str) -> str:
    """Return a requirement in its normal form.

    Raises ValueError if it names a URL, or would be more than one line for pip.
    """
    parsed = packaging("requirements").Requirement(requirement)
    if parsed.url or "\n" in requirement:
        raise ValueError(f"The build requirement {requirement!r} is not one of a package index.")
    return str(parsed)


class Build:
    """A source distribution, unpacked, and an environment with what its build requires."""

    def __init__(self, path: Path, sources: Path, folder: Path) -> None:
        self.path = path
        self.system = build_system(path)
        shutil.unpack_archive(path, folder / "project")
        roots = [entry for entry in (folder / "project").iterdir() if entry.is_dir()]
        self.project = roots[0] if len(roots) == 1 else folder / "project"
        self.wheels = folder / "wheels"
        self._venv = folder / "venv"
        venv.create(self._venv, symlinks=True)
        for kind in (WHEELS, MORE):
            for wheel in sorted((sources / kind / path.name).glob("*.whl")):
                wheel_tree.install(wheel, self._venv)

    def run(self, *options: str) -> Outcome:
        """Call the build backend."""
        programs = self._venv / "bin"
        script = Path(__file__).with_name("build_wheel.py")
        command = [str(programs / "python"), str(script), f"--wheel-dir={self.wheels}", *options]
        command += [f"--backend={self.system['build-backend']}"]
        command += [f"--backend-path={path}" for path in self.system["backend-path"]]
        return run(command, with_programs(os.environ, programs), self.project)


def install(
    manifest: dict[str, Any], sources: Path, settings: dict[str, Any], target: Path
) -> tuple[int, str]:
    """Install a manifest's packages from their archives; return the status, and why it failed.

    Poetry has downloaded only those for this machine. `settings` of a build are by package name.
    """
    for package in manifest["packages"]:
        name, version = package["name"], package["version"]
        found = [sources / FILES / file["file"] for file in package["files"]]
        for path in filter(Path.is_file, found):
            with tempfile.TemporaryDirectory() as folder:
                wheel = path
                if path.suffix != ".whl":
                    build = Build(path, sources, Path(folder))
                    own = settings.get(name)
                    options = [f"--config-settings={json.dumps(own)}"] if own else []
                    status, output = build.run(*options)
                    if status:
                        return status, explain_sdist(f"{name} ({version})", output)
                    (wheel,) = build.wheels.glob("*.whl")
                wheel_tree.install(wheel, target)
                print(f"  - Installed {name} ({version})", flush=True)
    return 0, ""


def main(arguments: list[str] | None = None) -> int:
    """Write what the build backends require beyond their pyproject.toml (command line)."""
    parser = argparse.ArgumentParser(prog="install.sdist")
    parser.add_argument("--sources", type=Path, default=Path("/sources"))
    parser.add_argument("--output", type=Path, default=Path("/requires.json"))
    options = parser.parse_args(arguments)
    wanted: dict[str, list[str]] = {}
    for path in archives(options.sources):
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder, "requires.json")
            status, output = Build(path, options.sources, Path(folder)).run(f"--requires={written}")
            if status:
                print_explanation(explain_sdist(path.name, output))
                return status
            if found := json.loads(written.read_bytes()):
                wanted[path.name] = found
    options.output.write_text(json.dumps(wanted, indent=1, sort_keys=True), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
