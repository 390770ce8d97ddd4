"""The reader of `run`: commands that need the installed application."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.settings.value_reader import STRING, accepts, array, either, matching
from poetry_docker_cache.settings.values import (
    boolean,
    command,
    env,
    line,
    list_of,
    project_path,
    set_of,
    system_package,
    table,
)

if TYPE_CHECKING:
    from poetry_docker_cache.settings.setting_errors import Spot

_SECRET = re.compile(r"[A-Z_][A-Z0-9_]*")
_NOT_KEPT = {
    "/dev": "the kernel mounts a file system there",
    "/proc": "the kernel mounts a file system there",
    "/run": "the build mounts its secrets there",
    "/scripts": "the build mounts its scripts there",
    "/sys": "the kernel mounts a file system there",
}
_WHOLE = ("/", "/home/app", "/venv")


@dataclass(frozen=True, kw_only=True)
class RunSetting:
    """A command that runs in the build, and the paths that it makes for the image."""

    command: tuple[str, ...]
    output: tuple[str, ...]
    """Normalised paths, absolute or relative to the working directory; a folder ends with `/`."""
    env: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    network: bool = False
    secrets: tuple[str, ...] = ()
    dependencies: tuple[str, ...] | None = None
    """The paths of the project that it reads; None for everything that the image has."""
    family: str = ""
    """The images that have this step, joined with dots; empty if all have it."""


@accepts(STRING)
def _output(spot: Spot, value: object) -> str:
    content = line(spot, value)
    path = posixpath.normpath(content)
    path = f"/{path.lstrip('/')}" if path.startswith("/") else path  # normpath keeps `//`
    why = ""
    if not content or content != content.strip():
        why = "the path is empty, or begins or ends with a space"
    elif "\\" in content:
        why = "use / to separate folders"
    elif ".." in content.split("/"):
        why = "remove `..`: the path is relative to `workdir`, or absolute"
    elif any(c in content for c in "*?["):
        why = "patterns are not expanded; name the folder to keep all its files"
    elif content.startswith("~"):
        why = "write an absolute path"
    elif path in (".", *_WHOLE):
        why = "that is not only the output of the command; name a folder or file in it"
    else:
        folders = (folder for folder in _NOT_KEPT if f"{path}/".startswith(f"{folder}/"))
        why = next((_NOT_KEPT[folder] for folder in folders), "")
    if why:
        raise spot.refuse(value, why)
    return f"{path}/" if content.endswith(("/", "/.")) else path


@accepts(array(STRING, least=1))
def _outputs(spot: Spot, value: object) -> tuple[str, ...]:
    found = set_of(_output)(spot, value)
    if not found:
        raise spot.refuse(value, "a step without output has no effect on the image")
    return found


@accepts(matching(_SECRET))
def _secret(spot: Spot, value: object) -> str:
    content = line(spot, value)
    if not _SECRET.fullmatch(content):
        why = "the id is also the variable that has the value: capitals, digits and underscores"
        raise spot.refuse(value, why)
    return content


_FIELDS = table(
    {
        "command": (command, "a list: the program and its arguments"),
        "output": (_outputs, "a list of paths, absolute or relative to `workdir`"),
        "env": (env, "a table of strings"),
        "packages": (set_of(system_package), "a list of Debian or Alpine packages"),
        "network": (boolean, "`true` or `false`"),
        "secrets": (set_of(_secret), 'a list of ids such as `"API_TOKEN"`, without their values'),
        "dependencies": (
            set_of(project_path),
            "a list of paths relative to the project; `[]` for no file",
        ),
    },
    required=("command", "output"),
)


@accepts(_FIELDS.schema)
def _step(spot: Spot, value: object) -> RunSetting:
    # `_FIELDS` names the fields of the dataclass, so the types fit.
    read = _FIELDS(spot, value)
    env_names = {name for name, _ in read.get("env", ())}
    if both := sorted(env_names.intersection(read.get("secrets", ()))):
        raise spot.refuse(value, f"{both[0]} is in both `env` and `secrets`")
    return RunSetting(**read)


@accepts(either(array(_step.schema), _step.schema))
def run_steps(spot: Spot, value: object) -> tuple[RunSetting, ...]:
    """Read build steps: a list of tables, or the table of a single step."""
    if isinstance(value, list | tuple) or not hasattr(value, "keys"):
        return list_of(_step)(spot, value)
    return (_step(spot, value),)
