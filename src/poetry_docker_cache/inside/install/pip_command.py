"""Run the image's own pip."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .process import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Mapping

QUIET = ("--no-input", "--disable-pip-version-check")
INSTALL = ("install", "--no-compile", *QUIET)
DOWNLOAD = ("download", *QUIET)
LOCKED = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--ignore-requires-python")
MISSING = "this image has no pip. Set another `base-image` or `build-image`."
OLD = (
    "the pip of this image is older than 22.2. Set another `base-image`, or add to"
    " [tool.poetry-docker-cache]:\n"
    'instructions = { build = ["RUN python -m pip install --upgrade pip"] }'
)


def command(python: Path) -> list[str]:
    """Return the command that runs the image's pip for another environment.

    `pip --python` loads all of pip only to start this command. Running it directly is faster.
    Raises ValueError for an image without pip, or with one that is too old.
    """
    spec = importlib.util.find_spec("pip")
    if spec is None or spec.origin is None:
        raise ValueError(MISSING)
    runner = Path(spec.origin).with_name("__pip-runner__.py")
    if runner.is_file():
        return [str(python), str(runner)]
    if [*map(int, re.findall(r"\d+", importlib.metadata.version("pip")))] < [22, 3]:
        raise ValueError(OLD)
    return [sys.executable, "-m", "pip", "--python", str(python)]


def run_pip(
    python: Path, arguments: list[str], environment: Mapping[str, str], log: Path
) -> Outcome:
    """Run a pip command; if it fails, its log is part of the output.

    Raises ValueError as `command` does.
    """
    variables = {**environment, "PIP_ROOT_USER_ACTION": "ignore", "PIP_LOG": str(log)}
    status, output = run([*command(python), *arguments], variables)
    # Only the log mentions a refusal with status 403.
    logged = log.read_text(encoding="utf-8", errors="replace") if status and log.exists() else ""
    return Outcome(status, output + logged)


def install(
    python: Path, requirements: Path, environment: Mapping[str, str], *options: str
) -> Outcome:
    """Install a requirements file from the index that the environment variables name."""
    arguments = [*INSTALL, *LOCKED, *options, f"--requirement={requirements}"]
    return run_pip(python, arguments, environment, requirements.with_name("pip.log"))


def download(
    python: Path, folder: Path, requirements: Path, environment: Mapping[str, str]
) -> Outcome:
    """Download the files of a requirements file to a folder."""
    arguments = [*DOWNLOAD, *LOCKED, f"--dest={folder}", f"--requirement={requirements}"]
    return run_pip(python, arguments, environment, requirements.with_name("pip.log"))
