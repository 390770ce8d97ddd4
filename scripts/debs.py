"""The engines' programs from Debian packages, most of them unpacked instead of installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from processes import SYSTEM_PATH, EngineError, run, say

if TYPE_CHECKING:
    from collections.abc import Sequence

# The engine of Debian 12 is too old for most tests. The programs of sid need only libc.
ENGINE_PACKAGES = ("docker.io", "docker-buildx", "docker-cli", "crane")
HOST_PACKAGES = ("containerd", "runc", "docker-registry", "debootstrap")
# Its docker.io is 20.10, the oldest engine that the plugin supports, and includes the client.
OLD_SUITE = "bookworm"
OLD_PACKAGES = ("docker.io", "libdevmapper1.02.1")
# buildah needs one of two packages for networks; netavark is the smaller one.
BUILDAH_PACKAGES = ("buildah", "netavark")
# Its program needs only libc, too.
COSIGN_PACKAGES = ("cosign",)
# These need libraries, so they are installed if they are missing.
INSTALLED = {
    "gpgv": "gpgv",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh-agent": "openssh-client",  # for tests of git over ssh
    "tmux": "tmux",  # for tests of the live display
    "wget": "wget",  # for debootstrap
    "xz": "xz-utils",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RETRIES = ("-o", "Acquire::Retries=5")
"""The network may fail for a moment, and older versions of apt do not retry by default."""


def mirror() -> str:
    """Return the Debian mirror that apt uses on this machine."""
    wanted = ("Created-By: Packages", "Component: main")
    for attempt in range(2):
        listed = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)", *wanted])
        for line in listed.splitlines():
            uri, _, label = line.partition(" ")
            if label == "Debian":
                return uri.rstrip("/")
        if attempt == 0:  # labels are in the package lists, which may be missing
            run(["apt-get", "update", "-q", *RETRIES])
    raise EngineError("apt has no Debian mirror. Run this on a Debian machine.")


def install_missing() -> None:
    """Install the programs that are not unpacked."""
    missing = [pkg for exe, pkg in INSTALLED.items() if not shutil.which(exe, path=SYSTEM_PATH)]
    if not KEYRING.exists():
        missing.append("debian-archive-keyring")
    if not missing:
        return
    say(f"apt-get install {' '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-qy", *RETRIES, "--no-install-recommends", *missing]
    try:
        run(command, env=env)
    except EngineError:
        run(["apt-get", "update", "-q", *RETRIES])
        run(command, env=env)


def unpack_engine(state: Path) -> Path:
    """Download and unpack the engine's packages on first use; return their folder."""
    root = state / "root"
    if not root.is_dir():
        debs = state / "debs"
        _download_from(state, "sid", ENGINE_PACKAGES, debs)
        say(f"downloading {', '.join(HOST_PACKAGES)}")
        plain = ["apt-get", "-q", *RETRIES, "-o", "APT::Sandbox::User=root"]
        try:
            run([*plain, "download", *HOST_PACKAGES], cwd=debs)
        except EngineError:
            run([*plain, "update"])
            run([*plain, "download", *HOST_PACKAGES], cwd=debs)
        _unpack(state, debs).rename(root)
    return root


def unpack_old_engine(state: Path) -> Path:
    """Download and unpack Docker 20.10 on first use; link the other programs of the new engine."""
    root = state / "root-old"
    if not root.is_dir():
        new = unpack_engine(state)
        debs = state / "debs-old"
        _download_from(state, OLD_SUITE, OLD_PACKAGES, debs)
        unpacked = _unpack(state, debs)
        for program in new.glob("usr/*bin/*"):
            if not (place := unpacked / program.relative_to(new)).exists():
                place.unlink(missing_ok=True)  # a link to a file that is not unpacked
                place.symlink_to(program)
        buildx = "usr/libexec/docker/cli-plugins/docker-buildx"
        (unpacked / buildx).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / buildx).symlink_to(new / buildx)
        unpacked.rename(root)
    return root


def unpack_buildah(state: Path) -> Path:
    """Download and unpack buildah and its libraries on first use; return their root folder."""
    root = state / "root-buildah"
    if not root.is_dir():
        debs = state / "debs-buildah"
        _download_from(state, "sid", BUILDAH_PACKAGES, debs, with_dependencies=True)
        unpacked = _unpack(state, debs, merged=True)
        for name in ("dev", "proc", "root", "storage", "sys", "tmp"):
            (unpacked / name).mkdir()
        user, group = "root:x:0:0:root:/root:/bin/sh\n", "root:x:0:\n"
        (unpacked / "etc/passwd").write_text(user, encoding="ascii")
        (unpacked / "etc/group").write_text(group, encoding="ascii")
        unpacked.rename(root)
    return root


def unpack_cosign(state: Path) -> Path:
    """Download and unpack cosign on first use; return its program."""
    root = state / "root-cosign"
    if not root.is_dir():
        debs = state / "debs-cosign"
        _download_from(state, "sid", COSIGN_PACKAGES, debs)
        _unpack(state, debs).rename(root)
    return root / "usr/bin/cosign"


def _download_from(
    state: Path,
    suite: str,
    packages: Sequence[str],
    debs: Path,
    *,
    with_dependencies: bool = False,
) -> None:
    """Download packages of a suite.

    apt downloads them with separate folders in the state directory. It verifies signatures and
    checksums, and the configuration of this machine's apt does not change.
    """
    private = state / "apt"
    for folder in (debs, private / "lists/partial", private / "cache/archives/partial"):
        folder.mkdir(parents=True, exist_ok=True)
    sources = private / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n", encoding="utf-8")
    apt = ["apt-get", "-q", *RETRIES, "-o", "APT::Sandbox::User=root"]
    apt += ["-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"]
    apt += ["-o", f"Dir::State={private}", "-o", "Dir::State::status=/dev/null"]
    apt += ["-o", f"Dir::Cache={private / 'cache'}"]
    say(f"downloading {', '.join(packages)} of {suite}")
    run([*apt, "update"])
    if with_dependencies:
        install = ["install", "--yes", "--no-install-recommends", "--download-only", *packages]
        run([*apt, *install])
        for deb in (private / "cache/archives").glob("*.deb"):
            deb.rename(debs / deb.name)
    else:
        run([*apt, "download", *packages], cwd=debs)
    shutil.rmtree(private)


def _unpack(state: Path, debs: Path, *, merged: bool = False) -> Path:
    """Unpack packages into a new folder; if `merged`, /bin and /lib are links into /usr."""
    for leftover in state.glob("unpack-*"):  # of a run that was killed
        shutil.rmtree(leftover)
    unpacked = Path(tempfile.mkdtemp(dir=state, prefix="unpack-"))
    for name in ("bin", "lib", "lib64", "sbin") if merged else ():
        (unpacked / "usr" / name).mkdir(parents=True)
        (unpacked / name).symlink_to(f"usr/{name}")
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg", "-x", deb, unpacked])
    unpacked.chmod(0o755)
    return unpacked
