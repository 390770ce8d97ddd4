"""Changes settings in pyproject.toml, and nothing else of it."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import tomllib
from poetry_docker_cache.system.private_files import create

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Values = Mapping[str, int | Sequence[str]]

_TABLE = "poetry-docker-cache"
_LINE = 88
_BY_HAND = "Write this there yourself:\n\n"
# The head of a table with the comments above, from the first blank line on if there is one. tomlkit
# counts them to the table before.
_HEAD = re.compile(
    r"((?<=\n\n)(?:^[ \t]*(?:#.*)?\n)+|(?:^[ \t]*#.*\n)+|)(^[ \t]*\[[^\r\n]*)", re.MULTILINE
)


def write_settings(path: Path, changes: Mapping[str, Values]) -> bool:
    """Write settings into the file, whole or not at all; whether that changed it.

    They are by the names of images, of which the empty one is what all have in common.

    Raises DockerCacheError where it cannot be read, written, or changed without doing harm.
    """
    lines_of_all = "\n".join(as_toml(values, image) for image, values in changes.items())
    try:
        before = path.read_bytes().decode()
        after = before
        for image, values in changes.items():
            after = with_settings(after, values, image=image)
        if after == before:
            return False
        target = path.resolve()  # a symlink stays one
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        mode = target.stat().st_mode & 0o777
        try:
            create(draft, after, mode)
            draft.chmod(mode)  # whatever the umask takes away
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except DockerCacheError as error:  # it knows of one table only
        raise DockerCacheError(error.problem, fix=f"{_BY_HAND}{lines_of_all}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DockerCacheError(
            f"{path.name} cannot be changed: {getattr(error, 'strerror', None) or error}.",
            fix=f"Make it writable, or write this there yourself:\n\n{lines_of_all}",
        ) from error
    return True


def with_settings(text: str, values: Values, *, image: str = "") -> str:
    """The text of a pyproject.toml with these settings of ours; all else stays as it is.

    They are those of an image, if one is named.

    Raises DockerCacheError where that fails, as for a file that tomlkit does not keep.
    """
    crlf = text.count("\r\n") == text.count("\n") > 0
    plain = text.replace("\r\n", "\n") if crlf else text
    after = ""
    try:
        after = _changed_below_comments(plain, values, image)
        kept = tomllib.loads(after) == _expected(plain, values, image)
    except (TOMLKitError, tomllib.TOMLDecodeError, AttributeError, KeyError, TypeError):
        kept = False
    if not kept:
        raise DockerCacheError(
            "pyproject.toml is written in a way that cannot be changed without doing harm.",
            fix=f"{_BY_HAND}{as_toml(values, image)}",
        )
    return after.replace("\n", "\r\n") if crlf else after


def as_toml(values: Values, image: str = "") -> str:
    """The settings as a table of pyproject.toml."""
    return f"{table_of(image)}\n{lines(values)}"


def table_of(image: str) -> str:
    """The head of an image's table, or of the common one."""
    return f"[tool.{_TABLE}.images.{image}]" if image else f"[tool.{_TABLE}]"


def lines(values: Values) -> str:
    """The settings, a line each; a long list has a line for each item."""
    document = tomlkit.document()
    for name, value in values.items():
        document.add(name, value if isinstance(value, int) else _array(value))
    return tomlkit.dumps(document)


def _changed_below_comments(text: str, values: Values, image: str) -> str:
    """Change the settings while the comments above the heads of tables stand behind these."""
    mark = f" # {secrets.token_hex(8)}:"
    above: list[str] = []

    def behind(match: re.Match[str]) -> str:
        above.append(match[1])
        return f"{match[2]}{mark}{len(above) - 1}"

    try:
        after = _changed(_HEAD.sub(behind, text), values, image)
    except TOMLKitError:  # there is more on the line, as in a text of several
        return _changed(text, values, image)
    parts = re.split(rf"^(.*){mark}(\d+)", after, flags=re.MULTILINE)
    heads, numbers, rest = parts[1::3], [int(it) for it in parts[2::3]], parts[3::3]
    if {*numbers} != {*range(len(above))}:
        return _changed(text, values, image)
    last = {number: place for place, number in enumerate(numbers)}
    pieces = [parts[0]]
    for place, (head, number, below) in enumerate(zip(heads, numbers, rest, strict=True)):
        if last[number] == place:
            pieces += [above[number], head, below]
        else:  # a new table, to which tomlkit gives the comments of the one that it puts it above
            pieces += [head.partition("#")[0].rstrip(), below]
    return "".join(pieces)


def _changed(text: str, values: Values, image: str) -> str:
    document = tomlkit.parse(text)
    table: Any = document.get("tool", {}).get(_TABLE)
    if table is None:  # as text: tomlkit may put a table between others, or lose its blank line
        end = "" if text.endswith("\n") else "\n"
        return f"{text}{end}\n{as_toml(values)}"
    if image:
        table = table["images"][image]
    for name, value in values.items():
        present = table.get(name)
        if isinstance(value, int):
            if present != value:
                table[name] = value
        elif isinstance(present, Array):
            _exchange(present, value)
        else:
            table[name] = _array(value)
    return tomlkit.dumps(document)


def _exchange(array: Array, names: Sequence[str]) -> None:
    """Take out and add what differs: the comments between the others stay."""
    for name in [str(it) for it in array if it not in names]:
        array.remove(name)
    for name in names:
        if name not in array:
            array.append(name)


def _array(names: Sequence[str]) -> Array:
    array = tomlkit.array()
    array.extend(names)
    if len(array.as_string()) > _LINE:
        array.multiline(multiline=True)
    return array


def _expected(text: str, values: Values, image: str) -> dict[str, Any]:
    data: dict[str, Any] = tomllib.loads(text)
    table = data.setdefault("tool", {}).setdefault(_TABLE, {})
    if image:
        table = table["images"][image]
    for name, value in values.items():
        table[name] = value if isinstance(value, int) else _in_order(table.get(name, []), value)
    return data


def _in_order(present: list[str], names: Sequence[str]) -> list[str]:
    """The names as `_exchange` leaves them."""
    kept = [name for name in present if name in names]
    return [*kept, *(name for name in names if name not in kept)]
