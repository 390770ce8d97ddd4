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
from fnmatch import fnmatchcase
from itertools import dropwhile
from typing import TYPE_CHECKING

from poetry_docker_cache.ignore.rules import (
    Line,
    at_start,
    hides,
    hiding_line,
    literal,
    may_be_folder,
    moved,
    parse,
    probes_inside,
    reaches_into,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# These stand first: any later line can let them through again, and what the build takes by name is
# let through whole, since a package may well ship certificates or a database.
_UNLIKELY = (
    "dist/*.whl",
    "dist/*.tar.gz",
    "env",
    "**/venv",
    "htmlcov",
    "coverage.xml",
    "**/*.egg-info",
    "**/*.pem",
    "**/*.log",
    "**/*.sqlite3",
    "**/docker-compose*.y*ml",
    "**/compose*.y*ml",
    "docker-build.sh",
)

# Folders and files of these names never enter, unless one is asked for by that name. The `**` at a
# folder's end is for its content: BuildKit forgets what hides a folder when another line hid it
# before, and asks again for each file in it that a line like `!*/*` has opened in between.
_FOLDERS = (
    ".git**",
    ".hg**",
    ".svn**",
    ".venv**",
    "__pycache__**",
    ".cache**",
    ".*_cache**",
    ".tox**",
    ".nox**",
    ".hypothesis**",
    ".ipynb_checkpoints**",
    "node_modules**",
    ".idea**",
    ".vscode**",
    ".ssh**",
    ".aws**",
    ".azure**",
    ".direnv**",
    ".docker**",
    ".kube**",
    "gcloud**",
)
_FILES = (
    "*.py[cod]",
    ".coverage*",
    ".DS_Store",
    ".env**",
    "*.env",
    ".*_history",
    "poetry.toml",
    "auth.toml",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".boto",
    ".s3cfg",
    ".secrets*",
    "secrets.toml",
    "kubeconfig",
    "*.tfvars",
    "*.tfstate*",
    "pip.conf",
    ".npmrc",
    ".git-credentials",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*-key.pem",
    "*private*.pem",
    "privkey*.pem",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
)
_NEVER = (*_FOLDERS, *_FILES)


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
) -> str:
    """Give the content of `Dockerfile.dockerignore`.

    `keep` are the files and folders that the build takes by name: no line can hide them, but
    lines on what is inside of them hold. `project_ignore` is the text of the project's own
    `.dockerignore`, `extra` the setting `ignore`, `git_ignored` are lines on what git ignores,
    `hidden` are folders that never enter, `unsent` files that do not either, `dockerfile` is the
    Dockerfile's path, and `beside` are the like of other images. All paths and `git_ignored` are as
    the context has them. `folder` is where in it the project lies, to which the project's own lines
    are relative; of what lies beside it, only what is kept may enter.
    """
    kept = sorted({posixpath.normpath(path) for path in keep} - {"."})
    own_lines = (project_ignore or "").removeprefix("\ufeff").split("\n")
    own = [parse(moved(line, folder)) for line in own_lines]
    added = [parse(moved(line, folder)) for line in extra]
    unlikely = [line if line.startswith("**/") else moved(line, folder) for line in _UNLIKELY]
    sections = {
        "From .gitignore, for the folders that the wheel is made of": [
            parse(line) for line in git_ignored
        ],
        "From .dockerignore": own,
        "From [tool.poetry-docker-cache] ignore": added,
    }
    named = [*(literal(path) for path in kept), *_named((*own, *added))]
    ours = (dockerfile, f"{dockerfile}.dockerignore", *beside)
    lines = [
        "# What `docker build` does not get to see: the last line that matches decides.",
        "",
        *(_only_named(folder, kept) if folder != "." else ()),
        "# Seldom of use, unless the build takes it by name",
        *unlikely,
        *_open(path for path in kept if may_be_folder(path) or _is_unlikely(path, unlikely)),
        *_sections(_with_kept(sections, kept)),
        "",
        "# Version control, environments, caches, editors: only by name",
        *(f"**/{name}" for name in _FOLDERS),
        *(f"!{name}" for name in named if is_kept_out(name, _FOLDERS)),
        "",
        "# Leftovers, settings, credentials, private keys: only by name",
        *(f"**/{name}" for name in _FILES),
        *(f"!{name}" for name in named if is_kept_out(name, _FILES)),
        "",
        *(["# What is kept between builds", *_closed(hidden), ""] if hidden else []),
        *(at_start(literal(name)) for name in dict.fromkeys(ours)),
        *(at_start(literal(path)) for path in unsent),
        moved(".dockerignore", folder),
        "",
    ]
    return "\n".join(lines)


def _only_named(folder: str, kept: Iterable[str]) -> Iterator[str]:
    """Hide all that lies beside the project but what the build takes from there."""
    yield "# Beside the project, only what is named"
    yield "*"
    yield f"!{literal(folder)}"
    yield from (f"!{literal(path)}" for path in kept if not path.startswith(f"{folder}/"))
    yield ""


def _closed(folders: Iterable[str]) -> Iterator[str]:
    """Hide folders, and by a second line what another one opens in them (see `_FOLDERS`)."""
    for folder in folders:
        yield at_start(literal(folder))
        yield at_start(f"{literal(folder)}/**")


def is_kept_out(path: str, names: Sequence[str] = _NEVER) -> bool:
    """Tell whether a part of this path or pattern is kept out of every build by its name."""
    return any(fnmatchcase(part, name) for part in path.split("/") for name in names)


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


def _named(lines: Iterable[Line]) -> list[str]:
    """Give the patterns by which a user lets something through that its name keeps out."""
    names: dict[str, None] = {}
    for line in lines:
        if line.negated and is_kept_out(line.pattern):
            names[line.pattern] = None
        elif not line.negated:
            names.pop(line.pattern, None)
    return list(names)


def _is_unlikely(path: str, unlikely: Iterable[str]) -> bool:
    return any(hides(pattern, path) for pattern in unlikely)
