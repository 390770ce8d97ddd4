"""The images for development and tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from plans import project, wheel_root
from projects import package, sdist

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import DEV, TEST, Important
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import Selection
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import ImagePlan, Variant
    from poetry_docker_cache.project.model import Project

MAIN = Selection(groups=("main",), extras=())
MORE = Selection(groups=("dev", "main"), extras=())
PYTEST = package("pytest", groups=["dev"])


def plan(shop: Project, **settings: Any) -> ImagePlan:  # noqa: ANN401  # fields of many types
    """Plan the image and both variants."""
    table = {"python": "3.12", **settings}
    parsed = Settings.parse(table)
    return make_plan(shop, parsed, MAIN, variants={DEV: MORE, TEST: MORE})


def variants(*packages: dict[str, Any], **settings: Any) -> tuple[Variant, ...]:  # noqa: ANN401  # as above
    """Return both variants of a project with a package in `src`."""
    root = wheel_root(paths=("src/shop",), import_folders=("src",))
    groups = frozenset({"main", "dev"})
    shop = project(*packages, root=root, groups=groups, tests=("conftest.py", "tests"))
    return plan(shop, **settings).variants


def test_source_is_imported_from_the_working_directory() -> None:
    """An own PYTHONPATH comes behind it."""
    dev, _ = variants(env={"PYTHONPATH": "/opt/more"})
    assert dev.paths == ("src/shop",)
    assert dev.environment == {"PYTHONPATH": "/app/src:/opt/more"}


@pytest.mark.parametrize(
    ("packages", "command"),
    [((PYTEST,), ("python", "-m", "pytest")), ((), ("python", "-m", "unittest"))],
)
def test_command_of_tests_depends_on_the_lock(packages: Any, command: tuple[str, ...]) -> None:  # noqa: ANN401
    """Files in the settings are added to those found."""
    _, test = variants(*packages, test={"files": ["examples"]})
    assert test.command == command
    assert test.paths == ("conftest.py", "examples", "tests")


def test_tests_need_no_start_command() -> None:
    """The note that it is missing is for the image; others that matter stay."""
    made = plan(project(PYTEST, groups=frozenset({"main", "dev"}), scripts=()))
    (missing,) = [note for note in made.notes if isinstance(note, Important)]
    assert "No start command" in missing
    other = Important("Compiled.")
    assert replace(made, notes=(*made.notes, other)).notes_for_tests == (other,)


@pytest.mark.parametrize(
    ("command", "reloads"),
    [(["flask", "run", "--debug"], True), (["flask", "run"], False), (["celery"], False)],
)
def test_own_command_is_kept(command: list[str], *, reloads: bool) -> None:
    """Docker Compose restarts one that does not reload."""
    dev, _ = variants(dev={"command": command})
    assert (dev.command, dev.reloads) == (tuple(command), reloads)


def test_only_a_variant_gets_what_its_packages_need() -> None:
    """Poetry and a compiler are stages; the system package is not in the image."""
    root = wheel_root()
    old = package("psycopg2", files=[sdist("psycopg2")], groups=["dev"])
    shop = project(old, root=root, groups=frozenset({"main", "dev"}))
    found = plan(shop)
    dev, _ = found.variants
    assert (found.runtime.packages, dev.runtime_packages) == ((), ("libpq5",))
    assert [layer.name for layer in dev.layers] == ["dev-source"]
    assert found.dependencies.poetry
    assert found.dependencies.layers == ()
    alone = make_plan(shop, Settings(python="3.12"), MAIN)
    assert alone.dependencies == replace(
        found.dependencies, further=(), poetry=None, poetry_pins=()
    )


def test_another_version_than_in_the_image_is_refused() -> None:
    """It would replace what is tested."""
    with pytest.raises(DockerCacheError, match=r"has torch 1\.0") as error:
        variants(package("torch", "1.0"), package("torch", "2.0", groups=["dev"]))
    assert "--without" in error.value.fix
