"""A reader of a value together with the JSON schema of what it accepts.

The schemas are in the form of draft 7. A schema accepts every value that its reader accepts; it
refuses wrong types, unknown names and values outside an enumeration, so that an editor finds them.
What needs the meaning of a text, such as the parts of an image's name, only the reader checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import re

    from poetry_docker_cache.settings.setting_errors import Spot

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Schema = Mapping[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
FALSE: Schema = {"type": "boolean", "const": False}


@dataclass(frozen=True)
class Reader(Generic[T_co]):
    """A function that reads the value at a place; raises `SettingsError`."""

    read: Callable[[Spot, object], T_co]
    schema: Schema

    def __call__(self, spot: Spot, value: object) -> T_co:
        """Return the value in plain Python types, with tuples instead of lists."""
        return self.read(spot, value)


def accepts(schema: Schema) -> Callable[[Callable[[Spot, object], T]], Reader[T]]:
    """Make a reader of the decorated function, which accepts no value that the schema refuses."""
    return lambda read: Reader(read, schema)


def either(*schemas: Schema) -> Schema:
    """Return the schema of a value that fits one of these."""
    return {"anyOf": list(schemas)}


def exactly(*words: str) -> Schema:
    """Return the schema of one of these strings."""
    return {"type": "string", "enum": list(words)}


def number(least: int, most: int) -> Schema:
    """Return the schema of a whole number in these bounds."""
    return {"type": "integer", "minimum": least, "maximum": most}


def matching(pattern: re.Pattern[str]) -> Schema:
    """Return the schema of a string that matches as a whole.

    The pattern must mean the same in JavaScript.
    """
    return {"type": "string", "pattern": whole(pattern)}


def whole(pattern: re.Pattern[str]) -> str:
    """Return a pattern that JSON schema, which searches, matches against the whole string."""
    return f"^({pattern.pattern})$"


def array(items: Schema, *, least: int = 0) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **({"minItems": least} if least else {})}


def named(values: Schema, names: re.Pattern[str] | None = None) -> Schema:
    """Return the schema of a table whose keys, which match `names`, are the user's."""
    if names is None:
        return {"type": "object", "additionalProperties": values}
    patterns = {whole(names): values}
    return {"type": "object", "patternProperties": patterns, "additionalProperties": False}


def fixed(properties: Mapping[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a table with these keys."""
    return {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }
