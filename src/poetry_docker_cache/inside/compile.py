"""Compile what is installed: a module that is not compiled is compiled at every start.

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

# Of the standard library: what no application starts with, and what is installed beside it.
UNUSED = re.compile(
    r"/(test|tests|idlelib|lib2to3|turtledemo|ensurepip|site-packages|dist-packages)/"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; a file that is no Python of this version is passed over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--standard-library", action="store_true")
    parser.add_argument("folders", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set is part of the file
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # this very program
    mode = PycInvalidationMode.UNCHECKED_HASH
    for folder in options.folders:
        compileall.compile_dir(folder, quiet=2, invalidation_mode=mode)
    if options.standard_library:
        library = sysconfig.get_path("stdlib")
        compileall.compile_dir(library, quiet=2, rx=UNUSED, invalidation_mode=mode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
