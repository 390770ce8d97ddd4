"""The commands of a RUN, with the line of each."""

from __future__ import annotations

import pytest

from poetry_docker_cache.docker.dockerfile_syntax import read_instructions
from poetry_docker_cache.migrate.shell import commands

CASES = {
    "RUN a": [(1, "a")],
    "RUN a && \\\n  b; c": [(1, "a"), (2, "b"), (2, "c")],
    "RUN a 'x && y' && b": [(1, "a 'x && y'"), (1, "b")],
    "RUN --mount=type=cache,target=/c \\\n --network=none a && b": [(2, "a"), (2, "b")],
    "RUN if a; then b && c; fi && d": [(1, "if a; then b && c; fi"), (1, "d")],
    "RUN (a && b) && c": [(1, "(a && b)"), (1, "c")],
    "RUN a || true && b": [(1, "a || true"), (1, "b")],
    'RUN ["a", "b c"]': [(1, "a 'b c'")],
    'RUN ["sh", "-c", "a && b"]': [(1, "a"), (1, "b")],
    "RUN <<EOF\na\n# no\nb c\nEOF\nRUN d": [(2, "a"), (4, "b c"), (6, "d")],
    "RUN a \\\n# a comment\n && b": [(1, "a"), (3, "b")],
    "RUN a \\\r\n && b\r\n": [(1, "a"), (2, "b")],
    "# escape=`\nRUN a `\n && b": [(2, "a"), (3, "b")],
}


@pytest.mark.parametrize("text", CASES)
def test_commands_have_the_line_on_which_they_begin(text: str) -> None:
    """A left-over command is shown with its own line."""
    found = [
        (command.line, command.text)
        for instruction in read_instructions(text)
        for command in commands(instruction)
    ]
    assert found == CASES[text]


@pytest.mark.parametrize(
    ("text", "words", "environment"),
    [
        ("A=b exec c d", ("c", "d"), (("A", "b"),)),
        ("sudo env A=b c", ("c",), (("A", "b"),)),
        ("a > /dev/null 2>&1", ("a",), ()),
        ("a | b", (), ()),
        ("a $(b)", (), ()),
        ("a 'open", (), ()),
    ],
)
def test_simple_commands_are_split_into_words(
    text: str, words: tuple[str, ...], environment: tuple[tuple[str, str], ...]
) -> None:
    """Anything else has no words."""
    (instruction,) = read_instructions(f"RUN {text}")
    (command,) = commands(instruction)
    assert (command.words, command.environment) == (words, environment)
