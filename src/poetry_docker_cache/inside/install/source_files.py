"""Download what must be built from source, and the wheels that these builds require.

Here the secret is mounted, so no code of a package runs: another stage builds the packages, without
the secret and without a network. Poetry downloads the packages. pip downloads the requirements of
their builds: those in their pyproject.toml, and with `--requires` those that their build backends
named.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from . import pip_settings, poetry_install, sdist, secret
from .failures import MISSING, explain_failure, print_explanation
from .package_indexes import primary_source
from .pip_command import run_pip

NO_WHEEL = """\
In a build with credentials, a requirement must have a wheel. If only an older version has one,
constrain it to that version in [tool.poetry.build-constraints]."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line; the defaults are the paths in the build."""
    parser = argparse.ArgumentParser(prog="install.source_files")
    parser.add_argument("--requires", type=Path, help="what the build backends named")
    for option, place in (
        ("--manifest", "/manifest.json"),
        ("--sources", "/sources"),
        ("--secret", "/run/secrets/auth.toml"),
        ("--private", "/dev/shm"),  # noqa: S108  # in memory
    ):
        parser.add_argument(option, type=Path, default=Path(place))
    return parser.parse_args(arguments)


def download_packages(
    manifest: dict[str, Any], auth: dict[str, Any], private: Path, options: argparse.Namespace
) -> tuple[int, str]:
    """Download the files that Poetry would install; return the status, and why it failed."""
    files = options.sources / sdist.FILES
    files.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as empty:
        venv.create(empty, symlinks=True)  # Poetry downloads what is not installed there
        return poetry_install.install(
            manifest,
            auth,
            private,
            folder=Path(folder),
            venv=Path(empty),
            auth_file=options.secret,
            build_config_settings={},
            program=[str(Path(__file__).with_name("poetry_download.py")), str(files)],
        )


def download_requirements(
    wanted: dict[str, list[str]],
    manifest: dict[str, Any],
    auth: dict[str, Any],
    private: Path,
    target: Path,
) -> tuple[int, str]:
    """Download wheels for the build of each archive; return the status, and why it failed."""
    source = primary_source(manifest)
    base = pip_settings.clean_environment(os.environ, pip_settings.image_settings(os.environ))
    environment = pip_settings.for_source(
        base, source, secret.get_source(auth, source.name), private
    )
    constraints = manifest.get("build-constraints", {})
    names = {
        file["file"]: entry["name"] for entry in manifest["packages"] for file in entry["files"]
    }
    for archive, requirements in sorted(wanted.items()):
        arguments = [f"--wheel-dir={target / archive}"]
        # Building a requirement would run its code beside the secret.
        arguments += ["--only-binary=:all:"] * bool(auth)
        lines = {"--requirement": requirements, "--constraint": constraints.get(names[archive], [])}
        for option, texts in lines.items():
            path = private / f"{option.strip('-')}.txt"
            path.write_text("".join(f"{sdist.checked(text)}\n" for text in texts), encoding="utf-8")
            arguments.append(f"{option}={path}")
        status, output = run_pip("wheel", arguments, environment, private / "pip.log")
        if status:
            known = "username" in secret.get_source(auth, source.name)
            why = explain_failure(output, source, known=known, locked=False)
            needs_wheel = NO_WHEEL if auth and MISSING.search(output) else ""
            said = (f"{archive} cannot be built without what its build requires.", why, needs_wheel)
            return status, "\n".join(filter(None, said))
    return 0, ""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    options = parse(arguments)
    manifest = json.loads(options.manifest.read_bytes())
    auth = secret.read(options.secret)
    memory = options.private if options.private.is_dir() else None
    status, why = 0, ""
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        private = Path(folder)
        try:
            if not manifest["packages"]:
                (options.sources / sdist.FILES).mkdir(parents=True, exist_ok=True)
                wanted = {}
            elif options.requires:
                wanted = json.loads(options.requires.read_bytes())
            else:
                status, why = download_packages(manifest, auth, private, options)
                paths = () if status else sdist.archives(options.sources)
                wanted = {path.name: sdist.build_system(path)["requires"] for path in paths}
            if not status:
                kind = sdist.MORE if options.requires else sdist.WHEELS
                status, why = download_requirements(
                    wanted, manifest, auth, private, options.sources / kind
                )
        except ValueError as error:
            status, why = 1, str(error)
    print_explanation(why)
    return status


if __name__ == "__main__":
    sys.exit(main())
