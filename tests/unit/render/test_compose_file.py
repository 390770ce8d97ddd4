"""Values in the compose file."""

from __future__ import annotations

import pytest

from poetry_docker_cache.render.compose_file import interpolated, quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("src/shop", "src/shop"),
        ("../lib", "../lib"),
        ("no", '"no"'),
        ("8000:8000", '"8000:8000"'),
        ("a b", '"a b"'),
        ("$HOME", '"$$HOME"'),
        ("", '""'),
        ("~", '"~"'),
        ("1.5", '"1.5"'),
    ],
)
def test_strings_are_quoted_if_needed(text: str, expected: str) -> None:
    """YAML would read some as another type, and Docker Compose replaces variables."""
    assert quoted(text) == expected


def test_variables_have_the_value_of_the_settings_as_default() -> None:
    """A brace would end the default too early."""
    assert interpolated("LEVEL", "info") == '"${LEVEL-info}"'
    assert interpolated("PRICE", "5 $") == '"${PRICE-5 $$}"'
    assert interpolated("FORMAT", "{a}") == '"{a}"'
