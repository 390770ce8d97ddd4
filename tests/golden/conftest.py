"""`pytest tests/golden --regenerate` writes the expected files anew (`make golden`)."""

from __future__ import annotations

import pytest

collect_ignore = ["cases"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--regenerate", action="store_true", help="rewrite tests/golden/cases/*/expected"
    )


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Whether expected files are to be written instead of compared with."""
    return bool(request.config.getoption("--regenerate"))
