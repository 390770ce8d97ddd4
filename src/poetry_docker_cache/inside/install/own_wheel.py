"""Build the wheel of the project or of a path dependency, and install it.

Runs with the Python that has the build backend. This is the only step after an edit of the source,
so it imports as little as possible.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from . import build_wheel, installed_files, process, wheel_tree

ANYWHERE = "py3-none-any.whl"
"""The end of the file names of wheels that fit every image."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are the paths in the build."""
    parser = argparse.ArgumentParser(prog="install.own_wheel")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--backend-path", action="append", default=[])
    parser.add_argument("--config-settings", type=json.loads, help="for the backend")
    parser.add_argument("--marker", help="install only if this holds")
    platform = os.environ.get("TARGETPLATFORM", "")  # BuildKit sets it in stages that ask
    parser.add_argument("--platform", default=platform)
    parser.add_argument("--compile", action="store_true")
    libraries = Path("/libraries.json")
    parser.add_argument("--libraries", type=Path, nargs="?", const=libraries, help="list to write")
    parser.add_argument("--venv", type=Path, default=Path("/venv"))
    parser.add_argument("layer", type=Path, help="folder for a copy of the environment")
    parser.add_argument("--project", type=Path, default=Path("/project"))
    return parser.parse_args(arguments)


def build(options: argparse.Namespace, wheels: Path) -> int:
    """Build the wheel; return the status."""

    def work() -> None:
        os.chdir(options.project)
        os.environ.update(process.with_programs(os.environ, Path(sys.executable).parent))
        name = build_wheel.build(
            options.backend, options.backend_path, wheels, options.config_settings
        )
        print("Built", name, flush=True)

    status, output = process.fork(work)
    if status:
        from . import failures  # noqa: PLC0415  # takes long to import

        wheel = f"The wheel of {options.project}"
        failures.print_explanation(failures.explain_own_wheel(wheel, output))
    return status


def is_wanted(wheel: str, options: argparse.Namespace) -> bool:
    """Return whether to install the wheel. Raises ValueError if it is not for this image."""
    if wheel.endswith(ANYWHERE) and not options.marker:
        return True
    from . import architecture  # noqa: PLC0415  # takes long to import

    machine = architecture.machine_of(options.platform)
    if not architecture.fits(wheel, machine):
        raise ValueError(f"The backend made {wheel}, which is not for this image.")
    return architecture.is_wanted(options.marker, machine)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as wheels:
        if status := build(options, Path(wheels)):
            return status
        (wheel,) = Path(wheels).glob("*.whl")
        try:
            if is_wanted(wheel.name, options):
                wheel_tree.install(wheel, options.venv)
        except ValueError as error:
            from . import failures  # noqa: PLC0415  # takes long to import

            failures.print_explanation(str(error))
            return 1
    if options.compile:
        installed_files.compile_all(options.venv)
    if options.libraries:
        from . import architecture, shared_libraries  # noqa: PLC0415  # take long to import

        machine = architecture.machine_of(options.platform)
        shared_libraries.write(options.venv, options.libraries, machine, built=True)
    # To find a layer in its cache, BuildKit reads all files beside the folder that is copied: here
    # there are none, but beside /venv there is the whole image.
    layer = options.layer / "venv"
    shutil.copytree(options.venv, layer, symlinks=True)
    installed_files.set_times(layer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
