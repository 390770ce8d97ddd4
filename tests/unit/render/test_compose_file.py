"""Values in the compose file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from poetry_docker_cache.render.compose_file import (
    Service,
    interpolated,
    quoted,
    render_compose_file,
)

SERVICE = Service(
    name="shop",
    test=None,
    context=".",
    dockerfile="Dockerfile",
    ports=(),
    environment={},
    volumes={},
    synced={},
    rebuilt=(),
    reloads=False,
    ssh=False,
)


def test_builds_get_the_secrets_of_front_ends_and_build_steps() -> None:
    """A value is that of a variable; the logins of npm are in a file."""
    front = replace(SERVICE, name="front", npmrc=True, secrets=("NPM_TOKEN", "API_TOKEN"))
    step = replace(SERVICE, name="step", secrets=("API_TOKEN",))
    text = render_compose_file([front, step, SERVICE], secret=True)
    found = YAML(typ="safe").load(text)
    builds = [found["services"][name]["build"]["secrets"] for name in ("front", "step", "shop")]
    names = ["auth", "npmrc", "NPM_TOKEN", "API_TOKEN"]
    assert builds == [names, ["auth", "API_TOKEN"], ["auth"]]
    assert [*found["secrets"]] == names
    assert found["secrets"]["npmrc"] == {"file": "${NPMRC_FILE:-/dev/null}"}
    assert found["secrets"]["API_TOKEN"] == {"environment": "API_TOKEN"}
    assert "secrets" not in YAML(typ="safe").load(render_compose_file([SERVICE], secret=False))


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
