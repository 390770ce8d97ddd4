"""How values are written into a Dockerfile."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache import inside
from poetry_docker_cache.render.dockerfile import (
    copy_arguments,
    exec_form,
    healthcheck,
    quoted,
    text_of,
)
from poetry_docker_cache.settings.image_values import Healthcheck

INSIDE = Path(str(inside.__file__)).parent
SCRIPTS = sorted(path.relative_to(INSIDE).as_posix() for path in INSIDE.rglob("*.py"))
ONE_LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"))


def unquoted(word: str) -> str:
    """What BuildKit makes of a double-quoted word without variables."""
    result, characters = "", iter(word[1:-1])
    for character in characters:
        assert character not in '"$'
        result += next(characters) if character == "\\" else character
    return result


@given(ONE_LINE)
def test_quoted_value_is_read_back(value: str) -> None:
    """Quotes, dollars and backslashes are escaped, and nothing else is touched."""
    assert unquoted(quoted(value)) == value


@given(st.lists(ONE_LINE))
def test_exec_form_is_one_line_of_json(words: list[str]) -> None:
    """BuildKit reads it as JSON."""
    assert json.loads(exec_form(words)) == words
    assert "\n" not in exec_form(["a\nb"])


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("src/shop", "src/shop ./src/shop"),
        ("a b", '["a b", "./a b"]'),
        ("price$", r'["price\\$", "./price\\$"]'),
        ("[x]*", '["[[]x][*]", "./[x]*"]'),
    ],
)
def test_copied_path_is_literal(path: str, arguments: str) -> None:
    """COPY would expand patterns and variables."""
    assert copy_arguments(path, f"./{path}") == arguments


def test_healthcheck() -> None:
    """Options in Docker's order, then the command."""
    check = Healthcheck(command=("curl", "x"), interval="30s", retries=3)
    assert healthcheck(check) == '--interval=30s --retries=3 CMD ["curl", "x"]'
    assert healthcheck(False) == "NONE"


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_ends_its_own_heredoc(name: str) -> None:
    """Each is embedded up to a line with its own name."""
    lines = text_of(name).splitlines()
    assert Path(name).name not in lines
    assert text_of(name).endswith("\n")


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_embedded_script_lacks_nothing_but_remarks_to_linters(name: str) -> None:
    """What the Dockerfile runs is what is tested here."""
    original = (INSIDE / name).read_text(encoding="utf-8")
    assert "# noqa" not in text_of(name)
    assert "# type:" not in text_of(name)
    assert ast.dump(ast.parse(text_of(name))) == ast.dump(ast.parse(original))
