"""The root of a project that another backend than poetry-core builds.

No backend says what it takes without being run, so this goes by what pyproject.toml names and by
the conventions that all of them share. Too much is harmless here, too little is not.
"""

from __future__ import annotations

import ast
import configparser
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poetry.core.utils.helpers import module_name

from poetry_docker_cache.project.git import git_ignored
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.root.applications import main_module
from poetry_docker_cache.project.root.declared import (
    check_declared,
    copied,
    declared_license,
    folders,
    is_file,
    is_here,
    readmes,
    requires_of,
)
from poetry_docker_cache.project.root.no_wheel import NoWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from poetry.core.poetry import Poetry


def decide(folder: Path) -> bool:
    """Tell whether one of them does."""
    return _script_decides(folder / "setup.py") or _settings_decide(folder / "setup.cfg")


def _script_decides(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return True
    return not all(_says_nothing(it) for it in body)


def _says_nothing(statement: ast.stmt) -> bool:
    """An import of setuptools, a text, `setup()`, or that below `if __name__ == "__main__"`."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "setuptools"
    if isinstance(statement, ast.Import):
        return all(it.name == "setuptools" for it in statement.names)
    if isinstance(statement, ast.If):
        return all(_says_nothing(it) for it in (*statement.body, *statement.orelse))
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) or (
        isinstance(value, ast.Call) and not value.args and not value.keywords
    )


def _settings_decide(path: Path) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return True
    return any(
        name.partition(".")[0] in {"metadata", "options"} and parser.items(name)
        for name in parser.sections()
    )


_COMPILING = ("maturin", "scikit_build_core", "skbuild", "mesonpy", "setuptools_rust")
_COMPILING_REQUIREMENTS = (
    r"cython|cffi|pybind11|nanobind|setuptools[-_]rust|mypyc|numpy|scikit-build"
)
_RUST = ("Cargo.toml", "Cargo.lock", "build.rs", "src", "crates", "rust-toolchain.toml", ".cargo")
_FILES = {
    "setuptools": ("setup.py", "setup.cfg", "MANIFEST.in", "versioneer.py", "VERSION", *_RUST[:3]),
    "hatchling": ("hatch.toml", "hatch_build.py"),
    "pdm": ("pdm_build.py",),
    "maturin": (*_RUST, "python"),
    "scikit_build_core": ("CMakeLists.txt", "cmake", "src", "include"),
    "mesonpy": ("meson.build", "meson.options", "meson_options.txt", "subprojects", "src"),
}
_LICENSES = ("COPYING*", "LICEN[SC]E*", "AUTHORS*", "NOTICE*")
# Packages by their form, but seldom a part of what is installed.
_NOT_INSTALLED = {"tests", "test", "testing", "docs", "doc", "examples", "benchmarks", "scripts"}
# Settings that name a file or a folder, or several.
_NAMING = (
    "setuptools.packages.find.where",
    "setuptools.package-dir",
    "setuptools.license-files",
    "setuptools.dynamic.version.file",
    "setuptools.dynamic.readme.file",
    "setuptools.dynamic.dependencies.file",
    "setuptools_scm.write_to",
    "hatch.version.path",
    "hatch.metadata.hooks.custom.path",
    "hatch.build.hooks.custom.path",
    "hatch.build.targets.wheel.hooks.custom.path",
    "hatch.build.targets.wheel.packages",
    "hatch.build.targets.wheel.include",
    "hatch.build.targets.wheel.only-include",
    "hatch.build.targets.wheel.force-include",
    "hatch.build.packages",
    "hatch.build.include",
    "hatch.build.force-include",
    "pdm.version.path",
    "pdm.build.includes",
    "pdm.build.package-dir",
    "pdm.build.custom-hook",
    "maturin.python-source",
    "maturin.manifest-path",
    "maturin.include",
    "scikit-build.wheel.packages",
    "uv.build-backend.module-root",
)
_FINDING_NAMESPACES = ("setuptools", "pdm")
"""They take folders without an `__init__.py`, too; the others need to be told, or the name."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project folder, its pyproject.toml, the backend's name and the expected import name."""

    folder: Path
    data: Mapping[str, Any]
    backend: str
    module: str

    def packages(self) -> list[str]:
        """Name the folders and modules with the code: declared ones, else found by convention."""
        named = [name for name in self._named() if (self.folder / name).is_dir()]
        source = [it for it in ("src",) if any(self._packages_in(self.folder / it))]
        return sorted({*named, *source, *self._namespaces(), *self.importable()})

    def importable(self) -> list[str]:
        """Name the packages and modules themselves."""
        places = {"src": self.folder / "src", "": self.folder}
        tool = self.data.get("tool", {})
        for name in _strings(_at(tool, "setuptools.packages.find.where")):
            places[name.strip("./")] = self.folder / name
        found = [
            f"{place}/{name}".lstrip("/")
            for place, folder in places.items()
            for name in self._packages_in(folder)
        ]
        modules = _strings(_at(tool, "setuptools.py-modules"))
        declared = _strings(_at(tool, "hatch.build.targets.wheel.packages"))
        declared += [name.split(".")[0] for name in _strings(_at(tool, "setuptools.packages"))]
        found += [name for name in declared if (self.folder / name).is_dir()]
        found += [f"{it}.py" for it in modules if (self.folder / f"{it}.py").is_file()]
        return sorted(set(found))

    def _namespaces(self) -> list[str]:
        """Name folders of packages that have no `__init__.py` at their top (PEP 420)."""
        finds = self.backend.startswith(_FINDING_NAMESPACES)
        code = "**/*.py" if finds else f"*/{self.module}/__init__.py"
        first = self.module.split("_")[0]
        places = {"src": code, first: code.removeprefix("*/")}
        return [
            name
            for name, glob in places.items()
            if name not in _NOT_INSTALLED and any((self.folder / name).glob(glob))
        ]

    def files(self) -> list[str]:
        """Name what is read beside the code: build scripts, licences, files of the version."""
        names = [*self._named()]
        for backend, files in _FILES.items():
            if self.backend.startswith(backend):
                names += files
        if self.backend.startswith("mesonpy"):
            names += [it.parent.name for it in self.folder.glob("*/meson.build")]
        licenses = _strings(self.data.get("project", {}).get("license-files"))
        names += licenses
        found = [it for pattern in names if pattern.strip("/") for it in self._existing(pattern)]
        usual = () if licenses else _LICENSES  # no loss, where a link leads out of the folder
        return found + [
            it for pattern in usual for it in self._existing(pattern) if is_here(self.folder, it)
        ]

    def whole(self) -> bool:
        """Tell whether only the backend knows what it takes, so that it needs the whole folder."""
        return self.backend.startswith("setuptools") and decide(self.folder)

    def native(self) -> bool:
        """Tell whether the backend is one for compiled code, which needs no Python beside it."""
        return self.backend.startswith(_COMPILING)

    def needs_compiler(self, requires: Sequence[str]) -> bool:
        """Tell whether building runs a compiler, as far as that shows."""
        if self.native():
            return True
        if any(re.match(_COMPILING_REQUIREMENTS, it, re.IGNORECASE) for it in requires):
            return True
        if _at(self.data.get("tool", {}), "setuptools.ext-modules"):
            return True
        script = self.folder / "setup.py"
        text = script.read_text(encoding="utf-8", errors="replace") if script.is_file() else ""
        return re.search(r"ext_modules|cffi_modules|rust_extensions|Extension\(", text) is not None

    def artifacts(self) -> list[str]:
        """Give the globs by which hatchling takes what git ignores."""
        tool = self.data.get("tool", {})
        tables = ("hatch.build", "hatch.build.targets.wheel")
        keys = ("artifacts", "force-include")
        found = [
            name for it in tables for key in keys for name in _strings(_at(tool, f"{it}.{key}"))
        ]
        return [name.strip("/") for name in found if not name.startswith("!")]

    def _named(self) -> list[str]:
        tool = self.data.get("tool", {})
        names = [name for key in _NAMING for name in _strings(_at(tool, key))]
        fragments = _at(tool, "hatch.metadata.hooks.fancy-pypi-readme.fragments") or ()
        names += [str(it["path"]) for it in fragments if "path" in it]
        return [name for name in names if name.strip("./")]

    def _existing(self, pattern: str) -> Iterator[str]:
        """Give a path, or what a glob finds: its plain part where it has one."""
        path = pattern.strip("/")
        plain = re.split(r"[*?\[]", path, maxsplit=1)[0]
        if plain == path:
            yield path
        elif "/" in plain:
            yield plain.rpartition("/")[0]
        else:
            yield from sorted(it.name for it in self.folder.glob(path.split("/")[0]))

    def _packages_in(self, folder: Path) -> Iterator[str]:
        tool = self.data.get("tool", {})
        told = ("uv.build-backend.module-name", "flit.module.name")
        modules = (it for key in told for it in _strings(_at(tool, key)))
        names = {self.module, *(it.split(".")[0] for it in modules)}
        yield from (f"{it}.py" for it in sorted(names) if (folder / f"{it}.py").is_file())
        children = sorted(folder.iterdir()) if folder.is_dir() else []
        for child in children:
            known = child.name in names or is_file(child / "__init__.py")
            if child.is_dir() and known and child.name not in _NOT_INSTALLED - names:
                yield child.name


def _at(table: Any, dotted: str) -> Any:  # noqa: ANN401  # TOML is any shape
    for key in dotted.split("."):
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _strings(value: Any) -> list[str]:  # noqa: ANN401
    """Read a string, a list of strings, or a table's keys or values that are paths."""
    if isinstance(value, str):
        return [str(value)]
    if isinstance(value, dict):
        return [str(it) for pair in value.items() for it in pair if isinstance(it, str) and it]
    return [str(it) for it in value if isinstance(it, str)] if isinstance(value, list) else []


def read_other(poetry: Poetry, folder: Path, build_system: Mapping[str, Any]) -> WheelRoot:
    """Go by what pyproject.toml names and by conventions. Raises NoWheelError."""
    name = module_name(poetry.package.name)
    backend = str(build_system["build-backend"])
    requires = requires_of(build_system, "setuptools")
    check_declared(poetry, folder)
    project = Project(folder=folder, data=poetry.pyproject.data, backend=backend, module=name)
    packages = project.packages()
    if not packages and not project.native() and not project.whole():
        raise NoWheelError(f"no module or package of the name `{name}`, nor another one")
    others = [*readmes(poetry), *declared_license(poetry), *project.files()]
    paths = copied(folder, [*packages, *others, *build_system.get("backend-path", [])])
    hatch = backend.startswith("hatchling")
    inside = folders(folder, paths) if hatch else ()
    modules = [(re.sub("^src/", "", it).replace("/", "."), it) for it in project.importable()]
    return WheelRoot(
        paths=paths,
        requires=requires,
        backend=backend,
        backend_path=tuple(map(str, build_system.get("backend-path", ()))),
        needs_compiler=project.needs_compiler(requires),
        module=main_module(folder, modules, name),
        git_ignored=git_ignored(folder, inside, included=project.artifacts(), ask_git=False),
        whole=project.whole(),
    )
