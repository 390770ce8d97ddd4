"""Add the options of `make golden` and `make layer-keys`, which rewrite the expected files."""

from __future__ import annotations

import pytest

collect_ignore = ["cases"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--regenerate` and `--record-keys`."""
    parser.addoption(
        "--regenerate", action="store_true", help="rewrite tests/golden/cases/*/expected"
    )
    parser.addoption(
        "--record-keys", action="store_true", help="rewrite tests/golden/layer_keys.json"
    )


@pytest.fixture
def record_keys(request: pytest.FixtureRequest) -> bool:
    """Return whether to record the keys of dependency layers as those of this release."""
    return bool(request.config.getoption("--record-keys"))


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    """Return whether to write the expected files before comparing."""
    return bool(request.config.getoption("--regenerate"))
