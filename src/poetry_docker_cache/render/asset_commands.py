"""The commands of the stages that build front ends. Pure."""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.plan.image_plan import AssetStage, ImagePlan, Wheel

_CONTINUED = " \\\n    && "
_UNNEEDED = {
    "CYPRESS_INSTALL_BINARY": "0",
    "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1",
    "PUPPETEER_SKIP_DOWNLOAD": "1",
}
"""Keeps packages from downloading browsers for tests, which would fail without the network."""
_MANIFEST = "package.json"


def at_project(path: str) -> str:
    """Return the place of a path of the project in a stage."""
    return posixpath.normpath(f"/project/{path}")


def in_asset_stage(path: str, plan: ImagePlan) -> str:
    """Return the place of a path of the project, or beside it, in the stage of a front end."""
    return at_project(plan.located(path))


def manifest_copies(stage: AssetStage, plan: ImagePlan) -> list[tuple[list[str], str]]:
    """Return what the stage copies before the install: paths, and the folder that they go to."""
    folders: dict[str, list[str]] = {}
    for path in stage.manifests:
        place = path if path.endswith("/") else posixpath.dirname(path)
        folders.setdefault(f"{in_asset_stage(place, plan)}/", []).append(path)
    return [(paths, place) for place, paths in folders.items()]


def fetch_command(stage: AssetStage) -> str:
    """Return the command that downloads the packages."""
    secrets = [f'{name}="$(cat /run/secrets/{name})" && export {name}' for name in stage.variables]
    return _chained([*secrets, *map(shlex.join, stage.fetch)])


def scripts_command(stage: AssetStage) -> str:
    """Return the command that runs install scripts: package.json loses those of the project."""
    folders = [
        posixpath.relpath(posixpath.dirname(path) or ".", stage.folder)
        for path in stage.manifests
        if posixpath.basename(path) == _MANIFEST
    ]
    delete = "npm pkg delete scripts"
    if folders != ["."]:
        each = 'npm --prefix="$folder" pkg delete scripts'
        delete = f"for folder in {shlex.join(folders)}; do {each} || exit; done"
    variables = " ".join(f"{name}={value}" for name, value in _UNNEEDED.items())
    return _chained([delete, f"{variables} \\\n    {shlex.join(stage.scripts)}"])


def assets_command(stage: AssetStage) -> str:
    """Return the command that builds, and makes the output readable for the image's user."""
    output = shlex.quote(posixpath.relpath(stage.output, stage.folder))
    return _chained([*map(shlex.join, stage.build), f"chmod -R u=rwX,go=rX {output}"])


def _chained(commands: Sequence[str]) -> str:
    return _CONTINUED.join(commands)


def front_ends_in(wheel: Wheel, plan: ImagePlan) -> list[str]:
    """Return the folders of front ends that a wheel's sources contain, as its stage has them."""
    found = []
    for stage in plan.assets:
        folder = posixpath.relpath(plan.located(stage.folder), wheel.folder)
        holds = [path for path in wheel.copied if _is_below(folder, path)]
        if holds and not any(is_inside(path, [folder]) for path in wheel.paths):
            found.append(at_project(folder))
    return found


def front_ends_beside(plan: ImagePlan) -> list[str]:
    """Return the front ends in the files beside the package, relative to the working directory."""
    if plan.files is None:
        return []
    paths = plan.files.paths or (".",)
    return [
        stage.folder
        for stage in plan.assets
        if any(_is_below(stage.folder, path) for path in paths)
    ]


def _is_below(path: str, folder: str) -> bool:
    if path == folder or path.split("/", maxsplit=1)[0] in (".", ".."):
        return False
    return folder == "." or path.startswith(f"{folder}/")
