"""The result of a check, and how several are shown, for `doctor` and `verify`. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from poetry_docker_cache.errors import DockerCacheError

Status = Literal["ok", "warning", "error"]
Name = Literal[
    "engine",
    "buildx",
    "disk",
    "cache",
    "platform",
    "project",
    "lock",
    "source",
    "wheels",
    "base",
    "start",
    "files",
    "no-engine",
    "packages",
    "installed-files",
    "sbom",
    "user",
    "secrets",
    "left-over",
    "scripts",
]
Sections: TypeAlias = "Mapping[str, Sequence[Name]]"
"""Titles, and the checks below each, in the order in which they are read."""
HEALTH: Sections = {
    "Machine": ("engine", "buildx", "disk", "cache", "platform"),
    "Project": ("project", "lock", "source", "wheels"),
    "Image": ("base", "start", "files", "no-engine"),
}
"""The checks of `doctor`."""
CONTENT: Sections = {
    "Packages": ("packages", "installed-files", "sbom"),
    "Safety": ("user", "secrets", "left-over"),
    "Start": ("scripts", "start"),
    "Image": ("base",),
}
"""The checks of `verify`."""
_MARKS: Mapping[Status, str] = {"ok": "✓", "warning": "!", "error": "✗"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "…": "..."})


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was found about one thing, and what to type if it is wrong."""

    name: Name
    status: Status
    message: str
    fix: str = ""


class Line(NamedTuple):
    """A line of text after a mark; without a status, a title or an indented fix."""

    text: str
    mark: str = ""
    status: Status | None = None


def ok(name: Name, message: str) -> Check:
    """Return a check without anything to do."""
    return Check(name=name, status="ok", message=message)


def warning(name: Name, message: str, fix: str = "") -> Check:
    """Return a check whose result is worth reading, but does not prevent a build."""
    return Check(name=name, status="warning", message=message, fix=fix)


def error(name: Name, message: str, fix: str = "") -> Check:
    """Return a check whose result prevents a build."""
    return Check(name=name, status="error", message=message, fix=fix)


def failed(name: Name, problem: DockerCacheError, status: Status = "error") -> Check:
    """Return the check for an error of a build."""
    return Check(name=name, status=status, message=problem.problem, fix=problem.fix)


def together(found: Mapping[str, Iterable[Check]]) -> list[Check]:
    """Return the checks of several images, each once.

    Names of images are put before a message that is not about all of them.
    """
    images: dict[Check, dict[str, None]] = {}
    for image, checks in found.items():
        for check in checks:
            images.setdefault(check, {})[image] = None
    return [
        check
        if len(names) == len(found)
        else replace(check, message=f"{', '.join(names)}: {check.message}")
        for check, names in images.items()
    ]


def ordered(checks: Iterable[Check], sections: Sections = HEALTH) -> list[Check]:
    """Sort checks into the order in which they are read, each once."""
    names = [name for section in sections.values() for name in section]
    return sorted(dict.fromkeys(checks), key=lambda check: names.index(check.name))


def is_ok(checks: Iterable[Check]) -> bool:
    """Return whether there is no error."""
    return all(check.status != "error" for check in checks)


def as_data(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the data for `--json`; docs/troubleshooting.md documents the keys."""
    return {
        "checks": [
            {
                "name": check.name,
                "status": check.status,
                "message": check.message,
                "fix": check.fix,
            }
            for check in checks
        ],
        "ok": is_ok(checks),
    }


def as_lines(
    checks: Sequence[Check], *, sections: Sections = HEALTH, ascii_only: bool = False
) -> Iterator[Line]:
    """Yield the lines to print: sections with their checks, then how many problems there are."""
    for line in _lines(checks, sections):
        if ascii_only:
            yield Line(line.text.translate(_ASCII), line.mark.translate(_ASCII), line.status)
        else:
            yield line


def _lines(checks: Sequence[Check], sections: Sections) -> Iterator[Line]:
    for title, names in sections.items():
        yield Line(title)
        for check in checks:
            if check.name in names:
                first, *more = check.message.splitlines()
                yield Line(first, _MARKS[check.status], check.status)
                yield from (Line(f"    {line}") for line in (*more, *check.fix.splitlines()))
        yield Line("")
    yield Line(_summary(checks))


def _summary(checks: Sequence[Check]) -> str:
    counts = {word: sum(check.status == word for check in checks) for word in ("error", "warning")}
    parts = [f"{count} {word}{'s' * (count > 1)}" for word, count in counts.items() if count]
    return f"{' and '.join(parts)}." if parts else "No problems found."
