"""One environment for each minor version of Poetry that the plugin supports.

They take a minute to create, so they stay in `.cache/` and all tests share them: never install
anything into one. Run Poetry as `python -m poetry`; the `poetry` script does not work, because the
environment was moved into place after its creation.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from pathlib import Path

from environments import fill_environment

POETRY_VERSIONS = ("2.1.4", "2.2.1", "2.3.4", "2.4.3", "2.5.1")
OLDEST_AND_NEWEST = (POETRY_VERSIONS[0], POETRY_VERSIONS[-1])
"""For slow tests. Tests of credentials and of exported files use every version."""
# The scripts in the build start Poetry so that Python keeps no bytecode.
KEEP_BYTECODE = """
import contextlib, importlib, pkgutil, poetry
for module in pkgutil.walk_packages(poetry.__path__, "poetry."):
    if not module.name.endswith("__main__"):
        with contextlib.suppress(Exception):
            importlib.import_module(module.name)
"""
CACHE = Path(__file__).resolve().parents[2] / ".cache"


def poetry_python(version: str) -> Path:
    """Return the Python of an environment with this Poetry; create it on first use."""
    place = CACHE / f"poetry-{version}"
    python = place / "bin" / "python"
    CACHE.mkdir(exist_ok=True)
    # The lock makes a second process wait; the rename leaves nothing half-made after a kill.
    with (CACHE / f"poetry-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not python.exists():
            _make(version, place)
    return python


def _make(version: str, place: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix=f"{place.name}.", dir=CACHE))
    try:
        fill_environment(building, f"poetry=={version}")
        python = building / "bin" / "python"
        subprocess.run([python, "-W", "ignore", "-c", KEEP_BYTECODE], check=True)
        building.rename(place)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
