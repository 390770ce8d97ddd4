"""What an image needs a container engine for, item by item. Pure."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.caches.spec import Store
from poetry_docker_cache.docker.base_names import is_alpine
from poetry_docker_cache.docker.platforms import platform_of
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import (
    DIRECT,
    KERNEL,
    MACHINE,
    SOURCE,
    STRONG_HASHES,
    allowed,
)
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import fits, fits_machine
from poetry_docker_cache.plan.image_additions import TINI
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import ImagePlan, Notes
    from poetry_docker_cache.settings.table import Settings

    Package = Mapping[str, Any]

Reason = Literal[
    "system packages",
    "instructions",
    "template",
    "assets",
    "run",
    "no wheel",
    "git",
    "compiled",
    "other",
]
_ON_HOST = (
    "If it has no compiled code, add `build-on-host = true`: its build then runs on this machine,"
    " as with `poetry install`"
)
_OTHER_PYTHON = (
    "Lock a newer version (`poetry update NAME`), or set `python` to a version that it has wheels"
    " for"
)
WITH_WHEELS = {"psycopg-c": "psycopg-binary", "psycopg2": "psycopg2-binary", "uwsgi": "pyuwsgi"}
"""Packages that have no wheels, and the same code in a package that has."""
_PREPARED = "Build a base image with {what}, push it and name it in `base-image`"
_SETTINGS = {"CMD": "command", "ENV": "env", "EXPOSE": "ports", "LABEL": "labels"}
_SETTINGS |= {"ADD": "copy", "ARG": "build-args", "COPY": "copy", "VOLUME": "volumes"}
_SETTINGS |= {"ENTRYPOINT": "entrypoint", "HEALTHCHECK": "healthcheck"}
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
    package: str = ""
    """The package and its version, if `what` is about it: one line names all with the same one."""


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
    its marker. `machines` are those to build for, `host_python` is the version whose bytecode is
    made here.
    """
    found = [*_of_dockerfile(plan)]
    target = Target.linux(plan.runtime.python, libc=plan.dependencies.libc)
    layers = {layer.name: {*layer.packages} for layer in plan.dependencies.layers}
    for package in packages:
        wanting = _machines_that_want(package, target, machines)
        if wanting and package["name"] in layers.get(DIRECT, ()):
            found += _of_direct(package, build_on_host=build_on_host)
        elif wanting and package["name"] in layers.get(SOURCE, ()):
            found += _of_index(package, plan, target, wanting, build_on_host=build_on_host)
    return (*found, *_of_wheels(plan), *_of_bytecode(plan, host_python))


def refuse(found: Sequence[Obstacle]) -> None:
    """Raise one DockerCacheError for all obstacles, if there are any."""
    if not found:
        return
    packages: dict[tuple[str, str], list[str]] = {}
    for each in found:
        packages.setdefault((each.what, each.fix), []).extend(filter(None, [each.package]))
    lines = (
        f"  - {': '.join(filter(None, (', '.join(names), what)))}.\n    {fix}."
        for (what, fix), names in packages.items()
    )
    raise DockerCacheError(
        "This image cannot be made without a container engine:\n" + "\n".join(lines),
        fix="Change these, or build with a container engine: `poetry docker build` without"
        " `--no-engine`.",
    )


def unused_settings(settings: Settings) -> Notes:
    """Notes on settings that have no effect, or less effect, without an engine."""
    default = type(settings)()
    found = {
        name: why
        for name, why in _UNUSED.items()
        if getattr(settings, name) != getattr(default, name)
    }
    cache = settings.cache
    if cache and not (isinstance(cache, Store) and cache.reference):
        found["cache"] = "layers are only looked for in images"
    notes = [
        f"`{name.replace('_', '-')}` has no effect without a container engine: {why}."
        for name, why in found.items()
    ]
    if settings.compile:
        notes.append(
            "Without a container engine, `compile` leaves out the standard library: it stays as in"
            " the base image."
        )
    return tuple(notes)


def _of_dockerfile(plan: ImagePlan) -> Iterator[Obstacle]:
    if plan.template:
        what = f"`template` ({plan.template.path}) changes the Dockerfile, which is not used"
        yield Obstacle(reason="template", what=what, fix=_PREPARED.format(what="what it adds"))
    if plan.runtime.init:
        start = json.dumps([TINI, "--", *(plan.runtime.entrypoint or ())[2:]])
        yield Obstacle(
            reason="system packages",
            what="`init` installs a system package",
            fix=f"Remove it, and start containers with `docker run --init`. Or set a `base-image`"
            f" that has {TINI}, and `entrypoint = {start}`",
        )
    own = {TINI} if plan.runtime.init else set()
    if system := [name for name in plan.runtime.packages if name not in own]:
        add = "apk add" if is_alpine(plan.runtime.image) else "apt-get install"
        yield Obstacle(
            reason="system packages",
            what=f"The image has system packages: {', '.join(system)}",
            # For an image named `python`, the plan adds the packages that dependencies need.
            fix=f"Build a base image with them (`{add} {' '.join(system)}`), push it under a name"
            " other than `python`, set `base-image` and `python`, and remove `runtime-packages` if"
            " it is set",
        )
    for step in plan.steps:
        yield Obstacle(
            reason="run",
            what=f"`run` has a command to run in the image: {shlex.join(step.command)}",
            fix="Run it before the build, and add its output to `files`",
        )
    for each in plan.runtime.copies:
        if each.image is not None:
            yield Obstacle(
                reason="other",
                what=f"`copy` takes {each.source} from the image {each.image}",
                fix=_PREPARED.format(what=f"that file (`COPY --from={each.image}`)"),
            )
    for stage in plan.assets:
        where = "the package" if stage.wheel else "the image, with `files`,"
        yield Obstacle(
            reason="assets",
            what=f"`assets` builds the front end in {stage.folder} with {stage.tool}",
            fix=f"Build it before (`{shlex.join(stage.build[-1])}`), let {where} contain"
            f" {stage.output}, and remove `assets`",
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


def _machines_that_want(
    package: Package, target: Target, machines: Sequence[str]
) -> dict[str, str]:
    """Return the machines that may install a package, each with what is left of its marker."""
    marker, known = package.get("marker", ""), target.environment
    left = {each: evaluate(marker, {**known, MACHINE: each}, set()) for each in machines}
    return {each: "" if part is True else str(part) for each, part in left.items() if part}


def _of_index(
    package: Package,
    plan: ImagePlan,
    target: Target,
    wanting: Mapping[str, str],
    *,
    build_on_host: bool,
) -> Iterator[Obstacle]:
    """Yield why a package in the layer that Poetry builds is not installed from a wheel."""
    name, policy = f"{package['name']} {package['version']}", plan.dependencies
    kernel = next((left for left in wanting.values() if re.search("|".join(KERNEL), left)), "")
    if kernel:
        yield Obstacle(
            reason="other",
            what=f"{name} is only installed if {kernel}, which depends on the machine that runs"
            " the image",
            fix="Change its marker in pyproject.toml and run `poetry lock`",
        )
        return
    may_be_wheel, may_be_sdist = allowed(package["name"], policy.no_binary, policy.only_binary)
    files = [file for file in package.get("files", ()) if fits(file["file"], target)]
    wheels = files if may_be_wheel else []
    lacking = [
        machine
        for machine in wanting
        if not any(fits_machine(file["file"], machine) for file in wheels)
    ]
    if lacking and not (build_on_host and may_be_sdist):
        has_others = any(file["file"].endswith(".whl") for file in package.get("files", ()))
        what, fix = "no wheel", f"Lock a version with a wheel. {_ON_HOST}"
        if not may_be_wheel:
            what = "Poetry's setting `installer.no-binary` excludes its wheel"
        elif wheels:
            what += f" for {listing([*map(platform_of, lacking)])}"
        elif has_others:
            on = f" on {plan.runtime.image}" if is_alpine(plan.runtime.image) else ""
            what, fix = f"no wheel for Python {plan.runtime.python}{on}", _OTHER_PYTHON
        if twin := WITH_WHEELS.get(package["name"]):
            fix = f"Depend on {twin} instead, which has wheels"
        yield Obstacle(reason="no wheel", package=name, what=what, fix=fix)
    elif not lacking and not any(map(_is_strong, wheels)):
        yield Obstacle(
            reason="other",
            package=name,
            what="no SHA-2 hash in poetry.lock",
            fix="Run `poetry lock --regenerate`",
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
            fix=f"Depend on its wheel. {_ON_HOST}",
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
