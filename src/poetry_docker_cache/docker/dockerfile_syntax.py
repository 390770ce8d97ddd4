"""How BuildKit splits a Dockerfile into instructions and stages, users' lines included."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# As BuildKit finds them: `<<EOF`, `<<-EOF`, `<<"EOF"`, `3<<EOF`, but not `<<<`.
HEREDOC = re.compile(r"(?:^|[\s;&|(])[0-9]*<<(-?)([\"']?)([A-Za-z0-9_.]+)\2(?=[\s;&|)]|$)")
HEREDOC_INSTRUCTIONS = ("RUN", "COPY", "ADD")
_NO_PATH = re.compile(r"[$\\\"']|^<<|://|^git@")
"""A variable, an escape, a here-document, or something to download."""
CONTINUATION = re.compile(r"(?:^|[^\\])\\[ \t]*$")


def stages(dockerfile: str) -> Iterator[tuple[str | None, str]]:
    """Yield the name of each stage, None if it has none, and its line."""
    for line in instructions(dockerfile):
        words = [word for word in line.split() if not word.startswith("--")]
        if words[0].upper() == "FROM":
            named = len(words) == 4 and words[2].upper() == "AS"  # noqa: PLR2004  # FROM image AS name
            yield words[3] if named else None, " ".join(words)


def context_sources(dockerfile: str) -> Iterator[str]:
    """Yield what COPY and ADD take from the build context, except with a variable or quote."""
    for line in instructions(dockerfile):
        keyword, *words = line.split()
        flags = [word for word in words if word.startswith("--")]
        if keyword.upper() not in ("COPY", "ADD") or any(f.startswith("--from=") for f in flags):
            continue
        rest = words[len(flags) :]
        if rest and rest[0].startswith("["):
            rest = _json_words(line[line.index("[") :])
        yield from (word for word in rest[:-1] if not _NO_PATH.search(word))


def _json_words(text: str) -> list[str]:
    """Read the exec form; empty if it is something else."""
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [str(word) for word in found]


def instructions(dockerfile: str) -> Iterator[str]:
    """Yield each instruction on one line, without comments and here-documents."""
    lines = dockerfile.split("\n")
    started, at = "", 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if CONTINUATION.search(line):
            started += line.rstrip()[:-1]
            continue
        whole, started = started + line, ""
        yield whole
        if whole.split()[0].upper() in HEREDOC_INSTRUCTIONS:
            for match in HEREDOC.finditer(whole):
                at = _after_heredoc(lines, at, match[3], tabs=match[1] == "-")


def _after_heredoc(lines: list[str], start: int, end: str, *, tabs: bool) -> int:
    """Return the index after a here-document; without an end it is not a here-document."""
    for at in range(start, len(lines)):
        if (lines[at].lstrip("\t") if tabs else lines[at]) == end:
            return at + 1
    return start
