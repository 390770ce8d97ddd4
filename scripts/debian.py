"""Stand-ins for the official Python images, made of Debian's packages."""

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
"""The name of the lock that a caller of `rootfs` holds."""
RECIPE = 4  # goes up with every change of what is done to a root file system
SUITES = {"3.9": "bullseye", "3.11": "bookworm", "3.13": "trixie"}
PIPS = {"3.9": "pip==23.0.1"}
"""Where Debian's is older than the one of the official image, and too old: that one."""
SLIM = "ca-certificates,python3,python3-venv,python3-pip"
FULL = (
    *("gcc", "git", "libc6-dev", "libffi-dev", "libpq-dev", "make", "openssh-client", "pkgconf"),
    "python3-dev",
)
ROOM_IN_MEMORY = 4 << 30
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
UNUSED = ("var/lib/apt/lists", "var/cache/apt", "var/cache/debconf", "var/log", "usr/share/doc")
UNUSED_SLIM = (*UNUSED, "usr/share/man", "usr/share/locale", "usr/share/info")


def rootfs(state: Path, tag: str, other: str = "") -> Path:
    """Return the cached root file system of python:TAG as a tarball; make it on first use.

    `other` is Debian's name of an architecture that this machine runs as well as its own.
    """
    version, _, variant = tag.partition("-")
    if version not in SUITES or variant not in ("", "slim"):
        raise EngineError(f"no stand-in for python:{tag}; known: X and X-slim, X of {[*SUITES]}")
    folder = state / "rootfs"
    folder.mkdir(parents=True, exist_ok=True)
    # A new recipe, or new authorities, make a new image.
    key = hashlib.sha256(repr((RECIPE, SLIM, FULL)).encode() + _certificates()).hexdigest()[:8]
    stem = f"{tag}-{other}" if other else tag
    tarball = folder / f"{stem}-{key}.tar.gz"
    if tarball.exists():
        return tarball
    slim = rootfs(state, f"{version}-slim", other) if not variant else None
    remove_leftovers(state)
    say(f"making python:{stem} (about 40 s, once)")
    # debootstrap cannot work in a folder with a space or the like in its path
    plain = re.fullmatch(r"[\w./+-]+", str(state), re.ASCII)
    work = Path(tempfile.mkdtemp(dir=state if plain else "/var/tmp", prefix="rootfs-"))  # noqa: S108
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > ROOM_IN_MEMORY:
        # dpkg waits for the disk after every package; in memory that costs nothing
        run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", work], check=False)
    try:
        if slim is None:
            _debootstrap(state / "root", SUITES[version], work, other)
            _like_the_official_image(work)
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
    """Remove what runs that were killed have left half made."""
    for pattern in ("rootfs-*", "rootfs/*.partial"):
        for path in state.glob(pattern):
            _remove(path)


def image_environment() -> dict[str, str]:
    """Return what the images' configuration sets, as the official ones set PATH."""
    env = {
        "PATH": SYSTEM_PATH,
        "PIP_CERT": BUNDLE,
        "SSL_CERT_FILE": BUNDLE,
        "REQUESTS_CA_BUNDLE": BUNDLE,
        # A slow network is no reason for a test to fail; both give up after 15 s otherwise.
        "PIP_DEFAULT_TIMEOUT": "180",
        "POETRY_REQUESTS_TIMEOUT": "180",
    }
    # A machine whose pip is pointed elsewhere has no other index, and neither have its builds.
    pip = shutil.which("pip") or shutil.which("pip3")
    index = run([pip, "config", "get", "global.index-url"], check=False).strip() if pip else ""
    index = os.environ.get("PIP_INDEX_URL") or index
    return {**env, "PIP_INDEX_URL": index} if index else env


def _remove(path: Path) -> None:
    if path.is_dir():
        unmount_below(path)  # debootstrap mounts /proc for a while: never delete into that
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _debootstrap(root: Path, suite: str, target: Path, other: str) -> None:
    # the same code name serves for all later suites; an old debootstrap may not know it
    recipes = root / "usr/share/debootstrap"
    recipe = recipes / "scripts" / (suite if (recipes / "scripts" / suite).exists() else "sid")
    env = {**os.environ, "DEBOOTSTRAP_DIR": str(recipes), "PATH": SYSTEM_PATH}
    command: list[str | Path] = [root / "usr/sbin/debootstrap", "--variant=minbase"]
    command += [f"--arch={other}"] if other else []
    command += [f"--include={SLIM}", f"--keyring={KEYRING}", suite, target, mirror(), recipe]
    run(command, env=env)


def _like_the_official_image(root: Path) -> None:
    for name in ("python", "python3", "pip", "pip3"):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name.rstrip('3')}3")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    if bundle := _certificates():
        (root / BUNDLE.lstrip("/")).write_bytes(bundle)
    # apt in a RUN: this machine's mirror may be a snapshot whose Release is no longer "valid"
    quirks = 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n'
    (root / "etc/apt/apt.conf.d/90engine").write_text(quirks, encoding="utf-8")


def _upgrade_pip(folder: Path, requirement: str) -> None:
    """Put a pip where the image's Python looks first; any machine's pip can unpack it."""
    pip = shutil.which("pip") or shutil.which("pip3")
    if pip is None:
        raise EngineError(f"there is no pip to fetch {requirement} with")
    run([pip, "install", "--quiet", "--no-deps", "--no-compile", "--target", folder, requirement])


def _certificates() -> bytes:
    """Return the certificate authorities that this machine trusts, a proxy's among them."""
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
    for compiled in [*root.glob("usr/**/__pycache__")]:  # official images ship no .pyc file
        shutil.rmtree(compiled)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
    for name in ("etc/resolv.conf", "etc/hostname"):  # this machine's
        (root / name).unlink(missing_ok=True)


def architecture() -> str:
    """Name this machine's architecture in the words of container registries."""
    machine = sysconfig.get_platform().rpartition("-")[2]
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
