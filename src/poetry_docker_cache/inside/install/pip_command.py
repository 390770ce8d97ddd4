"""Run the image's own pip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .process import Outcome, image_python, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

QUIET = ("--no-input", "--disable-pip-version-check")
LOCKED = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--ignore-requires-python")
# The image's own pip: without `-I`, it would also import from the current folder and PYTHONPATH.
IMAGE_PIP = ("-I", "-m", "pip")
INVALID = "has invalid metadata"
"""pip 24.1 and newer refuse `flask (>=2,<3 || >=4)`, which poetry-core writes."""
# Poetry does not read the requirements of a locked wheel, and neither does a download of one.
TOLERANT_PIP = (
    *("-I", "-c"),
    (
        "import sys; from pip._internal import metadata; from pip._internal.cli.main import main;"
        " metadata.select_backend().Distribution.iter_dependencies = lambda *_, **__: ();"
        " sys.exit(main(sys.argv[1:]))"
    ),
)
MISSING = "this image has no pip. Set another `base-image` or `build-image`."


def run_pip(
    command: str,
    arguments: list[str],
    environment: Mapping[str, str],
    log: Path,
    pip: tuple[str, ...] = IMAGE_PIP,
) -> Outcome:
    """Run a command of the image's pip; if it fails, its log is part of the output.

    Raises ValueError for an image without pip.
    """
    words = [image_python(), *pip, command, *QUIET, *arguments]
    status, output = run(words, {**environment, "PIP_LOG": str(log)})
    if "No module named pip" in output:
        raise ValueError(MISSING)
    # Only the log mentions a refusal with status 403.
    logged = log.read_text(encoding="utf-8", errors="replace") if status and log.exists() else ""
    return Outcome(status, output + logged)


def download(
    folder: Path,
    requirements: Path,
    environment: Mapping[str, str],
    platforms: Iterable[str] = (),
) -> Outcome:
    """Download the wheels of a requirements file to a folder: no code of a package runs.

    The environment variables name the index. `platforms` are tags, if not those of this machine.
    Raises ValueError for an image without pip.
    """
    arguments = [*LOCKED, *(f"--platform={name}" for name in platforms)]
    arguments += [f"--dest={folder}", f"--requirement={requirements}"]
    outcome = run_pip("download", arguments, environment, requirements.with_name("pip.log"))
    if outcome.status and INVALID in outcome.output:
        print("Downloading again, without a check of the metadata", flush=True)
        log = requirements.with_name("pip-again.log")
        return run_pip("download", arguments, environment, log, TOLERANT_PIP)
    return outcome
