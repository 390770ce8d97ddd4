"""Random settings are either valid or lead to one error that names the key."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

import pytest
import tomlkit
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from setting_tables import ANY_TEXT, MIXED_TABLES, NAMES, ODD_VALUES, PIECES, VALID, VALID_TABLES

from poetry_docker_cache.settings.image_values import dockerfile_lines
from poetry_docker_cache.settings.setting_errors import SettingsError, Spot, key_text
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def outcome(table: Mapping[str, object]) -> Settings | SettingsError:
    """Return the settings or the error; any other exception fails the test."""
    try:
        return Settings.parse(table)
    except SettingsError as error:
        return error


def is_plain(value: object) -> bool:
    """Return whether this is immutable data of Python's own types that a file can contain."""
    if is_dataclass(value) and not isinstance(value, type):
        return all(is_plain(getattr(value, field.name)) for field in fields(value))
    if type(value) is tuple:
        return all(is_plain(item) for item in value)
    if type(value) is str:
        return value.encode(errors="replace").decode() == value  # no lone surrogate
    return value is None or type(value) in {int, bool}


def check(table: dict[str, object]) -> None:
    """Check what must be true of every table."""
    before = copy.deepcopy(table)
    result = outcome(table)
    # NaN is not equal to itself, so the texts are compared.
    assert repr(table) == repr(before)
    if isinstance(result, Settings):
        assert is_plain(result)
        hash(result)
    else:
        named = [*table, *(["python"] if "base-image" in table else [])]
        assert any(f"`{key_text(name)}" in result.problem for name in named)
        assert result.fix
        assert "\n" not in result.problem
        str(result).encode()


@given(st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, ODD_VALUES, max_size=4))
def test_any_table(table: dict[str, object]) -> None:
    """Keys and values may be anything."""
    check(table)


@given(st.sampled_from(NAMES), ODD_VALUES)
def test_any_value_of_existing_key(name: str, value: object) -> None:
    """The value may have any type."""
    check({name: value})


@given(MIXED_TABLES)
@settings(max_examples=300)
def test_nearly_valid_tables(table: dict[str, object]) -> None:
    """Many keys are valid, and one may have a value that is not."""
    check(table)


@given(VALID_TABLES)
def test_valid_tables(table: dict[str, object]) -> None:
    """Valid keys can be combined, and their order does not matter."""
    result = outcome(table)
    assert isinstance(result, Settings)
    assert outcome(dict(reversed(table.items()))) == result
    for name in ("env", "labels"):
        if isinstance(content := table.get(name), dict):
            table[name] = dict(reversed(content.items()))
    assert outcome(table) == result


@given(VALID_TABLES)
def test_settings_are_plain_values(table: dict[str, object]) -> None:
    """Poetry's TOML reader wraps values; the settings have none of these wrappers."""
    document = tomlkit.parse(tomlkit.dumps(table))
    result = outcome(document)
    assert result == outcome(table)
    assert is_plain(result)


def test_table_in_separate_parts_of_file() -> None:
    """It is read like any other table."""
    text = '[t.healthcheck]\ncommand = ["x"]\n[u]\n[t]\nimage = "app"\n'
    result = Settings.parse(tomlkit.parse(text)["t"])
    assert result.image == "app"
    assert is_plain(result)


def test_both_outcomes_are_reached() -> None:
    """For each key, the tables above are neither all valid nor all invalid."""
    reached: set[tuple[str, type]] = set()
    every_key = st.fixed_dictionaries(
        {name: VALID.get(name, ODD_VALUES) | ODD_VALUES for name in NAMES}
    )

    @given(every_key, MIXED_TABLES)
    @settings(derandomize=True, database=None)
    def look(table: dict[str, object], mixed: dict[str, object]) -> None:
        reached.update((name, type(outcome({name: value}))) for name, value in table.items())
        reached.add(("mixed", type(outcome(mixed))))

    look()
    for kind in (Settings, SettingsError):
        assert {name for name, reached_kind in reached if reached_kind is kind} == {*NAMES, "mixed"}


@given(st.lists(PIECES | st.sampled_from(["RUN a <<E", "E", "RUN b \\", "# c"]), max_size=6))
def test_accepted_lines_are_complete_instructions(lines: list[str]) -> None:
    """An instruction that follows them is not taken for a part of the last one."""
    spot = Spot(path="instructions.build", takes="", example="")
    try:
        dockerfile_lines(spot, lines)
    except SettingsError:
        assume(False)
    with pytest.raises(SettingsError, match="another stage"):
        dockerfile_lines(spot, [*lines, "FROM x"])
