"""Build projects and image plans in memory, without files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.version import Version

from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import (
    InstallerConfig,
    Lock,
    Metadata,
    Project,
    Selection,
    SourceTreeRoot,
    WheelRoot,
)
from poetry_docker_cache.project.reader import python_constraint
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import ImagePlan

MAIN = Selection(groups=("main",), extras=())
TREE = SourceTreeRoot(reason="package-mode = false")
CORE = "poetry.core.masonry.api"
METADATA = Metadata(
    name="shop",
    version="1.0",
    description="",
    licenses="",
    authors=(),
    homepage=None,
    repository=None,
)
INSTALLER = InstallerConfig(no_binary=(), only_binary=(), build_config_settings={})


def wheel_root(**keys: Any) -> WheelRoot:  # noqa: ANN401  # fields of many types
    """Return a package that poetry-core builds."""
    defaults: dict[str, Any] = {
        "paths": ("shop",),
        "requires": ("poetry-core",),
        "backend": CORE,
        "needs_compiler": False,
        "module": None,
    }
    return WheelRoot(**{**defaults, **keys})


def project(*packages: dict[str, Any], **keys: Any) -> Project:  # noqa: ANN401  # as above
    """Return a project with these locked packages."""
    defaults: dict[str, Any] = {
        "metadata": METADATA,
        "requires_python": ">=3.12,<3.14",
        "pinned_python": None,
        "groups": frozenset({"main"}),
        "extras": frozenset(),
        "scripts": ("shop",),
        "sources": (),
        "lock": lock(*packages),
        "installer": INSTALLER,
        "root": wheel_root(),
        "files": (),
        "dockerignore": None,
    }
    given = {**defaults, **keys}
    given["requires_python"] = python_constraint(given["requires_python"])
    return Project(**given)


def lock(*packages: dict[str, Any]) -> Lock:
    """Return a lock by Poetry 2.4.0."""
    data = {"package": list(packages), "metadata": {"lock-version": "2.1"}}
    return Lock(data=data, generator=Version("2.4.0"))


def plan(project: Project, **settings: Any) -> ImagePlan:  # noqa: ANN401  # as above
    """Plan the image of the main group."""
    return make_plan(project, Settings(**settings), MAIN)
