"""Install from wheels that are kept between builds.

A wheel whose hash is not in poetry.lock is ignored. The folder is a cache mount, so its content is
not part of any cache key.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .architecture import packaging

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED = "named.txt"
"""The file with the names of all wheels in the manifests, next to the exported wheels."""
PLAIN = re.compile(r"[^/\\\n]+-[^/\\\n-]+-[^/\\\n-]+-[^/\\\n-]+\.whl")
STRONG = ("sha256", "sha384", "sha512")
UNUSED = 30 * 24 * 60 * 60
"""Seconds without use after which a wheel is removed."""


def has_hash(path: Path, digest: str) -> bool:
    """Return whether a file exists and has this hash, such as `sha256:…`."""
    kind, _, expected = digest.partition(":")
    if kind not in STRONG or not path.is_file():
        return False
    found = hashlib.new(kind)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest() == expected


def copy(path: Path, folder: Path) -> None:
    """Copy a file to a folder in one step, because other builds may read it at the same time."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as part:
        shutil.copyfile(path, Path(part) / path.name)
        (Path(part) / path.name).replace(folder / path.name)


def choose_wheel(package: dict[str, Any], tags: dict[str, int]) -> dict[str, str] | None:
    """Choose the wheel that pip would install; the manifest lists those for all machines."""
    fitting = []
    for file in package["files"]:
        if PLAIN.fullmatch(file["file"]):
            try:
                _, _, build, supported = packaging("utils").parse_wheel_filename(file["file"])
            except ValueError:  # an unusual name: such a wheel is downloaded in each build
                continue
            if ranks := [tags[str(tag)] for tag in supported if str(tag) in tags]:
                fitting.append((-min(ranks), build, file["file"], file))
    return max(fitting, key=lambda item: item[:3])[3] if fitting else None


def take_one(wheels: Path, folder: Path, file: dict[str, str]) -> bool:
    """Copy a kept wheel to a folder; return whether there is one with the right hash."""
    kept, path = wheels / file["file"], folder / file["file"]
    if not kept.is_file():
        return False
    shutil.copyfile(kept, path)  # the copy is checked: another build may replace the file
    if not has_hash(path, file["hash"]):
        path.unlink()
        return False
    os.utime(kept)
    return True


def fill(
    folder: Path, manifest: dict[str, Any], wheels: Path, tags: Sequence[str]
) -> list[dict[str, Any]]:
    """Copy wheels of a manifest into an empty folder; return the packages without one.

    `tags` are the supported ones, the best first. The hashes of the copies are checked.
    """
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    missing = []
    for package in manifest["packages"]:
        file = choose_wheel(package, ranks)
        if file and take_one(wheels, folder, file):
            continue
        missing.append(package)
    return missing


def take(kept: Path, wheels: Path) -> None:
    """Import the wheels that the host has kept into the cache of the builds.

    Wheels that no build has used for a month are removed: projects may share the cache.
    """
    for path in sorted(kept.glob("*.whl")):
        if (wheels / path.name).exists():
            os.utime(wheels / path.name)
        elif path.is_file():
            copy(path, wheels)
    remove_unused(wheels)


def remove_unused(wheels: Path) -> None:
    """Remove the wheels that no build has used for a month."""
    for path in wheels.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another build has removed it
            if path.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def give(manifests: Path, wheels: Path, kept: Path, target: Path) -> None:
    """Export the wheels in the manifests that the host lacks, and the names of all of them."""
    target.mkdir()
    contents = [json.loads(path.read_bytes()) for path in sorted(manifests.glob("*.json"))]
    files = {
        (file["file"], file["hash"])
        for content in contents
        for package in content["packages"]
        for file in package["files"]
        if PLAIN.fullmatch(file["file"])
    }
    for name, digest in sorted(files):
        if not has_hash(kept / name, digest) and has_hash(wheels / name, digest):
            shutil.copyfile(wheels / name, target / name)
    names = "".join(f"{name}\n" for name in sorted({name for name, _ in files}))
    (target / NAMED).write_text(names, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: `take` before a build, `give` after it."""
    parser = argparse.ArgumentParser(prog="install.wheelhouse")
    parser.add_argument("action", choices=("take", "give"))
    for option, place in (
        ("--kept", "/kept"),
        ("--wheels", "/wheels"),
        ("--manifests", "/manifest"),
        ("--output", "/out"),
    ):
        parser.add_argument(option, type=Path, default=Path(place))
    options = parser.parse_args(arguments)
    if options.action == "take":
        take(options.kept, options.wheels)
        options.output.mkdir()
    else:
        give(options.manifests, options.wheels, options.kept, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
