"""What `poetry docker doctor` says about the image."""

from __future__ import annotations

from datetime import datetime, timezone

import plans
import pytest

from poetry_docker_cache.doctor.image_checks import (
    check_base,
    check_files,
    check_start,
    check_without_engine,
)
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.obstacles import Obstacle
from poetry_docker_cache.registry.registry_errors import RegistryError

NOW = datetime(2026, 12, 1, 9, tzinfo=timezone.utc)
BASE = "python:3.13-slim"
OFFLINE = RegistryError("The host registry.test was not found.", fix="Check the network.")
DENIED = RegistryError("registry.test denies access.", fix="Run `docker login`.", status=401)
MISSING = DockerCacheError(f"The base image {BASE} does not exist.", fix="Set `base-image`.")


@pytest.mark.parametrize(
    ("created", "state", "text"),
    [
        ("2026-12-01T08:00:00.123456789Z", "ok", "was built today."),
        ("2026-11-19T08:00:00Z", "ok", "was built 12 days ago."),
        ("2026-08-01T00:00:00Z", "warning", "was built 122 days ago."),
        ("0001-01-01T00:00:00Z", "ok", "does not say when it was built."),
        ("1970-01-01T00:00:00Z", "ok", "does not say when it was built."),
        ("", "ok", "does not say when it was built."),
    ],
)
def test_age_of_base_image(created: str, state: str, text: str) -> None:
    """Docker's own images are built again every month; reproducible ones have no date."""
    check = check_base(BASE, created, here=None, now=NOW)
    assert (check.status, check.message.endswith(text)) == (state, True)
    assert ("build --pull" in check.fix) == (state != "ok")


def test_old_digest_is_replaced_by_a_newer_one() -> None:
    """`--pull` cannot change it."""
    pinned = f"{BASE}@sha256:{'0' * 64}"
    check = check_base(pinned, "2026-01-01", here=None, now=NOW)
    assert check.fix == f"Set a newer digest: docker buildx imagetools inspect {BASE}"


@pytest.mark.parametrize(
    ("problem", "state"), [(OFFLINE, "warning"), (DENIED, "error"), (MISSING, "error")]
)
def test_registry_without_the_base_is_an_error_but_no_answer_is_not(
    problem: DockerCacheError, state: str
) -> None:
    """Without the network, it is unknown whether the image exists."""
    check = check_base(BASE, problem, here=None, now=NOW)
    assert check.status == state
    assert problem.problem in check.message
    assert check.fix == problem.fix


@pytest.mark.parametrize(
    ("problem", "text"), [(OFFLINE, "its registry was not reached"), (MISSING, "Only the engine")]
)
def test_copy_of_the_engine_is_enough(problem: DockerCacheError, text: str) -> None:
    """BuildKit uses it if it must."""
    check = check_base(BASE, problem, here="2026-11-30T00:00:00Z", now=NOW)
    assert check.status == "ok"
    assert "was built yesterday" in check.message
    assert text in check.message


def test_image_without_start_command_is_found() -> None:
    """It builds, but exits at once."""
    started = plans.plan(plans.project(), command=("shop", "serve"))
    assert check_start(started).message == "The image starts `shop serve`."
    check = check_start(plans.plan(plans.project(scripts=())))
    assert check.status == "warning"
    assert "command =" in check.fix


def test_large_files_are_named() -> None:
    """Data that is forgotten beside the code makes each image large."""
    plan = plans.plan(plans.project(root=plans.TREE, files=None))
    small = check_files(plan, [("shop", 1000), ("manage.py", 50)])
    assert (small.status, small.message.split(". ")[0]) == (
        "ok",
        "The image contains 2 files of the project (1.1 kB)",
    )
    large = check_files(plan, [("shop", 1000), ("data", 90_000_000), ("data", 80_000_000)])
    assert large.status == "warning"
    assert "data (170.0 MB), shop (1.0 kB)" in large.fix
    assert 'ignore = ["/data"]' in large.fix


def test_what_needs_an_engine_is_listed() -> None:
    """It matters only if there is no engine."""
    assert "--no-engine" in check_without_engine([], has_engine=False).message
    found = [
        Obstacle(reason="no wheel", what="no wheel", fix="x", package="a 1"),
        Obstacle(reason="no wheel", what="no wheel", fix="x", package="b 1"),
        Obstacle(reason="template", what="`template` changes the Dockerfile", fix="y"),
    ]
    with_engine = check_without_engine(found, has_engine=True)
    assert with_engine.message.splitlines()[1:] == [
        "a 1, b 1: no wheel.",
        "`template` changes the Dockerfile.",
    ]
    assert with_engine.status == "ok"
    assert check_without_engine(found, has_engine=False).status == "warning"
