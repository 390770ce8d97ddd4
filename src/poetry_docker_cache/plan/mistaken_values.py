"""Notes on settings that are valid, but probably mean something else. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from poetry_docker_cache.plan.image_plan import Notes
    from poetry_docker_cache.settings.table import Settings

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_POETRY_RUN = re.compile(r"\bpoetry run ")


def variable_notes(settings: Settings, defaults: Mapping[str, str]) -> Notes:
    """Notes on variables in `env`, which are not replaced; `defaults` is what the image sets."""
    own = dict(settings.env)
    known = {**defaults, "VIRTUAL_ENV": "/venv", **own}
    notes = []
    for name, value in own.items():
        # Before this line, the variable has the value that the image sets, if any.
        values = {**known, name: defaults.get(name, "")}
        named = {first or second for first, second in _VARIABLE.findall(value)}
        if not named & values.keys():
            continue
        replaced = _VARIABLE.sub(lambda match: values.get(match[1] or match[2], match[0]), value)  # noqa: B023  # called at once
        path = re.sub(":{2,}", ":", replaced).strip(":") if named == {name} else replaced
        notes.append(
            f"`env` does not replace variables: {name} is set to the text {json.dumps(value)}."
            f" Write `env = {{ {name} = {json.dumps(path)} }}`."
        )
    return tuple(notes)


def poetry_notes(settings: Settings, installed: Collection[str]) -> Notes:
    """Notes on `poetry run` in a command: the image has no Poetry, and needs none."""
    notes = []
    for name in ("entrypoint", "command"):
        words: tuple[str, ...] = getattr(settings, name) or ()
        without = words[2:] if words[:2] == ("poetry", "run") else words
        without = tuple(_POETRY_RUN.sub("", word) for word in without)
        if without and without != words and "poetry" not in installed:
            notes.append(
                f"The image does not contain Poetry, so `{name}` fails. Write"
                f" `{name} = {json.dumps(without)}`: the programs of all packages are on the PATH."
            )
    return tuple(notes)
