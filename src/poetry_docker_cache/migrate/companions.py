"""What Compose files and GitHub workflows add to a Dockerfile."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.image_names import is_repository
from poetry_docker_cache.docker.plain_yaml import Yaml, items, read_yaml, texts
from poetry_docker_cache.migrate.image_reader import health_command
from poetry_docker_cache.migrate.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poetry_docker_cache.docker.final_stage import Command, Stage

_DEFAULT_PLATFORM = ["linux/amd64"]
_PROCESS = re.compile(r"^([A-Za-z0-9_-]+)[ \t]*:[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Companions:
    """What other files say about the image of a Dockerfile."""

    target: str = ""
    """The stage that CI builds."""
    image: str = ""
    """The name that CI gives it."""
    platforms: tuple[str, ...] = ()
    command: Command = ()
    """The command of its only service."""
    command_file: str = ""
    ports: tuple[int, ...] = ()
    """The ports of the container that its service publishes."""
    folders: tuple[str, ...] = ()
    """Where services mount named volumes."""
    healthcheck: tuple[str, ...] = ()
    by_poetry: tuple[tuple[str, str], ...] = ()
    """Files and services whose command runs Poetry."""


def companion_outcomes(
    found: Companions, stage: Stage, home: str, *, checks: bool
) -> list[Outcome]:
    """Return the settings for what the Dockerfile does not say itself.

    `home` is the folder of the application, `checks` is whether there is a health check.
    """
    settings: list[tuple[str, object]] = []
    if found.image:
        settings.append(("image", found.image))
    if found.platforms:
        settings.append(("platforms", [*found.platforms]))
    if found.ports and not stage.exposed:
        settings.append(("ports", [*found.ports]))
    if found.folders:
        folders = [place.removeprefix(f"{home}/") for place in found.folders if place != home]
        settings.append(("directories", folders))
    if found.healthcheck and not checks:
        words = health_command(shlex.join(found.healthcheck))
        settings += [("healthcheck", words)] if words and words[:2] == ["python", "-c"] else []
    return [Outcome(text=key, settings=((key, value),)) for key, value in settings]


def read_companions(
    compose: Mapping[str, str], workflows: Mapping[str, str], dockerfile: str
) -> Companions:
    """Read the texts of Compose files and workflows, by their paths."""
    services = [
        (path, name, service)
        for path, text in compose.items()
        for name, service in items(items(read_yaml(text)).get("services")).items()
        if isinstance(service, dict) and _builds(service, dockerfile)
    ]
    commands = {_words(service.get("command")): path for path, _, service in services}
    command = next(iter(commands), ()) if len(commands) == 1 else ()
    ports = {port: None for _, _, service in services for port in _ports(service)}
    folders = {place: None for _, _, service in services for place in _volumes(service)}
    checks = [
        check
        for _, _, service in services
        if (check := _check(items(service.get("healthcheck")).get("test")))
    ]
    steps = [
        step
        for text in workflows.values()
        for step in _build_steps(read_yaml(text))
        if _is_for(step, dockerfile)
    ]
    names = {name: None for step in steps for name in _names(step)}
    platforms = [
        tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())
        for step in steps
        for value in texts(step.get("platforms"))
        if "$" not in value
    ]
    found = platforms[0] if platforms else ()
    targets = {value for step in steps for value in texts(step.get("target")) if "$" not in value}
    return Companions(
        target=targets.pop() if len(targets) == 1 else "",
        image=next(iter(names)) if len(names) == 1 else "",
        platforms=() if [*found] == _DEFAULT_PLATFORM else found,
        command=command,
        command_file=next(iter(commands.values()), "") if command else "",
        ports=tuple(ports),
        folders=tuple(folders),
        healthcheck=checks[0] if checks else (),
        by_poetry=tuple(
            (path, name)
            for path, name, service in services
            if re.search(r"\bpoetry run\b", " ".join(_listed(service.get("command"))))
        ),
    )


def process_notes(procfile: str) -> list[str]:
    """Return a note for each process of a Procfile besides `web`, which the image starts."""
    notes = []
    for name, command in _PROCESS.findall(procfile):
        if name == "web":
            continue
        own = re.sub(r"^(?:exec +)?poetry +run +", "", command)
        image = name.lower().replace("_", "-")
        notes.append(
            f"The process {name} of the Procfile can run in the same image: `docker run IMAGE"
            f" {own}`. For an image of its own, with other packages or settings, add"
            f" [tool.poetry-docker-cache.images.{image}] with `command`."
        )
    return notes


def _builds(service: dict[str, Yaml], dockerfile: str) -> bool:
    build = service.get("build")
    if isinstance(build, str):
        return posixpath.normpath(posixpath.join(build, "Dockerfile")) == dockerfile
    if not isinstance(build, dict):
        return False
    context = build.get("context")
    file = build.get("dockerfile")
    place = posixpath.join(
        context if isinstance(context, str) else ".",
        file if isinstance(file, str) else "Dockerfile",
    )
    return posixpath.normpath(place) == dockerfile


def _listed(value: Yaml) -> list[str]:
    return texts(value)


def _words(value: Yaml) -> Command:
    """Return a command; empty for one with variables, which Compose replaces, or in a shell."""
    if any("$" in text or "\n" in text for text in texts(value)):
        return ()
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError:
            return ()
    return tuple(texts(value))


def _ports(service: dict[str, Yaml]) -> Iterator[int]:
    value = service.get("ports")
    for entry in value if isinstance(value, list) else []:
        port = items(entry).get("target") if isinstance(entry, dict) else entry
        last = port.rpartition(":")[2].partition("/")[0] if isinstance(port, str) else ""
        if last.isdecimal():
            yield int(last)


def _volumes(service: dict[str, Yaml]) -> Iterator[str]:
    value = service.get("volumes")
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, dict):
            place = entry.get("target") if entry.get("type") == "volume" else None
        else:
            name, _, rest = str(entry).partition(":")
            place = rest.partition(":")[0] if re.fullmatch(r"[\w.-]+", name) else None
            place = None if name.startswith(".") else place
        if isinstance(place, str) and place.startswith("/"):
            yield posixpath.normpath(place)


def _check(value: Yaml) -> tuple[str, ...]:
    if isinstance(value, str):
        return ("sh", "-c", value)
    words = texts(value)
    if words[:1] == ["CMD"]:
        return tuple(words[1:])
    return ("sh", "-c", words[1]) if words[:1] == ["CMD-SHELL"] and len(words) > 1 else ()


def _build_steps(workflow: Yaml) -> Iterator[dict[str, Yaml]]:
    """Yield the inputs of each build, and those of the action that names the image."""
    for job in items(items(workflow).get("jobs")).values():
        steps = items(job).get("steps")
        found = [items(step) for step in steps] if isinstance(steps, list) else []
        names: list[str] = []
        for step in found:
            uses = step.get("uses")
            inputs = items(step.get("with"))
            if isinstance(uses, str) and uses.startswith("docker/metadata-action"):
                names += [name for text in texts(inputs.get("images")) for name in text.split()]
            if isinstance(uses, str) and uses.startswith("docker/build-push-action"):
                images: list[Yaml] = [*names]
                yield {**inputs, "images": images}


def _is_for(step: dict[str, Yaml], dockerfile: str) -> bool:
    file, context = step.get("file"), step.get("context")
    if isinstance(file, str):
        return posixpath.normpath(file) == dockerfile
    place = context if isinstance(context, str) and "$" not in context else "."
    return posixpath.normpath(posixpath.join(place, "Dockerfile")) == dockerfile


def _names(step: dict[str, Yaml]) -> Iterator[str]:
    """Yield the repository names that a build pushes."""
    given = [*texts(step.get("images")), *texts(step.get("tags"))]
    plain = (re.sub(r"\$\{\{.*?\}\}", "$", value) for value in given)
    for text in (word for value in plain for word in re.split(r"[\s,]+", value)):
        head, colon, tail = text.rpartition(":")
        name = head if colon and "/" not in tail else text
        if name and "$" not in name and is_repository(name):
            yield name
