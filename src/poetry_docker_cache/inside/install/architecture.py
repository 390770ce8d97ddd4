"""Choose what a machine needs of a manifest, and check that it has wheels for it.

All platforms of an image share one manifest. The build runs on one machine and installs for any.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import site
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

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
X86 = ("x86_64", "i686")
# Tags for C libraries that are older than the first one for any other machine.
ONLY_X86 = (
    *(f"manylinux_2_{minor}" for minor in range(16, 11, -1)),
    "manylinux2010",
    *(f"manylinux_2_{minor}" for minor in range(11, 4, -1)),
    "manylinux1",
)


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


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the image's platform. BuildKit sets the variable in stages that ask."""
    platform = os.environ.get("TARGETPLATFORM", "")
    parser.add_argument("--platform", dest="machine", type=machine_of, default=platform)


def machine_of(platform: str) -> str:
    """Return the machine of a platform of Docker: `aarch64` for `linux/arm64`; "" is this one."""
    if not platform:
        return architecture(platform_names()[0])
    parts = platform.split("/")
    name = "/".join(parts if parts[1] == "arm" else parts[:2])
    # The last one that is assigned stays.
    return {docker: own for own, docker in reversed(PLATFORMS.items())}.get(name, parts[1])


def platform_names() -> list[str]:
    """Return the platform tags that this Python supports, the best first."""
    return list(dict.fromkeys(tag.platform for tag in packaging("tags").sys_tags()))


def supported_platforms(machine: str) -> list[str]:
    """Return the platform tags that this image's Python supports on another machine.

    The image of the other machine has the same C library: it is built from the same release.
    """
    names = platform_names()
    own = architecture(names[0])
    there = [f"{name[: -len(own)]}{machine}" if name.endswith(own) else name for name in names]
    if machine in X86 and own not in X86 and (last := f"manylinux2014_{machine}") in there:
        place = there.index(last) + 1
        there[place:place] = [f"{name}_{machine}" for name in ONLY_X86]
    return there


def supported_tags(machine: str) -> list[str]:
    """Return all tags that this image's Python supports on a machine, the best first."""
    tags = list(packaging("tags").sys_tags())
    platforms = [name for name in supported_platforms(machine) if name != "any"]
    native = dict.fromkeys((tag.interpreter, tag.abi) for tag in tags if tag.platform != "any")
    found = [f"{version}-{abi}-{name}" for version, abi in native for name in platforms]
    return found + [str(tag) for tag in tags if tag.platform == "any"]


def fits(wheel: str, machine: str) -> bool:
    """Return whether a wheel can be installed on a machine, by its file name."""
    _, _, _, tags = packaging("utils").parse_wheel_filename(wheel)
    return not {str(tag) for tag in tags}.isdisjoint(supported_tags(machine))


def select(manifest: dict[str, Any], machine: str) -> dict[str, Any]:
    """Return the manifest with only the packages for a machine, and without their markers.

    Raises ValueError if one of them has no file for the machine.
    """
    packages = [entry for entry in manifest["packages"] if is_wanted(entry.get("marker"), machine)]
    supported = set(supported_platforms(machine)) if any(map(may_lack_file, packages)) else set()
    missing = [
        package
        for package in packages
        if may_lack_file(package)
        and not any(
            system in supported for file in package["files"] for system in platform_tags(file)
        )
    ]
    if missing:
        raise ValueError(explain(missing, machine))
    kept = [{key: value for key, value in entry.items() if key != "marker"} for entry in packages]
    return {**manifest, "packages": kept}


def may_lack_file(package: dict[str, Any]) -> bool:
    """Return whether a package comes from an index and may not fit every architecture."""
    if package.get("source", {}).get("type", "legacy") != "legacy":
        return False
    return all(is_wheel(file) and "any" not in platform_tags(file) for file in package["files"])


def is_wanted(marker: str | None, machine: str) -> bool:
    """Evaluate a marker for a machine; the manifest has no markers about the kernel for pip."""
    known = {"platform_machine": machine}
    return marker is None or bool(packaging("markers").Marker(marker).evaluate(known))


def packaging(module: str) -> Any:  # noqa: ANN401  # a module
    """Import a module of `packaging`: pip's copy, or Poetry's, or that of the image's pip."""
    try:
        return importlib.import_module(f"pip._vendor.packaging.{module}")
    except ImportError:
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"packaging.{module}")
        # In an environment without either, such as that of a build backend.
        sys.path += site.getsitepackages([sys.base_prefix])
        return importlib.import_module(f"pip._vendor.packaging.{module}")


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
