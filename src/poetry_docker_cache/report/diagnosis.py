"""The cause of a failed build and what to type, from what BuildKit and the step printed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.image_names import (
    is_reference,
    normalised,
    repository_of,
    with_suffix,
)
from poetry_docker_cache.errors import BuildError
from poetry_docker_cache.inside.install.failures import PREFIX
from poetry_docker_cache.report.failure_causes import ERRORS, MEMORY, OUTPUTS, SPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.build_failure import Failure
    from poetry_docker_cache.report.failure_causes import Cause


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the plan says about a build, for the fixes."""

    images: Mapping[str, str] = field(default_factory=dict)
    """The base images, with their full names, and what to do if one does not exist."""
    caches: Sequence[str] = ()
    """The caches that the build reads, as buildx takes them."""
    instructions: Sequence[str] = ()
    """The lines of the setting `instructions`."""
    dockerfile: str = ""
    """The user's own Dockerfile (`--file`); empty for a generated one."""


_SYNTAX = "docker/dockerfile:1"
_PROCESS = re.compile(r'process ".*" did not complete successfully: (?P<why>.*)', re.DOTALL)
_STEP = re.compile(r"\[(?P<stage>[^]]*?) *\d+/\d+\] (?P<instruction>.*)", re.DOTALL)
_UNKNOWN = re.compile(r"unknown (?:flag|instruction): (\S+)")
_MOUNTS = re.compile(r"--(?:mount|network)=\S+\s+")
_WIDTH = 76
_LONGEST = 1000
"""Longer lines are cut: they are data, such as minified code."""


def diagnose(failure: Failure, known: Known, status: int = 1) -> BuildError:
    """Return the error that ends the output of a failed build: its cause, and what to type."""
    problem, fix = _diagnosis(failure, known)
    return BuildError(problem, fix=fix, status=status)


def named_step(name: str) -> str:
    """Shorten BuildKit's name of a step to a line without its mounts.

    >>> named_step("[pure-1 1/1] RUN --mount=type=bind,from=scripts     python -m install")
    '[pure-1] RUN python -m install'
    """
    match = _STEP.fullmatch(name)
    if match:
        stage = f"[{match['stage']}] " if match["stage"] else ""
        name = f"{stage}{_MOUNTS.sub('', match['instruction'])}"
    line = " ".join(name.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"


def last_lines(output: str, most: int = 20) -> list[str]:
    """Return the last lines of a step's output, without the explanation that the error repeats."""
    return [_cut(line) for line in _split(output)[0].strip("\n").splitlines()[-most:]]


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _diagnosis(failure: Failure, known: Known) -> tuple[str, str]:
    error = _PROCESS.sub(r"\g<why>", failure.error)  # its command may contain any text
    for cause in ERRORS:
        if found := re.search(cause.pattern, error):
            return _texts(cause, found, failure, known)
    everything = f"{failure.output}\n{error}"
    for cause in (MEMORY, SPACE):
        if found := re.search(cause.pattern, everything, re.MULTILINE):
            return _texts(cause, found, failure, known)
    explanation = _split(failure.output)[1]
    if explanation:
        problem, _, fix = explanation.partition("\n")
        return problem, fix
    for cause in OUTPUTS:
        if found := re.search(cause.pattern, failure.output, re.MULTILINE):
            return _texts(cause, found, failure, known)
    return _unknown(failure, known)


def _split(output: str) -> tuple[str, str]:
    """Split a step's output into that of its programs, and the explanation of our script."""
    before, prefix, explanation = f"\n{output}".rpartition(f"\n{PREFIX}")
    return (before, explanation.strip()) if prefix else (output, "")


def _unknown(failure: Failure, known: Known) -> tuple[str, str]:
    printed = [line.strip() for line in failure.output.splitlines() if line.strip()]
    process = _PROCESS.search(failure.error)
    if process and printed:
        problem = f"{_step(failure)} failed ({process['why']}): {_cut(printed[-1])}"
    else:
        why = process["why"] if process else failure.error or "docker exited early"
        problem = f"{_step(failure)} failed: {why.splitlines()[0]}"
    return problem, _remedy(failure, known)


def _own_instruction(failure: Failure, known: Known) -> str:
    """Return the line of `instructions` that failed; "" if another one did."""
    step, unknown = _STEP.fullmatch(failure.step), _UNKNOWN.search(failure.error)
    for line in known.instructions:
        words = line.split()
        if (step and words == step["instruction"].split()) or (unknown and unknown[1] in words):
            return line
    return ""


def _texts(cause: Cause, found: re.Match[str], failure: Failure, known: Known) -> tuple[str, str]:
    groups = {name: text.strip() for name, text in found.groupdict().items() if text}
    ref = groups.get("ref", "")
    host, repository = _registry(ref)
    values = {
        "name": groups.get("apk") or groups.get("module") or "",
        "why": "",
        "at": f" {groups.get('line')}" if known.dockerfile else "",
        "host": host,
        "repository": repository,
        "login": "docker login" if host == "docker.io" else f"docker login {host}",
        "image": _image(ref, known),
        "cache": f"the cache {known.caches[0]}" if known.caches else "an image in a registry",
        "renew": _renew(known),
        "unhide": _unhide(groups.get("path", ""), known),
        "show": _remedy(failure, known),
        "source": known.dockerfile or "A line of `instructions` or of `template`",
        "correct": _correct(failure, known) or "Correct it in [tool.poetry-docker-cache].",
        "syntax": f"begin the file with `# syntax={_SYNTAX}`"
        if known.dockerfile
        else f'set `syntax = "{_SYNTAX}"` in [tool.poetry-docker-cache]',
        "step": _step(failure),
        **groups,
    }
    return cause.problem.format(**values), cause.fix.format(**values)


def _registry(ref: str) -> tuple[str, str]:
    """Return the host and the repository of an image."""
    if not ref or not is_reference(ref):
        return "the registry", ref
    return normalised(ref).partition("/")[0], repository_of(ref).removeprefix("docker.io/")


def _image(ref: str, known: Known) -> str:
    """Return what to do about a base image that does not exist."""
    full = normalised(ref) if is_reference(ref) else ref
    where = known.dockerfile or "`instructions` or `template`"
    return known.images.get(full) or f"Correct its name in {where}."


def _step(failure: Failure) -> str:
    """Name the failed step for a sentence: its stage, or without one, its instruction."""
    match = _STEP.fullmatch(failure.step)
    if not match:
        return "The build"
    return f"The step `{match['stage'] or ' '.join(match['instruction'].split())}`"


def _remedy(failure: Failure, known: Known) -> str:
    """Return what to do about a failed step without a known cause."""
    return (
        _correct(failure, known)
        or "Run the command with `--progress=plain` to see the whole output."
    )


def _correct(failure: Failure, known: Known) -> str:
    """Return which line or file of the user to correct; "" if the failed step is not theirs."""
    if own := _own_instruction(failure, known):
        return f"Correct this line of `instructions`:\n{own}"
    return f"Correct {known.dockerfile}." if known.dockerfile else ""


def _renew(known: Known) -> str:
    """Return how to build without a damaged cache."""
    if not known.caches:
        return "Build again later, or with another base image."
    old = known.caches[0]
    new = with_suffix(old, "2") if is_reference(old) else "NAME"
    return (
        f"Use a new one, which the build then fills:\n--cache {new}"
        "\nIf the setting `cache` names the damaged one, change it: every build reads it."
    )


def _unhide(path: str, known: Known) -> str:
    """Return how to let the ignore file pass a path."""
    if known.dockerfile:
        return f"If it is excluded, add the line !{path} to the ignore file."
    return f'If it is excluded, add to [tool.poetry-docker-cache]:\nignore = ["!{path}"]'
