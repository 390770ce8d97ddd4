"""System packages in a Dockerfile: which ones the image needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_BUILDING = {
    *("autoconf", "automake", "binutils", "build-base", "build-essential", "cargo", "clang"),
    *("cmake", "cpp", "dpkg-dev", "g++", "gcc", "gfortran", "libc-dev", "libtool", "linux-headers"),
    *("llvm", "make", "meson", "musl-dev", "ninja-build", "patchelf", "pkg-config", "pkgconf"),
    *("rust", "rustc", "swig"),
}
_PYTHON = re.compile(
    r"(?:lib)?(?:py3-|python3?(?:\.\d+)?(?:-|$))(?:dev|pip|venv|setuptools|wheel|distutils|minimal"
    r"|full|poetry|virtualenv|cffi|dev-is-python3|is-python3)?$|pipx|python-is-python3|poetry"
)
_FOR_THE_INSTALL = {
    *("apt-transport-https", "apt-utils", "debconf-utils", "dirmngr", "gnupg", "gnupg1", "gnupg2"),
    *("lsb-release", "software-properties-common", "ca-certificates", "openssh-client", "openssh"),
    *(
        "npm",
        "nodejs",
        "yarn",
        "sudo",
        "wait-for-it",
        "tar",
        "xz-utils",
        "gzip",
        "unzip",
        "zip",
        "bzip2",
    ),
}
_TO_LOOK_AROUND = {
    *("bash", "bash-completion", "htop", "iputils-ping", "less", "lsof", "man", "mc", "nano"),
    *("net-tools", "procps", "screen", "strace", "tmux", "tree", "vim", "vim-tiny", "zsh"),
}
_RUN_BY = {"git": "gitpython", "git-core": "gitpython"}
"""Programs that a Python package runs, and cannot be imported without."""
_INITS = ("tini", "dumb-init", "catatonit")
_DOWNLOADERS = ("curl", "wget", "git", "git-core", "netcat", "netcat-openbsd", "netcat-traditional")


def package_names(words: tuple[str, ...]) -> list[str]:
    """Return the packages of a command such as `apt-get install -y NAME`."""
    takes_value = {"-t", "--target-release", "-o", "--option", "--virtual", "--repository", "-X"}
    names, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in takes_value:
            skip = True
        elif not word.startswith(("-", ".")):
            names.append(word)
    after = next((at for at, word in enumerate(names) if word in ("install", "add")), None)
    return names[after + 1 :] if after is not None else []


def why_not_needed(package: str, *, used: str, installed: Collection[str] = ()) -> str | None:
    """Return why the image does not need a system package; None if it may.

    `used` are the commands and scripts that run in the container, `installed` the normalised names
    of the locked packages.
    """
    name = re.split(r"[=:<>~@]", package)[0]
    if _RUN_BY.get(name) in installed:
        return None
    if name == "gettext" and not re.search(r"gettext|msgfmt|envsubst|compilemessages", used):
        return "only needed to compile translations: a step of `run` has it in `packages`"
    if name in _INITS:
        return "replaced by `init`, if the start command uses it"
    if name in _BUILDING or name.startswith(("gcc-", "g++-", "clang-")):
        return "a build tool: packages are built on `build-image`, which has it"
    if _PYTHON.fullmatch(name):
        return "the base image has Python and pip"
    if name.endswith(("-dev", "-devel")) or name == "libpq":
        return (
            "headers for building: `build-image` has the usual ones. The build adds the libraries"
            " that packages need, or names those that are missing"
        )
    if name in (*_DOWNLOADERS, *_FOR_THE_INSTALL, *_TO_LOOK_AROUND) or name.startswith("vim"):
        program = "nc" if name.startswith("netcat") else name
        program = {
            "openssh-client": "ssh",
            "procps": "ps",
            "nodejs": "node",
            "git-core": "git",
        }.get(name, program)
        if re.search(rf"(?<![\w/.-]){re.escape(program)}(?![\w.-])", used):
            return None
        return (
            "neither the start command nor a script uses it: only the old build does; if your code"
            f" runs it, add `{name}` to `runtime-packages`"
        )
    return None


def is_init(package: str) -> bool:
    """Whether a package is an init process."""
    return package in _INITS


def is_build_tool(package: str) -> bool:
    """Whether a system package is a compiler or another build tool."""
    name = re.split(r"[=:<>~@]", package)[0]
    return name in _BUILDING - {"make", "binutils"} or name.endswith("-dev")
