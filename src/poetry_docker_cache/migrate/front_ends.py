"""The stage that builds a front end: the setting `assets`."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.migrate.copies import read_copying
from poetry_docker_cache.migrate.outcomes import Outcome, left_over, unneeded
from poetry_docker_cache.migrate.shell import commands, inner_commands, split_words
from poetry_docker_cache.migrate.stage_state import StageState
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from poetry_docker_cache.migrate.stages import DockerStage
    from poetry_docker_cache.migrate.surroundings import Surroundings

DEFAULT_IMAGE = "node:22-slim"
_LOCKS = {
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
_INSTALLING = {
    *(("npm", "ci"), ("npm", "i"), ("npm", "install"), ("yarn",), ("yarn", "install")),
    *(("pnpm", "i"), ("pnpm", "install"), ("bun", "i"), ("bun", "install")),
}
_READ_BY_CODE = re.compile(
    r"^(?:VITE|REACT_APP|NEXT_PUBLIC|NUXT|PUBLIC|VUE_APP|NG|GATSBY)_|API|URL|TOKEN|SECRET|HOST"
)
"""Variables that bundlers put into the front end, or that its code may read."""
_PREPARING = {
    "useradd",
    "adduser",
    "chown",
    "chmod",
    "set",
    "corepack",
    "apt-get",
    "apk",
    "apt",
    "echo",
    "ls",
    "rm",
    "cd",
    "true",
    "mkdir",
}
_BY_ASSETS = "`assets` builds the front end in a stage of its own"


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A front-end stage, read."""

    folder: str
    """Its folder in the project."""
    root: str
    """This folder in the stage."""
    image: str
    build: tuple[str, ...] | None
    """Its build command if it is not the default."""
    outcomes: tuple[Outcome, ...] = ()
    """What becomes of its instructions, apart from the setting."""

    def entry(self, source: str, to: str) -> dict[str, object] | None:
        """Return the table for what is copied from the stage; None for other folders of it."""
        output = posixpath.relpath(posixpath.join(self.root, source), self.root)
        if output.startswith("..") or "node_modules" in output:
            return None
        entry: dict[str, object] = {"folder": self.folder}
        entry.update({"image": self.image} if self.image != DEFAULT_IMAGE else {})
        entry.update({"build": [*self.build]} if self.build else {})
        return {**entry, "output": output, "to": to}


def read_front_end(
    stages: list[DockerStage], around: Surroundings, values: dict[str, str], prefix: str
) -> FrontEnd | None:
    """Read a stage with those that it is based on; None if the project has no lock file for it."""
    state = StageState(around=around, home="/", is_final=False, values=dict(values))
    outcomes: list[Outcome] = []
    folders: dict[str, str] = {}
    builds: list[tuple[str, ...]] = []
    for stage in stages:
        outcomes.append(_outcome(unneeded(_BY_ASSETS), stage.start.line, stage.start.text))
        for each in stage.instructions:
            if each.keyword == "WORKDIR":
                state.workdir = posixpath.normpath(
                    posixpath.join(state.workdir, state.expand(each.arguments.strip("\"'")))
                )
            elif each.keyword == "COPY" and (copying := read_copying(each, state)):
                for source in () if copying.origin else copying.sources:
                    path = posixpath.normpath(posixpath.join("/", source)).lstrip("/") or "."
                    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
                        path = path[len(prefix) + 1 :] or "."
                    for folder in _folders_of(path, around):
                        target = posixpath.normpath(posixpath.join(state.workdir, copying.target))
                        file = around.is_file(path)
                        into = (
                            target
                            if not file or not _names_file(copying.target)
                            else (posixpath.dirname(target))
                        )
                        if file and len(copying.sources) > 1:
                            into = target
                        folders.setdefault(folder, into)
            elif each.keyword == "RUN" and commands(each):
                state.folder = state.workdir
                outcomes += [
                    _outcome(found, command.line, f"RUN {command.text}")
                    for command in commands(each)
                    for found in [_read_run(command.text, state, builds)]
                ]
                continue
            elif each.keyword in ("ARG", "ENV"):
                outcomes.append(_outcome(_read_variable(each.arguments), each.line, each.text))
                continue
            outcomes.append(_outcome(unneeded(_BY_ASSETS), each.line, each.text))
    locked = {
        folder: root
        for folder, root in folders.items()
        if any(around.is_file(posixpath.normpath(posixpath.join(folder, name))) for name in _LOCKS)
    }
    if len(locked) != 1 or len({*builds}) > 1:
        return None
    ((folder, root),) = locked.items()
    lock = next(
        name for name in _LOCKS if around.is_file(posixpath.normpath(posixpath.join(folder, name)))
    )
    default = (_LOCKS[lock], "run", "build")
    build = builds[0] if builds else default
    short = (build[0], "run", *build[1:]) if build[1:2] != ("run",) else build
    return FrontEnd(
        folder=folder,
        root=root,
        image=stages[0].image,
        build=None if short == default else build,
        outcomes=tuple(outcomes),
    )


def _outcome(found: Outcome, line: int, text: str) -> Outcome:
    return replace(found, line=line, text=text)


def _names_file(target: str) -> bool:
    return "." in posixpath.basename(target)[1:]


def _folders_of(path: str, around: Surroundings) -> list[str]:
    """Return the folder of a front end that a copied path shows."""
    if around.matching(path) and around.is_folder(path) and not around.is_file(path):
        inner = "package.json" if path == "." else f"{path}/package.json"
        return [path] if around.is_file(inner) else []
    name = posixpath.basename(path)
    if name.startswith("package") and name.endswith((".json", ".json*", "*.json", "*")):
        return [posixpath.dirname(path) or "."]
    return []


def _read_run(text: str, state: StageState, builds: list[tuple[str, ...]]) -> Outcome:
    words = tuple(map(state.expand, split_words(text)))
    inner = [] if words else inner_commands(text)
    if not words:
        found = [_read_run(part, state, builds) for part in inner]
        if found and all(outcome.reason for outcome in found):
            return found[0]
        return left_over(
            f"Write it into a script of package.json, and set `build` in `assets`: {text}"
        )
    if words[0] in ("apk", "apt", "apt-get") and {"install", "add"} & {*words}:
        return left_over(
            "To build the front end with these packages, set `image` in `assets` to an image that"
            " has them."
        )
    plain = tuple(word for word in words if not word.startswith("-"))
    installs = plain[:1] in _INSTALLING or plain[:2] in _INSTALLING
    if words[0] in _PREPARING or installs or words[1:2] in (("config",), ("cache",), ("set",)):
        return unneeded(_BY_ASSETS)
    if words[0] in ("npm", "yarn", "pnpm", "bun", "npx", "ng", "vite"):
        builds.append(words)
        return unneeded(_BY_ASSETS)
    return left_over("Add it to a script of package.json, such as `build`.")


def _read_variable(arguments: str) -> Outcome:
    names = re.findall(r"(?:^|\s)([A-Za-z_]\w*)(?==|\s|$)", arguments)
    read = [name for name in names if _READ_BY_CODE.search(name)]
    if not read:
        return unneeded(_BY_ASSETS)
    return left_over(
        f"The front end may read {listing(read)} when it is built: write its value into the build"
        " script of package.json."
    )
