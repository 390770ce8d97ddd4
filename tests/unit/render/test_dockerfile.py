"""How values are quoted and wrapped in a Dockerfile."""

from __future__ import annotations

import ast
import json
import re
import shlex
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache import inside
from poetry_docker_cache.render.build_scripts import script_text
from poetry_docker_cache.render.dockerfile import (
    assignments,
    command,
    copy_arguments,
    exec_form,
    healthcheck,
    quoted,
)
from poetry_docker_cache.render.exported_files import is_ours
from poetry_docker_cache.settings.image_values import Healthcheck

INSIDE = Path(str(inside.__file__)).parent
SCRIPTS = sorted(path.relative_to(INSIDE).as_posix() for path in INSIDE.rglob("*.py"))
ONE_LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"))
ASCII = st.characters(codec="ascii")
VALUE = st.one_of(ONE_LINE, st.text(string.ascii_letters + ' "$\\#', min_size=90, max_size=400))


def unquoted(word: str) -> str:
    """Parse a double-quoted value without variables as BuildKit does."""
    result, characters = "", iter(word[1:-1])
    for character in characters:
        assert character not in '"$'
        result += next(characters) if character == "\\" else character
    return result


@given(ONE_LINE)
def test_quoted_value_is_read_back(value: str) -> None:
    """Quotes, dollars and backslashes are escaped, and nothing else."""
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


@given(st.lists(ONE_LINE))
def test_wrapped_command_is_the_same(words: list[str]) -> None:
    """BuildKit joins the lines before the words are split."""
    assert shlex.split(joined(command(words))) == words
    assert json.loads(joined(command(words, shell=False))) == words


def test_long_command_is_wrapped() -> None:
    """Lines are shorter than 120 characters if possible."""
    words = ["python", "-m", "manifest", *(f"--group=group-{number}" for number in range(20))]
    for text in (command(words), command(words, shell=False)):
        assert len(text.splitlines()) > 1
        assert max(map(len, text.splitlines())) < 116


def unescaped(text: str) -> dict[str, str]:
    """Parse names and quoted values as BuildKit does, for names without quotes."""
    found = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")(?: |$)', joined(text))
    return {name: unquoted(value) for name, value in found}


def joined(text: str) -> str:
    """Join continued lines as BuildKit does, which drops lines that look like comments."""
    lines: list[str] = []
    for line in text.split("\n"):
        assert not lines or not line.lstrip().startswith("#")
        lines.append(line)
    return "".join(re.sub(r"(?:^|(?<=[^\\]))\\[ \t]*$", "", line) for line in lines)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True, alphabet=ASCII), VALUE))
def test_assignments_are_read_back(values: dict[str, str]) -> None:
    """Long values are wrapped without a change."""
    assert unescaped(assignments(values)) == values


def test_long_value_is_wrapped() -> None:
    """A project's description may have any length."""
    text = assignments({"description": "one two three four five " * 20, "other": "x"})
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_ends_its_own_heredoc(name: str) -> None:
    """An embedded script ends with a line that has its name."""
    lines = script_text(name).splitlines()
    assert Path(name).name not in lines
    assert script_text(name).endswith("\n")


@pytest.mark.parametrize("name", SCRIPTS)
def test_exported_script_lacks_only_comments_for_linters(name: str) -> None:
    """The build runs the tested code."""
    original = (INSIDE / name).read_text(encoding="utf-8")
    text = script_text(name)
    assert is_ours(text)
    assert "# noqa" not in text
    assert "# type:" not in text
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(original))
