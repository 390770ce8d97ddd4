"""Errors in `[tool.poetry-docker-cache]`: the key, the value, and what the key takes."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from poetry_docker_cache.errors import DockerCacheError

NAME = "poetry-docker-cache"
TABLE = f"[tool.{NAME}]"
_ALIKE = 0.89
"""A name at least this similar is misspelled; `poetry-docker-bake` may be another plugin."""
_NEAR = 0.73
"""A name at least this similar may be meant, such as `poetry-docker`."""
_SHOWN_CHARACTERS = 40
_SHOWN_ITEMS = 3
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class SettingsError(DockerCacheError):
    """A key of `[tool.poetry-docker-cache]` is unknown, or its value is not valid."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """The place of a value in the table, and the values that it takes, for an error."""

    path: str
    takes: str
    example: str

    def item(self, index: int) -> Spot:
        """Return the place of an item of the list here, counted from 0."""
        return replace(self, path=f"{self.path}[{index}]")

    def entry(self, name: str, *, takes: str = "") -> Spot:
        """Return the place of an entry of the table here."""
        return replace(self, path=f"{self.path}.{key_text(name)}", takes=takes or self.takes)

    def refuse(self, value: object, why: str, *, fix: str = "") -> SettingsError:
        """Return the error for a value that is not valid here."""
        return SettingsError(
            f"`{self.path}` in {TABLE} cannot be {shown(value)}: {why}. It takes {self.takes}.",
            fix=f"{fix} For example: {self.example}".lstrip(),
        )


def refuse_misnamed(tool: Mapping[str, object]) -> None:
    """Raise `SettingsError` for a table below `tool` with a misspelled name of this plugin."""
    for name in tool:
        if _resembles(name, _ALIKE):
            raise SettingsError(
                f"`tool.{key_text(name)}` in pyproject.toml is not the name of this plugin, so the"
                " settings would have no effect.",
                fix=f"Write {TABLE}.",
            )


def near_name_notes(tool: Mapping[str, object]) -> list[str]:
    """Return a note for each table below `tool` that may be meant for this plugin, if none is."""
    found = [] if NAME in tool else [name for name in tool if _resembles(name, _NEAR)]
    return [
        f"`tool.{key_text(name)}` in pyproject.toml is not read: the settings belong in {TABLE}."
        for name in found
    ]


def _resembles(name: str, similarity: float) -> bool:
    """Return whether a name is similar; `poetry-docker-cache-old` was put aside on purpose."""
    spelled = name.lower().replace("_", "-")
    if name == NAME or spelled.startswith(f"{NAME}-"):
        return False
    return bool(difflib.get_close_matches(spelled, [NAME], cutoff=similarity))


def unknown_key(name: str, known: Collection[str], *, inside: str = "") -> SettingsError:
    """Return the error for an unknown key, with the most similar known one."""
    prefix = f"{inside}." if inside else ""
    spelled = name.lower().replace("_", "-")
    near = [spelled] if spelled in known else difflib.get_close_matches(spelled, known, n=1)
    listed = ", ".join(f"`{prefix}{key}`" for key in known)
    return SettingsError(
        f"`{prefix}{key_text(name)}` in {TABLE} is not a setting, so it would have no effect.",
        fix=f"Did you mean `{prefix}{near[0]}`?" if near else f"The settings are: {listed}.",
    )


def removed_key(name: str, why: str, *, inside: str = "") -> SettingsError:
    """Return the error for a key that an earlier release had."""
    prefix = f"{inside}." if inside else ""
    return SettingsError(f"`{prefix}{name}` in {TABLE} was removed: {why}.", fix="Remove the line.")


def key_text(name: str) -> str:
    """Return a key as TOML writes it, in quotes if it needs them."""
    return name if _BARE_KEY.fullmatch(name) else shown(name)


def kind(value: object) -> str:
    """Return the TOML type of a value, with its article."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "a table"
    return "a list" if isinstance(value, list | tuple) else "a date or time"


def shown(value: object, *, depth: int = 1) -> str:
    """Return a value as TOML writes it: on one line, printable and short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Python cannot print a number of thousands of digits.
        return str(int(value)) if value.bit_length() < 128 else "a very large number"  # noqa: PLR2004  # any bound will do
    if isinstance(value, str):
        return _shown_text(value)
    if isinstance(value, Mapping):
        pairs = [(name, value[name]) for name in list(value)[:_SHOWN_ITEMS]]
        entries = [f"{key_text(str(k))} = {shown(v, depth=depth - 1)}" for k, v in pairs]
        return _shown_items(entries, len(value), depth, "{ }") if value else "{}"
    if isinstance(value, list | tuple):
        entries = [shown(item, depth=depth - 1) for item in value[:_SHOWN_ITEMS]] if depth else []
        return _shown_items(entries, len(value), depth, "[]") if value else "[]"
    return _shown_text(str(value))[1:-1]


def _shown_items(entries: list[str], count: int, depth: int, brackets: str) -> str:
    left, right = brackets[:-1], brackets[1:]
    if not depth:
        return f"{left}…{right}"
    return left + ", ".join([*entries, *(["…"] if count > len(entries) else [])]) + right


def _shown_text(text: str) -> str:
    short = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    quoted = json.dumps(short, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)
