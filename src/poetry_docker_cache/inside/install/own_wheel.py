"""Build the wheel of the project or of a path dependency, and install it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import failures, installed_files, pip_command, pip_settings, process, shared_libraries


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are the paths in the build."""
    parser = argparse.ArgumentParser(prog="install.own_wheel")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--backend-path", action="append", default=[])
    parser.add_argument("--config-settings", help="for the backend, as JSON")
    parser.add_argument("--marker", help="install only if this holds")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--libraries", type=Path, help="list of shared libraries to write")
    parser.add_argument("--builder", type=Path, default=Path("/opt/build/bin/python"))
    parser.add_argument("--venv", type=Path, default=Path("/venv"))
    parser.add_argument("project", type=Path)
    return parser.parse_args(arguments)


def build(options: argparse.Namespace, wheels: str) -> int:
    """Build with the interpreter that has the backend, with its programs in PATH; return status."""
    script = Path(__file__).with_name("build_wheel.py")
    command = [str(options.builder), str(script), f"--backend={options.backend}"]
    command += [f"--backend-path={path}" for path in options.backend_path]
    command += [f"--config-settings={options.config_settings}"] if options.config_settings else []
    command += [f"--wheel-dir={wheels}"]
    path = os.pathsep.join([str(options.builder.parent), os.environ.get("PATH", os.defpath)])
    env = {**os.environ, "PATH": path}  # maturin and others call themselves
    status, output = process.run(command, env, options.project)
    if status and (why := failures.explain_own_wheel(f"The wheel of {options.project}", output)):
        print(f"\n{why}", flush=True)
    return status


def install(wheel: Path, venv: Path, marker: str | None) -> int:
    """Install a wheel by name: given a path, pip records that path in `direct_url.json`."""
    command = [*pip_command.command(venv / "bin" / "python"), *pip_command.INSTALL]
    name = wheel.name.partition("-")[0]
    requirement = f"{name} ; {marker}" if marker else name
    command += ["--no-deps", "--pre", "--no-index", f"--find-links={wheel.parent}", requirement]
    return subprocess.run(
        command, env=pip_settings.clean_environment(os.environ, {}), check=False
    ).returncode


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as wheels:
        if status := build(options, wheels):
            return status
        (wheel,) = Path(wheels).glob("*.whl")
        if status := install(wheel, options.venv, options.marker):
            return status
    if options.compile:
        installed_files.compile_all(options.venv)
    if options.libraries:
        shared_libraries.write(options.venv, options.libraries, from_source=True)
    installed_files.set_times(options.venv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
