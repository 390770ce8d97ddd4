"""Compile Python modules in advance, so that the container need not do so at each start.

The compiled files hold no time (PEP 552, "unchecked-hash"), so that they are the same wherever and
whenever they are made. The image's user cannot write them later.
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

EPOCH = 315532800  # 1980, before which no zip file can date

# Of the standard library: what no application starts with, and what is installed beside it.
UNUSED = re.compile(
    r"/(test|tests|idlelib|lib2to3|turtledemo|ensurepip|site-packages|dist-packages)/"
)


def compile_folder(folder: str, *, without: re.Pattern[str] | None = None) -> None:
    """Compile what is in a folder; without times, so that the layer is the same elsewhere."""
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
    """Run the command line; a file that is no Python of this version is passed over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--standard-library", action="store_true")
    parser.add_argument("folders", nargs="*")
    options = parser.parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set is part of the file
        os.environ.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # this very program
    for folder in options.folders:
        compile_folder(folder)
    if options.standard_library:
        compile_folder(sysconfig.get_path("stdlib"), without=UNUSED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
