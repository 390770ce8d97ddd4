"""Changes the settings of this plugin in pyproject.toml, and nothing else in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeGuard

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, Table

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import tomllib
from poetry_docker_cache.system.private_files import put

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Values = Mapping[str, object]
    """Settings: strings, numbers and booleans, lists and tables."""

_TABLE = "poetry-docker-cache"
_LINE = 88
_BY_HAND = "Add these lines yourself:\n\n"


def write_settings(path: Path, changes: Mapping[str, Values]) -> bool:
    """Write settings into the file and return whether it changed; it is never half written.

    `changes` maps the name of an image to its settings; the empty name stands for the settings
    that all images share. Raises DockerCacheError if the file cannot be read, written, or changed
    without changing anything else.
    """
    all_lines = "\n".join(as_toml(values, image) for image, values in changes.items())
    try:
        before = path.read_bytes().decode()
        after = before
        for image, values in changes.items():
            after = with_settings(after, values, image=image)
        if after == before:
            return False
        target = path.resolve()  # a symlink stays one
        mode = target.stat().st_mode & 0o777
        put(target, after, mode)
        target.chmod(mode)  # the umask may have narrowed it
    except DockerCacheError as error:  # its fix shows one table only
        raise DockerCacheError(error.problem, fix=f"{_BY_HAND}{all_lines}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DockerCacheError(
            f"{path.name} cannot be changed: {getattr(error, 'strerror', None) or error}.",
            fix=f"Make it writable, or add these lines yourself:\n\n{all_lines}",
        ) from error
    return True


def with_settings(text: str, values: Values, *, image: str = "") -> str:
    """Return the text of a pyproject.toml with these settings; everything else stays the same.

    The settings are those of `image`, or the common ones if it is empty. Raises DockerCacheError if
    tomlkit cannot make the change without making another.
    """
    crlf = text.count("\r\n") == text.count("\n") > 0
    plain = text.replace("\r\n", "\n") if crlf else text
    plain += "" if plain.endswith("\n") else "\n"
    after = ""
    try:
        after = _changed(plain, values, image)
        kept = tomllib.loads(after) == _expected(plain, values, image)
    except (TOMLKitError, tomllib.TOMLDecodeError, AttributeError, KeyError, TypeError):
        kept = False
    if not kept:
        raise DockerCacheError(
            "pyproject.toml cannot be changed without changing more than these settings.",
            fix=f"{_BY_HAND}{as_toml(values, image)}",
        )
    return after.replace("\n", "\r\n") if crlf else after


def as_toml(values: Values, image: str = "") -> str:
    """Write the settings as a table of pyproject.toml."""
    return f"{table_of(image)}\n{lines(values)}"


def table_of(image: str) -> str:
    """Return the header of an image's table, or of the common one."""
    return f"[tool.{_TABLE}.images.{image}]" if image else f"[tool.{_TABLE}]"


def lines(values: Values) -> str:
    """Write the settings, one per line; a long list or table has one line per item."""
    return "".join(line for name, value in values.items() for line in _entry(name, value))


def _entry(name: str, value: object) -> list[str]:
    line = f"{_key(name)} = {_inline(value)}\n"
    if len(line) <= _LINE + 1 or not isinstance(value, list | tuple | Mapping):
        return [line]
    if isinstance(value, Mapping):
        return [part for key, item in value.items() for part in _entry_of(name, key, item)]
    items = "".join(f"    {_inline(item)},\n" for item in value)
    return [f"{_key(name)} = [\n{items}]\n"]


def _entry_of(name: str, key: str, value: object) -> list[str]:
    """Write one item of a long table, with a dotted name."""
    line = f"{_key(name)}.{_key(key)} = {_inline(value)}\n"
    if len(line) <= _LINE + 1 or not isinstance(value, list | tuple):
        return [line]
    items = "".join(f"    {_inline(item)},\n" for item in value)
    return [f"{_key(name)}.{_key(key)} = [\n{items}]\n"]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else _inline(name)


def _inline(value: object) -> str:
    """Write a value of TOML on one line."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {_inline(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return tomlkit.item(value).as_string()


def _changed(text: str, values: Values, image: str) -> str:
    document = tomlkit.parse(text)
    table: Any = document.get("tool", {}).get(_TABLE)
    if table is not None and image:
        table = table["images"][image]
    if table is None or _has_no_header(table):
        # Append text, because tomlkit would put a new header between other tables.
        return f"{text}\n{as_toml(values, image)}"
    new: dict[str, object] = {}
    for name, value in values.items():
        present = table.get(name)
        if isinstance(present, Array) and _is_names(value):
            _update(present, value)
        elif present is None and isinstance(table, Table):
            new[name] = value
        elif present != value:
            table[name] = tomlkit.parse(f"value = {_inline(value)}")["value"]
    if new:
        _insert(table, new)
    return tomlkit.dumps(document)


def _has_no_header(table: Any) -> bool:  # noqa: ANN401  # tomlkit has several kinds of tables
    below = [isinstance(value, Table | AoT) for value in table.values()]
    return isinstance(table, Table) and table.is_super_table() and all(below)


def _insert(table: Table, values: Values) -> None:
    """Insert settings below the last one; tomlkit would put them below the comments that follow."""
    body = table.value.body
    own = takewhile(lambda entry: not isinstance(entry[1][1], Table | AoT), enumerate(body))
    place = max((index + 1 for index, (key, _) in own if key), default=0)
    body[place:place] = tomlkit.parse(lines(values)).body


def _update(array: Array, names: Sequence[str]) -> None:
    """Remove and add only what differs, so that comments between the other items stay."""
    for name in [str(item) for item in array if item not in names]:
        array.remove(name)
    for name in names:
        if name not in array:
            array.append(name)


def _is_names(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _expected(text: str, values: Values, image: str) -> dict[str, Any]:
    data: dict[str, Any] = tomllib.loads(text)
    table = data.setdefault("tool", {}).setdefault(_TABLE, {})
    if image:
        table = table["images"][image]
    for name, value in values.items():
        present = table.get(name, [])
        if isinstance(present, list) and _is_names(value):
            table[name] = _in_order(present, value)
        else:
            table[name] = value
    return data


def _in_order(present: list[str], names: Sequence[str]) -> list[str]:
    """Return the names in the order in which `_update` leaves them."""
    kept = [name for name in present if name in names]
    return [*kept, *(name for name in names if name not in kept)]
