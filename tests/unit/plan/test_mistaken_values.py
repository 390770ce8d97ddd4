"""Notes on settings that probably mean something else."""

from __future__ import annotations

import pytest
from plans import plan, project
from projects import package

from poetry_docker_cache.plan.mistaken_values import variable_notes
from poetry_docker_cache.settings.table import Settings

SETS = {"HOME": "/home/app", "USER": "app"}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("$PYTHONPATH:/app", "/app"),
        ("/a:${PYTHONPATH}:/b", "/a:/b"),
        ("$HOME/lib", "/home/app/lib"),
        ("${VIRTUAL_ENV}/lib:$DATA", "/venv/lib:/data"),
    ],
)
def test_variable_in_env_is_noted_with_its_value(value: str, line: str) -> None:
    """`env` has no substitution, unlike ENV in a Dockerfile."""
    settings = Settings(env=(("DATA", "/data"), ("PYTHONPATH", value)))
    (note,) = variable_notes(settings, SETS)
    assert note.endswith(
        f'PYTHONPATH is set to the text "{value}". Write `env = {{ PYTHONPATH = "{line}" }}`.'
    )


def test_value_of_the_image_is_filled_in() -> None:
    """The image may set PYTHONPATH itself."""
    settings = Settings(env=(("PYTHONPATH", "$PYTHONPATH:/lib"),))
    (note,) = variable_notes(settings, {"PYTHONPATH": "/app/src"})
    assert note.endswith('`env = { PYTHONPATH = "/app/src:/lib" }`.')


@pytest.mark.parametrize("value", ["pa$$word", "$argon2id$v=19$m", "cost: 5 $", "$UNKNOWN/x"])
def test_other_dollar_signs_are_not_noted(value: str) -> None:
    """Passwords and formats contain them."""
    assert plan(project(), env=(("TEXT", value),)).notes == plan(project()).notes


@pytest.mark.parametrize("name", ["command", "entrypoint"])
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("poetry", "run", "gunicorn", "shop.wsgi"), '["gunicorn", "shop.wsgi"]'),
        (("sh", "-c", "poetry run migrate && poetry run web"), '["sh", "-c", "migrate && web"]'),
        (("gunicorn", "shop.wsgi"), None),
    ],
)
def test_poetry_run_is_noted_with_the_command(
    name: str, words: tuple[str, ...], line: str | None
) -> None:
    """Poetry may be one of the dependencies: then nothing is noted."""
    made = plan(project(), **{name: words})
    notes = [note for note in made.notes if "does not contain Poetry" in note]
    assert len(notes) == bool(line)
    assert line is None or f"Write `{name} = {line}`" in notes[0]
    assert "Poetry" not in "".join(plan(project(package("poetry")), **{name: words}).notes)
