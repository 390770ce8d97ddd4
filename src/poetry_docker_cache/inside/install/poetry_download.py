"""Run Poetry so that it downloads packages instead of building and installing them.

Poetry chooses the files, checks markers and sends the credentials as always. The first argument is
the folder for the files; the others are those of Poetry.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

# The modules next to this file must not hide packages of the same name.
sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]

from poetry.console import application  # noqa: E402
from poetry.installation import executor  # noqa: E402
from poetry.utils.cache import ArtifactCache  # noqa: E402

FOLDER = Path(sys.argv.pop(1))


class Keeper:
    """Stands in for the classes of Poetry that build a package and install a wheel."""

    def __init__(self, *_: object, **__: object) -> None:
        self.invalid_wheels: dict[Path, list[str]] = {}

    def enable_bytecode_compilation(self, *_: object) -> None:
        """Do nothing: nothing is installed."""

    def prepare(self, archive: Path, *_: object, **__: object) -> Path:
        """Return a source distribution as it is."""
        return archive

    def install(self, archive: Path) -> None:
        """Keep a file in the folder."""
        shutil.copy(archive, FOLDER)


def message(_: object, operation: Any, *__: object, **___: object) -> str:  # noqa: ANN401  # Poetry's class
    """Return what Poetry prints for a package."""
    return f"Downloading {operation.package.name} ({operation.package.version})"


find = ArtifactCache.get_cached_archive_for_link


def find_download(cache: Any, link: Any, *, strict: bool, env: Any = None, **more: Any) -> Any:  # noqa: ANN401, ARG001  # Poetry's classes
    """Find only the file of a link in the cache, not a wheel that an earlier build made of it."""
    return find(cache, link, strict=True, **more)


if __name__ == "__main__":
    cached: Any = ArtifactCache
    cached.get_cached_archive_for_link = find_download
    module: Any = executor
    module.Chef = module.WheelInstaller = Keeper
    module.Executor.get_operation_message = message
    sys.exit(application.main())
