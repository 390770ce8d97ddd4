"""Run `poetry docker build` and read from BuildKit's machine-readable progress what it did."""

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
"""The index listens on this machine's loopback, which builds only reach on the host's network."""

_PROBE = Path(__file__).with_name("image_probe.py")
# "[dependencies 2/2] RUN …". With several platforms or images, their name precedes the stage.
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
    """Stages that executed at least one step, not counting those of the base image."""
    cached: frozenset[str]
    """Stages whose steps all came from the cache."""
    installed: tuple[str, ...]
    """Packages reported as installed in the dependency stages."""
    messages: str
    """All output of the steps."""
    sent: int
    """How many bytes of the project were sent to the builder."""
    said: str
    """Other output, from the plugin and from buildx."""
    errors: tuple[str, ...]
    """All errors of steps, including harmless ones."""

    @property
    def layers(self) -> frozenset[str]:
        """Return the stages that install dependencies; each is a layer."""
        return frozenset(stage for stage in self.ran | self.cached if LAYER.fullmatch(stage))

    @property
    def rebuilt(self) -> frozenset[str]:
        """Return the dependency layers that were not cached."""
        return self.layers & self.ran


def read_progress(text: str) -> Steps:
    """Read the output of `--progress=rawjson`; other lines come from the plugin or buildx.

    No BuildKit line may be lost, or a test would miss what a step printed.
    """
    names: dict[str, str] = {}
    cached: set[str] = set()
    ended: set[str] = set()
    output: dict[str, bytes] = defaultdict(bytes)
    errors: dict[str, str] = {}
    said: list[str] = []
    sent = 0
    for line in text.split("\n"):  # `splitlines` would also split at characters that JSON allows
        if not line.startswith("{"):
            assert not _STATUS.search(line), f"a status behind other output: {line}"
            said.append(line)
            continue
        status = json.loads(line)
        for vertex in status.get("vertexes") or ():
            names[vertex["digest"]] = vertex["name"]
            errors[vertex["digest"]] = vertex.get("error", "")  # the last status counts
            if vertex.get("cached"):  # may be unpacked later, which is then reported as if it ran
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
        errors=tuple(error for error in errors.values() if error and _GIVEN_UP not in error),
    )


def has_ended(vertex: Mapping[str, Any]) -> bool:
    """Return whether a step ran to its end.

    BuildKit starts some steps and cancels them when it finds a cached result.
    """
    return bool(vertex.get("completed")) and _GIVEN_UP not in vertex.get("error", "")


def _stage(step: re.Match[str]) -> str:
    """Return the stage of a step.

    `venv` and `manifest` share steps; BuildKit runs them once, under either name.
    """
    shared = step[1] == "manifest" and step[2].startswith(_SHARED)
    return "venv" if shared else step[1]


def inspect_image(engine: DockerEngine, image: str) -> dict[str, Any]:
    """Describe the content of an image, as its own user sees it."""
    code = base64.b64encode(_PROBE.read_bytes()).decode()
    command = f"import base64; exec(base64.b64decode('{code}'))"
    return dict(json.loads(engine.run(image, "python", "-c", command)))


def names(found: Mapping[str, Any]) -> list[str]:
    """List the distributions in an image."""
    return [name for name, _ in found["distributions"]]


def _text(parts: Iterable[bytes]) -> str:
    return b"".join(parts).decode(errors="replace")


def build(project: Project, *options: str, poetry: Poetry | None = None) -> Steps:
    """Build successfully, leaving no temporary file; `options` may end with `--` and arguments."""
    poetry = poetry or project.poetry
    before, behind = _split(options)
    command = ["docker", "build", "--progress=rawjson", *before, *NETWORK, *behind]
    done = poetry.run(project.folder, *command)
    assert not list(poetry.temporary.iterdir()), "the build left temporary files"
    return read_progress(done.stderr)


def without_cache(*stages: str) -> tuple[str, ...]:
    """Return build options that ignore every cache for these stages."""
    return ("--", *(f"--no-cache-filter={stage}" for stage in stages))


def failed_build(project: Project, *options: str) -> str:
    """Build, expecting status 1, and return all output. No temporary file may be left."""
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
