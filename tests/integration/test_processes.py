"""Ports for the services that tests and scripts start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import processes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_free_port_is_outside_the_connection_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The range of outgoing connections is reported by the system, or Linux's default."""
    ports = tmp_path / "ports"
    monkeypatch.setattr(processes, "CONNECTIONS", ports)
    for _ in range(20):
        assert not 32_768 <= processes.free_port() <= 60_999
    ports.write_text("20000\t65535\n")
    for _ in range(20):
        assert 10_000 <= processes.free_port() < 20_000
