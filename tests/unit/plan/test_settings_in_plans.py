"""Random settings lead to a valid Dockerfile or to one error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hypothesis import given, settings
from plans import MAIN, TREE, project
from projects import package
from setting_tables import MIXED_TABLES, VALID_TABLES

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import FrontEnd
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.plan.image_plan import ImagePlan
    from poetry_docker_cache.project.model import Project

ENVIRONMENT = "ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1"
INSTRUCTION = re.compile(
    r"(FROM|ENV|WORKDIR|COPY|ARG|LABEL|VOLUME|EXPOSE|HEALTHCHECK|STOPSIGNAL|USER|ENTRYPOINT|CMD) ."
)
WRITTEN_FILE = re.compile(r"^(COPY --link <<end \S+)\n\$\w+\nend$", re.MULTILINE)
FRONT_ENDS = {
    place: FrontEnd(folder=place, lock="package-lock.json", scripts=frozenset({"build"}))
    for place in (".", "web")
}
PROJECTS = [
    project(package("rich"), front_ends=FRONT_ENDS),
    project(package("rich"), root=TREE, files=None, front_ends=FRONT_ENDS),
]


def outcome(table: Mapping[str, object], shape: Project) -> ImagePlan | DockerCacheError:
    """Return the plan or the error; any other exception fails the test."""
    try:
        return make_plan(shape, Settings.parse(table), MAIN)
    except DockerCacheError as error:
        return error


def check(table: Mapping[str, object]) -> None:
    """Plan and render both kinds of project; an error must say what to do."""
    for shape in PROJECTS:
        plan = outcome(table, shape)
        if isinstance(plan, DockerCacheError):
            assert plan.fix
            assert "\n" not in plan.problem
            continue
        text = render_dockerfile(plan)
        assert render_ignore_file(plan, "Dockerfile")
        # No value of a setting may end the last stage or add an instruction to it.
        last = text[text.rindex("\nFROM base AS final\n") :]
        (layer,) = plan.dependencies.layers
        for word in (ENVIRONMENT, f"COPY --link --from={layer.name} /{layer.name}/../venv /venv"):
            assert last.splitlines().count(word) == 1
        assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == [plan.runtime.user]
        joined = re.sub(r"(?<!\\)\\\n", "", WRITTEN_FILE.sub(r"\1", last))
        assert all(INSTRUCTION.match(line) for line in joined.split("\n") if line)


@given(VALID_TABLES)
@settings(max_examples=60)
def test_valid_settings(table: dict[str, object]) -> None:
    """Valid settings in any combination."""
    check(table)


@given(MIXED_TABLES)
@settings(max_examples=120)
def test_settings_with_an_odd_value(table: dict[str, object]) -> None:
    """Some tables have one value that is not valid."""
    check(table)


def test_both_outcomes_are_reached() -> None:
    """The tables above are neither all valid nor all invalid."""
    found = []

    @given(MIXED_TABLES)
    @settings(max_examples=100)
    def collect(table: dict[str, object]) -> None:
        found.append(isinstance(outcome(table, PROJECTS[0]), DockerCacheError))

    collect()
    assert 10 < sum(found) < len(found) - 10
