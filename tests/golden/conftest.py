"""Add the option `--regenerate`, which rewrites the expected files (`make golden`)."""

from __future__ import annotations

import pytest

collect_ignore = ["cases"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--regenerate`."""
    parser.addoption(
        "--regenerate", action="store_true", help="rewrite tests/golden/cases/*/expected"
    )


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Return whether to write the expected files before comparing."""
    return bool(request.config.getoption("--regenerate"))
