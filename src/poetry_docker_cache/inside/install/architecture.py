"""Check that the packages of a layer have wheels for the architecture of this image.

All platforms of an image share one manifest, so only the installation can check this.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

# Machine names, and what Docker calls them.
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
    """Return whether a file is a wheel, not a source distribution."""
    return file["file"].endswith(".whl")


def platform_tags(file: dict[str, str]) -> list[str]:
    """Return the platform tags of a wheel, such as `manylinux_2_28_x86_64` or `any`."""
    return file["file"][: -len(".whl")].rpartition("-")[2].split(".")


def architecture(system: str) -> str:
    """Return the architecture in a platform tag: `x86_64` for `manylinux_2_28_x86_64`."""
    found = re.search("x86_64$|[^_]*$", system)
    return found[0] if found else system


def check_wheels(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest without packages that have no file and are only for other machines.

    Raises ValueError if a package for this machine has no file for its architecture.
    """
    candidates = [package for package in manifest["packages"] if may_lack_file(package)]
    if not candidates:
        return manifest
    # The tags that pip and Poetry use.
    supported = list(dict.fromkeys(tag.platform for tag in packaging("tags").sys_tags()))
    without = [
        package
        for package in candidates
        if not any(
            system in supported for file in package["files"] for system in platform_tags(file)
        )
    ]
    if missing := [package for package in without if is_wanted(package.get("marker"))]:
        raise ValueError(explain(missing, architecture(supported[0])))
    kept = [entry for entry in manifest["packages"] if entry["files"] or entry not in without]
    return {**manifest, "packages": kept}


def may_lack_file(package: dict[str, Any]) -> bool:
    """Return whether a package comes from an index and may not fit every architecture."""
    if package.get("source", {}).get("type", "legacy") != "legacy":
        return False
    return all(is_wheel(file) and "any" not in platform_tags(file) for file in package["files"])


def is_wanted(marker: str | None) -> bool:
    """Evaluate a marker for this machine; the installer decides what cannot be evaluated here."""
    try:
        return marker is None or bool(packaging("markers").Marker(marker).evaluate())
    except ValueError:  # the kernel's version is not valid in PEP 440
        return False


def packaging(module: str) -> Any:  # noqa: ANN401  # a module
    """Import a module of `packaging`: pip's copy, or Poetry's."""
    try:
        return importlib.import_module(f"pip._vendor.packaging.{module}")
    except ImportError:
        return importlib.import_module(f"packaging.{module}")


def explain(packages: list[dict[str, Any]], here: str) -> str:
    """Name the packages without a wheel for this architecture, and the remedies."""
    lines, known = [], {here}
    for package in packages:
        others = {
            architecture(system) for file in package["files"] for system in platform_tags(file)
        }
        known |= others
        only = f", only for {', '.join(sorted(others))}" if others else " with this C library"
        lines.append(f"{package['name']} {package['version']} has no wheel for {here}{only}.")
    named = ", ".join(f'"{PLATFORMS.get(name, f"linux/{name}")}"' for name in sorted(known))
    lines += [
        "If poetry.lock has a source distribution of it, set the platforms of the image in",
        "[tool.poetry-docker-cache]: then it is built from source.",
        f"platforms = [{named}]",
        "Otherwise lock a version that has such a wheel, or set another `base-image`. To leave it",
        f'out on this platform, add a marker in pyproject.toml: platform_machine != "{here}".',
    ]
    return "\n".join(lines)
