"""The base images of the stages, and what is known about each. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import (
    full_image,
    has_shell,
    libc,
    may_have_user,
    may_lack_platforms,
    package_manager,
    python_in,
    with_shell,
)
from poetry_docker_cache.docker.image_names import has_digest
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import Traits

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import Notes
    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.settings.table import Settings

# The first line of a RUN in shell form: its options are not followed by a list.
_SHELL_FORM = re.compile(r"\s*RUN\s+(--\S+\s+)*[^-\[\\\s]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Bases:
    """The base images of the stages, and the Python that all of them have."""

    python: Python
    final: str
    build: str
    """The image that packages are compiled on."""
    has_shell: bool
    """Whether the final image has a shell."""

    @property
    def stage_image(self) -> str:
        """The base of stages that compile nothing: the final image, unless it has no shell."""
        return self.final if self.has_shell else self.build

    @property
    def traits(self) -> dict[str, Traits]:
        """What is known about each image."""
        return {
            image: Traits(
                apk=package_manager(image) == "apk",
                may_have_user=may_have_user(image),
                may_lack_platforms=may_lack_platforms(image),
            )
            for image in (self.final, self.build)
        }


def final_image(settings: Settings, python: Python) -> str:
    """The base of the final image.

    Raises DockerCacheError if its name has another Python version than the plan.
    """
    image = settings.base_image.replace("{python}", python.tag)
    if python_in(image) not in {None, python.short}:
        raise DockerCacheError(
            f"`base-image` {image} has Python {python_in(image)}, but the packages would be"
            f" installed for {python.short} ({python.reason}).",
            fix="Write `{python}` instead of the version in `base-image`, or set `python` to that"
            " version.",
        )
    return image


def build_image(settings: Settings, python: Python, base: str) -> str:
    """The image that packages are compiled on: by default the full variant of a slim base.

    The digest of a slim image does not fit the full one, which is then used by its tag. If the base
    is Alpine or not an official Python image, the base itself is used. Raises DockerCacheError for
    a `build-image` that is not compatible with the base.
    """
    if settings.build_image is None:
        return full_image(base)
    image = settings.build_image.replace("{python}", python.tag)
    for what, known in (("Python", python_in), ("C library", libc)):
        ours, theirs = known(base), known(image)
        if ours and theirs and ours != theirs:
            raise DockerCacheError(
                f"`build-image` {image} has another {what} ({theirs}) than the final image {base}"
                f" ({ours}): packages that are built on one do not run on the other.",
                fix="Set `build-image` in [tool.poetry-docker-cache] to a matching image, or remove"
                " it.",
            )
    return image


def choose_bases(settings: Settings, python: Python) -> Bases:
    """The base images, by the settings.

    Raises DockerCacheError for images that are not compatible, and for settings that need a shell
    in a final image without one.
    """
    final = final_image(settings, python)
    shell = has_shell(final) if settings.shell is None else settings.shell
    build = build_image(settings, python, final)
    if not shell:
        _refuse_without_shell(settings, final, build)
    return Bases(python=python, final=final, build=build, has_shell=shell)


def _refuse_without_shell(settings: Settings, image: str, build: str) -> None:
    no_shell = f"`base-image` {image} has no shell"
    pair = with_shell(build)
    example = f', for example `build-image = "{pair}"`' if pair else ""
    fix = (
        "Set `build-image` in [tool.poetry-docker-cache] to an image with a shell and pip"
        f" that has the same Python at the same path and the same C library{example}."
    )
    if settings.build_image is None:
        raise DockerCacheError(
            f"{no_shell}, so the packages must be installed on another image, which cannot be"
            " derived from its name.",
            fix=f"{fix} If the base does have a shell, set `shell = true`.",
        )
    if build == image or not has_shell(build):
        raise DockerCacheError(
            f"{no_shell}, and neither does `build-image` {build}, on which the packages would be"
            " installed.",
            fix=f"{fix} A tag that ends with `-dev` is assumed to have a shell.",
        )
    if settings.runtime_packages:
        raise DockerCacheError(
            f"{no_shell}, so `runtime-packages` cannot be installed on it.",
            fix="Use a `base-image` that has them, or copy their files with lines in"
            ' `instructions.runtime`: "COPY --from=IMAGE /usr/lib/… /usr/lib/".',
        )
    for line in settings.instructions.runtime:
        if _SHELL_FORM.match(line):
            raise DockerCacheError(
                f"{no_shell}, so this line of `instructions.runtime` cannot run on it: {line}",
                fix='If the image has the program, write RUN ["program", "argument"]. Otherwise run'
                " it in another image and copy the result with COPY --from=IMAGE.",
            )


def build_notes(settings: Settings, bases: Bases, *, compiles: bool) -> Notes:
    """Notes on unused `build-packages`, and on a build image that is pinned less than the base."""
    if not compiles:
        unused = "`build-packages` is not used: nothing is built from source."
        return (unused,) if settings.build_packages else ()
    if settings.build_image is not None or not has_digest(bases.final) or has_digest(bases.build):
        return ()
    note = (
        f"`base-image` has a digest, but {bases.build} has none: packages that are compiled on it"
        " may change when this tag moves. To pin it, set `build-image` with a digest."
    )
    return (note,)
