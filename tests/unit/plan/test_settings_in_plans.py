"""Whatever stands in `[tool.poetry-docker-cache]`: a Dockerfile, or one error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import given, settings
from plans import MAIN, TREE, project
from projects import package
from setting_tables import MIXED_TABLES, VALID_TABLES

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.plan.image_plan import ImagePlan
    from poetry_docker_cache.project.model import Project

ENVIRONMENT = "ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1"
OURS = re.compile(
    r"(FROM|ENV|WORKDIR|COPY|LABEL|EXPOSE|HEALTHCHECK|STOPSIGNAL|USER|ENTRYPOINT|CMD) ."
)
PROJECTS = [project(package("rich")), project(package("rich"), root=TREE, files=None)]


def outcome(table: Mapping[str, object], shape: Project) -> ImagePlan | DockerCacheError:
    """Give the plan, or the one error; anything else that is raised fails the test."""
    try:
        return make_plan(shape, Settings.parse(table), MAIN)
    except DockerCacheError as error:
        return error


def check(table: Mapping[str, object]) -> None:
    """Plan and write both kinds of project; a refusal says what to do."""
    for shape in PROJECTS:
        plan = outcome(table, shape)
        if isinstance(plan, DockerCacheError):
            assert plan.fix
            assert "\n" not in plan.problem
            continue
        text = render_dockerfile(plan)
        assert render_ignore_file(plan, "Dockerfile")
        # The last stage is ours, whole, and nothing that stands in the settings has ended it.
        last = text[text.rindex("\nFROM base AS final\n") :]
        (layer,) = plan.dependencies.layers
        for word in (ENVIRONMENT, f"COPY --link --from={layer.name} /venv /venv"):
            assert last.splitlines().count(word) == 1
        assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == [plan.runtime.user]
        whole = re.sub(r"(?<!\\)\\\n", "", last)
        assert all(OURS.match(line) for line in whole.split("\n") if line)


@given(VALID_TABLES)
@settings(max_examples=60)
def test_good_settings(table: dict[str, object]) -> None:
    """Good keys in any combination."""
    check(table)


@given(MIXED_TABLES)
@settings(max_examples=120)
def test_nearly_good_settings(table: dict[str, object]) -> None:
    """Some with one odd value."""
    check(table)


def test_both_outcomes_are_reached() -> None:
    """The tables tried above are neither all good nor all bad."""
    found = []

    @given(MIXED_TABLES)
    @settings(max_examples=100)
    def collect(table: dict[str, object]) -> None:
        found.append(isinstance(outcome(table, PROJECTS[0]), DockerCacheError))

    collect()
    assert 10 < sum(found) < len(found) - 10
