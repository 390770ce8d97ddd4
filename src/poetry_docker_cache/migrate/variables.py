"""ENV and ARG: variables of the container, of the old build, and secrets."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from poetry_docker_cache.migrate.outcomes import Outcome, left_over, setting, unneeded
from poetry_docker_cache.project.model import WheelRoot

if TYPE_CHECKING:
    from poetry_docker_cache.migrate.stage_state import StageState

_OF_THE_BUILD = re.compile(
    r"(?:POETRY|PIP|PIPX|UV|NPM|YARN|PNPM|NVM|NODE)_\w+|POETRY|DEBIAN_FRONTEND|VIRTUAL_ENV\w*"
    r"|PYSETUP_PATH|VENV_PATH|VENV|VENV_DIR|DEBCONF_\w+|APT_\w+|PYTHON_VERSION|BUILDKIT\w*|CI"
    r"|(?:USER_?)?[UG]ID|USER_[UG]ID|USERNAME|USER|HOME|TERM|CFLAGS|CXXFLAGS|CARGO_\w+|RUSTFLAGS|SHELL|BASH_ENV"
)
_OF_THE_IMAGE = {
    "PYTHONUNBUFFERED": "the image sets it",
    "PYTHONDONTWRITEBYTECODE": "the user of the image cannot write bytecode beside the code",
    "PYTHONHASHSEED": "",
}
_LOCALE = {"LANG", "LC_ALL", "LANGUAGE", "LC_CTYPE", "PYTHONIOENCODING"}
_SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL|DSN$")
_ONE = re.compile(r"\$\{?(\w+)(?:(:?-)([^}]*))?\}?")


def read_variable(name: str, raw: str, value: str, state: StageState) -> Outcome:
    """Translate one variable of ENV; `raw` is its value with the variables in it."""
    if name in ("PATH", "NODE_PATH", "LD_LIBRARY_PATH") and name != "PATH":
        return left_over(
            f'If the application needs it, set `env = {{ {name} = "…" }}` with the new place.'
        )
    if name == "PATH":
        return _path(raw, state)
    if name == "PYTHONPATH":
        return _import_path(value, state)
    if name in _OF_THE_IMAGE and (name != "PYTHONHASHSEED" or value == "random"):
        return unneeded(_OF_THE_IMAGE[name] or "Python's default")
    if _OF_THE_BUILD.fullmatch(name):
        return unneeded("used by the old build")
    if name in _LOCALE and value.upper().replace("-", "") in ("C.UTF8", "UTF8", "C"):
        return unneeded("the base image uses UTF-8")
    if value.startswith("/") and re.search(r"/\.?venv(?:/|$)|site-packages", value):
        return unneeded("a folder of the old build")
    if _SECRET.search(name.upper()):
        state.secrets[name] = value
        return (
            left_over(
                "It looks like a secret, and everyone who has the image can read it. Pass it when"
                " the container starts. For a step of `run`, set another value in its `env`."
            )
            if value
            else unneeded("an empty value")
        )
    if argument := find_argument(raw, state):
        if argument[0] == name:
            return setting("build-args", {name: argument[1]})
        return setting("build-args", {argument[0]: {"default": argument[1], "env": name}})
    if re.search(r"\$[A-Za-z_{]", value):
        return left_over(
            f'Set `env = {{ {name} = "…" }}`, or `build-args` if its value comes from the build.'
        )
    return setting("env", {name: value})


def find_argument(raw: str, state: StageState) -> tuple[str, str] | None:
    """Return the build argument, and its default, that a value consists of."""
    found = _ONE.fullmatch(raw.strip())
    if not found or found[1] not in state.arguments:
        return None
    default = state.arguments[found[1]]
    if default is None:
        default = state.expand(found[3] or "") if found[2] else ""
    return found[1], default


def _path(raw: str, state: StageState) -> Outcome:
    parts = [part for part in raw.split(":") if part not in ("$PATH", "${PATH}", "")]
    other = []
    for part in parts:
        place = posixpath.normpath(state.expand(part))
        known = state.is_tool_folder(place) or re.search(
            r"venv|\.local/bin|poetry|/usr/(?:local/)?s?bin$|^/s?bin$|/scripts$|\.cargo|pysetup"
            r"|POETRY|VENV|VIRTUAL_ENV|node_modules|HOME",
            place,
        )
        if not known:
            other.append(place)
    if not other:
        return unneeded("the image has its packages on PATH")
    if any("$" in place for place in other):
        return left_over("Add an `ENV PATH=…` to `instructions.runtime`, if a program needs it.")
    return setting("instructions", {"runtime": [f"ENV PATH={':'.join(other)}:$PATH"]})


def _import_path(value: str, state: StageState) -> Outcome:
    """Leave out folders that are on the import path anyway."""
    root = state.around.project.root
    places = [
        part
        for part in value.split(":")
        if part and "$" not in part and "/site-packages" not in part
    ]
    places = [posixpath.normpath(posixpath.join(state.workdir, part)) for part in places]
    inside = all(place == state.home or place.startswith(f"{state.home}/") for place in places)
    if not places or (inside and isinstance(root, WheelRoot)):
        return unneeded("the project is installed, so Python finds it")
    if not inside:
        return left_over(
            'If Python has to find modules there, set `env = { PYTHONPATH = "…" }` to the new'
            " place."
        )
    return setting("env", {"PYTHONPATH": ":".join(places)})


def read_argument(rest: str) -> Outcome:
    """Translate ARG: the instruction that uses it gets a setting."""
    del rest
    return unneeded("the instructions that use it are read")
