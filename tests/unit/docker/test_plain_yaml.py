"""The YAML of Compose files and workflows, compared with a complete parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from poetry_docker_cache.docker.plain_yaml import read_yaml

TEXTS = (
    "a: b\nc:\n  d: 'e # f' # g\n",
    "a:\n- b\n- c: d\n  e: f\n- - g\n",
    "a:\n  - b\n  -\n    c: d\n",
    'a: ["b, c", d]\ne: {f: g, h: "i"}\n',
    "x: &x\n  a: b\ny:\n  <<: *x\n  c: d\n",
    "x:\n  &x\n  a: b\ny: *x\n",
    "a:\n  - |\n    b\n    c\nd: e\n",
    "a: ghcr.io/team/app:latest\nb: '8000:8000'\n",
    "---\na: b\n---\nc: d\n",
)


@pytest.mark.parametrize("text", TEXTS)
def test_common_files_are_read_as_a_complete_parser_does(text: str) -> None:
    """Compare with ruamel.yaml."""
    expected = next(iter(YAML(typ="safe", pure=True).load_all(text)))
    found = read_yaml(text)
    if "|" in text:  # the space around a block of text does not matter here
        assert isinstance(found, dict)
        assert found["a"] == [expected["a"][0].strip()]
    else:
        assert found == expected


@given(st.text(alphabet="ab:-#&*<|[]{}\"' \n\t", max_size=80))
def test_no_text_fails(text: str) -> None:
    """A file may contain anything."""
    read_yaml(text)
