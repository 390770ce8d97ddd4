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
"""Characters that a line cannot hold: control characters, and bytes that are no UTF-8."""
# The grammar of Go's filepath.Match, by which moby checks each pattern.
_IN_SET = r"(?:\\.|[^\\\]-])"
_PATTERN = re.compile(rf"(?s)(?:[^\\\[]|\\.|\[(?:\^|(?!\^))(?:{_IN_SET}(?:-{_IN_SET})?)+\])*")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of an ignore file; without a pattern it is a comment or blank."""

    text: str
    pattern: str = ""
    negated: bool = False


def literal(path: str) -> str:
    r"""Write a path so that it matches itself only.

    >>> literal("notes [1].md")
    'notes \\[1\\].md'
    """
    text = _SPECIAL.sub(r"\\\1", path)
    text = _UNWRITABLE.sub("?", text)
    if text.startswith(" "):  # at either end it would be trimmed
        text = f"[ ]{text[1:]}"
    return f"{text[:-1]}[ ]" if text.endswith(" ") else text


def at_start(text: str) -> str:
    """Keep a first `#` from making a comment, a first `!` from making a re-inclusion."""
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
    """Tell whether BuildKit takes this for a line; else it refuses the whole file."""
    line = parse(text)
    return is_readable(line.pattern) if line.pattern else not line.negated


def is_readable(pattern: str) -> bool:
    """Tell whether BuildKit takes this for a pattern; else it refuses the whole file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # sets that look nested
            re.compile(_regex(pattern))
    except re.error:
        return False
    return _PATTERN.fullmatch(pattern) is not None


def checked(text: str | None) -> str | None:
    """Give the text of a `.dockerignore`; raise DockerCacheError where BuildKit would refuse it."""
    for number, line in enumerate((text or "").split("\n"), start=1):
        if not is_line(line):
            raise DockerCacheError(
                f"Docker cannot read line {number} of .dockerignore, {line.strip()!r}: that is no"
                " pattern, and nothing can be built with it.",
                fix="Close its brackets, put a backslash before what is to be taken literally, or"
                " take the line out.",
            )
    return text


def moved(text: str, folder: str) -> str:
    """Write a line for the context that a folder is in; it was written for that folder alone.

    >>> moved("!/static", "shop")
    '!shop/static'
    """
    line = parse(text)
    if folder == "." or line.pattern in ("", "."):  # BuildKit passes over a mere `.`
        return text
    pattern = posixpath.normpath(f"{literal(folder)}/{line.pattern}")
    return f"!{pattern}" if line.negated else at_start(pattern)


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Sort, without what is inside of another."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda it: it.split("/")):
        if not is_inside(path, kept[-1:]):
            kept.append(path)
    return tuple(sorted(kept))


def is_inside(path: str, others: Iterable[str]) -> bool:
    """Tell whether a path is one of these or below one."""
    return any(path == other or path.startswith(f"{other}/") for other in others)


def may_be_folder(path: str) -> bool:
    """Guess by its name whether a path is a folder; the text of an ignore file is all we have."""
    name = posixpath.basename(path)
    return "." not in name[1:] and not name.isupper()


def reaches_into(pattern: str, folder: str) -> bool:
    """Tell whether a pattern can match something below a folder without matching the folder."""
    parts = pattern.split("/")
    for index, name in enumerate(folder.split("/")):
        if index >= len(parts) or "**" in parts[index]:
            return index < len(parts) and not hides(pattern, folder)
        if not matches(parts[index], name):
            return False
    return not hides(pattern, folder)


def covers(pattern: str, path: str) -> bool:
    """Tell whether a pattern matches a path or one of the folders that it is in."""
    parts = path.split("/")
    return any(matches(pattern, "/".join(parts[:end])) for end in range(1, len(parts) + 1))


def hides(pattern: str, path: str) -> bool:
    """Tell whether a pattern takes a path away: itself, or what makes a package of a folder."""
    return covers(pattern, path) or any(matches(pattern, it) for it in probes_inside(path))


def probes_inside(path: str) -> tuple[str, ...]:
    """Give what to try to see whether a folder's content is hidden as a whole."""
    names = ("__init__.py", "\N{REPLACEMENT CHARACTER}") if may_be_folder(path) else ()
    return tuple(f"{path}/{name}" for name in names)


def hiding_line(lines: Sequence[Line], path: str) -> int:
    """Give the index of the last line that hides a path, -1 if it is not hidden.

    The walk is BuildKit's, which asks only lines that can change the verdict, and remembers for
    a folder's content which of them matched the folder: not all that would have.
    """
    parts = path.split("/")
    matched = [False] * len(lines)
    last = -1
    for end in range(1, len(parts) + 1):
        prefix = "/".join(parts[:end])
        last = -1
        for index, line in enumerate(lines):
            asked = bool(line.pattern) and line.negated == (last >= 0)
            matched[index] = matched[index] or (asked and matches(line.pattern, prefix))
            if matched[index]:
                last = -1 if line.negated else index
    return last


def matches(pattern: str, path: str) -> bool:
    """Tell whether a cleaned pattern matches exactly this path, by moby's rules."""
    if re.fullmatch(r"\*\*[^*?\[\]\\]*", pattern):  # moby compares the end only: `**x` is `*x`
        end = pattern[2:]
        return path.endswith(end) or path == end.removeprefix("/")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # sets that look nested
            return re.fullmatch(_regex(pattern), path, re.ASCII) is not None
    except re.error:
        return False  # BuildKit refuses the whole file and says why


@functools.lru_cache(maxsize=4096)
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
