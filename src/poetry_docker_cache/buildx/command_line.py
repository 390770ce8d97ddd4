"""The command line of `docker buildx build`. Pure."""

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

PRINTING = ("--call", "--check", "--list", "--print")
"""Options that make buildx print something instead of building."""
SET_BY_BAKE = {
    "--build-arg": "args.NAME=VALUE",
    "--build-context": "contexts.NAME=PATH",
    "--label": "labels.NAME=VALUE",
    "--secret": "secrets=id=NAME,src=PATH",
    "--ssh": "ssh=default=PATH",
}
"""Options of `build` that bake lacks, with the value of `--set` to use instead."""
CACHE_PERMISSIONS = {"src": "fs.read", "dest": "fs"}
"""The options of a cache of `type=local` that name a folder, and bake's permission for it."""

_SET = "--set"
# Bake needs `--allow` for what `build` simply does; `build` has it for these entitlements only.
_ALLOW = "--allow"
_ENTITLEMENTS = ("device", "network.host", "security.insecure")
# The keys of a bake target that differ from the name of the option.
_OPTIONS = {"args": "build-arg", "contexts": "build-context", "tags": "tag", "secrets": "secret"}


def options_for(arguments: Sequence[str], image: str) -> tuple[str, ...]:
    """Spell bake's options for an image as those of `build`; without a name, return them as is.

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
    elif value.startswith(_ENTITLEMENTS):
        yield f"{option}={value}"


def _set(text: str, image: str) -> Iterator[str]:
    path, _, value = text.partition("=")
    pattern, _, key = path.removesuffix("+").partition(".")
    if fnmatch.fnmatchcase(image, pattern):
        name, _, entry = key.partition(".")
        yield f"--{_OPTIONS.get(name, name)}={f'{entry}={value}' if entry else value}"


def names_context(arguments: Sequence[str]) -> bool:
    """Return whether a `.` is given as build context, and not as the value of an option."""
    return any(
        word == "." and ("=" in before or not before.startswith("-"))
        for before, word in itertools.pairwise(["", *arguments])
    )


def only_prints(options: Sequence[str]) -> bool:
    """Return whether these options make buildx print something instead of building."""
    return any(word.partition("=")[0] in PRINTING for word in options)


def builds_other(request: BuildRequest) -> bool:
    """Return whether options choose a stage, or another Dockerfile than ours.

    For bake, `--file` is another bake file, and the Dockerfile is set by `--set`.
    """
    choosing = ["--target", "--dockerfile"] + ["--file", "-f"] * (not request.image)
    given = {word.partition("=")[0] for word in request.options}
    return request.target is not None or not given.isdisjoint(choosing)


METADATA_OPTION = "--metadata-file"
"""An option of our command, and of buildx."""
SECRET_ID = "auth"  # noqa: S105  # the name under which the Dockerfile mounts it
PROGRESS = "BUILDKIT_PROGRESS"
"""The variable of buildx that sets the style of its progress output."""
PROGRESS_MODES = ("auto", "plain", "tty", "quiet", "rawjson")
_QUIET_PROGRESS = (0, 13)
"""The first buildx with `--progress=quiet`; older ones have `--quiet` for it."""
_MULTI_PLATFORM_LOAD = (0, 10)
"""The first buildx that loads several platforms into the containerd image store."""

# An image that is pushed, or in the engine's store; not one in a file.
_NAMED_OUTPUT = re.compile(
    r"^--(?:push|load)$|^(?!.*\bdest=).*(?:\bpush=true\b|\btype=\"?(?:registry|docker|image)\b)"
)
# Options that choose where the result goes, or make buildx build nothing.
_OUTPUT_OPTIONS = ("--output", "-o", "--push", "--load", *PRINTING)


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What to build, as options of `docker buildx build`; sequences keep the user's order."""

    context: str
    place: str = "."
    """The project's folder in the context."""
    tags: Sequence[str] = ()
    push: bool = False
    load: bool = False
    platforms: Sequence[str] = ()
    """As typed: an element may contain several, separated by commas."""
    target: str | None = None
    build_arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Named build contexts: a folder or an address by name."""
    ssh: Sequence[str] = ()
    """The SSH agent or keys to pass on, as values of `--ssh`."""
    secrets: Sequence[str] = ()
    """More secrets than `auth`, as values of `--secret`."""
    unanswered: Sequence[str] = ()
    """What the project's files chose, as values of bake's `--allow`: bake asks the user."""
    cache_from: Sequence[str] = ()
    cache_to: Sequence[str] = ()
    builder: str | None = None
    no_cache: bool = False
    pull: bool = False
    run_again: Sequence[str] = ()
    """Stages that run again although they are cached (`--refresh`)."""
    progress: str | None = None
    arguments: Sequence[str] = ()
    """The arguments after `--`, which buildx gets unchanged."""
    image: str = ""
    """The image's name if bake builds several, else empty."""

    @property
    def options(self) -> tuple[str, ...]:
        """The arguments that apply to this image, spelled for `docker buildx build`."""
        return options_for(self.arguments, self.image)

    def __post_init__(self) -> None:
        """Raise DockerCacheError for values that buildx would silently misread."""
        for name, values in {
            "--tag": self.tags,
            "--platform": self.platforms,
            "--ssh": self.ssh,
            "--cache-from": self.cache_from,
            "--cache-to": self.cache_to,
            "--target": given(self.target),
            "--builder": given(self.builder),
        }.items():
            refuse_empty(name, values)
        if self.progress is not None and self.progress not in PROGRESS_MODES:
            raise DockerCacheError(
                f"--progress {self.progress!r} is not a progress output style.",
                fix=f"Use one of {', '.join(PROGRESS_MODES)}.",
            )


def refuse_empty(option: str, values: Iterable[str]) -> None:
    """Raise DockerCacheError if one of the option's values is empty."""
    if not all(value.strip() for value in values):
        raise DockerCacheError(
            f"{option} is empty.",
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
    """Return the command line: our options, then the user's arguments, then the context.

    `metadata` are the options for buildx's metadata file.
    """
    command = ["docker", "buildx", "build", "--file", dockerfile]
    if secret is not None:
        command += ["--secret", go_csv.record(f"id={SECRET_ID}", f"src={secret}")]
    command += each("--secret", request.secrets)
    command += each("--ssh", request.ssh)
    command += each("--builder", given(request.builder))
    command += each("--tag", request.tags)
    command += each("--platform", request.platforms)
    command += each("--target", given(request.target))
    arguments = [f"{name}={value}" for name, value in sorted(request.build_arguments.items())]
    command += each("--build-arg", arguments)
    command += each("--label", [f"{name}={value}" for name, value in request.labels.items()])
    command += context_options(request)
    command += each("--cache-from", request.cache_from)
    command += each("--cache-to", request.cache_to)
    command += results(request, engine)
    flags = {"--no-cache": request.no_cache, "--pull": request.pull}
    command += [flag for flag, wanted in flags.items() if wanted]
    command += each("--no-cache-filter", request.run_again)
    command += progress_options(request, engine)
    return [*command, *metadata, *request.arguments, request.context]


def context_options(request: BuildRequest) -> list[str]:
    """Return the options for named build contexts."""
    named = [f"{name}={path}" for name, path in sorted(request.contexts.items())]
    return each("--build-context", named)


def progress_options(request: BuildRequest, engine: EngineInfo) -> list[str]:
    """Return the option for the progress output style."""
    if request.progress == "quiet" and engine.buildx < _QUIET_PROGRESS:
        return ["--quiet"]
    return each("--progress", given(request.progress))


def epoch_note(environment: Mapping[str, str]) -> str | None:
    """Return the note about SOURCE_DATE_EPOCH, which buildx passes to BuildKit by itself."""
    if not environment.get("SOURCE_DATE_EPOCH"):
        return None
    return (
        "SOURCE_DATE_EPOCH is set: BuildKit sets the time of all files in the image to it, so every"
        " new value rebuilds and pushes all layers again. Unset it, or change it only with the"
        " lock file: `git log -1 --format=%ct poetry.lock`."
    )


def result_note(request: BuildRequest, engine: EngineInfo) -> str | None:
    """Return the note about an image that is neither pushed nor loaded nor output otherwise."""
    if request.push or request.load or _chooses_output(request) or _loads(request, engine):
        return None
    why = (
        "there is no Docker engine to load it into"
        if engine.store is None
        else "the engine's classic image store takes one platform only"
    )
    return f"The image stays in the builder's cache: {why}. Use --push to publish it."


def results(request: BuildRequest, engine: EngineInfo) -> list[str]:
    """Return the options that choose where the image goes.

    A pushed image is not also stored in the engine: for that, a fresh machine would pull all cached
    layers from the cache, although nothing needs them (`store` in BuildKit's image outputs).
    """
    load = request.load or _loads(request, engine)
    keeps = engine.driver == "docker" and engine.store == "containerd"
    if request.push and keeps and not load and not _chooses_output(request):
        return ["--output", "type=image,push=true,store=false"]
    return ["--push"] * request.push + ["--load"] * load


def named_result(request: BuildRequest, engine: EngineInfo) -> str:
    """Return the first name of the image if it is loaded or pushed; else an empty string."""
    words = [*results(request, engine), *request.options]
    chosen = [word for pair in itertools.pairwise(["", *words]) for word in _output(*pair)]
    if only_prints(request.options) or not any(map(_NAMED_OUTPUT.search, chosen)):
        return ""
    return next(iter(request.tags), "")


def _output(before: str, word: str) -> Iterator[str]:
    """Yield the word if it chooses where the result goes."""
    if word in ("--push", "--load") or before in ("--output", "-o"):
        yield word
    elif word.startswith(("--output=", "-o")):
        yield word.partition("=")[2] if word.startswith("--") else word.removeprefix("-o")


def _loads(request: BuildRequest, engine: EngineInfo) -> bool:
    """Return whether to load the image without `--load`.

    As for `--load`, several platforms need the engine's containerd store, whichever the builder.
    """
    if request.push or _chooses_output(request) or engine.store is None:
        return False
    several = len(requested_platforms(request)) > 1
    return not several or (engine.store == "containerd" and engine.buildx >= _MULTI_PLATFORM_LOAD)


def _chooses_output(request: BuildRequest) -> bool:
    """Return whether the arguments after `--` choose where the result goes."""
    return any(
        argument.partition("=")[0] in _OUTPUT_OPTIONS or re.match(r"-o[^-]", argument)
        for argument in request.options
    )


def without_outputs(arguments: Sequence[str]) -> Iterator[str]:
    """Yield buildx's arguments without those that choose where the result and metadata go."""
    value = False
    for word in arguments:
        option, has_value, _ = word.partition("=")
        if value:
            value = False
        elif option in (*_OUTPUT_OPTIONS, METADATA_OPTION) or re.match(r"-o[^-]", word):
            value = option in ("--output", "-o", METADATA_OPTION) and not has_value
        else:
            yield word


def requested_platforms(request: BuildRequest) -> set[str]:
    """Return the platforms. As for buildx, a value may contain several, separated by commas."""
    given = [*request.platforms]
    for option, value in itertools.pairwise([*request.options, ""]):
        if option == "--platform":
            given.append(value)
        elif option.startswith("--platform="):
            given.append(option.partition("=")[2])
    return {part.strip() for value in given for part in value.split(",") if part.strip()}


def each(option: str, values: Iterable[str]) -> list[str]:
    """Repeat an option for each of its values."""
    return [word for value in values for word in (option, value)]


def given(value: str | None) -> tuple[str, ...]:
    """Return an optional value as a tuple of one or none."""
    return () if value is None else (value,)
