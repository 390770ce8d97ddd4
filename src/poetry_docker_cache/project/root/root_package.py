"""Decides whether a project's root can be built as a wheel or runs from its source tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry.core.utils.helpers import module_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.applications import (
    import_folder,
    source_folder,
    tree_module,
)
from poetry_docker_cache.project.root.declared import NoWheelError
from poetry_docker_cache.project.root.other_backends import read_other
from poetry_docker_cache.project.root.poetry_core import (
    BACKENDS,
    POETRY_CORE,
    read_poetry_core,
)

if TYPE_CHECKING:
    from pathlib import Path

    from poetry.core.poetry import Poetry


def read_root(poetry: Poetry, default_backend: str = POETRY_CORE) -> WheelRoot | SourceTreeRoot:
    """Read the project's root; without a wheel, the result has the reason.

    Raises DockerCacheError for a `build-system` that is not a table and for a link that leaves the
    project.
    """
    folder = poetry.pyproject_path.parent.resolve()
    if not poetry.is_package_mode:
        return _source_tree(poetry, folder, "package-mode = false", source_folder(folder))
    build_system = poetry.pyproject.data.get("build-system", {})
    if not isinstance(build_system, dict):
        raise DockerCacheError(
            "`build-system` in pyproject.toml is not a table: nothing can build the project.",
            fix="Run `poetry check`, or remove it: poetry-core is the default.",
        )
    build_system = {"build-backend": default_backend, **build_system}
    try:
        if build_system["build-backend"] in BACKENDS:
            return read_poetry_core(poetry, folder, build_system)
        return read_other(poetry, folder, build_system)
    except DockerCacheError:
        raise
    except NoWheelError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001  # the builder would fail in the image as well
        reason = _portable(str(error) or type(error).__name__, poetry, folder)
    return _source_tree(poetry, folder, reason, import_folder(folder) or source_folder(folder))


def _source_tree(
    poetry: Poetry, folder: Path, reason: str, packages_in: str | None
) -> SourceTreeRoot:
    return SourceTreeRoot(
        reason=reason,
        import_folder=packages_in,
        module=tree_module(folder, packages_in, module_name(poetry.package.name)),
    )


def _portable(text: str, poetry: Poetry, folder: Path) -> str:
    """Remove this machine's paths from a message."""
    for root in (folder, poetry.pyproject_path.parent.absolute()):
        text = text.replace(f"{root.as_posix()}/", "")
    return " ".join(text.split())
