"""Implements `poetry docker doctor`: ask engine and servers meanwhile, then judge and print.

No check prevents another one: a problem is a line, and so is a check that could not be made.
"""

from __future__ import annotations

import contextlib
import functools
import platform
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.background import Background
from poetry_docker_cache.commands.check_output import print_checks
from poetry_docker_cache.commands.doctor_machine import querying_machine
from poetry_docker_cache.commands.doctor_project import examine_project
from poetry_docker_cache.commands.image_notes import git_note, sending_notes
from poetry_docker_cache.commands.missing_files import refuse_missing_files
from poetry_docker_cache.commands.patience import saying
from poetry_docker_cache.commands.planned_image import plan_images
from poetry_docker_cache.docker.ignore_patterns import parse
from poetry_docker_cache.docker.platforms import MACHINES, host_platform
from poetry_docker_cache.doctor.checks import (
    HEALTH,
    error,
    failed,
    ordered,
    together,
    warning,
)
from poetry_docker_cache.doctor.image_checks import (
    check_base,
    check_files,
    check_start,
    check_without_engine,
)
from poetry_docker_cache.doctor.source_checks import check_source
from poetry_docker_cache.doctor.wheel_checks import check_wheels
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.bytecode import host_python
from poetry_docker_cache.no_engine.context_walk import visible_paths
from poetry_docker_cache.no_engine.obstacles import obstacles
from poetry_docker_cache.registry.base_image import read_base
from poetry_docker_cache.registry.registry_client import Reference, Registry
from poetry_docker_cache.registry.registry_errors import RegistryError
from poetry_docker_cache.registry.registry_login import HUB
from poetry_docker_cache.registry.registry_session import RegistrySession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.doctor_machine import Machine
    from poetry_docker_cache.commands.doctor_project import ProjectFacts
    from poetry_docker_cache.commands.options import DoctorOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.doctor.checks import Check, Name

_SECONDS = 20
"""How long all servers together may take to answer."""
_CONNECT = 10
"""How long a registry may take to answer, in seconds."""


def report_health(
    options: DoctorOptions, read_poetry: Callable[[], Poetry], console: ProgressConsole
) -> int:
    """Run all checks and print them; return 1 if one of them prevents a build."""
    with saying(console, "Checking the engine, package sources and registries"):
        checks = ordered(_examine(options, read_poetry))
    return print_checks(checks, HEALTH, console, as_json=options.json)


def _examine(options: DoctorOptions, read_poetry: Callable[[], Poetry]) -> Iterator[Check]:
    """Yield all checks. The engine answers while the project is read."""
    with querying_machine() as answers:
        project = examine_project(
            read_poetry,
            # The other checks of a project with a stale lock file count, too.
            lambda poetry: plan_images(
                poetry, options.images, options.selection, may_be_stale=True
            ),
        )
        yield from project.checks
        background = Background(_SECONDS)
        sources = _ask_sources(project, background)
        machine = answers()
    bases = _ask_registries(project, machine, background)
    for check in _safely("engine", lambda: machine.checks(project.platforms, project.work)):
        is_needed = project.needs_engine or check.name == "disk" or check.status == "ok"
        yield check if is_needed else replace(check, status="warning")
    for name, answer in sources.items():
        yield from _safely("source", functools.partial(_source_checks, name, answer))
    copies = machine.local_images([*bases])
    yield from together(
        {
            image.image: [*_image_checks(image, machine), *_base_checks(image, bases, copies)]
            for image in project.images
        }
    )


def _safely(name: Name, find: Callable[[], Iterable[Check]]) -> list[Check]:
    """Return checks, or the problem that prevented them."""
    try:
        return [*find()]
    except DockerCacheError as problem:
        return [failed(name, problem)]
    except Exception as bug:  # noqa: BLE001  # must not hide the other checks
        return [
            warning(
                name,
                f"Not checked, because of a bug in poetry-docker-cache: {type(bug).__name__}.",
                "Please report it with the output of this command (without secrets).",
            )
        ]


def _ask_sources(project: ProjectFacts, background: Background) -> dict[str, Callable[[], Check]]:
    if project.poetry is None:
        return {}
    return {
        name: background.start(functools.partial(check_source, project.poetry, name, package))
        for name, package in project.sources.items()
    }


def _source_checks(name: str, answer: Callable[[], Check]) -> list[Check]:
    try:
        return [answer()]
    except TimeoutError:
        what = f"The package source {name!r}" if name else "The package index"
        return [
            error(
                "source",
                f"{what} does not answer within {_SECONDS} seconds.",
                "Check that it runs, and your network. If it needs a proxy, set HTTPS_PROXY.",
            )
        ]


def _ask_registries(
    project: ProjectFacts, machine: Machine, background: Background
) -> dict[str, Callable[[], str]]:
    """Ask for all base images at once; return functions that wait for their dates, by name."""
    platforms: dict[str, tuple[str, ...]] = {}
    for image in project.images:
        for name in _bases(image):
            wanted = (*platforms.get(name, ()), *_platforms(image, machine))
            platforms[name] = tuple(dict.fromkeys(wanted))
    return {
        name: background.start(functools.partial(_created, name, wanted, machine.mirrors))
        for name, wanted in platforms.items()
    }


def _bases(image: PlannedImage) -> tuple[str, ...]:
    """Return the images that a build needs."""
    plan = image.plan
    builds = any(layer.from_source for layer in plan.dependencies.layers)
    built = [plan.dependencies.build_image] if builds else []
    return tuple(
        dict.fromkeys(
            (plan.runtime.image, plan.stage_image, *built, *(wheel.image for wheel in plan.wheels))
        )
    )


def _platforms(image: PlannedImage, machine: Machine) -> tuple[str, ...]:
    """Return the platforms to build for: those of the settings, else that of the machine."""
    own = host_platform(machine.architecture or platform.machine())
    return image.settings.platforms or ((own,) if own else ())


def _created(name: str, platforms: Sequence[str], mirrors: Sequence[str]) -> str:
    """Return when a base image was created, for the platform whose image is the oldest.

    As the engine does, ask its mirrors of Docker Hub first.
    """
    own = Reference.parse(name).host
    for host in mirrors if own == HUB else ():
        with contextlib.suppress(DockerCacheError):
            return _created_in(host, name, platforms)
    return _created_in(own, name, platforms)


def _created_in(host: str, name: str, platforms: Sequence[str]) -> str:
    reference = Reference.parse(name)
    with Registry(RegistrySession(host, timeout=(_CONNECT, _CONNECT))) as registry:
        found = [
            read_base(registry, reference.repository, reference.target, each, name=name)
            for each in platforms
        ]
    return min(str(base.config.get("created") or "") for base in found)


def _base_checks(
    image: PlannedImage, asked: Mapping[str, Callable[[], str]], copies: Mapping[str, str]
) -> Iterator[Check]:
    for name in _bases(image):
        yield from _safely("base", functools.partial(_base_check, name, asked[name], copies))


def _base_check(name: str, answer: Callable[[], str], copies: Mapping[str, str]) -> list[Check]:
    found: str | DockerCacheError
    try:
        found = answer()
    except TimeoutError:
        found = RegistryError(f"its registry does not answer within {_SECONDS} seconds.")
    except DockerCacheError as problem:
        found = problem
    now = datetime.now(tz=timezone.utc)
    return [check_base(name, found, here=copies.get(name), now=now)]


def _image_checks(image: PlannedImage, machine: Machine) -> Iterator[Check]:
    """Yield the checks of one image, except those of its bases."""
    plan = image.plan
    machines = [MACHINES[name] for name in _platforms(image, machine)]
    yield from _safely("wheels", lambda: check_wheels(plan, image.packages, machines))
    yield check_start(plan)
    yield from _safely("files", lambda: _file_checks(image))
    found = functools.partial(
        obstacles,
        plan,
        image.packages,
        machines,
        host_python=host_python(),
        build_on_host=image.settings.build_on_host,
    )
    has_engine = machine.engine is not None
    yield from _safely("no-engine", lambda: [check_without_engine(found(), has_engine=has_engine)])


def _file_checks(image: PlannedImage) -> Iterator[Check]:
    """Yield the checks of the project's files. Raises DockerCacheError as a build would."""
    refuse_missing_files(image)
    for note in (*git_note(image), *sending_notes(image)):
        yield warning("files", note)
    yield check_files(image.plan, _sizes(image))


def _sizes(image: PlannedImage) -> Iterator[tuple[str, int]]:
    """Yield the size of each file that the image takes, with its top-level name."""
    plan = image.plan
    lines = [parse(line) for line in image.ignore_file().split("\n")]
    for path in (plan.files.paths or (".",)) if plan.files else ():
        for place in visible_paths(image.context, plan.located(path), lines):
            file = image.context / place
            if file.is_file() and not file.is_symlink():
                below = (
                    file.relative_to(image.folder)
                    if plan.folder == "."
                    else file.relative_to(image.context)
                )
                yield below.parts[0], file.stat().st_size
