"""Print checks: one line each with its mark, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from poetry_docker_cache.doctor.checks import as_data, as_lines, is_ok

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.doctor.checks import Check, Sections


def print_checks(
    checks: Sequence[Check], sections: Sections, console: ProgressConsole, *, as_json: bool
) -> int:
    """Print checks in sections; return 1 if one of them is an error."""
    if as_json:
        console.raw(f"{json.dumps(as_data(checks), indent=2)}\n")
    else:
        ascii_only = not _has_marks(console.encoding)
        for line in as_lines(checks, sections=sections, ascii_only=ascii_only):
            console.marked(line.text, mark=line.mark, status=line.status)
    return 0 if is_ok(checks) else 1


def _has_marks(encoding: str) -> bool:
    """Return whether stdout can show the marks."""
    try:
        "✓✗…".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
