"""The stages of a Dockerfile: which one is the production image, and what it is built from."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.dockerfile_syntax import Instruction, read_instructions
from poetry_docker_cache.docker.final_stage import assignments, expand

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_DEVELOPMENT = re.compile(
    r"(?:^|[._-])(?:ci|debug|dev|devel|develop|development|docs|e2e|lint|linter|local|tests?|testing)"
    r"(?=$|[._-])",
    re.IGNORECASE,
)
_NODE = re.compile(r"(?:^|/)(?:node|bun)(?=[:@]|$)|(?:^|/)(?:oven/bun)")
_NODE_TOOLS = re.compile(r"(?:^|[\s;&|])(?:npm|yarn|pnpm|bun|npx|bunx)\s")
_PYTHON_TOOLS = re.compile(r"(?:^|[\s;&|/])(?:poetry|pip3?|pipx|uv|pdm|pipenv)\s")


@dataclass(frozen=True, kw_only=True)
class DockerStage:
    """A stage of a Dockerfile."""

    number: int
    start: Instruction
    """Its FROM."""
    image: str
    """The image in FROM, with the values of arguments."""
    name: str = ""
    parent: int | None = None
    """The number of the stage that it is based on."""
    instructions: tuple[Instruction, ...] = ()
    """All but FROM."""

    @property
    def is_development(self) -> bool:
        """Whether its name is one for development or tests."""
        return bool(_DEVELOPMENT.search(self.name))

    @property
    def is_front_end(self) -> bool:
        """Whether it builds a front end with Node.js."""
        runs = [each.arguments for each in self.instructions if each.keyword == "RUN"]
        builds = any(_NODE_TOOLS.search(text) for text in runs)
        installs = any(_PYTHON_TOOLS.search(text) for text in runs)
        return bool(_NODE.search(self.image)) or (builds and not installs)


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    """A Dockerfile, divided into stages."""

    stages: tuple[DockerStage, ...] = ()
    arguments: tuple[Instruction, ...] = ()
    """What comes before the first FROM: ARG."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The defaults of these arguments."""
    target: int = -1
    """The number of the stage that is the production image."""

    def lineage(self, number: int) -> list[DockerStage]:
        """List a stage and those that it is based on, the oldest first."""
        stage = self.stages[number]
        return [*(self.lineage(stage.parent) if stage.parent is not None else []), stage]

    def find(self, name: str) -> DockerStage | None:
        """Return the stage that `COPY --from` names."""
        found = [stage for stage in self.stages if stage.name == name.lower() != ""]
        if not found and name.isdecimal() and int(name) < len(self.stages):
            return self.stages[int(name)]
        return found[-1] if found else None

    @property
    def used(self) -> set[int]:
        """The numbers of all stages that the production image is made of."""
        if not self.stages:
            return set()
        found: set[int] = set()
        todo = [self.target]
        while todo:
            number = todo.pop()
            if number in found:
                continue
            found.add(number)
            stage = self.stages[number]
            todo += [] if stage.parent is None else [stage.parent]
            for each in stage.instructions:
                for name in re.findall(r"(?:--from=|[, ]from=)([^\s,]+)", each.text):
                    other = self.find(expand(name, self.values))
                    todo += [other.number] if other else []
        return found


def read_dockerfile(text: str, target: str = "") -> Dockerfile:
    """Divide a Dockerfile into stages; `target` names the stage of the production image."""
    values: dict[str, str] = {}
    arguments: list[Instruction] = []
    stages: list[DockerStage] = []
    bodies: list[list[Instruction]] = []
    for each in read_instructions(text):
        if each.keyword == "FROM":
            words = [word for word in each.arguments.split() if not word.startswith("--")]
            image = expand(re.sub(r"[\"']", "", words[0]), values) if words else ""
            named = len(words) > 2 and words[1].upper() == "AS"  # noqa: PLR2004  # image AS name
            parents = [stage.number for stage in stages if stage.name == image.lower() != ""]
            stages.append(
                DockerStage(
                    number=len(stages),
                    start=each,
                    image=image,
                    name=words[2].lower() if named else "",
                    parent=parents[-1] if parents else None,
                )
            )
            bodies.append([])
        elif stages:
            bodies[-1].append(each)
        else:
            arguments.append(each)
            values.update(assignments(each.arguments, values) if each.keyword == "ARG" else {})
    whole = tuple(
        DockerStage(
            number=stage.number,
            start=stage.start,
            image=stage.image,
            name=stage.name,
            parent=stage.parent,
            instructions=tuple(body),
        )
        for stage, body in zip(stages, bodies, strict=True)
    )
    found = Dockerfile(stages=whole, arguments=tuple(arguments), values=values)
    return Dockerfile(
        stages=whole, arguments=found.arguments, values=values, target=_target(found, target)
    )


def _target(dockerfile: Dockerfile, name: str) -> int:
    """The named stage, else the last one with a start command that is not for development."""
    asked = dockerfile.find(name) if name else None
    if asked:
        return asked.number
    starting = [
        stage.number
        for stage in dockerfile.stages
        if not stage.is_development
        and any(
            each.keyword in ("CMD", "ENTRYPOINT")
            for ancestor in dockerfile.lineage(stage.number)
            for each in ancestor.instructions
        )
    ]
    last = len(dockerfile.stages) - 1
    is_development = last >= 0 and dockerfile.stages[last].is_development
    return starting[-1] if starting and is_development else last


def text_up_to(text: str, dockerfile: Dockerfile) -> str:
    """Return the text of the Dockerfile up to the end of the production stage."""
    after = dockerfile.target + 1
    if after >= len(dockerfile.stages):
        return text
    return "\n".join(text.split("\n")[: dockerfile.stages[after].start.line - 1])


def context_prefix(dockerfile: Dockerfile, place: Sequence[str], files: Collection[str]) -> str:
    """Return the project's folder in the build context, which may be a folder above it.

    `place` are the folders from the root of the file system to the project.
    """
    for each in (each for stage in dockerfile.stages for each in stage.instructions):
        if each.keyword not in ("COPY", "ADD", "RUN"):
            continue
        for match in re.finditer(r"(?:^|[\s\"'=,])([\w./-]*?)/?pyproject\.toml", each.arguments):
            folder = posixpath.normpath(posixpath.join("/", match[1])).lstrip("/")
            parts = folder.split("/") if folder else []
            if (
                parts
                and [*place][-len(parts) :] == parts
                and f"{folder}/pyproject.toml" not in files
            ):
                return folder
    return ""
