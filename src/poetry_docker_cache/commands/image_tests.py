"""Implements `poetry docker test`, and the tests before `poetry docker build --test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.commands.image_build import build_images
from poetry_docker_cache.commands.image_choice import chosen
from poetry_docker_cache.commands.variant_build import options_of_tests
from poetry_docker_cache.project.reader import settings_table
from poetry_docker_cache.settings.image_tables import parse_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from poetry.poetry import Poetry

    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.options import BuildOptions


def run_tests(
    options: BuildOptions, poetry: Poetry, probe: Callable[[], EngineInfo], console: ProgressConsole
) -> int:
    """Run the tests in each image, one after the other; return the status of a failed build.

    Raises BuildError, with their exit status, for tests that fail.
    """
    names = chosen(options.images, parse_images(settings_table(poetry)) or [""])
    for name in names:
        own = options_of_tests(options, name, among=len(names) > 1)
        if status := build_images(own, poetry, probe, console):
            return status
    return 0
