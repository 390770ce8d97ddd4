"""The values of `--build-arg`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import plans
import pytest
from projects import package

from poetry_docker_cache.commands.build_request import given_arguments, unused_arguments
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.settings.content_values import BuildArgument
from poetry_docker_cache.settings.image_values import Instructions

DECLARED = (BuildArgument(name="GIT_SHA", env="GIT_SHA"),)


def options(*given: str, after_dashes: tuple[str, ...] = ()) -> Any:  # noqa: ANN401  # a stand-in
    """Return the options of a command line."""
    return SimpleNamespace(build_args=given, after_dashes=after_dashes, file=None)


def unused(given: Any, **settings: Any) -> str:  # noqa: ANN401  # as above
    """Return the note about arguments that an image does not declare."""
    plan = plans.plan(plans.project(package("rich")), build_args=DECLARED, **settings)
    image: Any = SimpleNamespace(plan=plan)
    return "".join(unused_arguments(given, [image]))


def test_value_is_given_or_that_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is not set leaves the default."""
    monkeypatch.setenv("B", "b=c")
    monkeypatch.delenv("C", raising=False)
    assert given_arguments(options("A=1=2", "B", "C", "D=")) == {"A": "1=2", "B": "b=c", "D": ""}
    with pytest.raises(DockerCacheError, match="has no name"):
        given_arguments(options("=1"))


def test_unknown_arguments_are_noted() -> None:
    """Not those of BuildKit, or that `instructions` declare."""
    known = ("GIT_SHA=1", "HTTP_PROXY=x", "TARGETARCH", "OWN=1")
    lines = Instructions(runtime=("ARG OWN=0",))
    assert unused(options(*known), instructions=lines) == ""
    note = unused(options("GIT_SAH=1", after_dashes=("--build-arg", "X=1", "--build-arg=Y=2")))
    assert note.startswith("The image has no build argument GIT_SAH, X, Y. Did you mean GIT_SHA?")
