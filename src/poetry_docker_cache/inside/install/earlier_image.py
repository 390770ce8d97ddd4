"""Reuse the packages of an earlier image of the project that have not changed.

A layer leaves a table of its packages, each with a digest of all that decides its files. A package
is taken from the earlier image if its digest is the same there and its files are those that its
RECORD lists. They come by way of a cache mount, so that the earlier image is in no layer's key.
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

from . import installed_files

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Install = Callable[[argparse.Namespace, dict[str, Any]], tuple[int, str]]

TABLES = "share/poetry-docker-cache"
"""Where in the environment the layers leave their tables."""
NO_TABLE = "no-table"
"""A file that comes out of the import of an image where no layer has left one."""
UNUSED = 30 * 24 * 60 * 60
DIGEST = re.compile(r"[0-9a-f]{64}")
RELEASE = Path("/etc/os-release")
UNREADABLE = (OSError, ValueError, IndexError, csv.Error)
"""The errors of reading a RECORD that was tampered with, or that a crash has damaged."""


def digests(manifest: dict[str, Any], made_by: str, release: Path | None = None) -> dict[str, str]:
    """Give for each package the digest of what its installed files follow from.

    That is its manifest's entry, or both where each kind of machine has a version of its own; the
    kind of Python and of machine; what installs it, since that writes its scripts; and for what is
    built, the system whose libraries it is linked with, as the file `release` names it: a tag such
    as `python:3.13` moves on to another one.
    """
    try:
        pip = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        pip = ""
    system = release.read_text("utf-8", "replace") if release and release.is_file() else ""
    here = [str(sysconfig.get_config_var("SOABI")), pip, made_by, system]
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


def records(root: Path) -> dict[str, Path]:
    """Find the RECORD of each installed package."""
    found = sorted(root.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    return {installed_files.name_and_version(it.parent)[0]: it for it in found}


def owned(root: Path, record: Path) -> dict[str, str]:
    """List a package's files, relative to the root, with their hashes; its RECORD has none.

    Raises ValueError for a file that is elsewhere, or has no hash.
    """
    result = {}
    own = record.relative_to(root).as_posix()
    with record.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            path = os.path.normpath(os.path.join(os.path.dirname(own), "..", row[0]))  # noqa: PTH118, PTH120  # no file is asked
            if "__pycache__" not in path.split("/"):
                result[path] = row[1]
    for path, digest in result.items():
        if path.startswith(("/", "..")) or (path != own and not digest.startswith("sha256=")):
            raise ValueError(f"{record.parent.name} lists {path}")
    return result


def intact(root: Path, files: dict[str, str]) -> bool:
    """Tell whether each file is the one that a RECORD lists."""
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
    """Copy a package into the environment, and give its files; None without one to trust.

    One that is not to be trusted is removed, or it would be in the way of a better one for ever.
    """
    kept = store / digest
    try:
        (record,) = records(kept).values()
        files = owned(kept, record)
        if intact(kept, files):
            copy(kept, venv, files)
            return files
    except UNREADABLE:
        pass
    shutil.rmtree(kept, ignore_errors=True)
    return None


def contents(folder: Path) -> list[Path]:
    """List all that is in a folder, what is in a folder before that."""
    walk = os.walk(folder, topdown=False)
    return [Path(place, name) for place, folders, files in walk for name in (*files, *folders)]


def install(
    options: argparse.Namespace, manifest: dict[str, Any], otherwise: Install
) -> tuple[int, str]:
    """Install a manifest: what can be taken over is, the rest by `otherwise`; leave the table."""
    empty = set(contents(options.venv))
    known = digests(manifest, options.made_by, RELEASE if options.from_source else None)
    tried = {name: reuse(options.installed, options.venv, known[name]) for name in sorted(known)}
    taken = {name: files for name, files in tried.items() if files is not None}
    rest = [package for package in manifest["packages"] if package["name"] not in taken]
    status, why = otherwise(options, {**manifest, "packages": rest}) if rest else (0, "")
    if not status and not all(intact(options.venv, files) for files in taken.values()):
        # Two packages have a file of the same name: which one stays must not depend on this.
        for path in [path for path in contents(options.venv) if path not in empty]:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        status, why = otherwise(options, manifest)
        taken = {}
    if status:
        return status, why
    for name in taken:
        print(f"  - Reused {name}, from the earlier image", flush=True)
    # Of what is for other machines, another layer may have the version that is for this one.
    here = {name: known[name] for name in known.keys() & records(options.venv)}
    text = json.dumps(here, indent=1, sort_keys=True) + "\n"
    # Named after what it says: a layer that is only called otherwise stays as it is.
    table = options.venv / TABLES / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(text, encoding="utf-8")
    return 0, ""


def separate(venv: Path) -> dict[str, dict[str, str]]:
    """List the files of each package that can be told from those of all others.

    Where two packages have another file of the same name, the image does not tell whose it is.
    """
    files: dict[str, dict[str, str]] = {}
    claims = defaultdict(set)
    for name, record in records(venv).items():
        try:
            files[name] = owned(venv, record)
        except UNREADABLE:
            continue
        for path, digest in files[name].items():
            claims[path].add(digest)
    return {name: it for name, it in files.items() if all(len(claims[path]) == 1 for path in it)}


def take(venv: Path, store: Path) -> int:
    """Put an image's packages into the store, each in a folder named by its digest; count them.

    What no image has had for long is removed; other projects may use the same store.
    """
    known: dict[str, str] = {}
    for table in sorted((venv / TABLES).glob("*.json")):
        known.update(json.loads(table.read_bytes()))
    count = 0
    for name, files in sorted(separate(venv).items()):
        digest = known.get(name, "")
        if (store / digest).exists() or not DIGEST.fullmatch(digest):
            continue
        with tempfile.TemporaryDirectory(dir=store, prefix=".") as part:
            copy(venv, Path(part, digest), files)
            try:
                Path(part, digest).rename(store / digest)
            except OSError:  # another build was sooner
                continue
        count += 1
    for kept in store.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another build has removed it meanwhile
            if kept.name in known.values():
                os.utime(kept)
            elif kept.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(kept)
    return count


def main(root: Path = Path("/")) -> int:
    """Take the packages of the image at /image into /installed, before a build."""
    venv = root / "image" / "venv"
    print(f"{take(venv, root / 'installed')} packages taken over", flush=True)
    (root / "out").mkdir()
    if not any((venv / TABLES).glob("*.json")):
        (root / "out" / NO_TABLE).touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
