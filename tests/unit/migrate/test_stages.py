"""Which stage of a Dockerfile is the production image, and what it is made of."""

from __future__ import annotations

import pytest

from poetry_docker_cache.migrate.stages import context_prefix, read_dockerfile, text_up_to


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("FROM a\nCMD x", 0),
        ("FROM a AS build\nFROM b", 1),
        ("FROM a AS production\nCMD x\nFROM production AS dev\nCMD y", 0),
        ("FROM a AS base\nCMD x\nFROM base AS tests\nFROM base AS release\n", 2),
        ("FROM a AS dev\nCMD x", 0),
    ],
)
def test_production_stage_is_the_last_one_not_for_development(text: str, target: int) -> None:
    """Stages for development and tests often come last."""
    assert read_dockerfile(text).target == target


def test_named_target_is_the_production_stage() -> None:
    """CI and `--target` name it."""
    assert read_dockerfile("FROM a AS api\nFROM b AS worker", "api").target == 0


def test_image_is_made_of_stages_that_it_copies_from() -> None:
    """Mounts and base stages count, too."""
    text = (
        "ARG N=build\nFROM a AS base\nFROM base AS build\nFROM c AS docs\n"
        "FROM d\nCOPY --from=build /x /x\nRUN --mount=type=bind,from=mounted,target=/m m"
    )
    found = read_dockerfile(f"FROM e AS mounted\n{text}")
    assert {found.stages[number].name for number in found.used} == {"mounted", "base", "build", ""}


def test_text_ends_with_the_production_stage() -> None:
    """The start command is that of the production stage."""
    text = "FROM a AS production\nCMD x\nFROM production AS dev\nCMD y"
    assert text_up_to(text, read_dockerfile(text)) == "FROM a AS production\nCMD x"


@pytest.mark.parametrize(
    ("source", "prefix"),
    [("backend/pyproject.toml", "backend"), ("pyproject.toml", ""), ("other/pyproject.toml", "")],
)
def test_context_may_be_a_folder_above_the_project(source: str, prefix: str) -> None:
    """A monorepo builds from its top folder."""
    found = read_dockerfile(f"FROM a\nCOPY {source} ./")
    assert context_prefix(found, ("src", "backend"), set()) == prefix


def test_quotes_in_an_image_name_are_removed() -> None:
    """Docker removes them anywhere in a word."""
    text = 'ARG NAME=team/python TAG=3.12\nFROM "$NAME":"$TAG" AS web'
    assert [stage.image for stage in read_dockerfile(text).stages] == ["team/python:3.12"]
