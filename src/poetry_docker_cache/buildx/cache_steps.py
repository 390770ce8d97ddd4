"""What is done about caches around a build, and how their folders stay out of its context."""

from __future__ import annotations

import contextlib
import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx import cache_images
from poetry_docker_cache.buildx.cache_folders import IMAGE, INDEX, OpenFolder, opened
from poetry_docker_cache.caches.spec import Folder, folder_words, folders_of
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.docker.ignore_patterns import hiding_line, literal, parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import exists, real_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from poetry_docker_cache.buildx.cache_plan import CachePlan
    from poetry_docker_cache.caches.spec import Cache


def hidden_paths(folders: Iterable[Path], context: Path) -> tuple[str, ...]:
    """Give the folders that lie in the context, relative to it, as an ignore file names them."""
    real = [real_path(folder) for folder in folders]
    inside = [it.relative_to(context) for it in real if it != context and context in it.parents]
    return tuple(sorted({path.as_posix() for path in inside}))


def written_inside(cache: Cache | None) -> tuple[str, ...]:
    """Give what a setting names of the project by a relative path: the same on every machine."""
    given = folders_of(cache) if cache else ()
    paths = [posixpath.normpath(path) for path in given if path[0] not in "/~"]
    return tuple(sorted({path for path in paths if path.split("/")[0] not in (".", "..")}))


def refuse_visible(hidden: Iterable[str], dockerfile: Path, context: Path) -> None:
    """Raise DockerCacheError where a vendored Dockerfile's ignore file lets a cache through."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    ignore = own if own.is_file() else context / ".dockerignore"
    text = ignore.read_text(encoding="utf-8", errors="replace") if ignore.is_file() else ""
    lines = [parse(line) for line in text.removeprefix("\ufeff").split("\n")]
    for path in hidden:
        if hiding_line(lines, f"{path}/index.json") < 0:
            raise DockerCacheError(
                f"The cache folder {path} lies in the project, and {ignore.name} does not hide it: "
                "the cache would be sent to each build, and could be copied into the image.",
                fix=f"Add the line /{literal(path)} to {ignore.name}, or name a folder elsewhere.",
            )


@dataclass(frozen=True, kw_only=True)
class Docker:
    """How docker is called besides the build."""

    command: Sequence[str]
    """`docker`, and what chooses the engine."""
    run: cache_images.Run
    ask: cache_images.Ask


@dataclass(frozen=True, kw_only=True)
class OpenCaches:
    """What BuildKit is told to read and write, and what follows."""

    cache_from: Sequence[str]
    cache_to: Sequence[str]
    plan: CachePlan
    docker: Docker
    note: Callable[[str], None]
    folders: Mapping[Folder, OpenFolder] = field(default_factory=dict)

    def after(self, status: int, *, written: bool | None = None) -> None:
        """Write what a successful build leaves; its failure costs a note, never the status.

        `written`: whether BuildKit wrote a cache by itself, if that is known. It goes on without.
        """
        if status:
            return
        found = [_not_written(it) for it in self.plan.exports if written is False]
        found += [self.folders[it].publish() for it in self.plan.exports if isinstance(it, Folder)]
        command, image = self.docker.command, self.plan.image
        run, ask = self.docker.run, self.docker.ask
        found += [cache_images.push(command, image, it, run=run) for it in self.plan.pushed]
        found += [
            cache_images.save(command, image, Path(it.path), run=run, ask=ask)
            for it in self.plan.saved
        ]
        for text in filter(None, found):
            self.note(text)


@contextlib.contextmanager
def opened_caches(
    plan: CachePlan, docker: Docker, note: Callable[[str], None]
) -> Iterator[OpenCaches]:
    """Give the caches of one build; what is private of them is gone when the block ends."""
    with contextlib.ExitStack() as stack:
        folders: dict[Folder, OpenFolder] = {}
        for folder in plan.folders:
            reads, writes = folder in plan.imports, folder in plan.exports
            if reads or writes:
                opening = opened(Path(folder.path), reads=reads, writes=writes)
                folders[folder] = stack.enter_context(opening)
        notes = [text for found in folders.values() for text in found.notes]
        cache_from = [words for it in plan.imports if (words := _import(it, folders)) is not None]
        for folder in plan.loaded:
            loading = cache_images.loaded(
                docker.command, Path(folder.path), ask=docker.ask, notes=notes
            )
            if name := stack.enter_context(loading):
                cache_from.append(name)
        for text in notes:
            note(text)
        yield OpenCaches(
            cache_from=cache_from,
            cache_to=[w for it in plan.exports if (w := _export(it, folders)) is not None],
            plan=plan,
            docker=docker,
            note=note,
            folders=folders,
        )


def spelled(plan: CachePlan, *, reads: Callable[[Folder], bool]) -> tuple[list[str], list[str]]:
    """Give the words for --cache-from and --cache-to with the folders' own names.

    `reads` tells whether there is anything in a folder.
    """
    imports = [
        folder_words(it.path, writing=False) if isinstance(it, Folder) else it
        for it in plan.imports
        if not isinstance(it, Folder) or reads(it)
    ]
    exports = [
        folder_words(it.path, writing=True) if isinstance(it, Folder) else it for it in plan.exports
    ]
    return imports, exports


def has_layout(folder: Folder) -> bool:
    """Tell whether a folder has what BuildKit would read."""
    return exists(Path(folder.path) / INDEX)


def commands_before(plan: CachePlan, docker: Sequence[str]) -> list[list[str]]:
    """Give the commands that run before the build."""
    return [
        cache_images.load_command(docker, Path(it.path))
        for it in plan.loaded
        if cache_images.is_in(Path(it.path))
    ]


def commands_after(plan: CachePlan, docker: Sequence[str]) -> list[list[str]]:
    """Give the commands that follow a successful build."""
    commands = [
        command
        for reference in plan.pushed
        for command in cache_images.push_commands(docker, plan.image, reference)
    ]
    for folder in plan.saved:
        file = Path(folder.path) / IMAGE
        commands += cache_images.save_commands(docker, plan.image, file, cache_images.SOME_NAME)
    return commands


def _not_written(export: str | Folder) -> str | None:
    """Say that BuildKit has not written to a registry; a folder of ours tells by itself."""
    options = {} if isinstance(export, Folder) else _options(export)
    if options.get("type") != "registry":
        return None
    return f"The cache was not written to {options['ref']}; the image is as it should be."


def _options(words: str) -> dict[str, str]:
    pairs = (field.partition("=") for field in go_csv.fields_of(words))
    return {name: value for name, _, value in pairs}


def _import(it: str | Folder, folders: Mapping[Folder, OpenFolder]) -> str | None:
    if not isinstance(it, Folder):
        return it
    source = folders[it].source
    return None if source is None else folder_words(str(source), writing=False)


def _export(it: str | Folder, folders: Mapping[Folder, OpenFolder]) -> str | None:
    if not isinstance(it, Folder):
        return it
    target = folders[it].target
    return None if target is None else folder_words(str(target), writing=True)
