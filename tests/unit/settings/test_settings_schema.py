"""The JSON schema agrees with the parser as far as a schema can."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomlkit
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from setting_tables import MIXED_TABLES, NAMES, ODD_VALUES, VALID, VALID_TABLES
from settings_schema import make_schema

from poetry_docker_cache.settings.image_tables import parse_images
from poetry_docker_cache.settings.setting_errors import NAME, SettingsError
from poetry_docker_cache.settings.table import KEYS, Settings

if TYPE_CHECKING:
    from poetry_docker_cache.settings.keys import Key

ROOT = Path(__file__).resolve().parents[3]
PLACES = ("examples", "tests/golden/cases", "tests/support/shapes")
PROJECTS = sorted(path for place in PLACES for path in (ROOT / place).rglob("pyproject.toml"))
SCHEMA = Draft7Validator(make_schema())
OWN_TABLES = st.fixed_dictionaries({}, optional={k: v for k, v in VALID.items() if k != "images"})
IMAGES = st.dictionaries(st.sampled_from(["api", "worker_2"]), OWN_TABLES)
BY_TYPE = re.compile(
    r": that is a (boolean|number|string|table|list|date or time)\b"
    r"|: `[a-z]+` is missing|: the command is empty|is not a setting|was removed"
)
"""The errors of the parser that a schema can have as well."""


def parser_error(table: object) -> str:
    """Return the parser's error, or "" for a table that it accepts."""
    try:
        Settings.parse(table)
        parse_images(table)
    except SettingsError as error:
        return error.problem
    return ""


def schema_error(table: object) -> str:
    """Return the schema's first error, or ""."""
    return next((error.message for error in SCHEMA.iter_errors(table)), "")


def has_whole_float(value: object) -> bool:
    """Return whether a part of a value is a float such as 1.0, an integer for JSON schema."""
    if isinstance(value, dict):
        return any(map(has_whole_float, value.values()))
    if isinstance(value, list):
        return any(map(has_whole_float, value))
    return isinstance(value, float) and math.isfinite(value) and value.is_integer()


@pytest.mark.parametrize(
    "path", PROJECTS, ids=lambda path: path.parent.relative_to(ROOT).as_posix()
)
def test_projects_of_the_repository_are_accepted(path: Path) -> None:
    """The parser accepts them as well."""
    table = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap().get("tool", {}).get(NAME, {})
    assert parser_error(table) == schema_error(table) == ""


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_example_of_each_setting_is_accepted(key: Key) -> None:
    """So is its default, which an editor inserts."""
    definition = make_schema()["definitions"][key.name]
    for value in [
        *definition["examples"],
        *(definition[d] for d in ["default"] if d in definition),
    ]:
        assert schema_error({key.name: value}) == ""


@given(VALID_TABLES, IMAGES)
@settings(max_examples=200)
def test_what_the_parser_accepts_is_accepted(table: dict[str, object], images: object) -> None:
    """Any combination of valid values, also in the tables of several images."""
    table = {**table, "images": images}
    assume(not parser_error(table))
    assert schema_error(table) == ""


@given(MIXED_TABLES, st.sampled_from(NAMES), ODD_VALUES)
@settings(max_examples=200)
def test_wrong_types_and_names_are_refused(
    table: dict[str, object], name: str, value: object
) -> None:
    """A type or a name that the parser refuses; all else is accepted as the parser does."""
    for each in (table, {name: value}, {"images": {"api": {name: value}}}):
        assume(not has_whole_float(each))
        error = parser_error(each)
        if not error:
            assert schema_error(each) == ""
        elif BY_TYPE.search(error):
            assert schema_error(each) != "", error


@pytest.mark.parametrize(
    "table",
    [
        {"imge": "app"},
        {"installer": "pip"},
        {"images": {"api": {"imge": "app"}}},
        {"images": {"api": {"images": {}}}},
        {"images": {"Api": {}}},
        {"groups": "main"},
        {"layers": "many"},
        {"layers": 49},
        {"python": 3.1},
        {"python": "3"},
        {"platforms": ["linux/arm65"]},
        {"cache": {"type": "gh"}},
        {"cache": {"type": "gha", "scop": "a"}},
        {"env": {"A-B": "1"}},
        {"healthcheck": True},
        {"healthcheck": {"command": ["a"], "interval": "30"}},
        {"ports": [0]},
        {"run": {"command": ["a"], "output": []}},
        {"copy": [{"from": "a"}]},
        {"dev": {"files": []}},
    ],
)
def test_refused_values(table: dict[str, object]) -> None:
    """The parser refuses each, and so does the schema."""
    assert parser_error(table) != ""
    assert schema_error(table) != ""
