"""Runs inside a container that has Poetry: installs projects, each into an environment of its own.

Reads `{name: options of poetry install}` from stdin and prints `{name: [[distribution, version]]}`.
Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

LISTING = """\
import importlib.metadata as metadata, json
print(json.dumps(sorted([d.metadata["Name"], d.version] for d in metadata.distributions())))
"""


def installed(project: Path, options: list[str]) -> list[list[str]]:
    """Install a copy of the project, and list what is in its environment then."""
    folder, venv = Path("/work") / project.name / "project", Path("/work") / project.name / "venv"
    shutil.copytree(project, folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    command = ["/opt/poetry/bin/poetry", "-n", "install", *options]
    subprocess.run(
        command, cwd=folder, env={**os.environ, "VIRTUAL_ENV": str(venv)}, check=True, stdout=2
    )
    listed = subprocess.run([venv / "bin/python", "-c", LISTING], check=True, capture_output=True)
    found: list[list[str]] = json.loads(listed.stdout)
    return found


def main() -> None:
    """Do it for each."""
    wanted: dict[str, list[str]] = json.load(sys.stdin)
    found = {name: installed(Path("/shapes") / name, it) for name, it in wanted.items()}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
