"""Choose the layer of the image that a package belongs to.

The plugin and the build use the same code, so they agree. The choice depends on the file names in
the lock, the minor version of Python, the name of the C library, the platforms in the settings and
Poetry's own settings, never on the machine that runs this.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal

from .markers import canonical, evaluate
from .wheel_files import SDIST, fits, fits_machine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .target import Target

    Kind = Literal["pure", "native", "source", "direct"]

MACHINE = "platform_machine"
SOURCE = "source"
"""The layer of all packages that are built from source."""

DIRECT = "direct"
"""The layer of all packages that do not come from an index."""

DIRECT_TYPES = ("file", "git", "url")
"""The source types of such packages in poetry.lock; folders have build stages instead."""

SINGLE = "dependencies"
"""The only layer of wheels if they are not split."""

STRONG_HASHES = ("sha256", "sha384", "sha512")
"""The hashes that pip accepts with `--require-hashes`."""

KERNEL = ("platform_release", "platform_version")
"""Variables that pip and Poetry compare differently: kernel versions are not valid in PEP 440."""

LINUX = re.compile(r"-[^-]*linux[^-]*\.whl")
SHARED = re.compile(rf"{SINGLE}|(pure|native)-\d+")


def kind(
    package: Mapping[str, Any],
    target: Target,
    *,
    no_binary: Collection[str] = (),
    only_binary: Collection[str] = (),
) -> Kind:
    """Return how a locked package is installed: directly, from source, or from which kind of wheel.

    `target` comes from `Target.linux` with a minor version. The two lists are Poetry's settings
    `installer.no-binary` and `installer.only-binary`. A package with any wheel for Linux is native
    for every Python, so that another Python does not move it to another layer; so is one that only
    some machines need, since all machines share the layers of pure packages. A package is from
    source on all machines if one of them must build it, or if pip and Poetry would install it
    differently: Poetry installs that layer, and uses wheels where they exist.
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
    depends_on_machine = MACHINE in package.get("marker", "")
    return "native" if depends_on_machine or any(map(LINUX.search, names)) else "pure"


def unfit_for_pip(package: Mapping[str, Any]) -> str:
    """Return why pip would install a package differently from Poetry; "" for nearly all packages.

    Poetry writes sha256 hashes since version 1.0: other hashes come from an older lock.
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
    """List the target's machines that want a package and have no wheel of it.

    The package's `marker` is what `select` has left undecided.
    """
    marker, environment = package.get("marker", ""), target.environment
    return [
        machine
        for machine in target.machines
        if not any(fits_machine(name, machine) for name in fitting)
        and evaluate(marker, {**environment, MACHINE: machine}, set())
    ]


def allowed(
    name: str, no_binary: Collection[str], only_binary: Collection[str]
) -> tuple[bool, bool]:
    """Return whether Poetry's settings allow wheels, and source distributions, of a package.

    As in Poetry's chooser, a name has priority over `:all:` in the other list.
    """
    name = canonical(name)
    wheels = name not in no_binary and (":all:" not in no_binary or name in only_binary)
    sdists = name not in only_binary and (":all:" not in only_binary or name in no_binary)
    return wheels, sdists


def assign(name: str, kind: Kind, layers: Sequence[str]) -> str:
    """Choose one of the existing layers for a package of this kind.

    A package may have its own layer. Otherwise the layer with the highest hash of its name and the
    package's name gets it (rendezvous hashing). No package moves when another one is added or
    removed, or when an empty layer is removed. A new layer takes packages from others, but moves
    none between them. Raises ValueError if no layer fits.
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
        # Layers of pure packages are not checked for shared libraries, so no native code there.
        candidates = candidates or [layer for layer in shared if kind == "pure" or layer == SINGLE]
    if not candidates:
        why = {"source": ", which is built from source", "native": ", which has compiled code"}
        why["direct"] = ", which does not come from an index"
        raise ValueError(
            f"the Dockerfile has no layer for {name}{why.get(kind, '')}. poetry.lock or the"
            " settings have changed since its export. Run `poetry docker export`, then build again."
        )
    return max(candidates, key=lambda layer: hashlib.sha256(f"{layer}:{name}".encode()).digest())
