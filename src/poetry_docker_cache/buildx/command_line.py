"""The command line that runs BuildKit. Pure: it neither asks nor starts anything."""

from __future__ import annotations

import fnmatch
import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from poetry_docker_cache.buildx.engine_info import EngineInfo

TELLING = ("--call", "--check", "--list", "--print")
"""Options of buildx that make it tell something instead of building."""
SET_BY_BAKE = {
    "--build-arg": "args.NAME=VALUE",
    "--build-context": "contexts.NAME=PATH",
    "--label": "labels.NAME=VALUE",
    "--secret": "secrets=id=NAME,src=PATH",
    "--ssh": "ssh=default=PATH",
}
"""Options of `build` that bake lacks, and what `--set` says in their place."""

_SET = "--set"
# Bake asks for leave for what `build` simply does. Only these entitlements are options of both.
_ALLOW = "--allow"
_OF_BOTH = ("device", "network.host", "security.insecure")
# Where the key of a target is not the name of the option.
_OPTIONS = {"args": "build-arg", "contexts": "build-context", "tags": "tag", "secrets": "secret"}


def options_for(arguments: Sequence[str], image: str) -> tuple[str, ...]:
    """Spell the options of bake for an image as those of `build`; no name is the only image.

    >>> options_for(["--set", "*.args.VERSION=1", "--set=web.ssh=default"], "api")
    ('--build-arg=VERSION=1',)
    """
    return tuple(_spelled(arguments, image)) if image else tuple(arguments)


def _spelled(arguments: Sequence[str], image: str) -> Iterator[str]:
    value = False
    for word, following in itertools.pairwise([*arguments, ""]):
        option, has_value, given = word.partition("=")
        if value:
            value = False
        elif option in (_SET, _ALLOW):
            value = not has_value
            yield from _translated(option, given if has_value else following, image)
        else:
            yield word


def _translated(option: str, value: str, image: str) -> Iterator[str]:
    if option == _SET:
        yield from _set(value, image)
    elif value.startswith(_OF_BOTH):
        yield f"{option}={value}"


def _set(text: str, image: str) -> Iterator[str]:
    path, _, value = text.partition("=")
    pattern, _, key = path.removesuffix("+").partition(".")
    if fnmatch.fnmatchcase(image, pattern):
        name, _, entry = key.partition(".")
        yield f"--{_OPTIONS.get(name, name)}={f'{entry}={value}' if entry else value}"


def names_context(arguments: Sequence[str]) -> bool:
    """Whether a `.` stands there for the build context, and not as the value of an option."""
    return any(
        word == "." and ("=" in before or not before.startswith("-"))
        for before, word in itertools.pairwise(["", *arguments])
    )


def tells_only(options: Sequence[str]) -> bool:
    """Whether buildx makes no image, by these options."""
    return any(word.partition("=")[0] in TELLING for word in options)


METADATA_OPTION = "--metadata-file"
"""Ours, and buildx's."""
SECRET_ID = "auth"  # noqa: S105  # the name under which the Dockerfile mounts it
PROGRESS_MODES = ("auto", "plain", "tty", "quiet", "rawjson")
_QUIET_PROGRESS = (0, 13)
"""The buildx that learnt `--progress=quiet`; before, `--quiet` did the same."""
_MULTI_PLATFORM_LOAD = (0, 10)
"""The buildx that learnt to load several platforms into the containerd image store."""

# Of the user's own arguments, those that say where the result goes, or that there is no result.
_OUTPUT_OPTIONS = ("--output", "-o", "--push", "--load", *TELLING)


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What the user wants of `docker buildx build`; sequences in the order given."""

    context: str
    place: str = "."
    """Of the project, in the context."""
    tags: Sequence[str] = ()
    push: bool = False
    load: bool = False
    platforms: Sequence[str] = ()
    """As given: an element may hold several, separated by commas."""
    target: str | None = None
    build_arguments: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Named build contexts: a folder or an address for each name."""
    ssh: bool = False
    """Whether to pass on the SSH agent."""
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    builder: str | None = None
    no_cache: bool = False
    pull: bool = False
    progress: str | None = None
    arguments: Sequence[str] = ()
    """What stands behind `--`: it reaches buildx unchanged."""
    image: str = ""
    """Its name, where bake builds it along with others."""

    @property
    def options(self) -> tuple[str, ...]:
        """What the arguments say of this image, as `docker buildx build` spells it."""
        return options_for(self.arguments, self.image)

    def __post_init__(self) -> None:
        """Raise DockerCacheError for what buildx would misread without a word."""
        for name, values in {
            "--tag": self.tags,
            "--platform": self.platforms,
            "--cache-from": self.cache_from,
            "--cache-to": self.cache_to,
            "--target": given(self.target),
            "--builder": given(self.builder),
        }.items():
            refuse_empty(name, values)
        if self.progress is not None and self.progress not in PROGRESS_MODES:
            raise DockerCacheError(
                f"--progress {self.progress!r} is not a form of output that BuildKit has.",
                fix=f"Use one of {', '.join(PROGRESS_MODES)}.",
            )


def refuse_empty(option: str, values: Iterable[str]) -> None:
    """Raise DockerCacheError where an option was given nothing."""
    if not all(value.strip() for value in values):
        raise DockerCacheError(
            f"{option} is empty: it does not say what is meant.",
            fix=f"Give {option} a value, or leave it out. A variable in a script may be unset.",
        )


def build_command(
    request: BuildRequest,
    *,
    dockerfile: str,
    secret: str | None,
    metadata: Sequence[str] = (),
    engine: EngineInfo,
) -> list[str]:
    """Give the command line: our options, then the user's arguments, then the context.

    `metadata` are the options that ask buildx for what it did.
    """
    command = ["docker", "buildx", "build", "--file", dockerfile]
    if secret is not None:
        command += ["--secret", go_csv.record(f"id={SECRET_ID}", f"src={secret}")]
    command += ["--ssh", "default"] * request.ssh
    command += each("--builder", given(request.builder))
    command += each("--tag", request.tags)
    command += each("--platform", request.platforms)
    command += each("--target", given(request.target))
    arguments = [f"{name}={value}" for name, value in sorted(request.build_arguments.items())]
    command += each("--build-arg", arguments)
    command += context_options(request)
    command += each("--cache-from", request.cache_from)
    command += each("--cache-to", request.cache_to)
    command += results(request, engine)
    flags = {"--no-cache": request.no_cache, "--pull": request.pull}
    command += [flag for flag, wanted in flags.items() if wanted]
    command += progress_options(request, engine)
    return [*command, *metadata, *request.arguments, request.context]


def context_options(request: BuildRequest) -> list[str]:
    """Give the options that name further build contexts."""
    named = [f"{name}={path}" for name, path in sorted(request.contexts.items())]
    return each("--build-context", named)


def progress_options(request: BuildRequest, engine: EngineInfo) -> list[str]:
    """Give the option that chooses the form of BuildKit's output."""
    if request.progress == "quiet" and engine.buildx < _QUIET_PROGRESS:
        return ["--quiet"]
    return each("--progress", given(request.progress))


def epoch_note(environment: Mapping[str, str]) -> str | None:
    """Say what a variable costs that buildx passes on to BuildKit by itself."""
    if not environment.get("SOURCE_DATE_EPOCH"):
        return None
    return (
        "SOURCE_DATE_EPOCH is set: BuildKit gives that time to all files of the image, so that with"
        " each other value everything is installed and pushed again. Unset it, or keep it for as"
        " long as the lock stays: `git log -1 --format=%ct poetry.lock`."
    )


def result_note(request: BuildRequest, engine: EngineInfo) -> str | None:
    """Say where the image stays if it is neither pushed nor loaded, and no option asks for that."""
    if request.push or request.load or _chooses_output(request) or _loads(request, engine):
        return None
    why = (
        "no Docker engine answers that could take it"
        if engine.store is None
        else "the engine's classic image store takes one platform only"
    )
    return f"The image stays in the builder's cache: {why}. Use --push to publish it."


def results(request: BuildRequest, engine: EngineInfo) -> list[str]:
    """Give the options that say what becomes of the image.

    The containerd store keeps a pushed image, too: for that a fresh machine would pull every layer
    that the cache names and nothing needs (BuildKit's `store`, in its reference of image outputs).
    """
    load = request.load or _loads(request, engine)
    keeps = engine.driver == "docker" and engine.store == "containerd"
    if request.push and keeps and not load and not _chooses_output(request):
        return ["--output", "type=image,push=true,store=false"]
    return ["--push"] * request.push + ["--load"] * load


def _loads(request: BuildRequest, engine: EngineInfo) -> bool:
    """Whether to load the image without having been asked to.

    As buildx decides what `--load` can do: several platforms need the engine's containerd store,
    whichever builder made them.
    """
    if request.push or _chooses_output(request) or engine.store is None:
        return False
    several = len(requested_platforms(request)) > 1
    return not several or (engine.store == "containerd" and engine.buildx >= _MULTI_PLATFORM_LOAD)


def _chooses_output(request: BuildRequest) -> bool:
    """Whether the user's own arguments say what becomes of the result."""
    return any(
        argument.partition("=")[0] in _OUTPUT_OPTIONS or re.match(r"-o[^-]", argument)
        for argument in request.options
    )


def requested_platforms(request: BuildRequest) -> set[str]:
    """List the platforms as buildx does: each option may name several, with commas."""
    given = [*request.platforms]
    for option, value in itertools.pairwise([*request.options, ""]):
        if option == "--platform":
            given.append(value)
        elif option.startswith("--platform="):
            given.append(option.partition("=")[2])
    return {part.strip() for value in given for part in value.split(",") if part.strip()}


def each(option: str, values: Iterable[str]) -> list[str]:
    """Give an option once for each of its values."""
    return [word for value in values for word in (option, value)]


def given(value: str | None) -> tuple[str, ...]:
    """Give what there is of a value."""
    return () if value is None else (value,)
