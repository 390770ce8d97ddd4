"""What an image needs a container engine for, item by item. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.docker.base_names import is_alpine
from poetry_docker_cache.docker.platforms import platform_of
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import (
    DIRECT,
    MACHINE,
    SOURCE,
    STRONG_HASHES,
    allowed,
)
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import fits, fits_machine
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import ImagePlan, Notes
    from poetry_docker_cache.settings.table import Settings

    Package = Mapping[str, Any]

Reason = Literal[
    "system packages", "instructions", "template", "no wheel", "git", "compiled", "other"
]
BUILD_ON_HOST = "build-on-host = true"
_PREPARED = "Build a base image with {what}, push it and name it in `base-image`"
_SETTINGS = {"CMD": "command", "ENV": "env", "EXPOSE": "ports", "LABEL": "labels"}
_SETTINGS |= {"COPY": "files", "ENTRYPOINT": "entrypoint", "HEALTHCHECK": "healthcheck"}
_SETTINGS |= {"STOPSIGNAL": "stop-signal", "USER": "user", "WORKDIR": "workdir"}
"""Instructions that a setting replaces."""
_UNUSED = {
    "build_image": "nothing is built in a container",
    "build_packages": "nothing is compiled",
    "build_network": "nothing is built in a container",
    "download_cache": "Poetry's own cache keeps the wheels",
    "poetry_version": "the Poetry that runs the command does the work",
    "reuse_image": "unchanged layers are found in the registry",
    "ssh": "nothing is cloned",
    "syntax": "there is no Dockerfile",
}
"""Settings without an effect, each with the reason."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Something that only a container engine can do, and a way without it."""

    reason: Reason
    what: str
    fix: str
    """A way to build without an engine; empty if there is none."""


def obstacles(
    plan: ImagePlan,
    packages: Sequence[Package],
    machines: Sequence[str],
    *,
    host_python: str,
    build_on_host: bool = False,
) -> tuple[Obstacle, ...]:
    """List all that keeps an image from being made without an engine.

    `packages` are the locked packages that the image may contain, each with the undecided part of
    its marker. `machines` are those to build for, `host_python` is the minor version here.
    """
    names = {layer.name: {*layer.packages} for layer in plan.dependencies.layers}
    target = Target.linux(plan.runtime.python, libc=plan.dependencies.libc)
    source = [each for each in packages if each["name"] in names.get(SOURCE, ())]
    direct = [each for each in packages if each["name"] in names.get(DIRECT, ())]
    return (
        *_of_dockerfile(plan),
        *(
            obstacle
            for package in source
            for obstacle in _of_index(package, plan, target, machines, build_on_host=build_on_host)
        ),
        *(
            obstacle
            for package in direct
            for obstacle in _of_direct(package, build_on_host=build_on_host)
        ),
        *_of_wheels(plan),
        *_of_bytecode(plan, host_python),
    )


def option_obstacles(
    *, file: str | None, target: str | None, builder: str | None, arguments: Sequence[str]
) -> tuple[Obstacle, ...]:
    """List the options of `build` that only an engine understands."""
    given = {"--file": file, "--target": target, "--builder": builder}
    given["--"] = shlex.join(arguments)
    return tuple(
        Obstacle(
            reason="other",
            what=f"`{option} {value}` is for BuildKit",
            fix="Remove it" if option == "--" else f"Remove `{option}`",
        )
        for option, value in given.items()
        if value
    )


def refuse(found: Sequence[Obstacle]) -> None:
    """Raise one DockerCacheError for all obstacles, if there are any."""
    if not found:
        return
    lines = (f"  - {each.what}." + f"\n    {each.fix}." * bool(each.fix) for each in found)
    raise DockerCacheError(
        "This image cannot be made without a container engine:\n" + "\n".join(lines),
        fix="Change these, or build with a container engine: `poetry docker build` without"
        " `--no-engine`.",
    )


def unused_settings(settings: Settings) -> Notes:
    """Notes on settings that have no effect without an engine."""
    default = type(settings)(python="3.13")
    return tuple(
        f"`{name.replace('_', '-')}` has no effect without a container engine: {why}."
        for name, why in _UNUSED.items()
        if getattr(settings, name) != getattr(default, name)
    )


def _of_dockerfile(plan: ImagePlan) -> Iterator[Obstacle]:
    if plan.template:
        what = f"`template` ({plan.template.path}) changes the Dockerfile, and there is none"
        yield Obstacle(reason="template", what=what, fix=_PREPARED.format(what="what it adds"))
    if system := plan.runtime.packages:
        add = "apk add" if is_alpine(plan.runtime.image) else "apt-get install"
        yield Obstacle(
            reason="system packages",
            what=f"The image has system packages: {', '.join(system)}",
            fix=_PREPARED.format(what=f"them (`{add} {' '.join(system)}`)")
            + ", and remove them from `runtime-packages`",
        )
    for line in plan.runtime.instructions:
        word = line.split(maxsplit=1)[0].upper() if line.strip() else ""
        setting = _SETTINGS.get(word)
        fix = f"Use the setting `{setting}`" if setting else _PREPARED.format(what="its result")
        yield Obstacle(reason="instructions", what=f"`instructions.runtime` has {line}", fix=fix)
    for line in plan.dependencies.instructions:
        yield Obstacle(
            reason="instructions",
            what=f"`instructions.build` has {line}",
            fix="Remove it: no stage installs packages",
        )


def _of_index(
    package: Package,
    plan: ImagePlan,
    target: Target,
    machines: Sequence[str],
    *,
    build_on_host: bool,
) -> Iterator[Obstacle]:
    """Yield why a package in the layer that Poetry builds has no wheel for all machines."""
    name, files = f"{package['name']} {package['version']}", package.get("files", ())
    dependencies = plan.dependencies
    policy = (dependencies.no_binary, dependencies.only_binary)
    may_be_wheel, may_be_sdist = allowed(package["name"], *policy)
    wheels = [file for file in files if may_be_wheel and fits(file["file"], target)]
    lacking = []
    for machine in machines:
        left = evaluate(package.get("marker", ""), {**target.environment, MACHINE: machine}, set())
        if isinstance(left, str) and "platform_" in left:
            yield Obstacle(
                reason="other",
                what=f"{name} is only installed if {left}, which depends on the kernel that runs"
                " the image",
                fix="Change its marker in pyproject.toml and run `poetry lock`",
            )
            return
        fitting = [file for file in wheels if fits_machine(file["file"], machine)]
        if left is not False and not fitting:
            lacking.append(machine)
        elif left is not False and not any(map(_is_strong, fitting)):
            yield Obstacle(
                reason="other",
                what=f"{name} has no SHA-2 hash in poetry.lock",
                fix="Run `poetry lock --regenerate`",
            )
            return
    if not lacking or (build_on_host and may_be_sdist):
        return
    where = f" for {listing([*map(platform_of, lacking)])}" if wheels else " for this image"
    yield Obstacle(
        reason="no wheel",
        what=f"{name} has no wheel{where}"
        if may_be_wheel
        else f"{name} must not be a wheel: Poetry's setting `installer.no-binary` excludes it",
        fix=f"Lock a version with a wheel. If it has no compiled code, add `{BUILD_ON_HOST}`, which"
        " runs its code on this machine, as `poetry install` does",
    )


def _is_strong(file: Mapping[str, str]) -> bool:
    return file["hash"].partition(":")[0] in STRONG_HASHES


def _of_direct(package: Package, *, build_on_host: bool) -> Iterator[Obstacle]:
    name, source = f"{package['name']} {package['version']}", package["source"]
    if source["type"] == "git":
        yield Obstacle(
            reason="git",
            what=f"{name} comes from a git repository ({source['url']})",
            fix="Publish it as a wheel in a package index, or make it a URL dependency on a wheel",
        )
    elif not build_on_host and not any(
        file["file"].endswith(".whl") for file in package.get("files", ())
    ):
        yield Obstacle(
            reason="no wheel",
            what=f"{name} ({source['url']}) is not a wheel",
            fix=f"Depend on its wheel. If it has no compiled code, add `{BUILD_ON_HOST}`, which"
            " runs its code on this machine, as `poetry install` does",
        )


def _of_wheels(plan: ImagePlan) -> Iterator[Obstacle]:
    for wheel in plan.wheels:
        if wheel.compiles:
            name = "The project" if wheel.is_application else f"The path dependency {wheel.folder}"
            yield Obstacle(
                reason="compiled",
                what=f"{name} has code to compile",
                fix="Publish that code as a wheel of its own, and depend on it",
            )


def _of_bytecode(plan: ImagePlan, host_python: str) -> Iterator[Obstacle]:
    wanted = plan.runtime.python
    if plan.dependencies.compile and host_python != wanted:
        yield Obstacle(
            reason="other",
            what=f"`compile` needs Python {wanted} on this machine, and Poetry runs on"
            f" {host_python}",
            fix=f"Run Poetry with Python {wanted}, or remove `compile`",
        )
