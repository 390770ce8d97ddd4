"""The ignore file beside the Dockerfile: what is excluded from the build context.

The last matching line decides, and a line that matches a folder matches its whole content:
- A `!` line includes a whole folder, so the lines on secrets and caches come after all `!` lines.
- `!folder` undoes only lines that hid the folder itself; `!folder/**` undoes those on its content.
- A `!` line with a wildcard before its end, or a backslash, makes BuildKit read every excluded
  folder (`.git`, `.venv`, unreadable data), so `!` lines are plain names if possible.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from itertools import dropwhile
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.ignore_patterns import (
    Line,
    at_start,
    hides,
    hiding_line,
    literal,
    may_be_folder,
    moved,
    outermost,
    parse,
    probes_inside,
    reaches_into,
)
from poetry_docker_cache.docker.kept_out import FILES, FOLDERS, NEVER, UNLIKELY, is_kept_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, kw_only=True)
class IgnorePlan:
    """The content of an ignore file; all paths are relative to the build context."""

    keep: Sequence[str]
    """The paths that the build needs. They are always included, but not all of their content."""
    dockerfile: str
    """The Dockerfile's path."""
    project_ignore: str | None = None
    """The text of the project's own `.dockerignore`."""
    left_out: Sequence[str] = ()
    """Paths in the project that only development needs."""
    extra: Sequence[str] = ()
    """The setting `ignore`."""
    exported: Sequence[str] = ()
    """The Dockerfiles and ignore files of other images."""
    git_ignored: Sequence[str] = ()
    """Lines that come from `.gitignore`."""
    front_ends_ignored: Sequence[str] = ()
    """Lines that come from `.gitignore`, for front ends."""
    hidden: Sequence[str] = ()
    """Folders that are always excluded."""
    unsent: Sequence[str] = ()
    """Files that are always excluded."""
    folder: str = "."
    """The project's folder. The project's own lines are relative to it, and outside of it only the
    paths in `keep` are included."""
    others: Sequence[str] = ()
    """The folders of `keep` outside the project. Like those of the project, the names of their
    parent folders exclude nothing."""
    scripts: str | None = None
    """The folder of scripts that the build runs: all of it is included."""
    whole: Sequence[str] = ()
    """Folders that are included, except for what other lines exclude."""


def render_ignore(plan: IgnorePlan) -> str:
    """Render `Dockerfile.dockerignore`."""
    folder = plan.folder
    kept = sorted({posixpath.normpath(path) for path in (*plan.keep, *plan.whole)} - {"."})
    roots = outermost((folder, *plan.others)) if "." not in {folder, *plan.others} else (".",)
    own_lines = (plan.project_ignore or "").removeprefix("\ufeff").split("\n")
    own, added = _placed(own_lines, folder), _placed(plan.extra, folder)
    git_ignored = [*map(parse, plan.git_ignored)]
    sections = {
        "From .gitignore, for the folders that the wheel is made of": git_ignored,
        "From .gitignore, for front ends": [*map(parse, plan.front_ends_ignored)],
        "From .dockerignore": own,
        "From [tool.poetry-docker-cache] ignore": added,
    }
    ours = (plan.dockerfile, f"{plan.dockerfile}.dockerignore", *plan.exported)
    lines = [
        "# What is kept out of the build context: the last matching line decides.",
        "",
        *(_only_named(folder, kept) if folder != "." and "." not in plan.whole else ()),
        *_usually_unneeded(
            folder, [path for path in kept if path not in plan.whole], plan.left_out
        ),
        *_sections(_with_kept(sections, kept)),
        "",
        *_scripts(plan.scripts),
        *_never(roots, kept, _named((*own, *added), roots)),
        *_closed(plan.hidden),
        *(at_start(literal(path)) for path in (*dict.fromkeys(ours), *plan.unsent)),
        moved(".dockerignore", folder),
        "",
    ]
    return "\n".join(lines)


def _placed(texts: Iterable[str], folder: str) -> list[Line]:
    """Parse lines of the project, except those for paths outside, which match nothing."""
    inside = (text for text in texts if folder == "." or parse(text).pattern.split("/")[0] != "..")
    return [parse(moved(text, folder)) for text in inside]


def _only_named(folder: str, kept: Iterable[str]) -> Iterator[str]:
    """Exclude everything outside the project that the build does not need."""
    yield "# Beside the project, only these paths"
    yield "*"
    yield f"!{literal(folder)}"
    yield from (f"!{literal(path)}" for path in kept if not path.startswith(f"{folder}/"))
    yield ""


def _usually_unneeded(folder: str, kept: Sequence[str], left_out: Sequence[str]) -> Iterator[str]:
    """Exclude what images rarely need, except what the build takes by name."""
    yield "# Rarely needed in an image"
    patterns = [line if line.startswith("**/") else moved(line, folder) for line in UNLIKELY]
    yield from patterns
    if left_out:
        development = [moved(at_start(literal(path)), folder) for path in left_out]
        yield "# Only for development: no code names it"
        yield from development
        patterns += development
    hidden = [path for path in kept if any(hides(pattern, path) for pattern in patterns)]
    yield from _open(path for path in kept if may_be_folder(path) or path in hidden)


def _never(roots: Sequence[str], kept: Sequence[str], named: Sequence[str]) -> Iterator[str]:
    """Exclude what no build should see, except what is included by name."""
    yield "# Version control, environments, caches, editors: included only by name"
    yield from _by_name(FOLDERS, FOLDERS, roots=roots, kept=kept, named=named)
    yield ""
    yield "# Temporary files, settings, credentials, private keys: included only by name"
    yield from _by_name(FILES, NEVER, roots=roots, kept=kept, named=named)
    yield ""


def _scripts(folder: str | None) -> Iterator[str]:
    if folder:
        yield "# The scripts that the build runs"
        yield f"!{literal(folder)}"
        yield f"!{literal(folder)}/**"
        yield ""


def _closed(folders: Sequence[str]) -> Iterator[str]:
    """Exclude folders and, as for `FOLDERS`, their content."""
    if folders:
        yield "# Build caches"
        for folder in folders:
            yield at_start(literal(folder))
            yield at_start(f"{literal(folder)}/**")
        yield ""


def _by_name(
    names: Sequence[str],
    closed: Sequence[str],
    *,
    roots: Sequence[str],
    kept: Iterable[str],
    named: Iterable[str],
) -> Iterator[str]:
    """Exclude these names; include what is requested by name, but not `closed` names inside it."""
    places = [f"{literal(root)}/**" for root in roots] if any(map(is_kept_out, roots)) else ["**"]
    yield from (at_start(f"{place}/{name}") for place in places for name in names)
    for path in kept:
        if is_kept_out(_below(literal(path), roots), names):
            yield f"!{literal(path)}"
            if may_be_folder(path):
                yield from (at_start(f"{literal(path)}/**/{name}") for name in closed)
    yield from (f"!{pattern}" for pattern in named if is_kept_out(_below(pattern, roots), names))


def _below(pattern: str, roots: Iterable[str]) -> str:
    """Return the part of a path or pattern below one of these folders."""
    starts = (f"{literal(root)}/" for root in roots)
    found = (pattern.removeprefix(start) for start in starts if pattern.startswith(start))
    return next(found, "" if pattern in map(literal, roots) else pattern)


def _sections(sections: dict[str, list[str]]) -> Iterator[str]:
    for title, lines in sections.items():
        if any(lines):
            yield ""
            yield f"# {title}"
            yield from "\n".join(lines).strip("\n").split("\n")


def _with_kept(sections: dict[str, list[Line]], kept: Sequence[str]) -> dict[str, list[str]]:
    """Insert `!path` after the last line that hides a path that must be in the context.

    Not after all lines, where it would include what a line in between hides inside the path.
    """
    flat = [line for lines in sections.values() for line in lines]
    behind: dict[int, list[str]] = {}
    for path in kept:
        if (index := _hidden_by(flat, path)) is not None:
            behind.setdefault(index, []).append(path)
    result: dict[str, list[str]] = {title: [] for title in sections}
    index = 0
    for title, lines in sections.items():
        for line in lines:
            result[title] += [line.text, *_opening(flat[:index], behind.get(index, []), kept)]
            index += 1
    return result


def _hidden_by(lines: Sequence[Line], path: str) -> int | None:
    """Find the line after which a path must be included; None if it is not hidden."""
    probes = [path, *probes_inside(path)]
    names = (literal(path), f"{literal(path)}/**")
    opening = [Line(text="", pattern=name, negated=True) for name in names]
    behind = None
    while True:  # a later line may hide the path again, so each round continues further down
        at = 0 if behind is None else behind + 1
        tried = [*lines[:at], *opening, *lines[at:]] if at else lines
        last = max(hiding_line(tried, probe) for probe in probes)
        if last < at:
            return behind
        behind = last - (len(opening) if at else 0)


def _opening(before: Sequence[Line], paths: Sequence[str], kept: Sequence[str]) -> Iterator[str]:
    """Include these paths, and hide again what earlier lines hide inside them."""
    yield from _open(paths)
    folders = [path for path in paths if may_be_folder(path)]
    inside = [
        line
        for line in before
        if line.pattern and any(reaches_into(line.pattern, path) for path in folders)
    ]
    again = list(dropwhile(lambda line: line.negated, inside))
    hidden = [path for path in kept if any(hides(line.pattern, path) for line in again)]
    yield from (line.text for line in again)
    yield from _open(hidden)


def _open(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield f"!{literal(path)}"
        if may_be_folder(path):
            yield f"!{literal(path)}/**"


def _named(lines: Iterable[Line], roots: Sequence[str]) -> list[str]:
    """List the patterns with which a user includes something that its name keeps out."""
    names: dict[str, None] = {}
    for line in lines:
        if line.negated and is_kept_out(_below(line.pattern, roots)):
            names[line.pattern] = None
        elif not line.negated:
            names.pop(line.pattern, None)
    return list(names)
