"""What settings add to the final image: folders, copied files, build arguments, an init. Pure."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import package_manager
from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.image_plan import Argument, Copy, Folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.plan.bases import Bases
    from poetry_docker_cache.plan.image_plan import Notes
    from poetry_docker_cache.settings.table import Settings

TINI = "tini"
"""The program, and the package of Debian and Alpine that has it."""
_INITS = ("tini", "dumb-init")
_TABLE = "[tool.poetry-docker-cache]"


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What the settings add to the final image."""

    folders: tuple[Folder, ...]
    volumes: tuple[str, ...]
    copies: tuple[Copy, ...]
    arguments: tuple[Argument, ...]


def plan_additions(
    settings: Settings, environment: Mapping[str, str], context_folder: str
) -> Additions:
    """What the settings add to the final image.

    `environment` are the image's variables, and `context_folder` is the path of the project in the
    build context. Raises DockerCacheError for a folder with code, and for other contradictions.
    """
    return Additions(
        folders=_folders(settings, environment),
        volumes=tuple(_placed(settings, path) for path in settings.volumes),
        copies=_copies(settings, context_folder),
        arguments=_arguments(settings),
    )


def _placed(settings: Settings, path: str) -> str:
    return posixpath.normpath(posixpath.join(settings.workdir, path))


def _folders(settings: Settings, environment: Mapping[str, str]) -> tuple[Folder, ...]:
    named = [("directories", each.path, each.mode) for each in settings.directories]
    named += [("volumes", path, None) for path in settings.volumes]
    code = {settings.workdir: "the working directory"}
    for place in filter(None, environment.get("PYTHONPATH", "").split(":")):
        code.setdefault(place, "a folder that Python imports from")
    found: dict[str, Folder] = {}
    for key, path, mode in named:
        place = _placed(settings, path)
        for folder, what in code.items():
            if is_inside(folder, [place]):
                which = "is" if folder == place else "contains"
                raise DockerCacheError(
                    f"`{key}` in {_TABLE} names {place}, which {which} {what}: the image's user"
                    " could change the code.",
                    fix=f"Name a folder inside it, such as `{key} = [{json.dumps('data')}]`.",
                )
        found.setdefault(place, Folder(path=place, mode=mode))
    return tuple(found.values())


def _copies(settings: Settings, context_folder: str) -> tuple[Copy, ...]:
    found = []
    for each in settings.copy:
        place = _placed(settings, each.to)
        in_workdir = is_inside(place, [settings.workdir])
        if in_workdir and each.owner != "root" and ":" not in each.owner:
            raise DockerCacheError(
                f"`copy` in {_TABLE} gives {each.to} to the user {each.owner}: in the working"
                " directory, an owner must be a number.",
                fix='Write the user\'s uid and gid, such as `owner = "1000:1000"`. `docker run'
                f" --rm {settings.base_image} id {each.owner}` prints them.",
            )
        source = each.source
        if each.image is None:
            source = posixpath.normpath(posixpath.join(context_folder, source))
            checked_paths([source])
        found.append(
            Copy(
                source=source,
                to=f"{place}/" if each.to.endswith("/") else place,
                image=each.image,
                owner=each.owner,
                mode=each.mode,
                in_workdir=in_workdir,
            )
        )
    return tuple(found)


def _arguments(settings: Settings) -> tuple[Argument, ...]:
    set_already = {"env": {name for name, _ in settings.env}}
    set_already["label"] = {name for name, _ in settings.labels}
    for each in settings.build_args:
        for kind, names in set_already.items():
            if (name := getattr(each, kind)) in names:
                key = "env" if kind == "env" else "labels"
                raise DockerCacheError(
                    f"{name} is set twice: by `{key}` and by `build-args.{each.name}` in {_TABLE}.",
                    fix=f"Remove it from `{key}`: the default of a build argument is the value"
                    " without `--build-arg`.",
                )
    return tuple(
        Argument(
            name=each.name,
            default=each.default,
            env=each.env,
            label=each.label,
            file=None if each.file is None else _placed(settings, each.file),
        )
        for each in settings.build_args
    )


def init_packages(settings: Settings, bases: Bases) -> tuple[str, ...]:
    """The system package of the init process, if the settings ask for one.

    Raises DockerCacheError for a base image that it cannot be installed on.
    """
    if not settings.init or _has_init(settings):
        return ()
    why = ""
    if not bases.has_shell:
        why = "has no shell"
    elif (manager := package_manager(bases.final)) not in ("apt", "apk"):
        why = f"has {manager}, whose repositories lack it"
    if why:
        raise DockerCacheError(
            f"`init` installs the package {TINI}, but `base-image` {bases.final} {why}.",
            fix="Remove `init`, and start containers with `docker run --init` (`init: true` in"
            f" compose.yaml). Or copy {TINI} from an image with `copy`, and write `entrypoint ="
            f" {json.dumps([f'/usr/local/bin/{TINI}', '--'])}`.",
        )
    return (TINI,)


def with_init(
    settings: Settings, entrypoint: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, Notes]:
    """The entrypoint, with the init process before it."""
    if not settings.init:
        return entrypoint, ()
    if _has_init(settings):
        program = (settings.entrypoint or ("",))[0]
        return entrypoint, (
            f"`init` has no effect: `entrypoint` starts {program}, which is an init process.",
        )
    return (TINI, "--", *(entrypoint or ())), ()


def _has_init(settings: Settings) -> bool:
    return posixpath.basename((settings.entrypoint or ("",))[0]) in _INITS
