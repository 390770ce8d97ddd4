"""Work with a deadline."""

from __future__ import annotations

import threading

import pytest

from poetry_docker_cache.commands.background import Background


def test_results_and_errors_arrive_where_they_are_waited_for() -> None:
    """The other work goes on."""
    background = Background(30)
    number, failure = background.start(lambda: 42), background.start(lambda: int("x"))
    with pytest.raises(ValueError, match="invalid literal"):
        failure()
    assert [number(), number()] == [42, 42]


def test_all_work_shares_one_deadline() -> None:
    """What hangs does not delay the rest of the command."""
    background, hanging = Background(0.05), threading.Event()
    waits = [background.start(lambda: hanging.wait(30)) for _ in range(3)]
    for wait in waits:
        with pytest.raises(TimeoutError):
            wait()
    assert background.left == 0.01
    hanging.set()
