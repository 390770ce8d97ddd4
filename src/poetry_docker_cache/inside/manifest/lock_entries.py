"""Check the entries of poetry.lock before they become requirements, URLs and paths.

The plugin and the build use the same patterns. Poetry writes nothing else, but an edited lock file
may contain line breaks, options of pip or git, and paths to other folders.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
"""Control characters, and all that Python splits lines at, as pip does in a requirements file."""

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # PEP 508
# PEP 440, also if not in its normal form.
VERSION = re.compile(
    r"v?([0-9]+!)?[0-9]+(\.[0-9]+)*"
    r"([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?[0-9]*)?"
    r"(-[0-9]+|[-_.]?(post|rev|r)[-_.]?[0-9]*)?([-_.]?dev[-_.]?[0-9]*)?"
    r"(\+[a-z0-9]+([-_.][a-z0-9]+)*)?",
    re.IGNORECASE | re.ASCII,
)
# A wheel or source distribution in an index (PEP 427, PEP 625, and older names).
FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*")
ANY_FILE = re.compile(rf"(?!-)[^/\\{CONTROL}]+")
HASH = re.compile(
    r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}|sha224:[0-9a-f]{56}"
    r"|sha1:[0-9a-f]{40}|md5:[0-9a-f]{32}"
    r"|(?!(sha(1|224|256|384|512)|md5):)[a-z0-9_-]+:[0-9a-f]{32,256}"  # all others of hashlib
)
TEXT = re.compile(rf"[^{CONTROL}]*")
PATH = re.compile(rf"(?!-)[^{CONTROL}]+")
# A URL, or `user@host:path` of git. Neither user nor host looks like an option, and git does
# not run a program for it (`ext::PROGRAM`).
URL = re.compile(rf"(?!-|[^/]*//-|([^/]*//)?[^/]*@-|[A-Za-z0-9+.-]+::)[^\s{CONTROL}]+")
REVISION = re.compile(rf"(?!-|.*\.\.)[^\s~^:?*\[\\{CONTROL}]+")  # git-check-ref-format(1)
FOLDER = re.compile(rf"(?![-/]|(.*/)?\.\.(/|$))[^\\:{CONTROL}]+")  # in a repository or archive

SOURCES = {
    "legacy": {"url": URL, "reference": TEXT},
    "git": {
        "url": URL,
        "reference": REVISION,
        "resolved_reference": REVISION,
        "subdirectory": FOLDER,
    },
    "url": {"url": URL, "subdirectory": FOLDER},
    "file": {"url": PATH, "subdirectory": FOLDER},
    "directory": {"url": PATH},
}
"""The patterns of the keys of a source, by its type."""


class DamagedError(ValueError):
    """An entry of the lock is not valid."""

    def __init__(self, what: str) -> None:
        """Write the message of a failed build: the problem, and what to type."""
        super().__init__(
            f"poetry.lock is damaged: {what} is not valid. Restore it from version control, or run"
            " `poetry lock --regenerate`."
        )
        self.what = what


def refuse_damaged(packages: Iterable[Mapping[str, Any]]) -> None:
    """Raise DamagedError for the first value that Poetry would not write.

    The message does not contain the value: a URL may contain a password.
    """
    for package in packages:
        name = package.get("name")
        if not _fits(NAME, name):
            raise DamagedError(f"the package name {name!r}")
        try:
            what = next((what for what, fits in _values(package) if not fits), "")
        except (AttributeError, TypeError):  # a value of another type
            what = "the entry"
        if what:
            raise DamagedError(f"{what} of {name}")


def _values(package: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield what each value is, and whether it fits its pattern."""
    source = package.get("source", {})
    kind = source.get("type", "legacy")
    yield "the version", _fits(VERSION, package.get("version"))
    named = FILE if kind == "legacy" else ANY_FILE
    for file in package.get("files", ()):
        yield "a file name", _fits(named, file.get("file"))
        yield "a hash", _fits(HASH, file.get("hash"))
    for key, pattern in SOURCES.get(str(kind), {}).items():
        if key in source:
            yield f"the {key} in the source", _fits(pattern, source[key])


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
