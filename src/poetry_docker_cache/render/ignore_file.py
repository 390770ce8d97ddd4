"""The ignore file beside the Dockerfile: what never enters a build, and what always does.

The last line that matches decides, and a line that matches a folder matches all that is in it.
Three things follow. A re-inclusion opens a whole folder, so the lines on secrets and caches come
after all re-inclusions, once. `!folder` undoes only what hid the folder itself; what hid its
content is undone by `!folder/**`. And a re-inclusion with a wildcard before its end, or a
backslash, makes BuildKit open every folder that is kept out (`.git`, `.venv`, a database's
unreadable data), so those written here are plain names wherever the name allows it.
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
    """What an ignore file lets through and hides; all paths are as the build context has them."""

    keep: Sequence[str]
    """What the build takes by name. No line can hide it, but lines on what is inside hold."""
    dockerfile: str
    """The Dockerfile's path."""
    project_ignore: str | None = None
    """The text of the project's own `.dockerignore`."""
    extra: Sequence[str] = ()
    """The setting `ignore`."""
    beside: Sequence[str] = ()
    """The Dockerfiles and ignore files of other images."""
    git_ignored: Sequence[str] = ()
    """Lines on what git ignores."""
    hidden: Sequence[str] = ()
    """Folders that never enter."""
    unsent: Sequence[str] = ()
    """Files that do not either."""
    folder: str = "."
    """Where the project lies. The project's own lines are relative to it, and of what lies beside
    it only what is kept may enter."""
    others: Sequence[str] = ()
    """The folders there that it is kept from: no name on the way to them, or to the project, keeps
    anything out."""
    scripts: str | None = None
    """The folder of scripts that the build runs: all of it is sent."""
    whole: Sequence[str] = ()
    """Folders of which all may enter that nothing else keeps out."""


def render_ignore(plan: IgnorePlan) -> str:
    """Give the content of `Dockerfile.dockerignore`."""
    folder = plan.folder
    kept = sorted({posixpath.normpath(path) for path in (*plan.keep, *plan.whole)} - {"."})
    roots = outermost((folder, *plan.others)) if "." not in {folder, *plan.others} else (".",)
    own_lines = (plan.project_ignore or "").removeprefix("\ufeff").split("\n")
    own, added = _placed(own_lines, folder), _placed(plan.extra, folder)
    git_ignored = [*map(parse, plan.git_ignored)]
    sections = {
        "From .gitignore, for the folders that the wheel is made of": git_ignored,
        "From .dockerignore": own,
        "From [tool.poetry-docker-cache] ignore": added,
    }
    ours = (plan.dockerfile, f"{plan.dockerfile}.dockerignore", *plan.beside)
    lines = [
        "# What `docker build` does not get to see: the last line that matches decides.",
        "",
        *(_only_named(folder, kept) if folder != "." and "." not in plan.whole else ()),
        *_seldom(folder, [path for path in kept if path not in plan.whole]),
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
    """Read lines of the project, without those that lead out of it: alone, they match nothing."""
    inside = (it for it in texts if folder == "." or parse(it).pattern.split("/")[0] != "..")
    return [parse(moved(it, folder)) for it in inside]


def _only_named(folder: str, kept: Iterable[str]) -> Iterator[str]:
    """Hide all that lies beside the project but what the build takes from there."""
    yield "# Beside the project, only what is named"
    yield "*"
    yield f"!{literal(folder)}"
    yield from (f"!{literal(path)}" for path in kept if not path.startswith(f"{folder}/"))
    yield ""


def _seldom(folder: str, kept: Sequence[str]) -> Iterator[str]:
    """Hide what hardly any image needs, but for what the build takes by name."""
    yield "# Seldom of use, unless the build takes it by name"
    patterns = [line if line.startswith("**/") else moved(line, folder) for line in UNLIKELY]
    yield from patterns
    hidden = [path for path in kept if any(hides(pattern, path) for pattern in patterns)]
    yield from _open(path for path in kept if may_be_folder(path) or path in hidden)


def _never(roots: Sequence[str], kept: Sequence[str], named: Sequence[str]) -> Iterator[str]:
    """Keep out what is kept out of every build, but for what is asked for by name."""
    yield "# Version control, environments, caches, editors: only by name"
    yield from _by_name(FOLDERS, FOLDERS, roots=roots, kept=kept, named=named)
    yield ""
    yield "# Leftovers, settings, credentials, private keys: only by name"
    yield from _by_name(FILES, NEVER, roots=roots, kept=kept, named=named)
    yield ""


def _scripts(folder: str | None) -> Iterator[str]:
    if folder:
        yield "# The scripts that the build runs"
        yield f"!{literal(folder)}"
        yield f"!{literal(folder)}/**"
        yield ""


def _closed(folders: Sequence[str]) -> Iterator[str]:
    """Hide folders, and by a second line what another one opens in them (see `FOLDERS`)."""
    if folders:
        yield "# What is kept between builds"
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
    """Keep these names out, but for what is asked for by name; in that, again what is `closed`."""
    places = [f"{literal(it)}/**" for it in roots] if any(map(is_kept_out, roots)) else ["**"]
    yield from (at_start(f"{place}/{name}") for place in places for name in names)
    for path in kept:
        if is_kept_out(_below(literal(path), roots), names):
            yield f"!{literal(path)}"
            if may_be_folder(path):
                yield from (at_start(f"{literal(path)}/**/{name}") for name in closed)
    yield from (f"!{pattern}" for pattern in named if is_kept_out(_below(pattern, roots), names))


def _below(pattern: str, roots: Iterable[str]) -> str:
    """Give the part of a path or pattern that is below one of these folders."""
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
    """Put `!path` behind the last line that would hide a path, where no later one opens it.

    Not behind all lines: there it would open what a line in between hides within a folder.
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
    """Find the line behind which a path must be opened, if it is hidden in the end."""
    probes = [path, *probes_inside(path)]
    names = (literal(path), f"{literal(path)}/**")
    opening = [Line(text="", pattern=name, negated=True) for name in names]
    behind = None
    while True:  # opened there, a line further down may hide it again: each round goes further
        at = 0 if behind is None else behind + 1
        tried = [*lines[:at], *opening, *lines[at:]] if at else lines
        last = max(hiding_line(tried, probe) for probe in probes)
        if last < at:
            return behind
        behind = last - (len(opening) if at else 0)


def _opening(before: Sequence[Line], paths: Sequence[str], kept: Sequence[str]) -> Iterator[str]:
    """Open these paths, and close again what lines before had closed inside of them."""
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
    """Give the patterns by which a user lets something through that its name keeps out."""
    names: dict[str, None] = {}
    for line in lines:
        if line.negated and is_kept_out(_below(line.pattern, roots)):
            names[line.pattern] = None
        elif not line.negated:
            names.pop(line.pattern, None)
    return list(names)
