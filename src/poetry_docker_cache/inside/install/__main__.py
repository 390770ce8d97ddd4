"""The command line: install a manifest into an empty virtual environment."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import architecture, finish, indexes, libraries, pip, poetry, secret, uv


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are the places in the build."""
    parser = argparse.ArgumentParser(prog="install")
    parser.add_argument("--installer", choices=("pip", "uv", "poetry"), required=True)
    parser.add_argument("--from-source", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--build-config-settings", type=json.loads, default={})
    for option, place in (
        ("--manifest", "/manifest.json"),
        ("--venv", "/venv"),
        ("--secret", "/run/secrets/auth.toml"),
        ("--libraries", "/libraries.json"),
        ("--uv", "/opt/uv/bin/uv"),
        ("--private", "/dev/shm"),  # noqa: S108  # in memory
    ):
        parser.add_argument(option, type=Path, default=Path(place))
    return parser.parse_args(arguments)


def install(options: argparse.Namespace, manifest: dict[str, Any]) -> tuple[int, str]:
    """Install with the chosen installer; give the status, and why it failed.

    Raises ValueError for a package that this installer cannot install.
    """
    auth = secret.read(options.secret)
    memory = options.private if options.private.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as private,
        tempfile.TemporaryDirectory() as folder,
    ):
        if options.installer == "poetry":
            return poetry.install(
                manifest,
                auth,
                Path(private),
                folder=Path(folder),
                venv=options.venv,
                auth_file=options.secret,
                build_config_settings=options.build_config_settings,
            )
        python = options.venv / "bin" / "python"
        call = functools.partial(pip.install, python)
        if options.installer == "uv":
            call = functools.partial(uv.install, options.uv, python)
        return indexes.install(manifest, auth, Path(private), call)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    content = options.manifest.read_bytes()
    manifest = json.loads(content)
    status, why = 0, ""
    try:
        manifest = architecture.checked(manifest)
        if manifest["packages"]:
            status, why = install(options, manifest)
    except ValueError as error:
        status, why = 1, str(error)
    if status:
        print(f"\n{why}" if why else "", end="\n" if why else "", flush=True)
        return status
    finish.tidy(options.venv)
    if options.installer != "poetry":  # which has named them itself
        for name, version in finish.installed(options.venv):
            print(f"  - Installed {name} ({version})", flush=True)
    if options.compile:
        finish.compile_all(options.venv)
    libraries.write(options.venv, options.libraries, from_source=options.from_source)
    finish.settle(options.venv, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
