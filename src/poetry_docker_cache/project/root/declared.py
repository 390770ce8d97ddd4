"""What pyproject.toml says about the wheel, whichever backend builds it, and its paths."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.ignore_patterns import outermost
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.root.no_wheel import NoWheelError
from poetry_docker_cache.system.compat import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from poetry.core.poetry import Poetry


class OutsideError(Exception):
    """A path leaves the project."""


def static_part(pattern: str) -> str:
    """Give the part of a glob that is a plain path."""
    parts = posixpath.normpath(pattern).split("/")
    plain = [index for index, part in enumerate(parts) if set(part) & set("*?[")]
    return "/".join(parts[: plain[0]] if plain else parts) or "."


def relative(root: Path, path: Path) -> str:
    """Write a path as seen from a folder."""
    return Path(os.path.relpath(path, root)).as_posix()


def is_here(folder: Path, path: str) -> bool:
    """Tell whether a path is inside the project, links followed."""
    name = posixpath.normpath(path)
    inside = not name.startswith(("..", "/"))
    place = real_path(folder / name)
    return inside and place.is_relative_to(real_path(folder))


def leaves(path: str) -> bool:
    """Tell whether a path, as it is written, leads out of the project."""
    return posixpath.normpath(path).split("/")[0] == ".."


def copied(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Take the paths that are there; refuse what no build context of this folder can hold."""
    names = {str(posixpath.normpath(path)) for path in paths} - {
        ".",
        "pyproject.toml",
        "poetry.lock",
    }
    for name in sorted(names):
        if not is_here(folder, name):
            raise OutsideError(f"`{name}` is outside of the project")
    found = {name for name in names if (folder / name).exists()}
    for name in sorted(found):
        found.update(_link_targets(folder, name))
    return outermost(found - {"."})


def copied_from_above(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Take paths that leave the project, for a build context that holds more than it."""
    found: list[str] = []
    for path in map(posixpath.normpath, paths):
        place, name = posixpath.split(path)
        base = Path(os.path.normpath(folder / place))
        if name == ".." or base.resolve() != base:  # all that is beside it, or behind a link
            raise OutsideError(f"`{path}` is outside of the project")
        found += [posixpath.join(place, it) for it in copied(base, [name])]
    return outermost(found)


def _link_targets(folder: Path, name: str) -> Iterator[str]:
    """A copied link needs what it points to."""
    top = folder / name
    places = [top]
    for here, folders, files in os.walk(top):
        folders[:] = sorted(it for it in folders if not is_kept_out(it))
        places += [Path(here, it) for it in (*folders, *sorted(files))]
    for place in places:
        if place.is_symlink():
            link = relative(folder, place)
            if not is_here(folder, link):
                raise DockerCacheError(
                    f"{link} is a link that leaves the project: a build does not see what it"
                    " points to, so the package would lack it.",
                    fix="Copy what it points to into the project, or take the link away.",
                )
            if place.exists():
                yield relative(folder.resolve(), place.resolve())


def is_file(path: Path) -> bool:
    """Tell whether a path is a file; `Path.is_file` raises where this user may not look.

    Databases that run in containers leave such folders in a project.
    """
    return os.path.isfile(path)  # noqa: PTH113  # as above


def text_of(path: Path) -> str:
    """Give the text of a source file; none, where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def folders(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Give those that are folders."""
    return tuple(path for path in paths if (folder / path).is_dir())


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
