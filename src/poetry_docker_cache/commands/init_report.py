"""Implements `poetry docker init`: read the Dockerfile, show the proposal, ask, and write."""

from __future__ import annotations

import difflib
import json
import os
import posixpath
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from poetry_docker_cache.commands.old_dockerfile import (
    OldDockerfile,
    read_old_dockerfile,
    surroundings,
)
from poetry_docker_cache.docker.dockerfile_syntax import GENERATED
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.migrate.companions import process_notes
from poetry_docker_cache.migrate.differences import find_differences
from poetry_docker_cache.migrate.findings import OldImage, find_costs
from poetry_docker_cache.migrate.proposal import Proposal, propose, prune
from poetry_docker_cache.plan.image_plan import NO_COMMAND
from poetry_docker_cache.project.pyproject_edit import with_settings, write_settings
from poetry_docker_cache.project.reader import project_folder, settings_table
from poetry_docker_cache.project.root.declared import is_file, text_of
from poetry_docker_cache.project.stated_starts import own_dockerfiles
from poetry_docker_cache.settings.table import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.migrate.outcomes import Outcome


@dataclass(frozen=True, kw_only=True)
class InitOptions:
    """The options of `poetry docker init`, as typed."""

    dockerfile: str | None
    target: str
    yes: bool
    dry_run: bool
    json: bool

    @property
    def asks(self) -> bool:
        """Whether questions are asked."""
        return not (self.yes or self.dry_run or self.json)


class Questions(Protocol):
    """Asks the user; without interaction, the defaults are the answers."""

    def ask(self, question: str, default: str | None = None) -> str | None:
        """Ask for a text."""

    def confirm(self, question: str, default: bool = False) -> bool:  # cleo's
        """Ask for yes or no."""


def init(options: InitOptions, poetry: Poetry, console: Console, questions: Questions) -> int:
    """Propose settings, and write them if the user agrees. Raises DockerCacheError."""
    folder = project_folder(poetry)
    existing = {key: plain(value) for key, value in settings_table(poetry).items()}
    if existing.get("images"):
        raise DockerCacheError(
            "The settings define several images, so a Dockerfile does not replace all of them.",
            fix="Add the settings of the Dockerfile to the table of its image by hand.",
        )
    name = _dockerfile(folder, options.dockerfile)
    old = _read(poetry, folder, name, options.target) if name else None
    if old:
        base = old.stage.base
        proposal = propose(old.reading, old.around.project, existing, base, old.others)
    else:
        proposal = _asked(poetry, existing, questions, asks=options.asks)
    _show_all(options, proposal, old, console, folder)
    if options.dry_run or not proposal.settings:
        return 0
    if options.asks and not questions.confirm("Write these settings into pyproject.toml?", True):
        return 0
    write_settings(folder / "pyproject.toml", {"": proposal.settings})
    console.message("the settings into pyproject.toml.", title="Wrote ")
    return 0


def _show_all(
    options: InitOptions,
    proposal: Proposal,
    old: OldDockerfile | None,
    console: Console,
    folder: Path,
) -> None:
    """Print the proposal, as JSON or for people."""
    differences = _differences(old, proposal) if old else []
    differences += process_notes(text_of(folder / "Procfile"))
    if options.json:
        data = _as_data(proposal, differences)
        console.raw(f"{json.dumps(data, indent=2, ensure_ascii=False)}\n")
        return
    _show(proposal, folder, console)
    if old:
        _show_left_over(proposal, old.name, console)
        _show_costs(_as_image(old), console)
        if differences:
            console.message(" in the new image:", title="Differences")
    for text in differences:
        console.note(text)
    if old:
        _show_comparison(old, proposal, console)


def _differences(old: OldDockerfile, proposal: Proposal) -> list[str]:
    found = find_differences(_as_image(old), old.reading, proposal.plan) if proposal.plan else []
    return found + [
        f"{file} starts the service {service} by `poetry run`, which the image does not have:"
        " remove it from the command."
        for file, service in old.companions.by_poetry
    ]


def _as_image(old: OldDockerfile) -> OldImage:
    return OldImage(
        dockerfile=old.dockerfile,
        stage=old.stage,
        user=old.reading.user,
        project=old.around.project,
    )


def _dockerfile(folder: Path, given: str | None) -> str | None:
    """Return the path of the Dockerfile, relative to the project. Raises DockerCacheError."""
    if given is None:
        found = own_dockerfiles(folder)
        if len(found) > 1:
            raise DockerCacheError(
                f"The project has several Dockerfiles: {', '.join(found)}.",
                fix=f"Name the one to replace: `poetry docker init --from {found[0]}`.",
            )
        return found[0] if found else None
    path = folder / given if (folder / given).exists() else Path.cwd() / given
    if not is_file(path):
        raise DockerCacheError(f"{given} not found.", fix="Give `--from` the path of a Dockerfile.")
    return Path(os.path.relpath(path, folder)).as_posix()


def _read(poetry: Poetry, folder: Path, name: str, target: str) -> OldDockerfile:
    try:
        text = (folder / name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DockerCacheError(
            f"{name} cannot be read: {error}.", fix="Name another file with `--from`."
        ) from error
    if "\0" in text:
        raise DockerCacheError(
            f"{name} is not a text file.", fix="Name a Dockerfile with `--from`."
        )
    if GENERATED in text:
        raise DockerCacheError(
            f"{name} was written by `poetry docker export`: its settings are in pyproject.toml.",
            fix="Name a Dockerfile written by hand with `--from`.",
        )
    old = read_old_dockerfile(poetry, name, text, target)
    if not old.dockerfile.stages:
        raise DockerCacheError(
            f"{name} has no FROM, so it is not a Dockerfile.", fix="Name another with `--from`."
        )
    if target and not old.dockerfile.find(target):
        names = [stage.name for stage in old.dockerfile.stages if stage.name]
        raise DockerCacheError(
            f"{name} has no stage {target!r}.", fix=f"Its stages: {', '.join(names) or 'unnamed'}."
        )
    return old


def _asked(
    poetry: Poetry, existing: Mapping[str, object], questions: Questions, *, asks: bool
) -> Proposal:
    """Ask for what the project does not show; the defaults are those of the plan."""
    project = surroundings(poetry, ()).project
    first = prune({}, [], project, existing)
    if first.plan is None:
        raise DockerCacheError(first.problem)
    runtime = first.plan.runtime
    named = project.metadata.name
    known = runtime.command if runtime.command != NO_COMMAND else None
    defaults = {
        "image": str(existing.get("image", named or posixpath.basename(project.place[-1]))),
        "python": str(existing.get("python", runtime.python)),
        "ports": runtime.ports[0] if runtime.ports else "",
        "command": shlex.join(known or ()),
    }
    texts = {
        "image": "Name of the image",
        "python": "Python version",
        "ports": "Port (empty: none)",
        "command": "Start command",
    }
    answers = {
        key: (questions.ask(f"{text}:", defaults[key]) if asks else defaults[key]) or ""
        for key, text in texts.items()
    }
    table: dict[str, object] = {"python": answers["python"]}
    if answers["image"] != named:
        table["image"] = answers["image"]
    if answers["ports"] != defaults["ports"]:
        table["ports"] = [int(port) for port in answers["ports"].split() if port.isdecimal()]
    if answers["command"] != defaults["command"]:
        table["command"] = shlex.split(answers["command"])
    table = {key: value for key, value in table.items() if key not in existing}
    proposal = prune(table, [], project, existing)
    if proposal.problem:
        raise DockerCacheError(proposal.problem)
    pinned = {"python": table["python"]} if "python" in table else {}
    return replace(proposal, settings={**pinned, **proposal.settings})


def _as_data(proposal: Proposal, differences: list[str]) -> dict[str, object]:
    return {
        "settings": proposal.settings,
        "left_over": [
            {"line": outcome.line, "instruction": outcome.text, "advice": outcome.advice}
            for outcome in proposal.left_over
        ],
        "differences": differences,
    }


def _show(proposal: Proposal, folder: Path, console: Console) -> None:
    """Print the diff of pyproject.toml."""
    if not proposal.settings:
        console.note("No settings are needed: the image is the same without any.")
        return
    before = (folder / "pyproject.toml").read_bytes().decode()
    after = with_settings(before, proposal.settings)
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "pyproject.toml", "pyproject.toml", lineterm=""
    )
    console.raw("".join(f"{line}\n" for line in lines))
    if proposal.problem:
        console.note(f"The image cannot be planned with these settings yet: {proposal.problem}")


def _show_left_over(proposal: Proposal, name: str | None, console: Console) -> None:
    left = proposal.left_over
    if name and not left:
        console.message(f"The settings replace each instruction of {name}.")
    if left:
        console.message(f" of {name} without a setting:", title="Instructions")
    for outcome in left:
        console.message(f"{name}:{outcome.line}: {_shortened(outcome)}")
        console.message(f"    {outcome.advice}")


def _shortened(outcome: Outcome, width: int = 160) -> str:
    text = " ".join(outcome.text.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _show_costs(image: OldImage, console: Console) -> None:
    console.message(" of the old Dockerfile:", title="Costs and risks")
    for finding in find_costs(image):
        numbers = ", ".join(map(str, finding.lines))
        where = f" (line{'s' if len(finding.lines) > 1 else ''} {numbers})" if numbers else ""
        console.note(f"{finding.text}{where}")


def _show_comparison(old: OldDockerfile, proposal: Proposal, console: Console) -> None:
    """Print the commands that build both images."""
    name = str(proposal.settings.get("image") or old.around.project.metadata.name or "app")
    file = "" if old.name == "Dockerfile" else f" -f {shlex.quote(old.name)}"
    console.message(" both images:", title="Compare")
    for line in (
        f"docker build -t {name}:old{file} .",
        f"poetry docker build -t {name}:new",
        f"docker image ls {name}",
        f"docker run --rm --entrypoint id {name}:new",
    ):
        console.message(f"    {line}")
    console.note(f"When the new image works, remove {old.name}.")
