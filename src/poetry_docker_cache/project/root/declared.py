"""What pyproject.toml declares for the wheel of any build backend, and tests of its paths."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.ignore_patterns import outermost
from poetry_docker_cache.docker.kept_out import is_kept_out
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import real_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from poetry.core.poetry import Poetry


class NoWheelError(Exception):
    """The reason why no wheel can be built from a folder."""


def static_part(pattern: str) -> str:
    """Return the part of a glob before the first wildcard."""
    parts = posixpath.normpath(pattern).split("/")
    plain = [index for index, part in enumerate(parts) if set(part) & set("*?[")]
    return "/".join(parts[: plain[0]] if plain else parts) or "."


def relative(root: Path, path: Path) -> str:
    """Return a path relative to a folder, in POSIX form."""
    return Path(os.path.relpath(path, root)).as_posix()


def is_here(folder: Path, path: str) -> bool:
    """Return whether a path is inside the project after following links."""
    name = posixpath.normpath(path)
    inside = not name.startswith(("..", "/"))
    place = real_path(folder / name)
    return inside and place.is_relative_to(real_path(folder))


def leaves(path: str) -> bool:
    """Return whether a path as written leaves the project."""
    return posixpath.normpath(path).split("/")[0] == ".."


def copied(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the existing paths to copy. Raises NoWheelError for one outside the folder."""
    names = {str(posixpath.normpath(path)) for path in paths}
    names -= {".", "pyproject.toml", "poetry.lock"}
    for name in sorted(names):
        if not is_here(folder, name):
            raise NoWheelError(f"`{name}` is outside the project")
    found = {name for name in names if (folder / name).exists()}
    for name in sorted(found):
        found.update(_link_targets(folder, name))
    return outermost(found - {"."})


def copied_from_above(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths to copy outside the project, from a larger build context."""
    found: list[str] = []
    for path in map(posixpath.normpath, paths):
        place, name = posixpath.split(path)
        base = Path(os.path.normpath(folder / place))
        # A whole parent folder, or a path through a link.
        if name == ".." or base.resolve() != base:
            raise NoWheelError(f"`{path}` is outside the project")
        found += [posixpath.join(place, inner) for inner in copied(base, [name])]
    return outermost(found)


def _link_targets(folder: Path, name: str) -> Iterator[str]:
    """Yield what copied links point to, which must be copied as well."""
    top = folder / name
    places = [top]
    for here, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not is_kept_out(name))
        places += [Path(here, name) for name in (*folders, *sorted(files))]
    for place in places:
        if place.is_symlink():
            link = relative(folder, place)
            if not is_here(folder, link):
                raise DockerCacheError(
                    f"{link} is a link that leaves the project, so the build does not have its"
                    " target.",
                    fix="Copy the target into the project, or remove the link.",
                )
            if place.exists():
                yield relative(folder.resolve(), place.resolve())


def is_file(path: Path) -> bool:
    """Return whether a path is a file; `Path.is_file` raises if the folder is not readable.

    Databases in containers create such folders in a project.
    """
    return os.path.isfile(path)  # noqa: PTH113  # as above


def text_of(path: Path) -> str:
    """Read a source file; return an empty text if that fails, or for a binary file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "" if "\0" in text else text


def folders(folder: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths that are folders."""
    return tuple(path for path in paths if (folder / path).is_dir())


# What `inside/install/wheel_tree.py` makes a script of.
_SCRIPT = re.compile(r"[\w-]+(\.[\w-]+)*:\w")


def requires_of(build_system: Mapping[str, Any], default: str) -> tuple[str, ...]:
    """List the requirements of the build; `default` is used if none are declared."""
    return tuple(map(str, build_system.get("requires", [default])))


def check_declared(poetry: Poetry, folder: Path, *, from_above: bool = False) -> None:
    """Raise NoWheelError for common mistakes, with a shorter message than the builder's.

    `from_above`: whether a `from` and the README may leave the project, which poetry-core allows,
    if pyproject.toml names them in the usual spelling.
    """
    for readme in readmes(poetry):
        allowed = from_above and leaves(readme) and _names_readme(poetry, readme)
        if not allowed and not is_here(folder, readme):
            raise NoWheelError(f"the README `{readme}` is outside the project")
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
            raise NoWheelError(f"its script `{name}` is `{reference}`, not `module:function`")


def _names_readme(poetry: Poetry, path: str) -> bool:
    """Return whether the build can replace the path of a README in the text of pyproject.toml."""
    text = poetry.pyproject_path.read_text(encoding="utf-8")
    named = rf"""(readme|file)["']? *= *(\[[^]\n]*)?["'](\./)*{re.escape(path)}["']"""
    return bool(re.search(named, text))


def scripts(poetry: Poetry) -> dict[str, str]:
    """Return the console scripts and their references, without those of type `file`."""
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
    """Raise DockerCacheError for a `from` outside the project in an unusual spelling.

    The build replaces that path in the text of pyproject.toml.
    """
    sources = [package.get("from") or "." for package in poetry.package.packages]
    above = [path for path in sources if leaves(path)]
    odd = [
        path for path in above if path.rstrip("/").removeprefix("./") != posixpath.normpath(path)
    ]
    text = poetry.pyproject_path.read_text(encoding="utf-8")
    plain = re.findall(r"""from["']? *= *["'](?:\./)*\.\.[/"']""", text)
    if odd or len(plain) < len(above):
        path = (odd or above)[0]
        raise DockerCacheError(
            f"The build cannot replace the path {path} in pyproject.toml: its spelling is unusual.",
            fix=f'Write `from = "{posixpath.normpath(path)}"` on one line, without tabs.',
        )


def readmes(poetry: Poetry) -> list[str]:
    """List the readme files."""
    root = poetry.package.root_dir
    return [relative(root, readme) for readme in poetry.package.readmes] if root else []


def names_licenses(poetry: Poetry) -> bool:
    """Return whether licence files are declared, so that the build fails without them."""
    return "license-files" in poetry.pyproject.data.get("project", {})


def declared_license(poetry: Poetry) -> list[str]:
    """List the file of `license = { file = … }`."""
    value = poetry.pyproject.data.get("project", {}).get("license")
    return [str(value["file"])] if isinstance(value, dict) and "file" in value else []


def main_module(folder: Path, modules: Iterable[tuple[str, str]], own: str) -> str | None:
    """Return the module for `python -m`: the one with the project's name, else the only one."""
    found = {name for name, place in modules if _runs(folder / place)} - {"."}
    return own if own in found else found.pop() if len(found) == 1 else None


def _runs(path: Path) -> bool:
    if path.suffix == ".py":
        starts = re.search(r"^if __name__ == ['\"]__main__['\"]", text_of(path), re.MULTILINE)
        return starts is not None
    return is_file(path / "__main__.py")
