"""Check that a layer's packages have wheels for the architecture of this image.

The manifest is the same for all platforms of an image, so it cannot check that.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

# As Docker calls them.
PLATFORMS = {
    "aarch64": "linux/arm64",
    "armv6l": "linux/arm/v6",
    "armv7l": "linux/arm/v7",
    "armv8l": "linux/arm/v7",
    "i686": "linux/386",
    "loongarch64": "linux/loong64",
    "x86_64": "linux/amd64",
}


def is_wheel(file: dict[str, str]) -> bool:
    """Tell a wheel from a source distribution."""
    return file["file"].endswith(".whl")


def systems(file: dict[str, str]) -> list[str]:
    """Give the operating systems and architectures of a wheel: `manylinux_2_28_x86_64`, `any`."""
    return file["file"][: -len(".whl")].rpartition("-")[2].split(".")


def architecture(system: str) -> str:
    """Give the last part of `manylinux_2_28_x86_64`: x86_64."""
    found = re.search("x86_64$|[^_]*$", system)
    return found[0] if found else system


def checked(manifest: dict[str, Any]) -> dict[str, Any]:
    """Give the manifest without packages that have no file, as other machines want them only.

    Raises ValueError if a package that is wanted here has no file for this architecture.
    """
    doubtful = [package for package in manifest["packages"] if is_doubtful(package)]
    if not doubtful:
        return manifest
    # What pip and Poetry go by.
    supported = list(dict.fromkeys(tag.platform for tag in packaging("tags").sys_tags()))
    without = [
        package
        for package in doubtful
        if not any(system in supported for file in package["files"] for system in systems(file))
    ]
    if lacking := [package for package in without if is_wanted(package.get("marker"))]:
        raise ValueError(explanation(lacking, architecture(supported[0])))
    kept = [it for it in manifest["packages"] if it["files"] or it not in without]
    return {**manifest, "packages": kept}


def is_doubtful(package: dict[str, Any]) -> bool:
    """Tell whether only some architectures can install a package that comes from an index."""
    if package.get("source", {}).get("type", "legacy") != "legacy":
        return False
    return all(is_wheel(file) and "any" not in systems(file) for file in package["files"])


def is_wanted(marker: str | None) -> bool:
    """Decide what the manifest left open; what cannot be decided so, is the installer's affair."""
    try:
        return marker is None or bool(packaging("markers").Marker(marker).evaluate())
    except ValueError:  # the kernel's version is not one of PEP 440
        return False


def packaging(module: str) -> Any:  # noqa: ANN401  # a module
    """Import a module of the packaging that is here: pip's own, or Poetry's."""
    try:
        return importlib.import_module(f"pip._vendor.packaging.{module}")
    except ImportError:
        return importlib.import_module(f"packaging.{module}")


def explanation(packages: list[dict[str, Any]], here: str) -> str:
    """Say which packages those are, and what would help."""
    lines, known = [], {here}
    for package in packages:
        others = {architecture(it) for file in package["files"] for it in systems(file)}
        known |= others
        only = f", only for {', '.join(sorted(others))}" if others else " with this C library"
        lines.append(f"{package['name']} {package['version']} has no wheel for {here}{only}.")
    named = ", ".join(f'"{PLATFORMS.get(it, f"linux/{it}")}"' for it in sorted(known))
    lines += [
        "If poetry.lock has its source distribution, it is built there: name the platforms of the",
        "image in [tool.poetry-docker-cache], such as",
        f"platforms = [{named}]",
        "Else lock a version that has such a wheel, or set another `base-image`; or keep it out of",
        f'there by a marker in pyproject.toml: platform_machine != "{here}".',
    ]
    return "\n".join(lines)
