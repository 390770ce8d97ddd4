"""What becomes of an instruction: a setting, nothing, or a task for the user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of an instruction, or of one command of a RUN.

    Exactly one of the three is the case: it has settings, a reason why none is needed, or advice
    for the user.
    """

    line: int = 0
    text: str = ""
    """The instruction, as it is shown to the user."""
    settings: tuple[tuple[str, object], ...] = ()
    """Keys of `[tool.poetry-docker-cache]` with their values."""
    reason: str = ""
    """Why the image needs no setting for it."""
    advice: str = ""
    """What the user can do with an instruction that is left over."""


def setting(key: str, value: object) -> Outcome:
    """Return the outcome of an instruction that is one setting."""
    return Outcome(settings=((key, value),))


def unneeded(reason: str) -> Outcome:
    """Return the outcome of an instruction that needs no setting."""
    return Outcome(reason=reason)


def left_over(advice: str) -> Outcome:
    """Return the outcome of an instruction that the user has to take care of."""
    return Outcome(advice=advice)


_LISTS = {
    *("runtime-packages", "build-packages", "ports", "files", "directories", "volumes", "copy"),
    *("run", "assets", "ignore", "platforms", "groups", "extras"),
}
_TABLES = {"env", "labels"}


def merged(outcomes: list[Outcome]) -> dict[str, object]:
    """Merge the settings of all outcomes: lists and tables grow, else the last value counts."""
    table: dict[str, object] = {}
    for key, value in (pair for outcome in outcomes for pair in outcome.settings):
        present = table.get(key)
        if key in _LISTS and isinstance(value, list):
            before = present if isinstance(present, list) else []
            table[key] = [*before, *(item for item in value if item not in before)]
        elif key in _TABLES and isinstance(value, dict):
            table[key] = {**(present if isinstance(present, dict) else {}), **value}
        elif key == "build-args" and isinstance(value, dict):
            arguments = present if isinstance(present, dict) else {}
            both = {name: _both(name, arguments.get(name), value[name]) for name in value}
            table[key] = {**arguments, **both}
        elif key == "instructions" and isinstance(value, dict):
            before_lines = present.get("runtime", []) if isinstance(present, dict) else []
            table[key] = {"runtime": [*before_lines, *value["runtime"]]}
        else:
            table[key] = value
    return table


def _both(name: str, before: object, now: object) -> object:
    """Return a build argument that has all of its uses."""
    if before is None or before == now:
        return now
    tables = [
        each if isinstance(each, dict) else {"default": each, "env": name} for each in (before, now)
    ]
    return {**tables[0], **tables[1]}
