"""Format names, sizes and suggestions for messages."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_MINUTE = 60
_IN_MEGABYTES = 100_000
"""Smaller sizes are shown in kilobytes."""
# Escape sequences with parameters or a text, and control characters except tabs and line feeds.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# GitHub takes `::` at the start of a line and `##[` anywhere (Runner.Common/ActionCommand); Azure
# and TeamCity take `##vso[` and `##teamcity[`.
_COMMAND = re.compile(r"^(?=[^\w\n]*::)|(?<=##)(?=\w*\[)", re.MULTILINE)


def printable(text: str) -> str:
    r"""Remove what could change a terminal: escape sequences and control characters.

    >>> printable("50 %\r\x1b[32m100 %\x1b[0m")
    '50 %\n100 %'
    """
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def harmless(output: str) -> str:
    r"""Return a build's output, which may contain anything, without commands to CI systems.

    >>> harmless("a\n ::set-env name=A::1")
    'a\n|  ::set-env name=A::1'
    """
    return _COMMAND.sub("| ", printable(output))


def did_you_mean(name: str, known: Collection[str], *, cutoff: float = 0.6) -> str:
    """Return a suggestion, to put before a fix; empty if no known name is similar.

    >>> did_you_mean("worke", ["api", "worker"])
    'Did you mean worker? '
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"Did you mean {near[0]}? " if near else ""


def listing(names: Sequence[str], most: int = 5) -> str:
    """List the first names and count the others.

    >>> listing(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def megabytes(size: float) -> str:
    """Format bytes as Docker does, in units of 1000.

    >>> megabytes(84_120_000), megabytes(2_000)
    ('84.1 MB', '2.0 kB')
    """
    return f"{size / 1e6:.1f} MB" if size >= _IN_MEGABYTES else f"{size / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    """Format a duration.

    >>> duration(12.34), duration(65)
    ('12.3 s', '1 min 5 s')
    """
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s"


def fitting(words: Sequence[str], width: int) -> str:
    """Join as many words as fit, at least one, and count the others.

    >>> fitting(["click 8.5", "flask 3.1", "idna 3"], 20)
    'click 8.5, 2 more'
    """
    text = ", ".join(words)
    if len(text) <= width or not words:
        return text
    shown = len(words) - 1
    while shown > 1 and len(f"{', '.join(words[:shown])}, {len(words) - shown} more") > width:
        shown -= 1
    return f"{', '.join(words[:shown])}, {len(words) - shown} more" if len(words) > 1 else text
