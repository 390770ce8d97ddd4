"""Implements `poetry docker verify`: open the image, compare it with the plan, and print."""

from __future__ import annotations

import posixpath
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.check_output import print_checks
from poetry_docker_cache.commands.patience import saying
from poetry_docker_cache.commands.planned_image import plan_images
from poetry_docker_cache.docker.image_names import is_reference, repository_of
from poetry_docker_cache.doctor.checks import CONTENT, ordered
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images.open_image import open_image
from poetry_docker_cache.verify.whole_image import check_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.options import VerifyOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.images.stored_image import StoredImage

_TITLE = "org.opencontainers.image.title"


def report_content(options: VerifyOptions, poetry: Poetry, console: ProgressConsole) -> int:
    """Check an image and print the result; return 1 if anything is wrong."""
    names = (options.wanted,) if options.wanted else ()
    planned = plan_images(poetry, names, options.selection)
    with (
        saying(console, f"Reading the layers of {options.image}"),
        open_image(options.image, platform=options.platform) as image,
    ):
        wanted = _matching(image, planned)
        checks = check_image(
            image,
            wanted.plan,
            wanted.packages,
            name=poetry.package.name,
            version=wanted.git_version or wanted.version,
            from_git=wanted.plan.version is not None,
            now=datetime.now(tz=timezone.utc),
        )
        found = ordered(checks, CONTENT)
    return print_checks(found, CONTENT, console, as_json=options.json)


def _matching(image: StoredImage, planned: Sequence[PlannedImage]) -> PlannedImage:
    """Return the project's image that this one should be: by its name, else by its title.

    Raises DockerCacheError if that is unknown.
    """
    repository, title = _last_part(image.name), image.labels.get(_TITLE, "")
    titles = {each.plan.runtime.labels.get(_TITLE, title) for each in planned}
    if title and title not in titles:
        own = " or ".join(sorted(titles))
        raise DockerCacheError(
            f"The image {image.name} is {title}, not {own} of this project.",
            fix="Check the name and the project's folder (`poetry -C FOLDER`).",
        )
    for fitting in (
        [each for each in planned if _last_part(each.default_tag) == repository],
        [each for each in planned if each.plan.runtime.labels.get(_TITLE) == title],
        planned,
    ):
        if len(fitting) == 1:
            return fitting[0]
    raise DockerCacheError(
        f"The project has several images, and {image.name} may be any of them.",
        fix=f"Name one, such as `--as {planned[0].image}`. The project's images:"
        f" {', '.join(each.image for each in planned)}.",
    )


def _last_part(name: str) -> str:
    """Return the end of a repository, which is the same in each registry."""
    return posixpath.basename(repository_of(name)) if is_reference(name) else ""
