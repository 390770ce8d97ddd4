"""Which of a project's images a command is for, and which of its groups and extras."""

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
    """Give the images of these names, all without a name; "" is the only one of a project.

    Raises DockerCacheError for an unknown name.
    """
    known = [name for name in images if name]
    for name in names:
        if is_folder(name):
            raise no_context(name)
        if set(name) & set("/:"):
            raise DockerCacheError(
                f"{name!r} is not a configured image: names of images have no `/` and no `:`.",
                fix=f"`-t {name}` calls an image so.",
            )
        if not known:
            raise DockerCacheError(
                f"There is no image {name!r}: the project has one image, which has no name.",
                fix="Leave the name out. Arguments for `docker buildx build` go behind `--`; one of"
                f" several images has a table, [tool.poetry-docker-cache.images.{name}].",
            )
        if name not in known:
            raise DockerCacheError(
                f"There is no image {name!r} in [tool.poetry-docker-cache.images].",
                fix=f"{did_you_mean(name, known)}The project's images: {', '.join(known)}.",
            )
    return [*dict.fromkeys(names)] or [*images]


def no_context(name: str) -> DockerCacheError:
    """The error for a path that was given as to `docker build`."""
    return DockerCacheError(
        f"Do not pass a build context, such as {name!r}: it is the project's folder, or one above"
        " it that holds its path dependencies, too.",
        fix="Leave it out. `poetry -C FOLDER` is for the project of another folder.",
    )


def selection_words(selection: SelectionOptions) -> tuple[str, ...]:
    """The options GROUPS as they were given, for another command that is to choose the same."""
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
