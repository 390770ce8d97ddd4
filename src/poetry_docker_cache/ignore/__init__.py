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
from itertools import dropwhile
from typing import TYPE_CHECKING

from poetry_docker_cache.ignore.names import FILES, FOLDERS, NEVER, UNLIKELY, is_kept_out
from poetry_docker_cache.ignore.rules import (
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def render_ignore(  # noqa: PLR0913  # what it is decided from
    *,
    keep: Sequence[str],
    project_ignore: str | None,
    extra: Sequence[str],
    dockerfile: str,
    git_ignored: Sequence[str] = (),
    hidden: Sequence[str] = (),
    unsent: Sequence[str] = (),
    beside: Sequence[str] = (),
    folder: str = ".",
    others: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> str:
    """Give the content of `Dockerfile.dockerignore`.

    `keep` are the files and folders that the build takes by name: no line can hide them, but
    lines on what is inside of them hold. `project_ignore` is the text of the project's own
    `.dockerignore`, `extra` the setting `ignore`, `git_ignored` are lines on what git ignores,
    `hidden` are folders that never enter, `unsent` files that do not either, `dockerfile` is the
    Dockerfile's path, and `beside` are the like of other images. All paths and `git_ignored` are as
    the context has them. `folder` is where in it the project lies, to which the project's own lines
    are relative; of what lies beside it, only what is kept may enter. `others` are the
    folders there that it is kept from: no name on the way to one of these, or to the project, keeps
    anything out. `whole` are folders of which all may enter that nothing else keeps out.
    """
    kept = sorted({posixpath.normpath(path) for path in (*keep, *whole)} - {"."})
    roots = outermost((folder, *others)) if "." not in {folder, *others} else (".",)
    own_lines = (project_ignore or "").removeprefix("\ufeff").split("\n")
    own, added = _placed(own_lines, folder), _placed(extra, folder)
    unlikely = [line if line.startswith("**/") else moved(line, folder) for line in UNLIKELY]
    sections = {
        "From .gitignore, for the folders that the wheel is made of": [
            parse(line) for line in git_ignored
        ],
        "From .dockerignore": own,
        "From [tool.poetry-docker-cache] ignore": added,
    }
    named = _named((*own, *added), roots)
    ours = (dockerfile, f"{dockerfile}.dockerignore", *beside)
    lines = [
        "# What `docker build` does not get to see: the last line that matches decides.",
        "",
        *(_only_named(folder, kept) if folder != "." and "." not in whole else ()),
        "# Seldom of use, unless the build takes it by name",
        *unlikely,
        *_open(
            path
            for path in kept
            if path not in whole and (may_be_folder(path) or _is_unlikely(path, unlikely))
        ),
        *_sections(_with_kept(sections, kept)),
        "",
        "# Version control, environments, caches, editors: only by name",
        *_by_name(FOLDERS, FOLDERS, roots=roots, kept=kept, named=named),
        "",
        "# Leftovers, settings, credentials, private keys: only by name",
        *_by_name(FILES, NEVER, roots=roots, kept=kept, named=named),
        "",
        *(["# What is kept between builds", *_closed(hidden), ""] if hidden else []),
        *(at_start(literal(name)) for name in dict.fromkeys(ours)),
        *(at_start(literal(path)) for path in unsent),
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


def _closed(folders: Iterable[str]) -> Iterator[str]:
    """Hide folders, and by a second line what another one opens in them (see `FOLDERS`)."""
    for folder in folders:
        yield at_start(literal(folder))
        yield at_start(f"{literal(folder)}/**")


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


def _is_unlikely(path: str, unlikely: Iterable[str]) -> bool:
    return any(hides(pattern, path) for pattern in unlikely)
