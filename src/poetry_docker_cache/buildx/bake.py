"""`docker buildx bake`, which builds several images in one call, and the file it reads. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx.command_line import (
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
_FOLDERS = {"src": "fs.read", "dest": "fs"}


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
        "contexts": dict(sorted(request.contexts.items())),
        "ssh": ["default"] * request.ssh,
        "secret": [go_csv.record(f"id={SECRET_ID}", f"src={secret}")],
        "cache-from": [*request.cache_from],
        "cache-to": [*request.cache_to],
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


def _keys(options: Iterable[str]) -> list[str]:
    """Return the files of SSH keys that the user passes with `--ssh`."""
    matches = [re.match("--ssh=[^=]*=(.+)", option) for option in options]
    return [path for match in matches if match for path in match[1].split(",")]


def _folders(contexts: Iterable[str], folder: str) -> list[str]:
    """Return the named contexts that are folders on this machine, outside the allowed one."""
    addresses = re.compile(r"[a-z-]+:")  # docker-image://…, target:…
    local = (path for path in contexts if not addresses.match(path))
    return [path for path in local if not Path(path).is_relative_to(folder)]


def _allowed(targets: Iterable[Target], folder: str) -> list[str]:
    """Return the values of `--allow`: everything outside the working directory that is used."""
    found = {f"fs.read={folder}": None}
    for target in targets:
        request = target.request
        found[f"fs.read={request.context}"] = None
        found |= {f"fs.read={path}": None for path in _folders(request.contexts.values(), folder)}
        found |= {"ssh": None} if request.ssh else {}
        found |= {f"fs.read={path}": None for path in _keys(request.options)}
        for words in (*request.cache_from, *request.cache_to):
            options = dict(word.partition("=")[::2] for word in go_csv.fields_of(words))
            if options.get("type") == "local":
                found |= {
                    f"{kind}={options[name]}": None
                    for name, kind in _FOLDERS.items()
                    if name in options
                }
    return [*found]
