"""Replacements for the official Python images, made from Debian packages."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from debs import KEYRING, mirror
from processes import SYSTEM_PATH, EngineError, run, say, unmount_below

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCK = "rootfs.lock"
"""The lock that callers of `rootfs` must hold."""
RECIPE = 5  # increase this after a change to how root file systems are made
SUITES = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}
PIPS = {"3.9": "pip==23.0.1"}
"""The pip of the official image, where Debian's is too old."""
RUNNABLE = ("i386",)
"""Other architectures whose programs an x86_64 machine runs."""
SLIM = "ca-certificates,python3,python3-venv,python3-pip"
FULL = (
    *("gcc", "git", "libc6-dev", "libffi-dev", "libpq-dev", "make", "openssh-client", "pkgconf"),
    "python3-dev",
)
ROOM_IN_MEMORY = 4 << 30
BYTECODE = "ENGINE_KEEPS_BYTECODE"
"""If this variable is set, images keep Python's bytecode, unlike official ones.

Without it, each `python` and `pip` in a build compiles what it imports, for one to two seconds.
"""
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
UNUSED = ("var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "var/log", "usr/share/doc")
UNUSED_SLIM = (*UNUSED, "usr/share/man", "usr/share/locale", "usr/share/info")


def rootfs(state: Path, tag: str, other: str = "") -> Path:
    """Return the root file system of python:TAG as a cached tarball; make it on first use.

    `other` is Debian's name of another architecture. If this machine cannot run its programs, the
    packages are only unpacked, which is enough for builds that run nothing on it.
    """
    version, _, variant = tag.partition("-")
    if version not in SUITES or variant not in ("", "slim"):
        known = ", ".join(f"{name}, {name}-slim" for name in SUITES)
        raise EngineError(f"no replacement for python:{tag}. Choose from {known}.")
    folder = state / "rootfs"
    folder.mkdir(parents=True, exist_ok=True)
    # A new recipe or new certificates make a new image.
    key = hashlib.sha256(repr((RECIPE, SLIM, FULL)).encode() + _certificates()).hexdigest()[:8]
    stem = f"{tag}-{other}" if other else tag
    stem += "-bytecode" if BYTECODE in os.environ else ""
    tarball = folder / f"{stem}-{key}.tar.gz"
    if tarball.exists():
        return tarball
    slim = rootfs(state, f"{version}-slim", other) if not variant else None
    remove_leftovers(state)
    say(f"making python:{stem} (about 40 s, once)")
    # debootstrap does not support spaces and special characters in the path
    plain = re.fullmatch(r"[\w./+-]+", str(state), re.ASCII)
    work = Path(tempfile.mkdtemp(dir=state if plain else "/var/tmp", prefix="rootfs-"))  # noqa: S108
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > ROOM_IN_MEMORY:
        # dpkg waits for the disk after every package
        run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", work], check=False)
    try:
        if slim is None:
            _debootstrap(state / "root", SUITES[version], work, other)
            _imitate_official_image(work)
            if version in PIPS:
                _upgrade_pip(work / f"usr/local/lib/python{version}/dist-packages", PIPS[version])
        else:
            run(["tar", "-xzf", slim, "-C", work])
            _apt_install(work, FULL)
        _trim(work, UNUSED if slim else UNUSED_SLIM)
        work.chmod(0o755)
        partial = tarball.with_suffix(".partial")
        run(["tar", "--numeric-owner", "-C", work, "-I", "gzip -1", "-cf", partial, "."])
        for outdated in folder.glob(f"{stem}-????????.tar.gz"):
            outdated.unlink()
        return partial.rename(tarball)
    finally:
        _remove(work)


def remove_leftovers(state: Path) -> None:
    """Remove incomplete files of runs that were killed."""
    for pattern in ("rootfs-*", "rootfs/*.partial"):
        for path in state.glob(pattern):
            _remove(path)


def image_environment() -> dict[str, str]:
    """Return the environment variables that the images set."""
    env = {
        "PATH": SYSTEM_PATH,
        "PIP_CERT": BUNDLE,
        "SSL_CERT_FILE": BUNDLE,
        "REQUESTS_CA_BUNDLE": BUNDLE,
        # The defaults of 15 s are too short for a slow network.
        "PIP_DEFAULT_TIMEOUT": "180",
        "POETRY_REQUESTS_TIMEOUT": "180",
    }
    # If this machine's pip is configured for another index, PyPI may be unreachable from builds.
    pip = shutil.which("pip") or shutil.which("pip3")
    index = run([pip, "config", "get", "global.index-url"], check=False).strip() if pip else ""
    index = os.environ.get("PIP_INDEX_URL") or index
    return {**env, "PIP_INDEX_URL": index} if index else env


def _remove(path: Path) -> None:
    if path.is_dir():
        unmount_below(path)  # debootstrap mounts /proc, which must not be deleted
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _debootstrap(root: Path, suite: str, target: Path, other: str) -> None:
    # an old debootstrap may not know the suite; sid's script works for all recent ones
    recipes = root / "usr/share/debootstrap"
    recipe = recipes / "scripts" / (suite if (recipes / "scripts" / suite).exists() else "sid")
    env = {**os.environ, "DEBOOTSTRAP_DIR": str(recipes), "PATH": SYSTEM_PATH}
    command: list[str | Path] = [root / "usr/sbin/debootstrap", "--variant=minbase"]
    command += [f"--arch={other}"] if other else []
    command += ["--foreign"] if other and other not in RUNNABLE else []
    command += [f"--include={SLIM}", f"--keyring={KEYRING}", suite, target, mirror(), recipe]
    run(command, env=env)
    for package in sorted(target.glob("var/cache/apt/archives/*.deb")):  # with --foreign
        run(["dpkg-deb", "--extract", package, target])
    shutil.rmtree(target / "debootstrap", ignore_errors=True)


def _imitate_official_image(root: Path) -> None:
    for folder in ("usr/local/bin", BUNDLE.strip("/").rpartition("/")[0]):
        (root / folder).mkdir(parents=True, exist_ok=True)  # missing if only unpacked
    for link, target in (("var/run", "/run"), ("var/lock", "/run/lock")):
        if not (root / link).is_symlink():  # base-files only sometimes makes it
            shutil.rmtree(root / link, ignore_errors=True)
            (root / link).symlink_to(target)
    for name in ("python", "python3", "pip", "pip3"):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name.rstrip('3')}3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    if bundle := _certificates():
        (root / BUNDLE.lstrip("/")).write_bytes(bundle)
    # The mirror may be a snapshot whose Release file has expired; apt in builds must accept it.
    options = 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n'
    (root / "etc/apt/apt.conf.d/90engine").write_text(options, encoding="utf-8")


def _upgrade_pip(folder: Path, requirement: str) -> None:
    """Install a pip where the image's Python looks first; this machine's pip can unpack it."""
    pip = shutil.which("pip") or shutil.which("pip3")
    if pip is None:
        raise EngineError(f"pip not found, which has to download {requirement}. Install pip.")
    run([pip, "install", "--quiet", "--no-deps", "--no-compile", "--target", folder, requirement])


def _certificates() -> bytes:
    """Return the certificate authorities that this machine trusts, such as that of a proxy."""
    path = Path(os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or BUNDLE)
    return path.read_bytes() if path.exists() else b""


def _apt_install(root: Path, packages: Iterable[str]) -> None:
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
    run(["chroot", root, "apt-get", "update", "-q"], env=env)
    install = ["apt-get", "install", "-qy", "--no-install-recommends", *packages]
    run(["chroot", root, *install], env=env)


def _trim(root: Path, folders: Iterable[str]) -> None:
    for name in folders:
        for entry in (root / name).iterdir() if (root / name).is_dir() else ():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for compiled in [*root.glob("usr/**/__pycache__")] if BYTECODE not in os.environ else ():
        shutil.rmtree(compiled)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
    for name in ("etc/resolv.conf", "etc/hostname"):  # copied from this machine
        (root / name).unlink(missing_ok=True)


def architecture() -> str:
    """Return this machine's architecture by its name in container registries."""
    machine = sysconfig.get_platform().rpartition("-")[2]
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
