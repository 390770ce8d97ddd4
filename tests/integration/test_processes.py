"""Ports for the services that tests and scripts start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import processes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_free_port_is_none_that_connections_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is beside theirs, which the system tells, or Linux usually has."""
    ports = tmp_path / "ports"
    monkeypatch.setattr(processes, "CONNECTIONS", ports)
    for _ in range(20):
        assert not 32_768 <= processes.free_port() <= 60_999
    ports.write_text("20000\t65535\n")
    for _ in range(20):
        assert 10_000 <= processes.free_port() < 20_000
