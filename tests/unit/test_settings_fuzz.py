"""Whatever stands in `[tool.poetry-docker-cache]`: settings, or one error that names the key."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

import pytest
import tomlkit
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poetry_docker_cache.settings import Settings, SettingsError
from poetry_docker_cache.settings.docker import dockerfile_lines
from poetry_docker_cache.settings.errors import Spot, key_text
from poetry_docker_cache.settings.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = [key.name for key in KEYS]

# Lone surrogates too: TOML has none, but a caller's table might.
ANY_TEXT = st.text(max_size=12) | st.text(st.characters(categories=["Cs", "Cc", "Zl", "L"]))
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.dates() | st.datetimes()
)
JSON_LIKE = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(ANY_TEXT, inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["command", "interval", "retries", "build", "runtime"]), inner
        )
    ),
    max_leaves=8,
)

# Words that the readers' rules are about, so that their branches are reached.
FRAGMENTS = (
    *("a", "B", "3.12", "2.1", "9", "0", "{python}", "/", ".", "..", ":", "@", "-", "=", "*", "$"),
    *("\\", "\n", "\t", " ", "é", "SIG", "TERM", "s", "m", "FROM", "RUN", "<<E", "E", "!"),
)
PIECES = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
WORDS = st.sampled_from(["app", "dev,tests", "libpq5", "a/b", "server", "1000"])
TEXTS = st.dictionaries(
    st.sampled_from(["A", "LOG_LEVEL", "com.example"]), st.text("aé$\"'\\ #\t", max_size=5)
)
VALID: dict[str, st.SearchStrategy[object]] = {
    "image": st.sampled_from(["app", "localhost:5000/team/app"]),
    "python": st.sampled_from(["3.9", "3.12", "3.13.1"]),
    "base-image": st.sampled_from(["python:{python}-slim", "team/python-{python}:1"]),
    "build-image": st.sampled_from(["python:{python}", "team/build:1"]),
    "shell": st.booleans(),
    "poetry-version": st.sampled_from(["2.1", "2.4.1"]),
    "groups": st.lists(WORDS),
    "extras": st.lists(WORDS),
    "build-packages": st.lists(st.sampled_from(["g++", "libpq-dev=15.1-1"])),
    "runtime-packages": st.lists(st.sampled_from(["libpq5", "git:arm64"])),
    "optional-libraries": st.lists(st.sampled_from(["libtbb.so.12", "liba.so"])),
    "ssh-known-hosts": st.lists(st.sampled_from(["h ssh-ed25519 A", "|1|a|b ssh-rsa B== c"])),
    "layers": st.one_of(st.integers(1, 48), st.just("auto")),
    "own-layers": st.just([]),
    "installer": st.sampled_from(["pip", "uv", "poetry"]),
    "uv-version": st.sampled_from(["0.9.2", "0.13.9"]),
    "files": st.lists(WORDS),
    "workdir": st.sampled_from(["/app", "/srv/x/"]),
    "user": st.integers(1, 2**31 - 1) | st.sampled_from(["1000", "1000:0"]),
    "entrypoint": st.lists(WORDS),
    "command": st.lists(WORDS),
    "env": st.dictionaries(st.sampled_from(["A", "B_1"]), st.text("aé$\"'\\ #\t", max_size=5)),
    "labels": TEXTS,
    "ports": st.lists(st.integers(1, 65535) | st.sampled_from(["1/udp", "80/tcp"])),
    "healthcheck": st.just(False)
    | st.lists(WORDS, min_size=1)
    | st.fixed_dictionaries(
        {"command": st.lists(WORDS, min_size=1)},
        optional={
            "interval": st.sampled_from(["1s", "1m30s"]),
            "timeout": st.just("500ms"),
            "start-period": st.just("1h"),
            "retries": st.integers(1, 99),
        },
    ),
    "stop-signal": st.integers(1, 64) | st.sampled_from(["TERM", "SIGRTMIN+1"]),
    "compile": st.booleans(),
    "syntax": st.sampled_from([False, "auto", "docker/dockerfile:1"]),
    "cache": st.sampled_from(["h.io/a:c", "./c", "type=gha", {"type": "local", "src": "x"}]),
    "download-cache": st.sampled_from(["wheels", "~/wheels", "/var/wheels"]),
    "reuse-image": st.sampled_from(["h.io/a", "team/app:latest"]),
    "platforms": st.lists(st.sampled_from(["linux/amd64", "linux/arm64"])),
    "ignore": st.lists(st.text("a*!#/ ", max_size=5)),
    "images": st.dictionaries(
        st.sampled_from(["api", "worker_2"]), st.fixed_dictionaries({}, optional={"python": WORDS})
    ),
    "instructions": st.fixed_dictionaries(
        {},
        optional={
            "build": st.lists(st.sampled_from(["RUN a", "# b"])),
            "runtime": st.just(["RUN <<E", "FROM x", "E"]),
        },
    ),
    "template": st.sampled_from(["docker/Dockerfile.j2", "../a.j2"]),
}
VALID_TABLES = st.fixed_dictionaries({}, optional=VALID)
ODD_VALUES = JSON_LIKE | PIECES | st.lists(PIECES, max_size=3) | st.integers(-5, 10**30)
MIXED_TABLES = st.builds(
    lambda valid, odd: {**valid, **odd},
    VALID_TABLES,
    st.dictionaries(st.sampled_from(NAMES), ODD_VALUES, max_size=2),
)


def outcome(table: Mapping[str, object]) -> Settings | SettingsError:
    """Give the settings, or the one error; anything else that is raised fails the test."""
    try:
        return Settings.parse(table)
    except SettingsError as error:
        return error


def is_plain(value: object) -> bool:
    """Say whether this is frozen data of exactly Python's own types, which a file can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return all(is_plain(getattr(value, field.name)) for field in fields(value))
    if type(value) is tuple:
        return all(is_plain(item) for item in value)
    if type(value) is str:
        return value.encode(errors="replace").decode() == value  # no lone surrogate
    return value is None or type(value) in {int, bool}


def check(table: dict[str, object]) -> None:
    """Hold the promises that stand for any table."""
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
    """Any keys with any values."""
    check(table)


@given(st.sampled_from(NAMES), ODD_VALUES)
def test_any_value_in_one_key(name: str, value: object) -> None:
    """Any value in one existing key."""
    check({name: value})


@given(MIXED_TABLES)
@settings(max_examples=300)
def test_nearly_valid_tables(table: dict[str, object]) -> None:
    """Many good keys, some with one odd value."""
    check(table)


@given(VALID_TABLES)
def test_valid_tables(table: dict[str, object]) -> None:
    """Good keys in any combination are settings, and come out in one order however written."""
    result = outcome(table)
    assert isinstance(result, Settings)
    assert outcome(dict(reversed(table.items()))) == result
    for name in ("env", "labels"):
        if isinstance(content := table.get(name), dict):
            table[name] = dict(reversed(content.items()))
    assert outcome(table) == result


@given(VALID_TABLES)
def test_what_poetry_reads(table: dict[str, object]) -> None:
    """The wrappers in which Poetry's TOML reader puts values are gone from the settings."""
    document = tomlkit.parse(tomlkit.dumps(table))
    result = outcome(document)
    assert result == outcome(table)
    assert is_plain(result)


def test_tables_that_toml_splits() -> None:
    """A table whose parts stand apart in the file is read like any other."""
    text = '[t.healthcheck]\ncommand = ["x"]\n[u]\n[t]\nimage = "app"\n'
    result = Settings.parse(tomlkit.parse(text)["t"])
    assert result.image == "app"
    assert is_plain(result)


def test_both_outcomes_are_reached() -> None:
    """The tables tried above are neither all good nor all bad, in any key."""
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
def test_raw_lines_end_what_they_open(lines: list[str]) -> None:
    """Accepted lines stay accepted when a whole instruction follows, and it is not swallowed."""
    spot = Spot(path="instructions.build", takes="", example="")
    try:
        dockerfile_lines(spot, lines)
    except SettingsError:
        assume(False)
    with pytest.raises(SettingsError, match="another stage"):
        dockerfile_lines(spot, [*lines, "FROM x"])
