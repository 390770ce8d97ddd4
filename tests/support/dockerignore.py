"""How BuildKit reads an ignore file, after github.com/moby/patternmatcher and tonistiigi/fsutil.

A reference for tests, written independently of the package's own rules and compared with a real
BuildKit in integration/test_ignore_engine.py.
"""

from __future__ import annotations

import posixpath
import re
import warnings
from dataclasses import dataclass

PATTERNS = {
    "**/*.py[cod]": True,
    r"a\[b": True,
    "a]": True,
    "[^a-z]x": True,
    r"[\]-]": False,
    r"[\]\-]": True,
    "a[b": False,
    "[]": False,
    "[]a]": False,
    "[a-]": False,
    "[^]a]": False,
    "[^-a]": False,
    "!": False,
    "!/": False,
    "[z-a]": False,
    "a\\": False,
    "": True,
}
"""Unusual lines, and whether BuildKit accepts a file with that line."""


@dataclass
class Pattern:
    """A line: its cleaned text, and whether it re-includes."""

    text: str
    exclusion: bool
    kind: str = "exact"
    regex: str = ""

    def __post_init__(self) -> None:  # noqa: C901, PLR0912  # one scanner, as in moby
        """Translate character by character, as moby does, including its shortcuts."""
        out, kind, at, first = "", "exact", 0, True
        while at < len(self.text):
            char = self.text[at]
            at += 1
            if char == "*" and self.text[at : at + 1] == "*":
                at += 1
                if self.text[at : at + 1] == "/":
                    at += 1
                if at == len(self.text):
                    if kind == "exact":
                        kind = "prefix"
                    else:
                        out, kind = out + ".*", "regex"
                else:
                    out, kind = out + "(.*/)?", "regex"
                if first:
                    kind = "suffix"
            elif char == "*":
                out, kind = out + "[^/]*", "regex"
            elif char == "?":
                out, kind = out + "[^/]", "regex"
            elif char in ".+()|{}$":
                out += "\\" + char
            elif char == "\\":
                if at < len(self.text):
                    out, kind = out + "\\" + self.text[at], "regex"
                    at += 1
                else:
                    out += "\\"
            elif char in "[]":
                out, kind = out + char, "regex"
            else:
                out += char
            first = False
        self.kind, self.regex = kind, out

    def match(self, path: str) -> bool:
        """Return whether the pattern matches exactly this path."""
        if self.kind == "exact":
            return path == self.text
        if self.kind == "prefix":
            return path.startswith(self.text[:-2])
        if self.kind == "suffix":
            end = self.text[2:]
            return path.endswith(end) or (end.startswith("/") and path == end[1:])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return re.match(f"^(?:{self.regex})\\Z", path, re.ASCII) is not None


def clean(path: str) -> str:
    """Clean a path as Go's filepath.Clean does."""
    return re.sub("^//+", "/", posixpath.normpath(path))


def read(text: str) -> list[Pattern]:
    """Parse as ignorefile.ReadAll and patternmatcher.New do."""
    patterns = []
    for number, line in enumerate(text.split("\n")):
        raw = line.removeprefix("\ufeff") if number == 0 else line
        if raw.startswith("#") or not raw.strip():
            continue
        raw = raw.strip()
        exclusion = raw.startswith("!")
        if exclusion:
            raw = raw[1:].strip()
        cleaned = clean(raw)
        if len(cleaned) > 1:
            cleaned = cleaned.removeprefix("/")
        patterns.append(Pattern(cleaned, exclusion))
    return patterns


def passing(text: str, files: list[str]) -> set[str]:
    """Return the files that a build can see, as MatchesUsingParentResults does on the way down."""
    patterns = read(text)
    known: dict[str, tuple[bool, list[bool]]] = {"": (False, [])}

    def visit(path: str) -> tuple[bool, list[bool]]:
        if path not in known:
            parent = visit(posixpath.dirname(path))[1]
            hidden, results = False, []
            for index, pattern in enumerate(patterns):
                match = bool(parent) and parent[index]
                if not match and pattern.exclusion == hidden:
                    match = pattern.match(path)
                results.append(match)
                if match:
                    hidden = not pattern.exclusion
            known[path] = (hidden, results)
        return known[path]

    return {path for path in files if not visit(path)[0]}
