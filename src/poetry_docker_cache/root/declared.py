"""What pyproject.toml says of the wheel, whichever backend builds it."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.root.kinds import NoWheelError
from poetry_docker_cache.root.paths import is_here, leaves, relative, static_part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from poetry.core.poetry import Poetry

# How pip wants a script to begin: it stops at a module that has a dash in its name.
_SCRIPT = re.compile(r"\w+(\.\w+)*:\w")


def requires_of(build_system: Mapping[str, Any], default: str) -> tuple[str, ...]:
    """List what the backend needs; `default` is it where nothing is said."""
    return tuple(str(it) for it in build_system.get("requires", [default]))


def check_declared(poetry: Poetry, folder: Path, *, from_above: bool = False) -> None:
    """Raise NoWheelError for what is usually wrong, in shorter words than the builder's.

    `from_above`: whether poetry-core is that, so that a `from` may lead out of the project.
    """
    for readme in readmes(poetry):
        if not is_here(folder, readme):
            raise NoWheelError(f"the README `{readme}` is outside of the project")
        if not (folder / readme).is_file():
            raise NoWheelError(f"the README `{readme}` does not exist")
    for item in poetry.package.packages:
        source = item.get("from") or "."
        place = posixpath.normpath(posixpath.join(source, item["include"]))
        allowed = from_above and leaves(source) and not leaves(item["include"])
        if "wheel" not in item.get("format", "wheel"):
            continue
        if not allowed and not is_here(folder, static_part(place)):
            raise NoWheelError(f"packages from outside the project (`{place}`)")
        if from_above and static_part(place) == place and not (folder / place).exists():
            raise NoWheelError(f"`packages` names {place}, which does not exist")
    for name, reference in scripts(poetry).items():
        if not _SCRIPT.match(reference):
            raise NoWheelError(f"pip cannot install its script `{name}` (`{reference}`)")


def scripts(poetry: Poetry) -> dict[str, str]:
    """Give the references of the console scripts. Those of type `file` are copied as they are."""
    data = poetry.pyproject.data
    tables = {**data.get("tool", {}).get("poetry", {}).get("scripts", {})}
    tables.update(data.get("project", {}).get("scripts", {}))
    found = {}
    for name, target in tables.items():
        table = target if isinstance(target, dict) else {"reference": target}
        if table.get("type") != "file":
            found[str(name)] = str(table.get("reference") or table.get("callable") or "")
    return found


def check_from(poetry: Poetry) -> None:
    """Raise DockerCacheError for a `from` that leads out of the project in an unusual spelling.

    The build puts another folder in its place by the text of pyproject.toml.
    """
    above = [it["from"] for it in poetry.package.packages if leaves(it.get("from") or ".")]
    odd = [it for it in above if it.rstrip("/").removeprefix("./") != posixpath.normpath(it)]
    text = poetry.pyproject_path.read_text(encoding="utf-8")
    plain = re.findall(r"""from["']? *= *["'](?:\./)*\.\.[/"']""", text)
    if odd or len(plain) < len(above):
        raise DockerCacheError(
            f"The build cannot find {odd[0] if odd else above[0]} as pyproject.toml writes it:"
            " there the folder lies elsewhere, and its path is replaced in the text.",
            fix=f'Write `from = "{posixpath.normpath(odd[0] if odd else above[0])}"`, in one line'
            " and with no tab.",
        )


def readmes(poetry: Poetry) -> list[str]:
    """Name the readme files."""
    root = poetry.package.root_dir
    return [relative(root, readme) for readme in poetry.package.readmes] if root else []


def names_licenses(poetry: Poetry) -> bool:
    """Tell whether the build fails without a licence's file; one found by its name is no loss."""
    return "license-files" in poetry.pyproject.data.get("project", {})


def declared_license(poetry: Poetry) -> list[str]:
    """Name the file of `license = { file = … }`."""
    value = poetry.pyproject.data.get("project", {}).get("license")
    return [str(value["file"])] if isinstance(value, dict) and "file" in value else []
