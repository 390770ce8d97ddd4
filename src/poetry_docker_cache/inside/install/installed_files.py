"""Make installed files reproducible: the same bytes and times in every build."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path, PurePath

EPOCH = 315532800
"""1980, the earliest time that a ZIP archive can hold."""
# The tag of a wheel that was built here: an index only accepts `manylinux` and `musllinux`.
BUILT_HERE = re.compile(r"^Tag: \S+-linux_\w+$", re.MULTILINE)
STRIP = ("strip", "--strip-debug", "--remove-section=.note.gnu.build-id")


def site_packages(venv: Path) -> list[Path]:
    """Find the folders of installed packages."""
    return sorted(venv.glob("lib/python*/site-packages"))


def remove_bytecode(venv: Path) -> None:
    """Remove compiled modules, which some wheels contain: their times would differ."""
    for place in site_packages(venv):
        for cache in sorted(place.rglob("__pycache__"), reverse=True):  # nested ones first
            shutil.rmtree(cache)


def remove_file(path: Path) -> None:
    """Remove a file of a `*.dist-info` folder, and its line in RECORD."""
    path.unlink()
    record = path.with_name("RECORD")
    own = f"{path.parent.name}/{path.name},"
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(own)]
    record.write_text("".join(kept), encoding="utf-8")


def strip(venv: Path) -> None:
    """Remove debug information and build IDs from files that were compiled here.

    Debug information contains the temporary folders of the build, so it differs each time, and the
    build ID depends on it. Downloaded wheels stay unchanged: `strip` can damage libraries that
    tools such as auditwheel have patched.
    """
    for place in site_packages(venv):
        for wheel in place.glob("*.dist-info/WHEEL"):
            if BUILT_HERE.search(wheel.read_text(encoding="utf-8")):
                _strip_all(place, wheel.with_name("RECORD"))


def _strip_all(place: Path, record: Path) -> None:
    """Strip each compiled file in a RECORD, and update its hash and size there."""
    with record.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    for row in rows:
        path = place / row[0]
        if _is_compiled(path):
            subprocess.run([*STRIP, str(path)], check=False)
            content = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            row[1:] = [f"sha256={digest.decode()}", str(len(content))]
    with record.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _is_compiled(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def name_and_version(folder: PurePath) -> tuple[str, str]:
    """Return the normalized name and the version of a `*.dist-info` folder."""
    name, _, version = folder.stem.partition("-")
    return re.sub(r"[-_.]+", "-", name).lower(), version


def compile_all(venv: Path) -> None:
    """Compile all modules, without timestamps in the compiled files (PEP 552).

    Files that do not compile are skipped: some packages ship templates, or code for another Python.
    """
    command = [sys.executable, "-S", "-m", "compileall", "-qq"]  # imports none of the packages
    command += ["--invalidation-mode", "unchecked-hash", *map(str, site_packages(venv))]
    # Compiled files contain sets in hash order.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**kept, "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"}
    subprocess.run(command, env=environment, check=False)


def time_of(records: Iterable[bytes]) -> int:
    """Derive a time from what is installed: the content of each RECORD, ordered by folder.

    BuildKit finds a layer by its content without times, so two layers with the same content must
    have the same times: whichever it finds, the registry has it already. Another version of a
    package still gives its files another time, so a web server that compares static files by their
    time sees that they changed.
    """
    content = hashlib.sha256(b"".join(records))  # the hashes of all files
    return EPOCH + int(content.hexdigest()[:8], 16) % 10**9


def set_times(venv: Path) -> None:
    """Set the time of all files to the one that is derived from what is installed."""
    records = (
        record.read_bytes()
        for place in site_packages(venv)
        for record in sorted(place.glob("*.dist-info/RECORD"))
    )
    time = time_of(records)
    for folder, folders, files in os.walk(venv, topdown=False):
        for name in (*files, *folders):
            os.utime(os.path.join(folder, name), (time, time), follow_symlinks=False)  # noqa: PTH118  # faster
    os.utime(venv, (time, time))
