"""Fixtures: a project with a fake docker, alone or with file systems of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fault_sandbox import Sandbox
from mounts import Mounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    """Provide a namespace in which the test can mount file systems."""
    with Mounts() as found:
        yield found


@pytest.fixture
def mounted(tmp_path: Path, mounts: Mounts) -> Sandbox:
    """Write a project in a folder where file systems can be mounted."""
    return Sandbox.create(tmp_path, mounts=mounts)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Write a project."""
    return Sandbox.create(tmp_path)
