"""Install a build tool, such as Poetry or a build backend, into its own virtual environment.

With `--pinned`, pip takes the versions from requirements files, and refuses a file with another
hash. The tool comes from a package source of the project, if one is given, with the credentials of
the secret. pip gets them in environment variables, so they are not in its command line or output.
With pins or a source, it takes wheels only: building a source distribution would run its code
beside the secret.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import venv
from pathlib import Path

from . import installed_files, pip_settings, secret, wheel_tree
from .failures import explain_failure, print_explanation
from .pip_command import download, run_pip
from .secret import Source


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="install.tool")
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--source", nargs=2, metavar=("NAME", "URL"), default=("", ""))
    parser.add_argument("--secret", type=Path, default=Path("/run/secrets/auth"))
    parser.add_argument("--private", type=Path, default=Path("/dev/shm"))  # noqa: S108  # in memory
    parser.add_argument(
        "--compile", action="store_true", help="compile its modules, for a faster start"
    )
    parser.add_argument("--pinned", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("requirements", nargs="*", metavar="REQUIREMENT")
    options = parser.parse_args(arguments)
    source = Source(*options.source)
    known = secret.get_source(secret.read(options.secret), source.name) if source.name else {}
    venv.create(options.venv, symlinks=True)
    environment = dict(os.environ)
    if source.name:  # otherwise the image's settings for pip apply
        files = pip_settings.image_settings(os.environ)
        environment = pip_settings.clean_environment(os.environ, files)
    memory = options.private if options.private.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as private,
        tempfile.TemporaryDirectory() as wheels,
    ):
        folder = Path(private)
        environment = pip_settings.for_source(environment, source, known, folder)
        arguments = [f"--wheel-dir={wheels}", *["--only-binary=:all:"] * bool(source.name)]
        try:
            if options.pinned:
                pins = folder / "pins.txt"
                pins.write_text("".join(map(Path.read_text, options.pinned)), encoding="utf-8")
                status, output = download(Path(wheels), pins, environment)
            else:
                status, output = run_pip(
                    "wheel", [*arguments, *options.requirements], environment, folder / "pip.log"
                )
            for path in () if status else sorted(Path(wheels).iterdir()):
                wheel_tree.install(path, options.venv)
        except ValueError as error:
            print_explanation(str(error))
            return 1
    if options.compile:
        installed_files.compile_all(options.venv)
    pinned = bool(options.pinned)
    if status:
        has_user = "username" in known
        why = explain_failure(output, source, known=has_user, locked=False, pinned=pinned)
        print_explanation(why)
    return status


if __name__ == "__main__":
    sys.exit(main())
