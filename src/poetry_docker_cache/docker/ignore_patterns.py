"""How BuildKit reads the lines of an ignore file.

The rules are those of github.com/moby/patternmatcher and its ignorefile package.
"""

from __future__ import annotations

import functools
import posixpath
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\*?\[\]^])")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Characters that a line cannot contain: control characters and bytes that are not valid UTF-8."""
# The grammar of Go's filepath.Match, with which moby checks each pattern.
_IN_SET = r"(?:\\.|[^\\\]-])"
_PATTERN = re.compile(rf"(?s)(?:[^\\\[]|\\.|\[(?:\^|(?!\^))(?:{_IN_SET}(?:-{_IN_SET})?)+\])*")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of an ignore file; without a pattern it is a comment or blank."""

    text: str
    pattern: str = ""
    negated: bool = False


def literal(path: str) -> str:
    r"""Escape a path so that it matches only itself.

    >>> literal("notes [1].md")
    'notes \\[1\\].md'
    """
    text = _SPECIAL.sub(r"\\\1", path)
    text = _UNWRITABLE.sub("?", text)
    if text.startswith(" "):  # blanks at both ends would be trimmed
        text = f"[ ]{text[1:]}"
    return f"{text[:-1]}[ ]" if text.endswith(" ") else text


def at_start(text: str) -> str:
    """Escape a first `#`, which would start a comment, or `!`, which would include again."""
    return f"\\{text}" if text.startswith(("#", "!")) else text


def parse(text: str) -> Line:
    """Read a line as BuildKit does."""
    text = text.rstrip()
    pattern = "" if text.startswith("#") else text.strip()
    negated = pattern.startswith("!")
    pattern = pattern.removeprefix("!").strip()
    if pattern:
        pattern = posixpath.normpath(re.sub("^/+", "/", pattern)).removeprefix("/")
    return Line(text=text, pattern=pattern, negated=negated)


def is_line(text: str) -> bool:
    """Return whether BuildKit accepts this line; one invalid line makes the file invalid."""
    line = parse(text)
    return is_readable(line.pattern) if line.pattern else not line.negated


def is_readable(pattern: str) -> bool:
    """Return whether BuildKit accepts this pattern."""
    return _compiled(pattern) is not None and _PATTERN.fullmatch(pattern) is not None


def checked(text: str | None) -> str | None:
    """Return the text of a `.dockerignore`. Raises DockerCacheError for an invalid line."""
    for number, line in enumerate((text or "").split("\n"), start=1):
        if not is_line(line):
            raise DockerCacheError(
                f"Line {number} of .dockerignore is not a valid pattern, so Docker cannot build:"
                f" {line.strip()!r}.",
                fix="Close its brackets, put a backslash before special characters, or remove the"
                " line.",
            )
    return text


def moved(text: str, folder: str) -> str:
    """Rewrite a line that is relative to a folder for the build context of that folder.

    >>> moved("!/static", "shop")
    '!shop/static'
    """
    line = parse(text)
    if folder == "." or line.pattern in ("", "."):  # BuildKit skips `.`
        return text
    pattern = posixpath.normpath(f"{literal(folder)}/{line.pattern}")
    return f"!{pattern}" if line.negated else at_start(pattern)


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Sort paths and remove those inside another."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: path.split("/")):
        if not is_inside(path, kept[-1:]):
            kept.append(path)
    return tuple(sorted(kept))


def is_inside(path: str, others: Iterable[str]) -> bool:
    """Return whether a path is one of these or below one."""
    return any(path == other or path.startswith(f"{other}/") for other in others)


def may_be_folder(path: str) -> bool:
    """Guess from its name whether a path is a folder, since only names are known here."""
    name = posixpath.basename(path)
    is_configuration = name.startswith(".") and name.endswith("rc")  # .npmrc
    return "." not in name[1:] and not name.isupper() and not is_configuration


def reaches_into(pattern: str, folder: str) -> bool:
    """Return whether a pattern can match something in a folder without matching the folder."""
    parts = pattern.split("/")
    for index, name in enumerate(folder.split("/")):
        if index >= len(parts) or "**" in parts[index]:
            return index < len(parts) and not hides(pattern, folder)
        if not matches(parts[index], name):
            return False
    return not hides(pattern, folder)


def covers(pattern: str, path: str) -> bool:
    """Return whether a pattern matches a path or one of its parent folders."""
    parts = path.split("/")
    return any(matches(pattern, "/".join(parts[:end])) for end in range(1, len(parts) + 1))


def hides(pattern: str, path: str) -> bool:
    """Return whether a pattern hides a path: the path itself, or a package's `__init__.py`."""
    return covers(pattern, path) or any(matches(pattern, probe) for probe in probes_inside(path))


def probes_inside(path: str) -> tuple[str, ...]:
    """Return paths with which to test whether a folder's whole content is hidden."""
    names = ("__init__.py", "\N{REPLACEMENT CHARACTER}") if may_be_folder(path) else ()
    return tuple(f"{path}/{name}" for name in names)


def hiding_line(lines: Sequence[Line], path: str) -> int:
    """Return the index of the last line that hides a path, -1 if it is not hidden."""
    parts = path.split("/")
    matched = [False] * len(lines)
    last = -1
    for end in range(1, len(parts) + 1):
        last = hiding_line_inside(lines, matched, "/".join(parts[:end]))
    return last


def hiding_line_inside(lines: Sequence[Line], matched: list[bool], path: str) -> int:
    """Return the same for a path in a folder, and change what that folder's lines matched.

    As BuildKit does, this tests only lines that can change the result, and for a folder's content
    it remembers only which of these matched the folder.
    """
    last = -1
    for index, line in enumerate(lines):
        tested = bool(line.pattern) and line.negated == (last >= 0)
        matched[index] = matched[index] or (tested and matches(line.pattern, path))
        if matched[index]:
            last = -1 if line.negated else index
    return last


def matches(pattern: str, path: str) -> bool:
    """Return whether a cleaned pattern matches exactly this path by moby's rules."""
    end = _plain_end(pattern)
    if end is not None:
        return path.endswith(end) or path == end.removeprefix("/")
    compiled = _compiled(pattern)
    return compiled is not None and compiled.fullmatch(path) is not None


@functools.lru_cache(maxsize=4096)
def _plain_end(pattern: str) -> str | None:
    """Return the end that moby compares for a pattern such as `**/x`; `**x` is `*x` for it."""
    return pattern[2:] if re.fullmatch(r"\*\*[^*?\[\]\\]*", pattern) else None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return the regular expression; None for an invalid pattern, which BuildKit reports."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # sets that look nested
            return re.compile(_regex(pattern), re.ASCII)
    except re.error:
        return None


def _regex(pattern: str) -> str:
    tokens = re.finditer(r"(?s)\*\*/?|\\.|.", pattern)
    parts: list[str] = []
    for token in tokens:
        text = token.group()
        if text.startswith("**"):
            parts.append(".*" if token.end() == len(pattern) else "(.*/)?")
        elif text == "*":
            parts.append("[^/]*")
        elif text == "?":
            parts.append("[^/]")
        elif len(text) > 1 or text in "[]^-":
            parts.append(text)
        else:
            parts.append(re.escape(text))
    return "".join(parts)
