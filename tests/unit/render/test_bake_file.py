"""The bake file passes what a build needs."""

from __future__ import annotations

from dataclasses import replace

from poetry_docker_cache.render.bake_file import BakeTarget, render_bake_file

TARGET = BakeTarget(name="api", context=".", dockerfile="Dockerfile", repository="team/api")
AUTH = 'AUTH_FILE == "" ? [] : ["id=auth,src=${AUTH_FILE}"]'
NPMRC = 'NPMRC_FILE == "" ? [] : ["id=npmrc,src=${NPMRC_FILE}"]'


def secrets(target: BakeTarget) -> str:
    """Return the value of `secret`."""
    lines = render_bake_file([target], tag="1").splitlines()
    return next(line.partition("= ")[2] for line in lines if line.startswith("  secret"))


def test_targets_have_the_secrets_of_front_ends_and_build_steps() -> None:
    """A value is that of a variable; the logins of npm are in a file."""
    assert secrets(TARGET) == AUTH
    step = replace(TARGET, secrets=("NPM_TOKEN", "API_TOKEN"))
    variables = '["id=NPM_TOKEN,env=NPM_TOKEN", "id=API_TOKEN,env=API_TOKEN"]'
    assert secrets(step) == f"concat({AUTH}, {variables})"
    assert "NPMRC_FILE" not in render_bake_file([step], tag="1")
    both = replace(step, npmrc=True)
    assert secrets(both) == f"concat({AUTH}, {NPMRC}, {variables})"
    assert 'variable "NPMRC_FILE" {\n' in render_bake_file([both], tag="1")


def test_targets_build_the_final_image() -> None:
    """Docker Compose's file of the same project, which bake merges, builds that for development."""
    assert '\n  target     = "final"\n' in render_bake_file([TARGET], tag="1")
