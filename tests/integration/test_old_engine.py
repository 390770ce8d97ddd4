"""Docker 20.10: only its own frontend cannot read the generated Dockerfile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from acme import Project, make_shop
from builds import build, failed_build
from engines import DockerEngine, docker_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from acme import AcmeIndex
    from clean_poetry import Poetry

pytestmark = pytest.mark.engine

OWN = "Docker Engine 20.10.24 supports Dockerfile syntax 1.2 only"
BY_HAND = """\
FROM python:3.13-slim AS seen
RUN --mount=type=secret,id=auth,required=true grep --count acme /run/secrets/auth > /seen
FROM python:3.13-slim AS image
COPY --from=seen /seen /seen
"""


@pytest.fixture(scope="module")
def old_engine() -> Iterator[DockerEngine]:
    """Provide Docker 20.10, with a client of the same age."""
    with docker_engine("test-old", old=True) as found:
        yield found


@pytest.fixture(scope="module")
def shop(
    old_engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Write and lock a project, on a machine with that engine."""
    return make_shop(tmp_path_factory.mktemp("old") / "shop", poetry_home(old_engine), index)


def test_frontend_that_cannot_be_fetched(shop: Project, old_engine: DockerEngine) -> None:
    """Both the failure and the reason for the download are shown."""
    frontend = f"{old_engine.registry}/absent/dockerfile:1"
    shop.configure(syntax=frontend)
    told = failed_build(shop)
    assert f"{OWN}: the build fetches a newer frontend, {frontend}" in told
    assert f"{frontend}: not found" in told


def test_disabled_frontend(shop: Project) -> None:
    """With `syntax = false` nothing is built."""
    shop.configure(syntax=False)
    told = failed_build(shop)
    assert f"{OWN}. The image's Dockerfile needs 1.4" in told
    assert "#1 " not in told


def test_handwritten_dockerfile_for_old_frontend(shop: Project, old_engine: DockerEngine) -> None:
    """It is built with the secret, and with a cache in the image."""
    shop.write("docker/Dockerfile", BY_HAND)
    options = ("--file=docker/Dockerfile", "--push", f"--cache={old_engine.registry}/old:cache")
    image = f"{old_engine.registry}/old:1"
    build(shop, *options, f"--tag={image}")
    assert int(old_engine.run(image, "cat", "/seen")) > 0
    old_engine.docker("image", "prune", "--all", "--force")
    old_engine.docker("buildx", "prune", "--all", "--force")
    steps = build(shop, *options, f"--tag={image}")
    assert ("image" in steps.cached, "image" in steps.ran) == (True, False)
