"""The marker of tests that are rows of docs/reliability.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

PLACES = "Disks and folders"
PROJECT = "Projects"
INDEX = "Package indexes"
PROCESSES = "Processes, home and clock"
ENGINE = "Docker"
CACHES = "Registries and caches"
LOCK_FILES = "Lock files"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, and what the test asserts about it."""

    fault: str
    says: str = ""
    """Part of the last lines of the output; "" if the command succeeds as without the fault."""
    fix: str = ""
    """Part of the last line."""
    happens: str = ""
    """What the page says, if not the message."""
    status: int = 1


def fault(part: str, row: Row) -> pytest.MarkDecorator:
    """Mark a test as a row of a part of the page."""
    usual = "the build fails" if row.status else "the command works as usual"
    happens = row.happens or (f"“{row.says.strip()} …”" if row.says else usual)
    return pytest.mark.fault(part, row.fault, happens, row.status)


def rows(part: str, cases: Iterable[Row]) -> pytest.MarkDecorator:
    """Parametrize a test with rows."""
    params = [pytest.param(case, marks=fault(part, case), id=case.fault) for case in cases]
    return pytest.mark.parametrize("row", params)
