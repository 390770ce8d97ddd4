"""What the command does after a failed build."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from poetry_docker_cache.buildx import known_engine
from poetry_docker_cache.commands import image_build
from poetry_docker_cache.commands.build import BuildCommand
from poetry_docker_cache.errors import BuildError, DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Command(BuildCommand):
    """The command without Poetry."""

    console: Any = None

    def build_options(self) -> Any:  # noqa: ANN401  # only passed on
        """Return what the test needs."""
        names = ("builder", "no_engine", "output", "variant", "tests_first")
        return SimpleNamespace(**dict.fromkeys(names))

    def read_poetry(self) -> Any:  # noqa: ANN401  # only passed on
        """Return a project without settings."""
        return SimpleNamespace(pyproject=SimpleNamespace(data={}))


def test_lost_engine_keeps_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is that of BuildKit, although the engine no longer answers."""

    @contextlib.contextmanager
    def probing(_builder: str | None, *, fresh: bool = False) -> Iterator[Callable[[], str]]:
        if fresh:
            raise DockerCacheError("The engine is gone.", fix="Start it.")
        yield lambda: "facts"

    def failing(*_: object) -> int:
        raise BuildError("It failed.", status=17)

    monkeypatch.setattr(known_engine, "known_or_probing", probing)
    monkeypatch.setattr(image_build, "build_images", failing)
    with pytest.raises(BuildError) as error:
        Command().work()
    assert (error.value.problem, error.value.status) == ("The engine is gone.", 17)
