"""Caches on the classic image store: an image that is pushed, or saved to a file.

That store exports inline caches only, so the cache is in the image.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.cache_folders import IMAGE
from poetry_docker_cache.buildx.steps import Step
from poetry_docker_cache.system.compat import exists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.cache_plan import CachePlan
    from poetry_docker_cache.buildx.steps import Places

REPOSITORY = "localhost/poetry-docker-cache"
"""The name of saved images, which needs no registry."""
_LOADED = re.compile(rf"^Loaded image: ({REPOSITORY}:\S+)$", re.MULTILINE)
_DAY = 24 * 60 * 60


def load_steps(plan: CachePlan, docker: Sequence[str]) -> list[Step]:
    """Return the steps that load images from existing files."""
    files = [Path(folder.path, IMAGE) for folder in plan.loaded]
    return [
        Step(
            argv=(*docker, "load", "--input", str(file)),
            failure=f"{file} is not read: it is damaged. The build starts without it.",
        )
        for file in files
        if exists(file)
    ]


def loaded_name(output: str) -> str | None:
    """Find the image's name in the output of `docker load`; None if it is not ours."""
    found = _LOADED.search(output)
    return found[1] if found else None


def export_steps(plan: CachePlan, docker: Sequence[str], places: Places) -> list[Step]:
    """Return the steps that push the image under other names, and save it to files."""
    pushes = [step for reference in plan.pushed for step in _push(plan, docker, reference)]
    saves = [
        step for folder in plan.saved for step in _save(plan, docker, Path(folder.path), places)
    ]
    return [*pushes, *saves]


def _push(plan: CachePlan, docker: Sequence[str], reference: str) -> list[Step]:
    failure = f"The cache was not pushed to {reference}"
    commands = [(*docker, "tag", plan.image, reference), (*docker, "push", reference)]
    return [Step(argv=argv, output="stderr", failure=failure, chain=failure) for argv in commands]


def _save(plan: CachePlan, docker: Sequence[str], folder: Path, places: Places) -> list[Step]:
    failure = f"The cache folder {folder} was not written"
    token = places.token("name")
    name = f"{REPOSITORY}:{token}"
    draft = folder / (IMAGE if places.shown else f".{IMAGE}.{token}")
    return [
        Step(
            argv=(*docker, "tag", plan.image, name),
            output="stderr",
            failure=failure,
            chain=failure,
        ),
        Step(
            argv=(*docker, "save", "--output", str(draft), name),
            output="stderr",
            leaves=ImageFile(draft=draft, folder=folder),
            failure=failure,
            chain=failure,
        ),
        # With this name, the engine would keep the image forever.
        Step(argv=(*docker, "image", "rm", name), chain=failure, always=True),
    ]


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A saved image, which replaces the one in its folder."""

    draft: Path
    folder: Path

    def prepare(self) -> None:
        """Make the folder, and remove drafts of killed builds. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(f".{IMAGE}.*"):
            with contextlib.suppress(OSError):  # another build may have just moved it
                if time.time() - leftover.stat().st_mtime > _DAY:
                    leftover.unlink()

    def explain(self, error: str) -> str:
        """Return the error unchanged."""
        return error

    def take(self) -> str:
        """Move the file into place. Raises OSError."""
        self.draft.replace(self.folder / IMAGE)
        return ""

    def discard(self) -> None:
        """Remove the draft if it still exists."""
        with contextlib.suppress(OSError):
            self.draft.unlink(missing_ok=True)
