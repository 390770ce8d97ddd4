"""Which labels a build with an engine adds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import plans
import pytest
from projects import package

from poetry_docker_cache.buildx.command_line import BuildRequest
from poetry_docker_cache.commands.build_labels import request_labels
from poetry_docker_cache.docker.image_labels import (
    BASE_DIGEST,
    BASE_NAME,
    CONTENTS,
    REVISION,
    SOURCE,
    decode,
)
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'0' * 64}"
BASE = "docker.io/library/python:3.13-slim"
ORIGIN = {REVISION: "c0ffee", SOURCE: "https://git.example/team/shop"}
PLANNED = {BASE_NAME, BASE_DIGEST, CONTENTS}
CONTAINERD = SimpleNamespace(driver="docker", store="containerd")
CLASSIC = SimpleNamespace(driver="docker", store="classic")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder."""
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def labels(
    folder: Path,
    *,
    engine: Any = CONTAINERD,  # noqa: ANN401  # a stand-in
    request: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> dict[str, str]:
    """Return the labels of a build of the final image with these changes."""
    project = plans.project(package("rich"))
    table = Settings.parse({"python": "3.13", **(settings or {})})
    image: Any = SimpleNamespace(
        plan=make_plan(project, table, plans.MAIN),
        settings=table,
        lock=project.lock,
        poetry=SimpleNamespace(pyproject_path=folder / "pyproject.toml"),
    )
    chosen: Any = {"variant": None, "file": None, "dry_run": False, **(options or {})}
    return request_labels(
        SimpleNamespace(**chosen),  # type: ignore[arg-type]  # a stand-in
        image,
        BuildRequest(context=".", **(request or {})),
        engine=engine,
        digest_of=lambda _: DIGEST,
        origin=ORIGIN,
    )


def test_image_has_its_base_its_origin_and_its_contents(folder: Path) -> None:
    """The platforms have the names that they have in images."""
    found = labels(folder, request={"platforms": ["aarch64,linux/amd64"]})
    contents = decode(found)
    assert contents
    assert [*contents.layers] == ["linux/amd64", "linux/arm64"]
    expected = {**ORIGIN, BASE_NAME: BASE, BASE_DIGEST: DIGEST, CONTENTS: found[CONTENTS]}
    assert found == expected


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"options": {"variant": "test"}}, {*PLANNED, *ORIGIN}),
        ({"options": {"variant": "dev"}}, {CONTENTS}),
        ({"options": {"file": "Dockerfile"}}, PLANNED),
        ({"request": {"target": "check"}}, PLANNED),
        ({"request": {"arguments": ["--target=check"]}}, PLANNED),
        ({"request": {"arguments": ["--build-context=python:3.13-slim=x"]}}, PLANNED),
        ({"engine": CLASSIC}, {BASE_DIGEST}),
        ({"engine": CLASSIC, "request": {"pull": True}}, set()),
        ({"settings": {"labels": {BASE_NAME: "own"}}}, {BASE_NAME}),
        ({"settings": {"instructions": {"runtime": [f"LABEL {CONTENTS}=x"]}}}, {CONTENTS}),
    ],
)
def test_labels_that_would_be_wrong_are_missing(
    changed: dict[str, Any], missing: set[str], folder: Path
) -> None:
    """Other stages, another base image, a local one, or the user's own label."""
    assert {*PLANNED, *ORIGIN} - {*labels(folder, **changed)} == missing


def test_pinned_digest_needs_no_registry(folder: Path) -> None:
    """It is that of the name, which keeps its tag."""
    other = f"sha256:{'1' * 64}"
    found = labels(folder, engine=CLASSIC, settings={"base-image": f"python:3.13-slim@{other}"})
    assert (found[BASE_NAME], found[BASE_DIGEST]) == (BASE, other)


def test_dry_run_does_not_print_the_contents(folder: Path) -> None:
    """They are thousands of characters in a large project."""
    assert labels(folder, options={"dry_run": True})[CONTENTS] == "<contents>"
