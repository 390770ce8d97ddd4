"""Only in a build do the scripts turn off Python's compiled files."""

import runpy
import sys

import pytest

from poetry_docker_cache.inside import install


@pytest.mark.parametrize(
    ("name", "expected"), [("install", True), ("poetry_docker_cache.inside.install", False)]
)
def test_scripts_write_no_bytecode_in_a_build(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: bool
) -> None:
    """In a build, they are a package of their own; a command imports them from the plugin."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    runpy.run_path(str(install.__file__), run_name=name)
    assert sys.dont_write_bytecode is expected
