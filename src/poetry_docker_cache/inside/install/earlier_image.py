"""Reuse unchanged packages from an earlier image of the project.

Each layer contains a table of its packages, with a digest of everything that determines a package's
files. A package is reused if its digest is the same in the earlier image and its files match its
RECORD. The files pass through a cache mount, so the earlier image is not part of any cache key.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import installed_files, wheel_tree

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Install = Callable[[argparse.Namespace, dict[str, Any]], tuple[int, str]]

TABLES = "share/poetry-docker-cache"
"""The folder of the tables in the virtual environment."""
NO_TABLE = "no-table"
"""A file that the import of an image writes if the image contains no table."""
UNUSED = 30 * 24 * 60 * 60
"""Seconds without use after which a stored package is removed."""
DIGEST = re.compile(r"[0-9a-f]{64}")
RELEASE = Path("/etc/os-release")
UNREADABLE = (OSError, ValueError, IndexError, csv.Error)
"""The errors of reading a RECORD that was changed, or damaged by a crash."""


def digests(
    manifest: dict[str, Any], machine: str, made_by: str, release: Path | None = None
) -> dict[str, str]:
    """Return for each package a digest of everything that determines its installed files.

    These are its entries in the manifest (several if markers choose a version by machine), the
    machine, this Python, the installer, which writes the scripts, and for packages built from
    source the system that they are linked with. The file `release` names that: a tag such as
    `python:3.13` moves to another release of Debian.
    """
    try:
        pip = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        pip = ""
    system = release.read_text("utf-8", "replace") if release and release.is_file() else ""
    python = str(sysconfig.get_config_var("SOABI"))
    here = [machine, python, pip, wheel_tree.INSTALLER, made_by, system]
    constraints = manifest.get("build-constraints", {})
    entries = defaultdict(list)
    for package in manifest["packages"]:
        entries[package["name"]].append(package)
    result = {}
    for name, packages in entries.items():
        parts = [packages, constraints.get(name), here]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        result[name] = hashlib.sha256(text.encode()).hexdigest()
    return result


def find_records(root: Path) -> dict[str, Path]:
    """Find the RECORD of each installed package."""
    found = sorted(root.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    return {installed_files.name_and_version(record.parent)[0]: record for record in found}


def recorded_files(root: Path, record: Path) -> dict[str, str]:
    """Return a package's files, relative to the root, with their hashes ("" for RECORD itself).

    Raises ValueError for a file outside of the root, or one without a hash.
    """
    result = {}
    own = record.relative_to(root).as_posix()
    with record.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            path = os.path.normpath(os.path.join(os.path.dirname(own), "..", row[0]))  # noqa: PTH118, PTH120  # text only
            if "__pycache__" not in path.split("/"):
                result[path] = row[1]
    for path, digest in result.items():
        if path.startswith(("/", "..")) or (path != own and not digest.startswith("sha256=")):
            raise ValueError(f"{record.parent.name} lists {path}")
    return result


def is_intact(root: Path, files: dict[str, str]) -> bool:
    """Return whether each file has its hash."""
    for path, expected in files.items():
        if expected:
            try:
                found = hashlib.sha256((root / path).read_bytes()).digest()
            except OSError:
                return False
            if expected != "sha256=" + base64.urlsafe_b64encode(found).decode().rstrip("="):
                return False
    return True


def copy(source: Path, target: Path, files: dict[str, str]) -> None:
    """Copy files from one root to another, with their modes."""
    for path in files:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / path, target / path)


def reuse(store: Path, venv: Path, digest: str) -> dict[str, str] | None:
    """Copy a package from the store into the environment; return its files, or None.

    A damaged package is removed from the store, so that a later build can store it again.
    """
    kept = store / digest
    try:
        (record,) = find_records(kept).values()
        files = recorded_files(kept, record)
        if is_intact(kept, files):
            copy(kept, venv, files)
            return files
    except UNREADABLE:
        pass
    shutil.rmtree(kept, ignore_errors=True)
    return None


def list_contents(folder: Path) -> list[Path]:
    """List everything in a folder, the content of a folder before the folder itself."""
    walk = os.walk(folder, topdown=False)
    return [Path(place, name) for place, folders, files in walk for name in (*files, *folders)]


def install(
    options: argparse.Namespace, manifest: dict[str, Any], install_rest: Install
) -> tuple[int, str]:
    """Reuse the packages that can be reused, install the rest, and write the table."""
    empty = set(list_contents(options.venv))
    release = RELEASE if options.from_source else None
    known = digests(manifest, options.machine, options.made_by, release)
    tried = {name: reuse(options.installed, options.venv, known[name]) for name in sorted(known)}
    taken = {name: files for name, files in tried.items() if files is not None}
    rest = [package for package in manifest["packages"] if package["name"] not in taken]
    status, why = install_rest(options, {**manifest, "packages": rest}) if rest else (0, "")
    if not status and not all(is_intact(options.venv, files) for files in taken.values()):
        # Two packages have a file of the same name: install both, so that the usual one stays.
        for path in [path for path in list_contents(options.venv) if path not in empty]:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        status, why = install_rest(options, manifest)
        taken = {}
    if status:
        return status, why
    for name in taken:
        print(f"  - Reused {name}, from the earlier image", flush=True)
    # A package for other machines is not installed here, and another layer may have its version
    # for this machine.
    here = {name: known[name] for name in known.keys() & find_records(options.venv)}
    text = json.dumps(here, indent=1, sort_keys=True) + "\n"
    # Named after its content, so that renaming a layer does not change its files.
    table = options.venv / TABLES / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(text, encoding="utf-8")
    return 0, ""


def separable_packages(venv: Path) -> dict[str, dict[str, str]]:
    """Return the files of each package that shares no file with another one.

    If two packages have different files of the same name, the image contains only one of them.
    """
    files: dict[str, dict[str, str]] = {}
    claims = defaultdict(set)
    for name, record in find_records(venv).items():
        try:
            files[name] = recorded_files(venv, record)
        except UNREADABLE:
            continue
        for path, digest in files[name].items():
            claims[path].add(digest)
    return {
        name: paths
        for name, paths in files.items()
        if all(len(claims[path]) == 1 for path in paths)
    }


def take(venv: Path, store: Path) -> int:
    """Copy an image's packages into the store, each to a folder named by its digest; count them.

    Packages that no image has had for a month are removed: projects may share a store.
    """
    known: dict[str, str] = {}
    for table in sorted((venv / TABLES).glob("*.json")):
        known.update(json.loads(table.read_bytes()))
    count = 0
    for name, files in sorted(separable_packages(venv).items()):
        digest = known.get(name, "")
        if (store / digest).exists() or not DIGEST.fullmatch(digest):
            continue
        with tempfile.TemporaryDirectory(dir=store, prefix=".") as part:
            copy(venv, Path(part, digest), files)
            try:
                Path(part, digest).rename(store / digest)
            except OSError:  # another build was faster
                continue
        count += 1
    for kept in store.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another build has removed it
            if kept.name in known.values():
                os.utime(kept)
            elif kept.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(kept)
    return count


def main(root: Path = Path("/")) -> int:
    """Import the packages of the image at /image into /installed, before a build."""
    venv = root / "image" / "venv"
    print(f"{take(venv, root / 'installed')} packages imported from the earlier image", flush=True)
    (root / "out").mkdir()
    if not any((venv / TABLES).glob("*.json")):
        (root / "out" / NO_TABLE).touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
