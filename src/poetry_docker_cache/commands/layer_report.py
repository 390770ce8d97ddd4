"""Implements `poetry docker layers`: find sizes, show layers, propose a better split.

Images that share layers are evaluated together: a package that several images have is in the same
layer of each, and a setting has to be better for all of them.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.commands.image_choice import chosen, selection_words
from poetry_docker_cache.commands.image_packages import packages_of
from poetry_docker_cache.commands.planned_image import PlannedImage, plan_images
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.pyproject_edit import table_of, write_settings
from poetry_docker_cache.project.reader import settings_table
from poetry_docker_cache.sizes.built_layers import as_data as built_data
from poetry_docker_cache.sizes.built_layers import built_layers, rows
from poetry_docker_cache.sizes.environment_sizes import environment_sizes
from poetry_docker_cache.sizes.image_sizes import image_sizes
from poetry_docker_cache.sizes.index_sizes import index_sizes
from poetry_docker_cache.sizes.layer_table import as_ascii, as_data, table, values
from poetry_docker_cache.sizes.package_sizes import ORIGINS, LockedPackage, settle, unit_of
from poetry_docker_cache.sizes.proposal import Outcome, Setting, outcome, propose
from poetry_docker_cache.text import listing, megabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.options import LayersOptions
    from poetry_docker_cache.sizes.built_layers import BuiltLayer
    from poetry_docker_cache.sizes.package_sizes import Origin, SizedPackage, Sizes, Unit

_SETTINGS = ("layers", "own-layers")


@dataclass(frozen=True, kw_only=True)
class _Table:
    """The table of a single image, or of images that share layers."""

    images: tuple[str, ...]
    """The names of the shown images."""
    places: tuple[str, ...]
    """The images whose settings split these layers; "" stands for the common settings."""
    packages: tuple[SizedPackage, ...]
    unit: Unit
    now: Outcome
    better: Outcome | None
    built: tuple[BuiltLayer, ...]
    """The other layers of the shown images, which cannot be split."""

    @classmethod
    def of(
        cls,
        shown: Sequence[PlannedImage],
        sharing: Sequence[PlannedImage],
        found: dict[Origin, Sizes],
        places: tuple[str, ...],
    ) -> _Table:
        """Evaluate the split and a better one for all sharing images; keep what is shown."""
        settings = sharing[0].settings
        locked = [package for image in sharing for package in packages_of(image)]
        visible = {
            (package.name, package.family) for image in shown for package in packages_of(image)
        }
        every = settle(locked, found)
        packages = tuple(package for package in every if (package.name, package.family) in visible)
        setting = Setting(layers=settings.layers, own=settings.own_layers)
        better = propose(every, outcome(every, setting))
        return cls(
            images=tuple(image.image for image in shown),
            places=places,
            packages=packages,
            unit=unit_of(found),
            now=outcome(packages, setting),
            better=better and outcome(packages, better.setting),
            built=built_layers(image.plan for image in shown),
        )


def report_layers(options: LayersOptions, poetry: Poetry, console: Console) -> int:
    """Show the layers and a better split; write it if asked to. Raises DockerCacheError."""
    origin = _chosen_origin(options)
    images = plan_images(poetry, (), options.selection)
    names = chosen(options.images, [image.image for image in images])
    if options.built_image is not None and len(names) > 1:
        raise DockerCacheError(
            f"--image is one image, but several are shown: {', '.join(names)}.",
            fix=f"Name the image to show: `poetry docker layers {names[0]} --image …`.",
        )
    asked = {image.image for image in images if image.image in names and image.packages}
    groups = [group for group in _sharing(images) if any(image.image in asked for image in group)]
    if not groups:
        raise DockerCacheError(
            "The image has no packages to split into layers.",
            fix="Choose other groups with `--with` or `--only`.",
        )
    shown = [image for group in groups for image in group]
    found = _find_sizes(shown, origin, options.built_image, console)
    tables = [
        _Table.of(
            [image for image in group if image.image in asked],
            group,
            found,
            _places(group, images),
        )
        for group in groups
    ]
    _show(tables, console, as_json=options.json)
    _note_guesses(tables, console)
    _conclude(options, images[0], tables, console)
    return 0


def _sharing(images: Sequence[PlannedImage]) -> list[list[PlannedImage]]:
    """Group the images whose common packages are in the same layers."""
    groups: dict[object, list[PlannedImage]] = {}
    for image in images:
        settings, dependencies = image.settings, image.plan.dependencies
        base = (image.plan.stage_image, image.plan.runtime.python)
        wheels = (dependencies.libc, dependencies.machines)
        build = (dependencies.compile, dependencies.instructions)
        split = (settings.layers, frozenset(settings.own_layers))
        # The dependencies in an older lock can only be resolved for each image separately.
        alone = (dependencies.groups, dependencies.extras) if dependencies.older_lock else ()
        groups.setdefault((base, wheels, build, split, alone), []).append(image)
    return [*groups.values()]


def _places(group: Sequence[PlannedImage], images: Sequence[PlannedImage]) -> tuple[str, ...]:
    """Return the images whose settings split the layers of a group; "" is the common settings.

    The common settings apply to images without their own. If images outside the group use them,
    too, each image of the group gets its own.
    """
    table = settings_table(images[0].poetry).get("images", {})
    names = [image.image for image in group]
    has = {
        image.image: [key in table.get(image.image, {}) for key in _SETTINGS] for image in images
    }
    common = {name for name, own in has.items() if not all(own)}
    shared = common <= {*names}
    places = (name if any(has[name]) or not shared else "" for name in names)
    return tuple(dict.fromkeys(places))


def _show(tables: Sequence[_Table], console: Console, *, as_json: bool) -> None:
    """Print the tables, with the names of the images if the project has several."""
    named = bool(tables[0].images[0])
    if as_json:
        found: list[dict[str, Any]] = []
        for shown in tables:
            names = {"images": [*shown.images]} if named else {}
            data = as_data(shown.packages, shown.unit, shown.now, shown.better)
            found.append({**names, **data, "built": built_data(shown.built)})
        console.raw(f"{json.dumps(found if named else found[0], indent=2)}\n")
        return
    width = shutil.get_terminal_size().columns  # COLUMNS, else that of stdout, else 80
    for number, shown in enumerate(tables):
        lines = table(shown.packages, shown.unit, shown.now, shown.better, width=width)
        lines += rows(shown.built, width=width)
        above = [""] * bool(number) + [f" {', '.join(shown.images)}"] * named
        for line in (*above, *lines):
            console.raw(f"{line if _has_bars(console.encoding) else as_ascii(line)}\n")


def _has_bars(encoding: str) -> bool:
    """Return whether stdout can show the characters of the bars."""
    try:
        "█≈…".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _note_guesses(tables: Sequence[_Table], console: Console) -> None:
    packages = [package for shown in tables for package in shown.packages]
    unknown = [
        f"The size of {package.name} {package.version} is unknown: assuming"
        f" {megabytes(package.size)}, the median of its kind."
        for package in packages
        if package.origin is None
    ]
    for note in dict.fromkeys(unknown):
        console.note(note)
    if converted := dict.fromkeys(package.name for package in packages if not package.exact):
        console.note(
            f"{listing([*converted])}: the size (≈) is estimated from the download, because the"
            " locked version is not installed."
        )


def _conclude(
    options: LayersOptions, image: PlannedImage, tables: Sequence[_Table], console: Console
) -> None:
    """Write the better setting, or print how to write it."""
    for shown in tables:
        if shown.better is None:
            whose = f"{', '.join(shown.images)}: " if len(tables) > 1 else ""
            console.note(f"{whose}No better split found: nothing to change.")
    better = {
        place: values(shown.better.setting)
        for shown in tables
        if shown.better
        for place in shown.places
    }
    if not better:
        return
    where = "pyproject.toml"
    if better.keys() != {""}:
        where = f"{listing([table_of(place) for place in better])} of {where}"
    if not options.write:
        console.note(f"Run `{_again(options)} --write` to write the better setting into {where}.")
    elif write_settings(image.folder / "pyproject.toml", better):
        console.note(
            f"Wrote `layers` and `own-layers` into {where}. poetry.lock stays up to date; if you"
            " exported a Dockerfile, run `poetry docker export` again."
        )


def _again(options: LayersOptions) -> str:
    """Return the command line without its output options."""
    given = {"from": options.origin, "image": options.built_image}
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    chosen = [*options.images, *selection_words(options.selection)]
    return shlex.join(["poetry", "docker", "layers", *chosen, *words])


def _chosen_origin(options: LayersOptions) -> Origin | None:
    """Return the origin of sizes that the user chose, if any.

    Raises DockerCacheError for an unknown origin or contradicting options.
    """
    image = options.built_image
    given = options.origin or ("image" if image is not None else None)
    if image is not None and given != "image":
        raise DockerCacheError(
            f"--image cannot be combined with --from {given}.", fix="Leave one of them out."
        )
    origin = next((known for known in ORIGINS if known == given), None)
    if given is not None and origin is None:
        raise DockerCacheError(
            f"--from {given!r} is unknown.",
            fix=f"Use one of {', '.join(ORIGINS)}.",
        )
    return origin


def _find_sizes(
    images: Sequence[PlannedImage],
    chosen: Origin | None,
    built_image: str | None,
    console: Console,
) -> dict[Origin, Sizes]:
    """Return package sizes by origin. Each origin is asked only for sizes still missing.

    Raises DockerCacheError if the chosen origin fails, or all of them do.
    """
    listed = [package for image in images for package in packages_of(image)]
    locked = {package.key: package for package in listed}.values()
    found: dict[Origin, Sizes] = {}
    failures: dict[Origin, DockerCacheError] = {}
    for origin in (chosen,) if chosen else ORIGINS:
        known = {key for sizes in found.values() for key in sizes}
        missing = [package for package in locked if package.key not in known]
        if not missing or (origin == "image" and not chosen and not shutil.which("docker")):
            continue
        try:
            found[origin] = _ask(origin, images, missing, built_image)
        except DockerCacheError as error:
            failures[origin] = error
    if not any(found.values()):
        raise failures.get(chosen or "index") or _nothing_known(chosen)
    if "index" in failures:  # a missing environment or image is nothing unusual
        console.note(failures["index"].problem)
    return found


def _ask(
    origin: Origin,
    images: Sequence[PlannedImage],
    packages: Sequence[LockedPackage],
    built_image: str | None,
) -> Sizes:
    if origin == "environment":
        return environment_sizes(images[0].poetry, packages)
    if origin == "index":
        return index_sizes(images[0].poetry, packages)
    if built_image is not None:
        return image_sizes(built_image, packages)
    answers = [_built_sizes(image, packages) for image in images]
    failures = [answer for answer in answers if isinstance(answer, DockerCacheError)]
    if len(failures) == len(answers):
        raise failures[0]
    known = (answer.items() for answer in answers if not isinstance(answer, DockerCacheError))
    return {key: size for sizes in known for key, size in sizes}


def _built_sizes(
    image: PlannedImage, packages: Sequence[LockedPackage]
) -> Sizes | DockerCacheError:
    """Return the sizes in the built image, or the error if there is no such image."""
    try:
        return image_sizes(image.default_tag, packages)
    except DockerCacheError as error:
        return error


def _nothing_known(chosen: Origin | None) -> DockerCacheError:
    where = f" in the {chosen}" if chosen else ""
    return DockerCacheError(
        f"The sizes of the locked packages are unknown{where}.",
        fix="Run `poetry install` or `poetry docker build`, or use `--from index`.",
    )
