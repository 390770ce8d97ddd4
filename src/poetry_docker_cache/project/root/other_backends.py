"""The root package of a project with another build backend than poetry-core.

A backend lists its files only when it runs, so they are found by the paths in pyproject.toml and by
the conventions that all backends share. An additional path does no harm, a missing one does.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from poetry.core.utils.helpers import module_name

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.project.git import git_ignored
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.root.declared import (
    NoWheelError,
    check_declared,
    copied,
    declared_license,
    folders,
    is_file,
    is_here,
    main_module,
    readmes,
    requires_of,
    static_part,
)
from poetry_docker_cache.project.root.rust import build_folders, cargo_paths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from poetry.core.poetry import Poetry


def _setuptools_files_decide(folder: Path) -> bool:
    """Return whether setup.py or setup.cfg decides what is in the wheel."""
    return _has_call_with_arguments(folder / "setup.py") or _has_options(folder / "setup.cfg")


def _has_call_with_arguments(script: Path) -> bool:
    if not script.is_file():
        return False
    try:
        calls = [
            node for node in ast.walk(ast.parse(script.read_bytes())) if isinstance(node, ast.Call)
        ]
    except (SyntaxError, ValueError):
        return True
    return any(call.args or call.keywords for call in calls)


def _has_options(settings: Path) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(settings, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return True
    return any(
        name.partition(".")[0] in {"metadata", "options"} and parser.items(name)
        for name in parser.sections()
    )


_COMPILING = ("maturin", "scikit_build_core", "skbuild", "mesonpy", "setuptools_rust")
_COMPILING_REQUIREMENTS = {
    "cffi",
    "cython",
    "mypy",
    "nanobind",
    "numpy",
    "pybind11",
    "scikit-build",
    "scikit-build-core",
    "setuptools-rust",
}
_FILES = {
    "setuptools": ("setup.py", "setup.cfg", "MANIFEST.in", "versioneer.py", "VERSION"),
    "hatchling": ("hatch.toml", "hatch_build.py"),
    "pdm": ("pdm_build.py",),
    "maturin": ("python",),
    "scikit_build_core": ("CMakeLists.txt", "cmake", "src", "include"),
    "mesonpy": ("meson.build", "meson.options", "meson_options.txt", "subprojects", "src"),
}
_LICENSES = ("COPYING*", "LICEN[SC]E*", "AUTHORS*", "NOTICE*")
# Folders that look like packages but are usually not installed.
_NOT_INSTALLED = {"tests", "test", "testing", "docs", "doc", "examples", "benchmarks", "scripts"}
# Settings with the paths of files or folders.
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
    "maturin.data",
    "scikit-build.wheel.packages",
    "uv.build-backend.module-root",
)
# Settings that name the packages or modules in the wheel.
_SHIPPING = {
    "flit": ("flit.module.name",),
    "hatchling": tuple(
        f"{table}.{key}"
        for table in ("hatch.build.targets.wheel", "hatch.build")
        for key in ("packages", "only-include", "include", "force-include")
    ),
    "maturin": ("maturin.module-name", "maturin.python-packages"),
    "pdm": ("pdm.build.includes",),
    "setuptools": ("setuptools.packages", "setuptools.py-modules"),
    "uv_build": ("uv.build-backend.module-name",),
}
_SHIPPING_ONE = ("flit", "hatchling", "maturin", "uv_build")
"""These backends pack only the package with the project's name, unless a setting names others."""
_FINDING_NAMESPACES = ("setuptools", "pdm")
"""These backends also find packages without an `__init__.py`, whatever their name."""


@dataclass(frozen=True, kw_only=True)
class BackendProject:
    """A project folder and its pyproject.toml, with the names of the backend and of the module."""

    folder: Path
    data: Mapping[str, Any]
    backend: str
    module: str

    def packages(self) -> list[str]:
        """List the folders and modules with the code, declared or found by convention."""
        named = [name for name in self._named() if (self.folder / name).is_dir()]
        source = ["src"] if any(self._packages_in(self.folder / "src")) else []
        return sorted({*named, *source, *self._namespaces(), *self.importable()})

    def finds_namespaces(self) -> bool:
        """Return whether there may be packages beside those that `importable` lists."""
        return self.needs_whole_folder() or bool(self._namespaces())

    def importable(self) -> list[str]:
        """List the packages and modules that can be imported."""
        places = {"src": self.folder / "src", "": self.folder}
        tool = self.data.get("tool", {})
        for key in ("setuptools.packages.find.where", "maturin.python-source"):
            for name in _strings(_at(tool, key)):
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
        found += [f"{name}.py" for name in modules if (self.folder / f"{name}.py").is_file()]
        return sorted(set(found))

    def _namespaces(self) -> list[str]:
        """List the folders of namespace packages, which have no `__init__.py` (PEP 420)."""
        finds = self.backend.startswith(_FINDING_NAMESPACES)
        code = "**/*.py" if finds else f"*/{self.module}/__init__.py"
        first = self.module.split("_")[0]
        places = {"src": code, first: code.removeprefix("*/")}
        return [
            name
            for name, glob in places.items()
            if name not in _NOT_INSTALLED and any((self.folder / name).glob(glob))
        ]

    def files(self, required: Collection[str]) -> list[str]:
        """List what the build reads beside the code: scripts, licences, the version file.

        `required` are the names of the build requirements.
        """
        names = [*self._named()]
        for backend, files in _FILES.items():
            if self.backend.startswith(backend):
                names += files
        if self.backend.startswith("maturin") or "setuptools-rust" in required:
            names += cargo_paths(self.folder, [*self._manifests()])
        if self.backend.startswith("mesonpy"):
            names += [path.parent.name for path in self.folder.glob("*/meson.build")]
        licenses = _strings(self.data.get("project", {}).get("license-files"))
        names += licenses
        found = [
            path for pattern in names if pattern.strip("/") for path in self._existing(pattern)
        ]
        # These are optional, so a link that leaves the folder is left out.
        usual = () if licenses else _LICENSES
        return found + [
            path
            for pattern in usual
            for path in self._existing(pattern)
            if is_here(self.folder, path)
        ]

    def needs_whole_folder(self) -> bool:
        """Return whether only the backend knows its files."""
        return self.backend.startswith("setuptools") and _setuptools_files_decide(self.folder)

    def is_for_compiled_code(self) -> bool:
        """Return whether the backend is for compiled code, so that there may be no Python code."""
        return self.backend.startswith(_COMPILING)

    def ships(self, name: str, place: str) -> bool:
        """Return whether a top-level module is in the wheel, as far as the settings say so."""
        tool = self.data.get("tool", {})
        keys = next((keys for start, keys in _SHIPPING.items() if self._is(start)), ())
        declared = [value.strip("/") for key in keys for value in _strings(_at(tool, key))]
        if self.needs_whole_folder() or (not declared and self._is(_SHIPPING_ONE)):
            return name == self.module
        paths = [*map(static_part, declared)]
        return (
            not declared
            or name in {value.split(".")[0] for value in declared}
            or "." in paths
            or is_inside(place, paths)
            or any(is_inside(path, [place]) for path in paths)
        )

    def needs_compiler(self, required: Collection[str]) -> bool:
        """Return whether the build probably runs a compiler.

        `required` are the names of the build requirements.
        """
        if self.is_for_compiled_code():
            return True
        if not _COMPILING_REQUIREMENTS.isdisjoint(required):
            return True
        if _at(self.data.get("tool", {}), "setuptools.ext-modules"):
            return True
        script = self.folder / "setup.py"
        text = script.read_text(encoding="utf-8", errors="replace") if script.is_file() else ""
        return re.search(r"ext_modules|cffi_modules|rust_extensions|Extension\(", text) is not None

    def artifacts(self) -> list[str]:
        """List the globs of files that are in the wheel although git ignores them."""
        tool = self.data.get("tool", {})
        tables = ("hatch.build", "hatch.build.targets.wheel")
        keys = ("artifacts", "force-include")
        found = [
            name
            for table in tables
            for key in keys
            for name in _strings(_at(tool, f"{table}.{key}"))
        ]
        found += self._maturin_includes()
        return [name.strip("/") for name in found if not name.startswith("!")]

    def _maturin_includes(self) -> list[str]:
        items = _at(self.data.get("tool", {}), "maturin.include")
        tables = [{"path": item} if isinstance(item, str) else item for item in items or ()]
        return [
            str(table["path"])
            for table in tables
            if "wheel" in _strings(table.get("format", "wheel"))
        ]

    def _is(self, backend: str | tuple[str, ...]) -> bool:
        return self.backend.startswith(backend)

    def _manifests(self) -> Iterator[str]:
        """Yield the declared manifests of crates."""
        tool = self.data.get("tool", {})
        yield from _strings(_at(tool, "maturin.manifest-path"))
        tables = _at(tool, "setuptools-rust.ext-modules")
        for table in tables if isinstance(tables, list) else ():
            yield str(table.get("path", "Cargo.toml"))

    def _named(self) -> list[str]:
        tool = self.data.get("tool", {})
        names = [name for key in _NAMING for name in _strings(_at(tool, key))]
        names += self._maturin_includes()
        fragments = _at(tool, "hatch.metadata.hooks.fancy-pypi-readme.fragments") or ()
        names += [str(fragment["path"]) for fragment in fragments if "path" in fragment]
        return [name for name in names if name.strip("./")]

    def _existing(self, pattern: str) -> Iterator[str]:
        """List a path; for a glob, the folder before the wildcard, or the matches at the top."""
        path = pattern.strip("/")
        plain = re.split(r"[*?\[]", path, maxsplit=1)[0]
        if plain == path:
            yield path
        elif "/" in plain:
            yield plain.rpartition("/")[0]
        else:
            yield from sorted(found.name for found in self.folder.glob(path.split("/")[0]))

    def _packages_in(self, folder: Path) -> Iterator[str]:
        tool = self.data.get("tool", {})
        settings = ("uv.build-backend.module-name", "flit.module.name")
        modules = (module for key in settings for module in _strings(_at(tool, key)))
        names = {self.module, *(module.split(".")[0] for module in modules)}
        yield from (f"{name}.py" for name in sorted(names) if (folder / f"{name}.py").is_file())
        children = sorted(folder.iterdir()) if folder.is_dir() else []
        for child in children:
            known = child.name in names or is_file(child / "__init__.py")
            # maturin packs no others, and the wheels of compiled code should be rebuilt rarely.
            known = known and not (self._is("maturin") and not self.ships(child.name, child.name))
            if child.is_dir() and known and child.name not in _NOT_INSTALLED - names:
                yield child.name


def _names_of(requirements: Iterable[str]) -> Iterator[str]:
    for requirement in requirements:
        with contextlib.suppress(InvalidRequirement):  # pip reports it in the build
            yield canonicalize_name(Requirement(requirement).name)


def _at(table: Any, dotted: str) -> Any:  # noqa: ANN401  # TOML is any shape
    for key in dotted.split("."):
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _strings(value: Any) -> list[str]:  # noqa: ANN401
    """List the strings of a value: itself, its items, or its keys and values."""
    if isinstance(value, str):
        return [str(value)]
    if isinstance(value, dict):
        return [
            str(text) for pair in value.items() for text in pair if isinstance(text, str) and text
        ]
    return [str(item) for item in value if isinstance(item, str)] if isinstance(value, list) else []


def read_other(poetry: Poetry, folder: Path, build_system: Mapping[str, Any]) -> WheelRoot:
    """Find what the wheel is made of. Raises NoWheelError if there is no package."""
    name = module_name(poetry.package.name)
    backend = str(build_system["build-backend"])
    requires = requires_of(build_system, "setuptools")
    check_declared(poetry, folder)
    project = BackendProject(
        folder=folder, data=poetry.pyproject.data, backend=backend, module=name
    )
    packages = project.packages()
    if not packages and not project.is_for_compiled_code() and not project.needs_whole_folder():
        raise NoWheelError(f"no module or package named `{name}`, and no other one")
    required = {*_names_of(requires)}
    others = [*readmes(poetry), *declared_license(poetry), *project.files(required)]
    paths = copied(folder, [*packages, *others, *build_system.get("backend-path", [])])
    crates = build_folders(paths, folder)
    obeys_git = backend.startswith(("hatchling", "maturin"))
    inside = [
        path
        for path in (folders(folder, paths) if obeys_git else ())
        if f"{path}/target" not in crates
    ]
    importable = [(PurePath(path).stem, path) for path in project.importable()]
    modules = [module for module in importable if project.ships(*module)]
    return WheelRoot(
        paths=paths,
        requires=requires,
        backend=backend,
        backend_path=tuple(map(str, build_system.get("backend-path", ()))),
        needs_compiler=project.needs_compiler(required),
        module=main_module(folder, modules, name),
        git_ignored=(
            *git_ignored(folder, inside, included=project.artifacts(), ask_git=False),
            *crates,
        ),
        whole=project.needs_whole_folder(),
        modules=None if project.finds_namespaces() else tuple(name for name, _ in modules),
    )
