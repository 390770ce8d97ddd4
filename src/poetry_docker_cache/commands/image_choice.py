"""Choose images by name, and spell the options that choose groups and extras."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import is_folder
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.ci_files import selection_options
from poetry_docker_cache.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry_docker_cache.project.selection import SelectionOptions


def chosen(names: Sequence[str], images: Collection[str]) -> list[str]:
    """Return the images with these names, or all. The only image of a project is named "".

    Raises DockerCacheError for an unknown name.
    """
    known = [name for name in images if name]
    for name in names:
        if is_folder(name):
            raise no_context(name)
        if set(name) & set("/:"):
            raise DockerCacheError(
                f"{name!r} is not a configured image: its name cannot contain `/` or `:`.",
                fix=f"Pass `-t {name}` to tag the image.",
            )
        if not known:
            raise DockerCacheError(
                f"There is no image {name!r}: the project has a single image, without a name.",
                fix="Leave the name out. For several images, add a table"
                f" [tool.poetry-docker-cache.images.{name}].",
            )
        if name not in known:
            raise DockerCacheError(
                f"There is no image {name!r} in [tool.poetry-docker-cache.images].",
                fix=f"{did_you_mean(name, known)}The project's images: {', '.join(known)}.",
            )
    return [*dict.fromkeys(names)] or [*images]


def no_context(name: str) -> DockerCacheError:
    """Return the error for a build context, which `docker build` would need."""
    return DockerCacheError(
        f"Do not pass a build context, such as {name!r}: it is always the project's folder, or a"
        " parent folder that contains its path dependencies.",
        fix="Leave it out. Use `poetry -C FOLDER` for a project in another folder.",
    )


def selection_words(selection: SelectionOptions) -> tuple[str, ...]:
    """Spell the given options for groups and extras, for use in another command."""
    return selection_options(
        {
            "with": selection.with_groups,
            "without": selection.without_groups,
            "only": selection.only_groups,
            "extras": selection.extras,
            "all-groups": selection.all_groups,
            "all-extras": selection.all_extras,
        }
    )
