"""Update the lock files of the cases for `make golden`."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from acme import make_packages
from golden_cases import URLS, lock_of, shape_of
from index import PrivateIndex
from poetry.factory import Factory
from shapes.indexes import INDEXES, fill

if TYPE_CHECKING:
    from poetry.packages.locker import Locker
    from shapes.shape import Shape


def renew_lock(name: str) -> None:
    """Update the lock after an edit of pyproject.toml: shapes with Poetry, others by hash only.

    The packages of the other cases exist nowhere, so their locks are edited by hand.
    """
    lock, shape = lock_of(name), shape_of(name)
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) if shape else lock.parent
        if shape:
            shape.write(project, URLS)
            if lock.is_file():
                shutil.copy(lock, project)
            if not _is_fresh(_locker(project)):
                lock.parent.mkdir(parents=True, exist_ok=True)
                lock.write_text(_locked(shape), encoding="utf-8")
        current = _locker(project)._get_content_hash().encode()
    text = re.sub(rb'content-hash = "\w+"', b'content-hash = "%b"' % current, lock.read_bytes())
    lock.write_bytes(text)


def _locker(project: Path) -> Locker:
    return Factory().create_poetry(project).locker


def _is_fresh(locker: Locker) -> bool:
    return locker.is_locked() and locker.is_fresh()


def _locked(shape: Shape) -> str:
    """Lock a shape with Poetry on local indexes, and replace their URLs by the golden ones."""
    with contextlib.ExitStack() as stack:

        def folder() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory()))

        folders = {name: folder() for name in INDEXES}
        make_packages(folders["acme"], machine="x86_64")
        fill(folders)
        served = {
            name: stack.enter_context(PrivateIndex(packages, {})).url
            for name, packages in folders.items()
        }
        project = folder()
        shape.write(project, served)
        command = [sys.executable, "-m", "poetry", "lock", "--no-interaction"]
        subprocess.run(command, cwd=project, check=True)
        text = (project / "poetry.lock").read_text(encoding="utf-8")
    for name, url in served.items():
        text = text.replace(url.rstrip("/"), URLS[name].rstrip("/"))
    return text
