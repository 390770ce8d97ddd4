"""Build the wheel of the project or of a path dependency, and install it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import architecture, failures, installed_files, process, shared_libraries, wheel_tree

if TYPE_CHECKING:
    from collections.abc import Iterable


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are the paths in the build."""
    parser = argparse.ArgumentParser(prog="install.own_wheel")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--backend-path", action="append", default=[])
    parser.add_argument("--config-settings", help="for the backend, as JSON")
    parser.add_argument("--marker", help="install only if this holds")
    architecture.add_option(parser)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--libraries", type=Path, help="list of shared libraries to write")
    parser.add_argument("--builder", type=Path, default=Path("/opt/build/bin/python"))
    parser.add_argument("--venv", type=Path, default=Path("/venv"))
    parser.add_argument("project", type=Path)
    return parser.parse_args(arguments)


def call_backend(
    builder: Path, project: Path, backend: str, backend_path: Iterable[str], *options: str
) -> process.Outcome:
    """Run build_wheel.py with the Python that has the backend, and its programs in PATH."""
    script = Path(__file__).with_name("build_wheel.py")
    command = [str(builder), str(script), f"--backend={backend}", *options]
    command += [f"--backend-path={path}" for path in backend_path]
    path = os.pathsep.join([str(builder.parent), os.environ.get("PATH", os.defpath)])
    env = {**os.environ, "PATH": path}  # maturin and others call themselves
    return process.run(command, env, project)


def build(options: argparse.Namespace, wheels: str) -> int:
    """Build the wheel; return the status."""
    more = [f"--config-settings={options.config_settings}"] if options.config_settings else []
    status, output = call_backend(
        options.builder,
        options.project,
        options.backend,
        options.backend_path,
        f"--wheel-dir={wheels}",
        *more,
    )
    if status:
        wheel = f"The wheel of {options.project}"
        failures.print_explanation(failures.explain_own_wheel(wheel, output))
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as wheels:
        if status := build(options, wheels):
            return status
        (wheel,) = Path(wheels).glob("*.whl")
        if not architecture.fits(wheel.name, options.machine):
            why = f"The backend made {wheel.name}, which is not for this image."
            failures.print_explanation(why)
            return 1
        if architecture.is_wanted(options.marker, options.machine):
            try:
                wheel_tree.install(wheel, options.venv)
            except ValueError as error:
                failures.print_explanation(str(error))
                return 1
    if options.compile:
        installed_files.compile_all(options.venv)
    if options.libraries:
        shared_libraries.write(options.venv, options.libraries, options.machine, built=True)
    installed_files.set_times(options.venv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
