"""The root of a project whose wheel another backend than poetry-core builds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from poetry.core.utils.helpers import module_name

from poetry_docker_cache.ignore.git import git_ignored
from poetry_docker_cache.root import conventions
from poetry_docker_cache.root.declared import check_declared, declared_license, readmes, requires_of
from poetry_docker_cache.root.kinds import NoWheelError, WheelRoot
from poetry_docker_cache.root.paths import copied, folders
from poetry_docker_cache.root.running import main_module

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from poetry.core.poetry import Poetry


def read_other(poetry: Poetry, folder: Path, build_system: Mapping[str, Any]) -> WheelRoot:
    """Go by what pyproject.toml names and by conventions. Raises NoWheelError."""
    name = module_name(poetry.package.name)
    backend = str(build_system["build-backend"])
    requires = requires_of(build_system, "setuptools")
    check_declared(poetry, folder)
    project = conventions.Project(
        folder=folder, data=poetry.pyproject.data, backend=backend, module=name
    )
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
