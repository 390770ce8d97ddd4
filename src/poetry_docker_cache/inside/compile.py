"""Compile Python modules in advance, so that the container does not do so at each start.

The user of the image cannot write to these folders, so Python could not keep what it compiles. The
compiled files contain no timestamps (PEP 552, "unchecked-hash"): each build gives the same bytes.
"""

from __future__ import annotations

import argparse
import compileall
import os
import re
import sys
import sysconfig
from pathlib import Path
from py_compile import PycInvalidationMode

EPOCH = 315532800  # 1980, the earliest time in a ZIP archive

# Parts of the standard library that no application uses, and folders of installed packages.
UNUSED = re.compile(
    r"/(test|tests|idlelib|lib2to3|turtledemo|ensurepip|site-packages|dist-packages)/"
)


def compile_folder(folder: str, *, without: re.Pattern[str] | None = None) -> None:
    """Compile the modules in a folder, and reset the times, so that the layer is reproducible."""
    times = {Path(path): Path(path).stat() for path, *_ in os.walk(folder)}
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, rx=without, invalidation_mode=mode)
    for path, time in times.items():
        cache = path / "__pycache__"
        if cache.is_dir():
            for file in (*cache.iterdir(), cache):
                os.utime(file, (EPOCH, EPOCH))
            os.utime(path, ns=(time.st_atime_ns, time.st_mtime_ns))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; files that this Python cannot compile are skipped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--standard-library", action="store_true")
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":  # compiled files contain sets in hash order
        os.environ.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # this script again
    for folder in options.folders:
        compile_folder(folder)
    if options.standard_library:
        compile_folder(sysconfig.get_path("stdlib"), without=UNUSED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
