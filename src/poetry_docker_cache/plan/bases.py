"""What the stages stand on, and what each of these images is known for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import (
    full_image,
    has_shell,
    is_alpine,
    libc,
    may_have_user,
    package_manager,
    python_in,
    with_shell,
)
from poetry_docker_cache.docker.image_names import has_digest
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.model import Traits
from poetry_docker_cache.plan.system_packages import alpine_packages, debian_packages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from poetry_docker_cache.plan.python_version import Python
    from poetry_docker_cache.settings.table import Settings

# The shell form of RUN, as far as its first line tells: no list, and not only options.
_SHELL_FORM = re.compile(r"\s*RUN\s+(--\S+\s+)*[^-\[\\\s]", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Bases:
    """The images of the stages."""

    final: str
    build: str
    """Where things are compiled."""
    has_shell: bool
    """Whether commands can run on the final one."""

    @property
    def stages(self) -> str:
        """Where all that is not compiled is made: the final one, if it can be."""
        return self.final if self.has_shell else self.build

    @property
    def traits(self) -> dict[str, Traits]:
        """What the Dockerfile has to know of each."""
        return {
            image: Traits(apk=package_manager(image) == "apk", may_have_user=may_have_user(image))
            for image in (self.final, self.build)
        }


def final_image(settings: Settings, python: Python) -> str:
    """The base of the final image.

    Raises DockerCacheError where its name has another Python than the image is to have.
    """
    image = settings.base_image.replace("{python}", python.tag)
    if python_in(image) not in {None, python.short}:
        raise DockerCacheError(
            f"`base-image` {image} has Python {python_in(image)}, but the packages would be"
            f" installed for {python.short} ({python.reason}).",
            fix="Write `{python}` in place of the version in `base-image`, or set `python` to it.",
        )
    return image


def build_image(settings: Settings, python: Python, base: str) -> str:
    """The image for what must be built from source: the full one of the base's suite.

    A digest of a slim image is none of its full one, which is then taken by its tag. A base that is
    not an official Python image has no full one that its name tells, and Alpine has none: it serves
    itself. Raises DockerCacheError for a `build-image` that cannot fit the base.
    """
    if settings.build_image is None:
        return full_image(base)
    image = settings.build_image.replace("{python}", python.tag)
    for what, of in (("Python", python_in), ("C library", libc)):
        ours, theirs = of(base), of(image)
        if ours and theirs and ours != theirs:
            raise DockerCacheError(
                f"`build-image` {image} has another {what} ({theirs}) than the final image {base}"
                f" ({ours}): what is built on the one does not run on the other.",
                fix="Set `build-image` in [tool.poetry-docker-cache] to one that fits, or drop it.",
            )
    return image


def choose_bases(settings: Settings, python: Python) -> Bases:
    """The images, as the settings have them.

    Raises DockerCacheError for images that do not fit together, and for what a final image without
    a shell cannot do.
    """
    final = final_image(settings, python)
    shell = has_shell(final) if settings.shell is None else settings.shell
    build = build_image(settings, python, final)
    if not shell:
        _refuse_without_shell(settings, final, build)
    return Bases(final=final, build=build, has_shell=shell)


def _refuse_without_shell(settings: Settings, image: str, build: str) -> None:
    nothing_runs = f"`base-image` {image} has no shell"
    pair = with_shell(build)
    example = f', for example `build-image = "{pair}"`' if pair else ""
    fix = (
        "Set `build-image` in [tool.poetry-docker-cache] to an image with a shell and pip"
        f" that has the same Python at the same path and the same C library{example}."
    )
    if settings.build_image is None:
        raise DockerCacheError(
            f"{nothing_runs}, so the packages have to be installed on another image, and its name"
            " does not tell which one fits.",
            fix=f"{fix} If there is a shell: `shell = true`.",
        )
    if build == image or not has_shell(build):
        raise DockerCacheError(
            f"{nothing_runs}, and neither has `build-image` {build}, on which the packages would be"
            " installed.",
            fix=f"{fix} If there is a shell, a tag that ends with `-dev` says so.",
        )
    if settings.runtime_packages:
        raise DockerCacheError(
            f"{nothing_runs}, so `runtime-packages` cannot be installed on it.",
            fix="Use a `base-image` that has them, or copy what they hold by lines in"
            ' `instructions.runtime`: "COPY --from=IMAGE /usr/lib/… /usr/lib/".',
        )
    for line in settings.instructions.runtime:
        if _SHELL_FORM.match(line):
            raise DockerCacheError(
                f"{nothing_runs}, so this line of `instructions.runtime` cannot run on it: {line}",
                fix='Write it as a list, RUN ["program", "argument"], if its program is there; or'
                " COPY --from=IMAGE what it makes.",
            )


def usual_packages(
    built: Iterable[str], wheels: Iterable[str], bases: Bases
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The packages of the system to build these with, and those to run them with.

    `built` are the normalised names of what is built from source, `wheels` those of the others.
    Nothing can be added to an image without a shell.
    """
    if is_alpine(bases.stages):
        build, run = alpine_packages(built, wheels)
    else:
        build, run = debian_packages(built, wheels, bases.stages)
    return build, run if bases.has_shell else ()


def merged(named: Sequence[str], usual: Sequence[str]) -> tuple[str, ...]:
    """The packages of the system that were named, then the usual ones that were not."""
    known = {re.split("[:=~]", package)[0] for package in named}
    return (*named, *(package for package in usual if package not in known))


def packages_note(packages: tuple[str, ...], bases: Bases) -> list[str]:
    """What is told of those that were added to the final image."""
    system = "Alpine" if is_alpine(bases.final) else "Debian"
    added = f"{system} packages added, which the dependencies need: {', '.join(packages)}."
    return [added] if packages else []


def build_notes(settings: Settings, bases: Bases, *, compiles: bool) -> list[str]:
    """What is told of where things are compiled, or that nothing is.

    An image that is less fixed than the final one, and packages of the system for nothing.
    """
    if not compiles:
        unused = "`build-packages` is not used: nothing is built from source."
        return [unused] if settings.build_packages else []
    if settings.build_image is not None or not has_digest(bases.final) or has_digest(bases.build):
        return []
    floats = f"`base-image` has a digest, {bases.build} has none: what is compiled there may change"
    return [f"{floats} with it, unless `build-image` has a digest, too."]
