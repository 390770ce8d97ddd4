"""`docker buildx bake`, which builds several images in one call, and the file it reads. Pure."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx.command_line import (
    CACHE_PERMISSIONS,
    SECRET_ID,
    each,
    given,
    progress_options,
    results,
)
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.render.bake_file import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo

_NEEDS_ALLOW = (0, 19)
"""Since this version of buildx, bake reads outside the working directory only if allowed to."""
_OUTPUTS = {"--push": "type=registry", "--load": "type=docker"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """The build request of one image, and its Dockerfile."""

    request: BuildRequest
    dockerfile: str


def bake_definition(targets: Mapping[str, Target], *, secret: str, engine: EngineInfo) -> str:
    """Return the file: all options that differ between images."""
    found = {name: _target(target, secret, engine) for name, target in targets.items()}
    return json.dumps({"target": found}, indent=2) + "\n"


def bake_command(
    targets: Mapping[str, Target],
    *,
    file: str,
    folder: str,
    metadata: Sequence[str],
    engine: EngineInfo,
) -> list[str]:
    """Return the command line: our options, then the user's arguments, then the images.

    `file` is that of `bake_definition`, `folder` contains all temporary files, and `metadata` are
    the options for buildx's metadata file.
    """
    request = next(iter(targets.values())).request  # these options are the same for all of them
    command = ["docker", "buildx", "bake", "--file", file]
    if engine.buildx >= _NEEDS_ALLOW:
        command += each("--allow", _allowed(targets.values(), folder))
    command += each("--builder", given(request.builder))
    flags = {"--no-cache": request.no_cache, "--pull": request.pull}
    command += [flag for flag, wanted in flags.items() if wanted]
    # A buildx whose `build` needs `--quiet` has no such option for bake.
    command += [word for word in progress_options(request, engine) if word != "--quiet"]
    return [*command, *metadata, *request.arguments, *targets]


def _target(target: Target, secret: str, engine: EngineInfo) -> dict[str, Any]:
    request = target.request
    outputs = [_OUTPUTS.get(word, word) for word in results(request, engine) if word != "--output"]
    found: dict[str, Any] = {
        "context": request.context,
        "dockerfile": target.dockerfile,
        "tags": [*request.tags],
        "platforms": [part.strip() for one in request.platforms for part in one.split(",")],
        "target": request.target,
        "args": dict(sorted(request.build_arguments.items())),
        "labels": {**request.labels},
        "contexts": dict(sorted(request.contexts.items())),
        "ssh": [*request.ssh],
        "secret": [go_csv.record(f"id={SECRET_ID}", f"src={secret}"), *request.secrets],
        "cache-from": [*request.cache_from],
        "cache-to": [*request.cache_to],
        "no-cache-filter": [*request.run_again],
        "output": outputs,
    }
    return {key: _literal(value) for key, value in found.items() if value}


def _literal(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    """Escape every string: bake reads strings in JSON as templates, too."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return [_literal(item) for item in value]


def _agents(request: BuildRequest) -> list[str]:
    """Return the values of `--ssh`, also those that the user passes with `--set`."""
    after_dashes = (word.partition("=") for word in request.options)
    return [*request.ssh, *(value for option, _, value in after_dashes if option == "--ssh")]


def _folders(contexts: Iterable[str], folder: str) -> list[str]:
    """Return the named contexts that are folders on this machine, outside the allowed one."""
    addresses = re.compile(r"[a-z-]+:")  # docker-image://…, target:…
    local = (path for path in contexts if not addresses.match(path))
    return [path for path in local if not Path(path).is_relative_to(folder)]


def permission_note(requests: Sequence[BuildRequest], engine: EngineInfo) -> str | None:
    """Return the note about what bake asks for because the project's files chose it."""
    if len(requests) < 2 or engine.buildx < _NEEDS_ALLOW:  # noqa: PLR2004  # one image needs no bake
        return None
    arguments = [*requests[0].arguments, ""]
    typed = {
        _kind(value or following)
        for (option, _, value), following in zip(
            (word.partition("=") for word in arguments), arguments[1:], strict=False
        )
        if option == "--allow"
    }
    chosen = dict.fromkeys(value for request in requests for value in request.unanswered)
    asked = [f"--allow={value}" for value in chosen if _kind(value) not in typed]
    if not asked:
        return None
    return (
        "The project's own files make the build use your SSH agent, or paths outside the project."
        " buildx asks for your permission, and fails without a terminal. To allow it, add"
        f" `-- {shlex.join(asked)}`."
    )


def _kind(permission: str) -> str:
    """Return what a value of `--allow` is about: `fs`, `ssh` or another entitlement."""
    return re.split("[.=]", permission, maxsplit=1)[0]


def _allowed(targets: Iterable[Target], folder: str) -> list[str]:
    """Return the values of `--allow`: what is used outside the working directory.

    bake asks for the rest, which the project's files chose.
    """
    values = list(targets)
    asked = {value for target in values for value in target.request.unanswered}
    return [value for value in _used(values, folder) if value not in asked]


def _used(targets: Iterable[Target], folder: str) -> list[str]:
    found = {f"fs.read={folder}": None}
    for target in targets:
        request = target.request
        found[f"fs.read={request.context}"] = None
        found |= {f"fs.read={path}": None for path in _folders(request.contexts.values(), folder)}
        for value in _agents(request):
            keys = value.partition("=")[2].split(",")
            found |= {"ssh": None, **{f"fs.read={path}": None for path in keys if path}}
        for words in (*request.cache_from, *request.cache_to):
            options = dict(word.partition("=")[::2] for word in go_csv.fields_of(words))
            if options.get("type") == "local":
                found |= {
                    f"{kind}={options[name]}": None
                    for name, kind in CACHE_PERMISSIONS.items()
                    if name in options
                }
    return [*found]
