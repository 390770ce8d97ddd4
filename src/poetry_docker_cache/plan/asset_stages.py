"""The stages that build front ends, by package manager. Pure."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import is_inside, outermost
from poetry_docker_cache.docker.image_names import repository_of
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.image_plan import AssetStage
from poetry_docker_cache.settings.setting_errors import TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Files, Notes, Wheel
    from poetry_docker_cache.project.model import FrontEnd, Project
    from poetry_docker_cache.settings.asset_values import Assets
    from poetry_docker_cache.settings.table import Settings

_NODE = "22"
_PNPM = {"5": "7", "6": "8", "9": "10"}
"""The pnpm for each format of its lock file, if package.json names none."""
_CLASSIC, _MODERN, _PNPM_DEFAULT = "1.22.22", "4", "10"
_NO_SCRIPTS = ("env", "npm_config_ignore_scripts=true", "YARN_ENABLE_SCRIPTS=false")
"""Keeps an install command of the user from running code of packages."""
_RUNS_AS_ROOT = ("docker.io/library/node", "docker.io/oven/bun")


@dataclass(frozen=True, kw_only=True)
class _Tool:
    """A package manager: its commands for one front end."""

    name: str
    program: tuple[str, ...]
    install: tuple[str, ...]
    """Arguments with which it downloads what the lock file names and runs nothing."""
    scripts: tuple[str, ...]
    """The command that runs the install scripts of packages; empty if it runs none."""
    cache: str
    requirement: str = ""
    """What npm installs to get it; empty if the image or the project has it."""
    environment: Mapping[str, str] = field(default_factory=dict)


def plan_assets(
    project: Project,
    settings: Settings,
    wheels: Sequence[Wheel],
    *,
    files: Files | None,
    folder: str,
) -> tuple[tuple[AssetStage, ...], Notes]:
    """Plan the stages of the front ends; `folder` is the project's path in the build context.

    Raises DockerCacheError for one that cannot be built.
    """
    stages: list[AssetStage] = []
    notes: list[str] = []
    for number, assets in enumerate(settings.assets, start=1):
        name = f"assets-{number}" if len(settings.assets) > 1 else "assets"
        wheel, wheel_place = _wheel_of(assets.to, wheels, folder)
        stage, reason = _stage(name, assets, project.front_ends[assets.folder])
        if not wheel or _holds(files, assets.to):
            stage = replace(stage, image_place=posixpath.join(settings.workdir, assets.to))
        stage = replace(stage, wheel=wheel, wheel_place=wheel_place)
        stages.append(stage)
        places = [f"the wheel, as {assets.to}"] if wheel else []
        places += [stage.image_place] if stage.image_place else []
        lock = project.front_ends[assets.folder].lock
        notes.append(
            f"The front end in {assets.folder} is built by {stage.tool}"
            f"{f' ({lock})' if lock else ''} on {stage.image}{reason}; {stage.output} goes to"
            f" {' and '.join(places)}."
        )
    return tuple(stages), tuple(notes)


def _stage(name: str, assets: Assets, front_end: FrontEnd) -> tuple[AssetStage, str]:
    tool = _tool(front_end, assets)
    image, reason = _image(front_end, assets, tool)
    setup: tuple[tuple[str, ...], ...] = ()
    caches = {tool.name: tool.cache}
    if tool.requirement:
        # In global mode, npm does not read the `.npmrc` here, which may name another registry.
        own = ["--globalconfig=.npmrc"] if _has(front_end, ".npmrc") else []
        options = ("--global", "--force", "--ignore-scripts", *own)
        setup = (("npm", "install", *options, tool.requirement),)
        caches["npm"] = _NPM.cache
    stage = AssetStage(
        name=name,
        image=image,
        may_have_user=assets.image is not None and repository_of(image) not in _RUNS_AS_ROOT,
        folder=assets.folder,
        manifests=checked_paths(front_end.manifests),
        sources=checked_paths(_sources(front_end, assets)),
        environment=tool.environment,
        tool=tool.name,
        caches=caches,
        fetch=(*setup, _fetch(assets, tool)),
        scripts=tool.scripts,
        build=_build(front_end, assets, tool),
        variables=front_end.variables,
        network=assets.network,
        output=assets.output,
        wheel="",
        wheel_place="",
        image_place="",
        git_ignored=front_end.git_ignored,
        generated=tuple(sorted({assets.output, assets.to} & front_end.generated)),
    )
    return stage, reason


def _fetch(assets: Assets, tool: _Tool) -> tuple[str, ...]:
    if assets.install is not None:
        return (*_NO_SCRIPTS, *assets.install)
    return (*tool.program, *tool.install)


def _has(front_end: FrontEnd, name: str) -> bool:
    return posixpath.normpath(posixpath.join(front_end.folder, name)) in front_end.manifests


def _sources(front_end: FrontEnd, assets: Assets) -> tuple[str, ...]:
    """What the build reads: each package.json again, as its scripts are removed for the install."""
    if not assets.files:
        return (assets.folder,)
    own = [path for path in front_end.manifests if posixpath.basename(path) == "package.json"]
    return outermost((*own, *assets.files))


def _wheel_of(path: str, wheels: Sequence[Wheel], folder: str) -> tuple[str, str]:
    """The wheel that is made of a folder with this path, and the path in it; empty without one."""
    located = posixpath.normpath(posixpath.join(folder, path))
    for wheel in wheels:
        if not path.startswith("/") and is_inside(located, map(wheel.located, wheel.paths)):
            return wheel.name, posixpath.relpath(located, wheel.folder)
    return "", ""


def _holds(files: Files | None, path: str) -> bool:
    """Whether the files beside the wheel include this path: Python then imports these."""
    return files is not None and (not files.paths or is_inside(path, files.paths))


def _image(front_end: FrontEnd, assets: Assets, tool: _Tool) -> tuple[str, str]:
    """The image of the stage, and the reason for the version of Node.js in it."""
    if assets.image is not None:
        return assets.image, ""
    if tool.name == "bun":
        name, _, version = front_end.manager.partition("@")
        return f"oven/bun:{version if name == 'bun' and version else '1'}-slim", ""
    if front_end.node:
        version, file = front_end.node
        return f"node:{version}-slim", f" ({file})"
    return f"node:{_NODE}-slim", ""


def _build(front_end: FrontEnd, assets: Assets, tool: _Tool) -> tuple[tuple[str, ...], ...]:
    """The commands of the build: the project's own install script was skipped before."""
    own = [(*tool.program, "run", "postinstall")] if "postinstall" in front_end.scripts else []
    if assets.build is not None:
        return (*own, assets.build)
    if "build" not in front_end.scripts:
        raise DockerCacheError(
            f"{posixpath.normpath(posixpath.join(assets.folder, 'package.json'))} has no script"
            " named `build`.",
            fix=f'Set the command in `assets` in {TABLE}: build = ["npx", "vite", "build"].',
        )
    return (*own, (*tool.program, "run", "build"))


def _tool(front_end: FrontEnd, assets: Assets) -> _Tool:
    """The package manager of the lock file, else that of the setting `install`."""
    lock, (named, _, version) = front_end.lock, front_end.manager.partition("@")
    kinds = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lock": "bun", "bun.lockb": "bun"}
    kind = kinds.get(lock, "npm") if lock else (assets.install or ("",))[0]
    version = version if named == kind else ""
    if kind == "pnpm":
        return _pnpm(version or _PNPM.get(front_end.lock_version, _PNPM_DEFAULT))
    if kind == "yarn":
        return _modern_yarn(front_end, version) if front_end.is_modern_yarn else _CLASSIC_YARN
    if kind == "bun":
        return _BUN
    if not lock and assets.install is None:
        raise DockerCacheError(
            f"The front end in {assets.folder!r} has no lock file of npm, pnpm, Yarn or Bun, so its"
            " packages are not fixed.",
            fix=f"Run `npm install` there and commit package-lock.json. If the lock file is in a"
            f" folder above, name that folder in `assets` in {TABLE}, and set `build`.",
        )
    return _NPM


_NPM = _Tool(
    name="npm",
    program=("npm",),
    install=("ci", "--ignore-scripts", "--no-audit", "--no-fund"),
    scripts=("npm", "rebuild"),
    cache="/root/.npm",
)
_CLASSIC_YARN = _Tool(
    name="yarn",
    program=("yarn",),
    install=("install", "--frozen-lockfile", "--ignore-scripts", "--non-interactive"),
    scripts=("npm", "rebuild"),
    cache="/root/.cache/yarn",
    requirement=f"yarn@{_CLASSIC}",
    environment={"YARN_CACHE_FOLDER": "/root/.cache/yarn"},
)
_BUN = _Tool(
    name="bun",
    program=("bun",),
    install=("install", "--frozen-lockfile", "--ignore-scripts"),
    scripts=(),
    cache="/root/.bun/install/cache",
)


def _pnpm(version: str) -> _Tool:
    store = "/root/.cache/pnpm"
    return _Tool(
        name="pnpm",
        program=("pnpm",),
        install=("install", "--frozen-lockfile", "--ignore-scripts", f"--store-dir={store}"),
        scripts=("pnpm", "rebuild", f"--store-dir={store}"),
        cache=store,
        requirement=f"pnpm@{version}",
    )


def _modern_yarn(front_end: FrontEnd, version: str) -> _Tool:
    program = ("node", front_end.yarn) if front_end.yarn else ("yarn",)
    return _Tool(
        name="yarn",
        program=program,
        install=("install", "--immutable", "--mode=skip-build"),
        # An install runs the scripts that were skipped, and finds all packages downloaded.
        scripts=(*program, "install", "--immutable"),
        cache="/root/.yarn/berry/cache",
        requirement="" if front_end.yarn else f"@yarnpkg/cli-dist@{version or _MODERN}",
        # With Plug'n'Play, packages are used from the cache, so it must be part of the stage.
        environment={"YARN_ENABLE_GLOBAL_CACHE": "false", "YARN_ENABLE_TELEMETRY": "0"},
    )
