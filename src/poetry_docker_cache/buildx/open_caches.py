"""The caches of a running build: what BuildKit reads and writes, and how it is published."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.cache_folders import INDEX, OpenFolder, opened
from poetry_docker_cache.buildx.cache_images import REPOSITORY, load_steps, loaded_name
from poetry_docker_cache.buildx.steps import Step
from poetry_docker_cache.caches.spec import Folder, folder_words
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.system.compat import exists

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.buildx.cache_plan import CachePlan
    from poetry_docker_cache.buildx.step_runner import StepRunner


@dataclass(frozen=True, kw_only=True)
class OpenCaches:
    """The open caches of one image."""

    plan: CachePlan
    folders: Mapping[Folder, OpenFolder]
    loaded: tuple[str, ...] = ()
    """The names of images that were loaded because they contain a cache."""

    @property
    def cache_from(self) -> list[str]:
        """The values for --cache-from."""
        found = [self._words(cache, writing=False) for cache in self.plan.imports]
        return [*filter(None, found), *self.loaded]

    @property
    def cache_to(self) -> list[str]:
        """The values for --cache-to."""
        found = [self._words(cache, writing=True) for cache in self.plan.exports]
        return [*filter(None, found)]

    def _words(self, cache: str | Folder, *, writing: bool) -> str | None:
        if not isinstance(cache, Folder):
            return cache
        folder = self.folders[cache]
        path = folder.target if writing else folder.source
        return None if path is None else folder_words(str(path), writing=writing)

    def publish(self, *, written: bool | None) -> list[str]:
        """Publish the folders after a successful build; return the notes about failures.

        `written` is whether BuildKit wrote its caches, None if unknown: failing to do so does not
        fail the build.
        """
        exports = self.plan.exports
        found = [_not_written(cache) for cache in exports if written is False]
        found += [self.folders[cache].publish() for cache in exports if isinstance(cache, Folder)]
        return [*filter(None, found)]


@contextlib.contextmanager
def open_caches(plan: CachePlan, docker: Sequence[str], runner: StepRunner) -> Iterator[OpenCaches]:
    """Open the caches of one image; remove private copies when the block ends."""
    with contextlib.ExitStack() as stack:
        folders: dict[Folder, OpenFolder] = {}
        for folder in plan.folders:
            reads, writes = folder in plan.imports, folder in plan.exports
            if reads or writes:
                opening = opened(Path(folder.path), reads=reads, writes=writes)
                folders[folder] = stack.enter_context(opening)
        notes = [note for folder in folders.values() for note in folder.notes]
        loaded = []
        for step in load_steps(plan, docker):
            answer = runner.captured(step)
            name = None if answer.status else loaded_name(answer.out)
            if name is None:
                notes.append(step.failure)
                continue
            stack.callback(runner.captured, Step(argv=(*docker, "image", "rm", name)))
            loaded.append(name)
        for note in notes:
            runner.note(note)
        yield OpenCaches(plan=plan, folders=folders, loaded=tuple(loaded))


def shown_caches(plan: CachePlan) -> OpenCaches:
    """Return the caches as `--dry-run` shows them: without private copies."""
    return OpenCaches(
        plan=plan,
        folders={
            folder: OpenFolder(
                path=Path(folder.path),
                source=Path(folder.path) if has_layout(folder) else None,
                target=Path(folder.path),
            )
            for folder in plan.folders
        },
        loaded=tuple(f"{REPOSITORY}:<name>" for _ in load_steps(plan, ())),
    )


def has_layout(folder: Folder) -> bool:
    """Return whether a folder has a cache for BuildKit to read."""
    return exists(Path(folder.path) / INDEX)


def _not_written(export: str | Folder) -> str | None:
    """Return the note about a registry that BuildKit did not write to; `publish` checks folders."""
    options = {} if isinstance(export, Folder) else _options(export)
    if options.get("type") != "registry":
        return None
    return f"The cache was not written to {options['ref']}; the image itself is complete."


def _options(words: str) -> dict[str, str]:
    pairs = (field.partition("=") for field in go_csv.fields_of(words))
    return {name: value for name, _, value in pairs}
