#!/usr/bin/env python3
"""Find words that the project does not use: `make lint` lists each one with its file and line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
PLACES = (
    *("src", "templates", "tests", "scripts", "docs", ".github", "Makefile"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
)
LISTS = ("scripts/words.py", "tests/unit/repository/test_words.py")
"""The files that contain the words as data."""

PHRASES = (
    *("seldom", "nobody", "whoever", "somebody", "mend", "mends", "mended"),
    *("tells", "asks of", "hangs on"),
    *("is none", "are none of", "is told", "are told", "so alike", "who develops"),
    *("what of it", "of which", "in whose place", "for it in"),
)
_GAP = r"(?:\n[ \t]*(?:#|//|\*|>)|[\s_])+"
"""The characters between the words of a phrase: in names underscores, in comments line breaks."""
_PHRASE = re.compile(
    "(?<![A-Za-z])(?:"
    # Only the first letter may be upper case, because Python's `is None` is valid.
    + "|".join(f"(?i:{phrase[0]}){phrase[1:].replace(' ', _GAP)}" for phrase in PHRASES)
    + ")(?![A-Za-z])"
)
_NEGATED_ACRONYM = re.compile(rf"\bis{_GAP}no{_GAP}[A-Z]{{2,}}[\w-]*")
"""For example "is no JSON", where "is not valid JSON" is better."""


class Hit(NamedTuple):
    """A place where a word occurs."""

    file: str
    line: int
    words: str

    def __str__(self) -> str:
        """Return the line to print."""
        return f"{self.file}:{self.line}: {self.words}"


def find_words(file: str, text: str) -> list[Hit]:
    """Return the occurrences in a text, in their order."""
    matches = [*_PHRASE.finditer(text), *_NEGATED_ACRONYM.finditer(text)]
    return [
        Hit(file, text.count("\n", 0, match.start()) + 1, re.sub(_GAP, " ", match[0]))
        for match in sorted(matches, key=re.Match.start)
    ]


def read_unreleased(changelog: str) -> str:
    """Return a changelog up to the second version, because released parts stay as they are."""
    versions = [match.start() for match in re.finditer(r"^## ", changelog, re.MULTILINE)]
    return changelog[: versions[1]] if len(versions) > 1 else changelog


def read_files(root: Path, places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return the names and texts of the files at these paths and below them."""
    for place in places:
        top = root / place
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = path.relative_to(root).as_posix()
            if path.is_dir() or name in LISTS or "__pycache__" in path.parts:
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:  # a picture, or a test's binary file
                continue
            yield name, read_unreleased(text) if name == "CHANGELOG.md" else text


def main(root: Path = ROOT, places: Sequence[str] = PLACES) -> int:
    """Print the occurrences; return 1 if there are any."""
    files = read_files(root, places)
    hits = [hit for name, text in files for hit in find_words(name, text)]
    print(*hits, sep="\n", end="\n" if hits else "")
    return bool(hits)


if __name__ == "__main__":
    sys.exit(main(places=sys.argv[1:] or PLACES))
