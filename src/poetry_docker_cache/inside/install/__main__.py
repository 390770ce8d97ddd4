"""Install the packages of a manifest into an empty virtual environment (command line)."""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import (
    architecture,
    index_pages,
    installed_files,
    package_indexes,
    pip_command,
    secret,
    shared_libraries,
    wheel_tree,
    wheelhouse,
)
from .failures import print_explanation

COLUMNS = 79


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are the paths in the build."""
    parser = argparse.ArgumentParser(prog="install")
    parser.add_argument("--from-source", action="store_true", help="build the packages")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels to use")
    parser.add_argument("--reuse", action="store_true", help="use an earlier image")
    parser.add_argument("--made-by", default="", help="what else determines the files")
    add_common(parser, ("--installed", "/installed"), ("--sources", "/sources"))
    return parser.parse_args(arguments)


def add_common(parser: argparse.ArgumentParser, *more: tuple[str, str]) -> None:
    """Add the options that `direct` shares, and more options for paths."""
    architecture.add_option(parser)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--build-config-settings", type=json.loads, default={})
    for option, place in (
        ("--manifest", "/manifest.json"),
        ("--venv", "/venv"),
        ("--secret", "/run/secrets/auth"),
        ("--libraries", "/libraries.json"),
        ("--private", "/dev/shm"),  # noqa: S108  # in memory
        *more,
    ):
        parser.add_argument(option, type=Path, default=Path(place))


def install(options: argparse.Namespace, manifest: dict[str, Any]) -> tuple[int, str]:
    """Install wheels, or build them `--from-source`; return the status, and why it failed.

    Raises ValueError for a package that pip cannot download, or a damaged wheel.
    """
    print(format_announcement(manifest), flush=True)
    if options.from_source:
        from . import sdist  # noqa: PLC0415  # few images have such packages

        settings = options.build_config_settings
        return sdist.install(manifest, options.sources, settings, options.venv)
    auth = secret.read(options.secret)
    memory = options.private if options.private.is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as private,
        tempfile.TemporaryDirectory() as folder,
    ):
        status, why = download(options, manifest, auth, Path(private), Path(folder))
        for path in () if status else sorted(Path(folder).iterdir()):
            info = wheel_tree.install(path, options.venv)
            name, version = installed_files.name_and_version(info)
            print(f"  - Installed {name} ({version})", flush=True)
        return status, why


def download(
    options: argparse.Namespace,
    manifest: dict[str, Any],
    auth: dict[str, Any],
    private: Path,
    folder: Path,
) -> tuple[int, str]:
    """Put the wheels of a manifest into a folder; return the status, and why it failed."""
    machine = options.machine
    missing = manifest["packages"]
    if options.wheels:
        tags = architecture.supported_tags(machine)
        missing = wheelhouse.fill(folder, manifest, options.wheels, tags)
        count = len(manifest["packages"])
        print(f"  {count - len(missing)} of {count} from the download cache", flush=True)
    held = {*folder.iterdir()}
    foreign = machine != architecture.machine_of("")
    platforms = architecture.supported_platforms(machine) if foreign else []
    call = functools.partial(pip_command.download, folder, platforms=platforms)
    supported = functools.partial(architecture.supported_tags, machine)
    fetch = functools.partial(index_pages.fetch, folder, supported_tags=supported)
    wanted = {**manifest, "packages": missing}
    status, why = package_indexes.download(wanted, auth, private, fetch, call)
    if options.wheels and not status:
        for path in {*folder.iterdir()} - held:
            wheelhouse.copy(path, options.wheels)
    return status, why


def format_announcement(manifest: dict[str, Any]) -> str:
    """Name the packages in one line that fits a terminal: BuildKit shows a step's last lines."""
    packages = manifest["packages"]
    names = dict.fromkeys(f"{package['name']} {package['version']}" for package in packages)
    line = "Installing " + ", ".join(names)
    return line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    manifest = json.loads(options.manifest.read_bytes())
    status, why = 0, ""
    try:
        if not options.from_source:  # Poetry has chosen
            manifest = architecture.select(manifest, options.machine)
        if options.reuse:
            from . import earlier_image  # noqa: PLC0415  # exported only for this setting

            status, why = earlier_image.install(options, manifest, install)
        elif manifest["packages"]:
            status, why = install(options, manifest)
    except ValueError as error:
        status, why = 1, str(error)
    return conclude(options, (status, why), built=options.from_source)


def conclude(options: argparse.Namespace, outcome: tuple[int, str], *, built: bool) -> int:
    """Print why an installation failed, or turn it into a layer; return the status.

    `built`: packages may have been compiled, with the libraries of this image.
    """
    status, why = outcome
    if status:
        print_explanation(why)
        return status
    installed_files.remove_bytecode(options.venv)
    if built and shutil.which("strip"):  # comes with compilers
        installed_files.strip(options.venv)
    if options.compile:
        installed_files.compile_all(options.venv)
    shared_libraries.write(options.venv, options.libraries, options.machine, built=built)
    installed_files.set_times(options.venv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
