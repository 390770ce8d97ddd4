"""The cause of a failed build and what to type, from what BuildKit and the step printed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from poetry_docker_cache.docker.image_names import (
    is_reference,
    normalised,
    repository_of,
    with_suffix,
)
from poetry_docker_cache.errors import BuildError
from poetry_docker_cache.inside.install.failures import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.buildx.build_failure import Failure


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


class Cause(NamedTuple):
    """A pattern, and the texts about it, which may name its groups."""

    pattern: str
    problem: str
    fix: str


_LOGIN = (
    r"(?P<why>40[13] \w+|[^:\n]*\bdenied\b.*|authentication required.*|unauthorized.*|"
    r"no basic auth credentials|[^:\n]*authorization failed.*)"
)
_CONNECTION = (
    r"(?P<why>connection refused|connection reset by peer|no such host|broken pipe|i/o timeout|"
    r"network is unreachable|no route to host|TLS handshake timeout|Client\.Timeout.*|"
    r"context deadline exceeded|server misbehaving|(?:unexpected )?EOF|"
    r"use of closed network connection)"
)
_PUSH = r"failed to push (?P<ref>\S+): .*?"
_PULL = r"(?P<ref>\S+): failed to resolve source metadata for \S+: .*?"
_REGISTRY = (
    r"(?=failed to push |\S+: failed to resolve )(?:failed to push )?(?P<ref>\S+): "
    r"(?:failed to resolve source metadata for \S+: )?.*?"
)
_AGAIN = "then build again: the layers are cached."
_SYNTAX = "docker/dockerfile:1"

# The first that is found in BuildKit's error.
ERRORS = (
    # The registry of the image
    Cause(
        _PUSH + r"(?P<why>[^:\n]*\b(?:immutable|cannot be overwritten)\b.*)",
        "{host} does not replace {ref}: {why}",
        "Push another tag: `-t {repository}:TAG`.",
    ),
    Cause(
        _PUSH + _LOGIN,
        "{host} refused the push of {ref}: {why}.",
        "Log in as a user who may push to {repository}, " + _AGAIN + "\n{login}",
    ),
    Cause(
        _PUSH + r"(?:name unknown|NAME_UNKNOWN|repository with name .* does not exist)",
        "{host} has no repository for {ref}.",
        "Create {repository} there, or correct the name, " + _AGAIN,
    ),
    Cause(
        _PUSH + r"(?P<why>413 \w.*)",
        "{host} refused the size of a layer: {why}.",
        "A proxy before the registry limits uploads: raise its limit (nginx: client_max_body_size),"
        "\n" + _AGAIN,
    ),
    Cause(
        _PUSH + r"(?P<why>(?:405|5\d\d) [^:\n]*|blob upload (?:unknown|invalid).*|no space left.*)",
        "{host} cannot store {ref}: {why}.",
        "The registry may be full or read-only: see its log or ask its owner, " + _AGAIN,
    ),
    # Base images
    Cause(
        r"failed to resolve source metadata for (?P<ref>\S*docker/dockerfile\S*): (?P<why>.*)",
        "BuildKit cannot fetch its frontend {ref}: {why}",
        "Set in [tool.poetry-docker-cache], with Docker 23 or newer:\nsyntax = false",
    ),
    Cause(
        _PULL + r"no match for platform.*",
        "The base image {ref} does not exist for the platform of this build.",
        "Build for another one (`--platform linux/amd64`), or set another `base-image`.",
    ),
    Cause(
        _PULL + r"(?:pull access denied, )?repository does not exist.*",
        "The image {ref} does not exist, or {host} requires a login.",
        "{image}\nIf it is private, log in: {login}",
    ),
    Cause(
        _PULL + r"(?:: not found|manifest unknown|name unknown).*",
        "The image {ref} does not exist.",
        "{image}",
    ),
    Cause(
        _PULL + _LOGIN,
        "{host} refused access to the image {ref}: {why}.",
        "Log in as a user who may pull it, then build again:\n{login}",
    ),
    # Any registry
    Cause(
        _REGISTRY + r"(?P<why>toomanyrequests.*|429 Too Many Requests.*)",
        "{host} limits the number of pulls, and the limit is reached.",
        "Log in for a higher limit, or try again later:\n{login}",
    ),
    Cause(
        _REGISTRY
        + r"(?:server gave HTTP response to HTTPS client|does not look like a TLS handshake)",
        "{host} is a registry without TLS, and the builder does not allow that.",
        "Give the registry a certificate, or allow it in the engine's daemon.json: \"insecure-"
        'registries": ["{host}"]',
    ),
    Cause(
        _REGISTRY + r"x509: (?P<why>.*)",
        "The builder does not trust the certificate of {host}: {why}",
        "Save the certificate of its authority as /etc/docker/certs.d/{host}/ca.crt on the engine's"
        " machine.",
    ),
    Cause(
        _PUSH + _CONNECTION,
        "The connection to the registry {host} failed: {why}.",
        "Check the name, and that the registry can be reached, " + _AGAIN,
    ),
    Cause(
        _REGISTRY + _CONNECTION,
        "The registry {host} cannot be reached: {why}.",
        "Check the name of the image {ref} and your network, then build again.",
    ),
    Cause(
        _PUSH + r"(?P<why>.*)", "{ref} was not pushed: {why}", "The layers are cached: try again."
    ),
    # A cache
    Cause(
        r"(?P<why>unexpected commit digest|could not fetch content descriptor|"
        r"416 Requested Range Not Satisfiable)",
        "A layer of {cache} is damaged or was deleted: {why}.",
        "{renew}",
    ),
    Cause(
        r"parent snapshot \S+ does not exist",
        "The engine lost a layer while it unpacked the image (moby/buildkit#6521).",
        "Build again: every step is cached.",
    ),
    # The command line
    Cause(
        r"^(?P<why>unknown (?:shorthand )?flag: .*|flag needs an argument: .*|invalid argument .*)",
        "docker buildx does not accept an option: {why}",
        "Check the options after `--` with `docker buildx build --help`.",
    ),
    Cause(
        r"additional privileges requested",
        "The build asks for more than its folder, and was not allowed it.",
        "If you trust the project, add the `--allow` options above after `--`.",
    ),
    # The Dockerfile
    Cause(
        r"failed to calculate checksum of ref \S+: \"/?(?P<path>[^\"]+)\": not found",
        "{path} is not in the build context: it does not exist, or the ignore file hides it.",
        "{show}\n{unhide}",
    ),
    Cause(
        r"dockerfile parse error(?P<line> on line \d+)?: (?P<why>unknown (?:flag|instruction): .*)",
        "{source} is not valid{at}: {why}",
        "{correct}\nIf only a newer frontend of BuildKit knows it, {syntax}.",
    ),
    Cause(
        r"dockerfile parse error(?P<line> on line \d+)?: (?P<why>.*)",
        "{source} is not valid{at}: {why}",
        "{correct}",
    ),
    Cause(
        r"target stage \"(?P<name>[^\"]+)\" could not be found",
        "--target: the Dockerfile has no stage {name}.",
        "Leave --target out. `poetry docker export -o -` shows the stages.",
    ),
    Cause(
        r"[Mm]ulti-platform build is not supported|docker exporter does not .*manifest lists",
        "This builder cannot build several platforms, or cannot load them.",
        "Create another one, then add `--builder several --push`:\n"
        "docker buildx create --name several --driver docker-container",
    ),
    Cause(
        r"error from sender: (?:open|lstat|read) (?P<path>.+?): permission denied",
        "{path} cannot be read by you, but the image takes its folder.",
        "Add it to `ignore` in [tool.poetry-docker-cache], or change its mode.",
    ),
    Cause(
        r"(?:lstat|stat|open) (?P<path>/\S+): no such file or directory",
        "{path} does not exist in the image that it is copied from.",
        "{show}",
    ),
)

_MEMORY = Cause(
    r"exit code: (?:137|247)(?!: context canceled)|cannot allocate memory|Killed signal terminated|"
    r"\bsignal: 9\b|SIGKILL|^(?:.* )?Killed$|^MemoryError$",
    "{step} was killed (signal 9): the builder most likely ran out of memory.",
    "Give Docker more (Docker Desktop: Settings > Resources), or build on a larger machine. A layer"
    "\nthat compiles needs the most: `--progress=plain` shows which packages it builds.",
)
_SPACE = Cause(
    r"(?i)no space left on device|disk quota exceeded|not have enough free space",
    "{step} failed: no space is left on the builder's disk.",
    "Remove old build caches and unused images, then build again:\n"
    "docker buildx prune\ndocker image prune",
)

# The first that is found in what the step printed. Without a network, apt finds no package either.
OUTPUTS = (
    Cause(
        r"E: The repository '(?P<name>[^']+)' (?:does not have a|no longer has a) Release file",
        "{name} is no longer served: the release of the base image is too old.",
        "Set a newer `base-image` or `python` in [tool.poetry-docker-cache].",
    ),
    Cause(
        r"Failed to fetch https?://(?P<name>[^/\s]+)\S*\s+(?P<why>[45]\d\d .*)",
        "{name} does not have a system package: {why}",
        "Try again later: its mirrors may be changing. If it stays so, set a newer `base-image`.",
    ),
    Cause(
        r"(?:Could not resolve '|Temporary failure resolving '|Unable to connect to |"
        r"Could not connect to |Cannot initiate the connection to |Could not resolve host: |"
        r"Failed to fetch https?://)(?P<name>[\w.-]+)",
        "{name} cannot be reached from the build.",
        "Check your network. If it needs a proxy, pass it on: `-- --build-arg"
        ' HTTP_PROXY="$HTTP_PROXY"`.',
    ),
    Cause(
        r"(?P<why>Temporary failure in name resolution|Name or service not known|"
        r"Network is unreachable|bad address '[^']*')",
        "{step} cannot reach the network: {why}.",
        "Check your network. If it needs a proxy, pass it on: `-- --build-arg"
        ' HTTP_PROXY="$HTTP_PROXY"`.',
    ),
    Cause(
        r"E: Unable to locate package (?P<name>\S+)|(?P<apk>\S+) \(no such package\)",
        "{name} is not a package of the image's Linux distribution.",
        "Correct `build-packages` or `runtime-packages` in [tool.poetry-docker-cache]."
        "\nNames differ between releases: `apt-cache search` and `apk search` in the image list them.",
    ),
    Cause(
        r"\b(?P<name>python3?): not found$|No module named '?(?P<module>pip|venv|ensurepip)\b",
        "The base image lacks {name}, which the build needs.",
        "Set another `base-image`, or install it. On Debian:\n"
        'instructions = {{ build = ["RUN apt-get update && apt-get install -y python-is-python3'
        ' python3-venv python3-pip"] }}',
    ),
    Cause(
        r"(?i)exec format error",
        "A program in the build is for another kind of machine.",
        "Build for this machine's platform, or install emulators:\n"
        "docker run --privileged --rm tonistiigi/binfmt --install all",
    ),
)

_PROCESS = re.compile(r'process ".*" did not complete successfully: (?P<why>.*)', re.DOTALL)
_STEP = re.compile(r"\[(?P<stage>[^]]*?) *\d+/\d+\] (?P<instruction>.*)", re.DOTALL)
_UNKNOWN = re.compile(r"unknown (?:flag|instruction): (\S+)")
_MOUNTS = re.compile(r"--(?:mount|network)=\S+\s+")
_WIDTH = 76


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
    return _split(output)[0].strip("\n").splitlines()[-most:]


def _diagnosis(failure: Failure, known: Known) -> tuple[str, str]:
    error = _PROCESS.sub(r"\g<why>", failure.error)  # without its command, which may say anything
    for cause in ERRORS:
        if found := re.search(cause.pattern, error):
            return _texts(cause, found, failure, known)
    everything = f"{failure.output}\n{error}"
    for cause in (_MEMORY, _SPACE):
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
        said = f"{_step(failure)} failed ({process['why']}): {printed[-1]}"
    else:
        why = process["why"] if process else failure.error or "docker ended early"
        said = f"{_step(failure)} failed: {why.splitlines()[0]}"
    return said, _remedy(failure, known)


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
        return f"If it is hidden, add the line !{path} to the ignore file."
    return f'If it is hidden, add to [tool.poetry-docker-cache]:\nignore = ["!{path}"]'
