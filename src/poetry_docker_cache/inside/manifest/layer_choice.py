"""Choose the layer of the image that a package belongs to.

The plugin and the build use the same code, so they agree: only the lock's file names, the minor
version of Python, the C library's name, the platforms that the project names and Poetry's settings
count, never the machine that asks.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal

from .markers import evaluate
from .wheel_files import SDIST, allowed, canonical, fits, fits_machine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .target import Target

    Kind = Literal["pure", "native", "source", "direct"]

MACHINE = "platform_machine"
SOURCE = "source"
"""The layer of what is built: everything of that kind is in this one."""

DIRECT = "direct"
"""The layer of what comes from no index: everything of that kind is in this one."""

DIRECT_TYPES = ("file", "git", "url")
"""What poetry.lock calls the sources of such packages; folders are none of them."""

SINGLE = "dependencies"
"""The only layer of wheels, where they are not split."""

STRONG_HASHES = ("sha256", "sha384", "sha512")
"""The only ones that pip accepts as proof that a file is the right one."""

KERNEL = ("platform_release", "platform_version")
"""Variables that pip compares in another way than Poetry: a kernel's name is not a version."""

LINUX = re.compile(r"-[^-]*linux[^-]*\.whl")
SHARED = re.compile(rf"{SINGLE}|(pure|native)-\d+")


def kind(
    package: Mapping[str, Any],
    target: Target,
    *,
    no_binary: Collection[str] = (),
    only_binary: Collection[str] = (),
) -> Kind:
    """Tell how a locked package is installed: directly, from source, from a wheel, native or not.

    `target` is one of `Target.linux` with a minor version; the two lists are Poetry's settings
    `installer.no-binary` and `installer.only-binary`. A package with any wheel for Linux counts as
    native for every Python, so that another Python does not move it. One that has to be built on
    one of the target's machines is with those from source on all, and so is one that pip cannot
    install as Poetry does: Poetry takes its wheel where there is one.
    """
    if package.get("source", {}).get("type") in DIRECT_TYPES:
        return "direct"
    names = [file["file"] for file in package.get("files", ())]
    wheels, sdists = allowed(package["name"], no_binary, only_binary)
    fitting = [name for name in names if wheels and fits(name, target)]
    if not fitting or unfit_for_pip(package):
        return "source"
    has_sdist = sdists and any(name.endswith(SDIST) for name in names)
    if has_sdist and machines_without_wheel(package, fitting, target):
        return "source"
    return "native" if any(map(LINUX.search, names)) else "pure"


def unfit_for_pip(package: Mapping[str, Any]) -> str:
    """Say what in the lock pip does not read as Poetry does; "" for nearly all packages.

    Poetry writes sha256 hashes since 1.0: others were carried over from an older lock.
    """
    for name in KERNEL:
        if name in package.get("marker", ""):
            return f"its marker names {name}"
    for file in package.get("files", ()):
        algorithm = str(file["hash"]).partition(":")[0]
        if algorithm not in STRONG_HASHES:
            return f"poetry.lock has only its {algorithm} hash"
    return ""


def machines_without_wheel(
    package: Mapping[str, Any], fitting: Collection[str], target: Target
) -> list[str]:
    """List those of the target's machines where a package is wanted and none of these wheels fits.

    Its `marker` says where it is wanted: what `select` leaves undecided of the lock's markers.
    """
    lacking = [it for it in target.machines if not any(fits_machine(name, it) for name in fitting)]
    marker = package.get("marker", "")
    return [it for it in lacking if evaluate(marker, {**target.environment, MACHINE: it}, set())]


def assign(name: str, kind: Kind, layers: Sequence[str]) -> str:
    """Choose among the layers that exist the one for a package of this kind.

    A layer of its own comes first. Otherwise each layer bids for the name by a hash and the highest
    wins: no package moves when another one comes or goes, nor when a layer goes that held none; a
    new layer takes packages, but moves none between the others. Raises ValueError if no layer fits.
    """
    name = canonical(name)
    candidates: list[str]
    if kind in (SOURCE, DIRECT):
        candidates = [layer for layer in layers if layer == kind]
    elif f"own-{name}" in layers:
        return f"own-{name}"
    else:
        shared = [layer for layer in layers if SHARED.fullmatch(layer)]
        candidates = [layer for layer in shared if layer.startswith(kind)]
        # Native code stays out of layers of pure packages, which are not checked for libraries.
        candidates = candidates or [it for it in shared if kind == "pure" or it == SINGLE]
    if not candidates:
        why = {"source": ", which is built from source", "native": ", which has compiled code"}
        why["direct"] = ", which comes from no index"
        what = name + why.get(kind, "")
        raise ValueError(
            f"the Dockerfile has no layer for {what}: it was written for another poetry.lock or"
            " other settings. Run `poetry docker export`, then build again."
        )
    return max(candidates, key=lambda layer: hashlib.sha256(f"{layer}:{name}".encode()).digest())
