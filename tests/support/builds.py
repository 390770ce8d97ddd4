"""Runs `poetry docker build` and reads what BuildKit did, from its machine-readable progress."""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from acme import Project
    from clean_poetry import Poetry
    from engines import DockerEngine

NETWORK = ("--", "--network=host")
"""The index listens on this machine's loopback: builds see it on the host's network only."""

_PROBE = Path(__file__).with_name("image_probe.py")
# "[dependencies 2/2] RUN …", with the platform, or the image, before the stage where there are
# several.
_STEP = re.compile(r"\[(?:\S+ )?([a-z0-9._-]+) +\d+/\d+\] (.*)", re.DOTALL)
_SHARED = ("WORKDIR /scripts", "RUN python -m venv")
LAYER = re.compile(r"(dependencies|source|direct|(pure|native)-\d+)(\..*)?|own-.*")
_STATUS = re.compile(r'\{"(?:vertexes|statuses|logs|warnings)":')
_INSTALLED = re.compile(r"^ +[-•] (?:Installed|Installing|Updating) (\S+) \(", re.MULTILINE)
_GIVEN_UP = "context canceled"


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What one build did."""

    ran: frozenset[str]
    """The stages of which at least one step was executed, the base image's own aside."""
    cached: frozenset[str]
    """The stages of which every step came from the cache."""
    installed: tuple[str, ...]
    """The packages that were named as installed, in the stages of the dependencies."""
    messages: str
    """All that the steps printed."""
    sent: int
    """How many bytes of the project were sent to the builder."""
    said: str
    """What was printed besides, by the plugin and by buildx."""
    errors: tuple[str, ...]
    """What went wrong in steps, whether it mattered or not."""

    @property
    def layers(self) -> frozenset[str]:
        """Give those of the stages that install dependencies, each of which is a layer."""
        return frozenset(it for it in self.ran | self.cached if LAYER.fullmatch(it))

    @property
    def rebuilt(self) -> frozenset[str]:
        """Give the layers of dependencies that were not cached."""
        return self.layers & self.ran


def read_progress(text: str) -> Steps:
    """Read the output of `--progress=rawjson`; other lines are the plugin's or buildx's.

    Nothing of BuildKit's may get lost on the way, or a test would miss what a step has printed.
    """
    names: dict[str, str] = {}
    cached: set[str] = set()
    ended: set[str] = set()
    output: dict[str, bytes] = defaultdict(bytes)
    errors: dict[str, str] = {}
    said: list[str] = []
    sent = 0
    for line in text.split("\n"):  # `splitlines` takes some characters of JSON for line ends
        if not line.startswith("{"):
            assert not _STATUS.search(line), f"a status behind other output: {line}"
            said.append(line)
            continue
        status = json.loads(line)
        for vertex in status.get("vertexes") or ():
            names[vertex["digest"]] = vertex["name"]
            errors[vertex["digest"]] = vertex.get("error", "")  # the last word counts
            if vertex.get("cached"):  # it may be unpacked later, which is told as if it ran
                cached.add(vertex["digest"])
            if has_ended(vertex):
                ended.add(vertex["digest"])
        for part in status.get("statuses") or ():
            if part["id"].startswith("transferring context"):
                sent = max(sent, part.get("current", 0))
        for log in status.get("logs") or ():
            output[log["vertex"]] += base64.b64decode(log["data"])
    clipped = [data for data in output.values() if b"[output clipped, log limit" in data]
    assert not clipped, "BuildKit has clipped the log"
    assert output.keys() <= names.keys(), "a step of another build has printed the log of this one"
    steps = {digest: match for digest, name in names.items() if (match := _STEP.match(name))}
    steps = {digest: match for digest, match in steps.items() if not match[2].startswith("FROM ")}
    ran = {_stage(match) for digest, match in steps.items() if digest in ended - cached}
    known = {_stage(match) for match in steps.values()}
    of_dependencies = _text(output[d] for d, match in steps.items() if LAYER.fullmatch(match[1]))
    return Steps(
        ran=frozenset(ran),
        cached=frozenset(known - ran),
        installed=tuple(sorted(_INSTALLED.findall(of_dependencies))),
        messages=_text(output.values()),
        sent=sent,
        said="\n".join(said),
        errors=tuple(it for it in errors.values() if it and _GIVEN_UP not in it),
    )


def has_ended(vertex: Mapping[str, Any]) -> bool:
    """Tell whether this is the word of a step that came to its end.

    BuildKit begins others, and gives them up when it finds a result that needs none of them.
    """
    return bool(vertex.get("completed")) and _GIVEN_UP not in vertex.get("error", "")


def _stage(step: re.Match[str]) -> str:
    """Give the stage of a step.

    What `venv` and `manifest` share, BuildKit runs once, and names it after one of them.
    """
    shared = step[1] == "manifest" and step[2].startswith(_SHARED)
    return "venv" if shared else step[1]


def look(engine: DockerEngine, image: str) -> dict[str, Any]:
    """Tell what an image holds, as its own user sees it."""
    code = base64.b64encode(_PROBE.read_bytes()).decode()
    command = f"import base64; exec(base64.b64decode('{code}'))"
    return dict(json.loads(engine.run(image, "python", "-c", command)))


def names(found: Mapping[str, Any]) -> list[str]:
    """List the distributions in an image."""
    return [name for name, _ in found["distributions"]]


def _text(parts: Iterable[bytes]) -> str:
    return b"".join(parts).decode(errors="replace")


def build(project: Project, *options: str, poetry: Poetry | None = None) -> Steps:
    """Build, successfully, and leave no temporary file; `--` and what follows may end `options`."""
    poetry = poetry or project.poetry
    before, behind = _split(options)
    command = ["docker", "build", "--progress=rawjson", *before, *NETWORK, *behind]
    done = poetry.run(project.folder, *command)
    assert not list(poetry.temporary.iterdir()), "the build left temporary files"
    return read_progress(done.stderr)


def anew(*stages: str) -> tuple[str, ...]:
    """Give the options of a build that takes these stages from no cache, whoever filled it."""
    return ("--", *(f"--no-cache-filter={stage}" for stage in stages))


def failed_build(project: Project, *options: str) -> str:
    """Build, in vain, with status 1; give all that was said. No temporary file may be left."""
    before, behind = _split(options)
    command = ["docker", "build", "--progress=plain", *before, *NETWORK, *behind]
    done = project.poetry.run(project.folder, *command, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert not list(project.poetry.temporary.iterdir()), "the build left temporary files"
    return done.stdout + done.stderr


def _split(options: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if "--" not in options:
        return options, ()
    dashes = options.index("--")
    return options[:dashes], options[dashes + 1 :]
