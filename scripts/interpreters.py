"""Find the Pythons of this machine, for checks that run on each of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from poetry_docker_cache.plan.python_version import PYTHONS

PYENV = Path("~/.pyenv/versions")


def supported_pythons(pyproject: dict[str, Any]) -> list[str]:
    """Return the minor versions of Python that may run the plugin, oldest first."""
    allowed = SpecifierSet(pyproject["project"]["requires-python"])
    return [minor for minor in reversed(PYTHONS) if allowed.contains(minor)]


def find_python(minor: str) -> Path | None:
    """Return a Python of a minor version, such as 3.13: from PATH, pyenv or uv; None without one.

    An interpreter that does not start, such as the shim of an inactive one, does not count.
    """
    found = shutil.which(f"python{minor}")
    candidates = [Path(found)] if found else []
    installed = PYENV.expanduser().glob(f"{minor}.*/bin/python{minor}")
    candidates += sorted(installed, key=lambda path: _numbers(path.parts[-3]), reverse=True)
    if uv := shutil.which("uv"):
        command = [uv, "python", "find", "--no-python-downloads", minor]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        candidates += [Path(done.stdout.strip())] if done.returncode == 0 else []
    return next((path for path in candidates if _is(path, minor)), None)


def _is(python: Path, minor: str) -> bool:
    # Debian has these modules in a separate package.
    code = "import ensurepip, sys, venv; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == minor


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
