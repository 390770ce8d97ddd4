"""The work of `poetry docker layers`: finding sizes, showing layers, proposing a better split.

Images that share their layers are looked at together: a package that several have is in one layer
of all of them, and a better setting is better for all.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from poetry_docker_cache.commands.image_choice import chosen, selection_words
from poetry_docker_cache.commands.planned_image import Prepared, prepare_images
from poetry_docker_cache.docker.image_names import default_tag
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.families import families
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, kind
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import allowed, usable_files
from poetry_docker_cache.project.pyproject_edit import table_of, write_settings
from poetry_docker_cache.project.reader import settings_table
from poetry_docker_cache.sizes.environment_sizes import environment_sizes
from poetry_docker_cache.sizes.image_sizes import image_sizes
from poetry_docker_cache.sizes.index_sizes import index_sizes
from poetry_docker_cache.sizes.layer_table import as_ascii, as_data, table, values
from poetry_docker_cache.sizes.package_sizes import ORIGINS, LockedPackage, settle, unit_of
from poetry_docker_cache.sizes.proposal import Outcome, Setting, outcome, propose
from poetry_docker_cache.text import listing, megabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.layers import LayersCommand
    from poetry_docker_cache.commands.planned_image import Prepared
    from poetry_docker_cache.sizes.package_sizes import Origin, SizedPackage, Sizes, Unit

_SETTINGS = ("layers", "own-layers")


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What is shown of images that share their layers, or of the only one."""

    images: tuple[str, ...]
    """The names of those that are shown."""
    places: tuple[str, ...]
    """Whose settings are theirs, and those of the images that they share with; "" is the common
    part of the settings."""
    packages: tuple[SizedPackage, ...]
    unit: Unit
    now: Outcome
    better: Outcome | None

    @classmethod
    def of(
        cls,
        shown: Sequence[Prepared],
        sharing: Sequence[Prepared],
        found: dict[Origin, Sizes],
        places: tuple[str, ...],
    ) -> _Table:
        """What is there and what would be better for all that share, as it is for those shown."""
        settings = sharing[0].settings
        locked = [package for it in sharing for package in packages_of(it)]
        visible = {(it.name, it.family) for image in shown for it in packages_of(image)}
        every = settle(locked, found)
        packages = tuple(it for it in every if (it.name, it.family) in visible)
        setting = Setting(layers=settings.layers, own=settings.own_layers)
        better = propose(every, outcome(every, setting))
        return cls(
            images=tuple(it.image for it in shown),
            places=places,
            packages=packages,
            unit=unit_of(found),
            now=outcome(packages, setting),
            better=better and outcome(packages, better.setting),
        )


def layers(command: LayersCommand) -> int:
    """Show the layers and a better split; write it if asked to. Raises DockerCacheError."""
    origin, image = asked_origin(command)
    images = prepare_images(command, (), notes=False)
    names = chosen(command.argument("images") or (), [it.image for it in images])
    if image is not None and len(names) > 1:
        raise DockerCacheError(
            f"--image is one image, and these are to be shown: {', '.join(names)}.",
            fix=f"Name the one that it was built as: `poetry docker layers {names[0]} --image …`.",
        )
    asked = {it.image for it in images if it.image in names and it.packages}
    groups = [group for group in _sharing(images) if any(it.image in asked for it in group)]
    if not groups:
        raise DockerCacheError(
            "The image holds no packages: there is nothing to split.",
            fix="Choose other groups, if it should: `--with`, `--only`.",
        )
    found = find_sizes(command, [it for group in groups for it in group], origin, image)
    tables = [
        _Table.of([it for it in group if it.image in asked], group, found, _places(group, images))
        for group in groups
    ]
    _show(command, tables)
    _tell_guesses(command, tables)
    _conclude(command, images[0], tables)
    return 0


def _sharing(images: Sequence[Prepared]) -> list[list[Prepared]]:
    """Put together the images whose common packages are in the same layers."""
    groups: dict[object, list[Prepared]] = {}
    for it in images:
        settings, how = it.settings, it.plan.dependencies
        stands_on = (it.plan.stage_image, it.plan.runtime.python, how.libc, how.machines)
        made_by = (how.compile, how.instructions)
        split_by = (settings.layers, frozenset(settings.own_layers))
        # A lock that has to be followed as a whole is split for each image by itself.
        alone = (how.groups, how.extras) if how.older_lock else ()
        groups.setdefault((stands_on, made_by, split_by, alone), []).append(it)
    return [*groups.values()]


def _places(group: Sequence[Prepared], images: Sequence[Prepared]) -> tuple[str, ...]:
    """Tell whose settings say how these images are split.

    The common ones are those of all images that have none of their own: where others than these
    have any of them, too, but share no layers, each of these gets its own.
    """
    table = settings_table(images[0].poetry).get("images", {})
    has = {it.image: [key in table.get(it.image, {}) for key in _SETTINGS] for it in images}
    common = {image for image, own in has.items() if not all(own)}
    shared = common <= {it.image for it in group}
    places = (it.image if any(has[it.image]) or not shared else "" for it in group)
    return tuple(dict.fromkeys(places))


def _show(command: LayersCommand, tables: Sequence[_Table]) -> None:
    """Print the tables: of several images each with their names."""
    named = bool(tables[0].images[0])
    if command.option("json"):
        found: list[dict[str, Any]] = []
        for it in tables:
            names = {"images": [*it.images]} if named else {}
            found.append({**names, **as_data(it.packages, it.unit, it.now, it.better)})
        command.raw_line(json.dumps(found if named else found[0], indent=2))
        return
    for number, it in enumerate(tables):
        lines = table(it.packages, it.unit, it.now, it.better)
        above = [""] * bool(number) + [f" {', '.join(it.images)}"] * named
        for line in (*above, *lines):
            command.raw_line(line if _has_bars(command) else as_ascii(line))


def _has_bars(command: LayersCommand) -> bool:
    """Whether stdout can show more than ASCII."""
    encoding = getattr(getattr(command.io.output, "stream", None), "encoding", None) or "utf-8"
    try:
        "█≈…".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _tell_guesses(command: LayersCommand, tables: Sequence[_Table]) -> None:
    packages = [package for it in tables for package in it.packages]
    unknown = [
        f"Nobody knows the size of {package.name} {package.version}: it counts as"
        f" {megabytes(package.size)}, the median of its kind."
        for package in packages
        if package.origin is None
    ]
    for note in dict.fromkeys(unknown):
        command.note(note)
    if converted := dict.fromkeys(package.name for package in packages if not package.exact):
        command.note(
            f"{listing([*converted])}: the size (≈) is estimated from that of the download, as it"
            " is not installed in its locked version."
        )


def _conclude(command: LayersCommand, prepared: Prepared, tables: Sequence[_Table]) -> None:
    """Write, or say what could be written."""
    for it in tables:
        if it.better is None:
            whose = f"{', '.join(it.images)}: " if len(tables) > 1 else ""
            command.note(
                f"{whose}The present setting is as good as any that was tried: nothing to change."
            )
    better = {place: values(it.better.setting) for it in tables if it.better for place in it.places}
    if not better:
        return
    where = "pyproject.toml"
    if better.keys() != {""}:
        where = f"{listing([table_of(place) for place in better])} of {where}"
    if not command.option("write"):
        command.note(f"`{_again(command)} --write` puts the better setting into {where}.")
    elif write_settings(prepared.folder / "pyproject.toml", better):
        command.note(
            f"Wrote `layers` and `own-layers` into {where}. The lock stays fresh; an exported"
            " Dockerfile does not: `poetry docker export`."
        )


def _again(command: LayersCommand) -> str:
    """The command that was given, without what it prints."""
    given = {name: command.option(name) for name in ("from", "image")}
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    names = command.argument("images") or ()
    return shlex.join(["poetry", "docker", "layers", *names, *selection_words(command), *options])


def packages_of(prepared: Prepared) -> list[LockedPackage]:
    """The packages of the image as the lock has them, each with the files that may be installed."""
    how = prepared.plan.dependencies
    python = prepared.plan.runtime.python
    target = Target.linux(python=python, libc=how.libc, machines=how.machines)
    family_of = _families(prepared, target)
    packages = []
    for package in prepared.packages:
        wheels, sdists = allowed(package["name"], how.no_binary, how.only_binary)
        found = kind(package, target, no_binary=how.no_binary, only_binary=how.only_binary)
        # An index may have files of these names, too, but they are others.
        locked = () if found == DIRECT else package.get("files", ())
        files = usable_files(locked, target, wheels=wheels, sdists=sdists)
        packages.append(
            LockedPackage(
                name=str(canonicalize_name(package["name"])),
                version=package["version"],
                kind=found,
                files=tuple(file["file"] for file in files),
                source=None if found == DIRECT else package.get("source", {}).get("reference"),
                family=family_of.get(id(package), ""),
            )
        )
    return packages


def _families(prepared: Prepared, target: Target) -> dict[int, str]:
    """Which of several images have a package, too, by its identity."""
    images = prepared.plan.dependencies.images
    lock = {"package": prepared.packages}
    found = families(lock, images, target.environment) if images else {}
    return {id(package): family for family, inside in found.items() for package in inside}


def asked_origin(command: LayersCommand) -> tuple[Origin | None, str | None]:
    """Where the sizes are to come from, if that was said, and the image that was named.

    Raises DockerCacheError for what is none, or contradicts itself.
    """
    image: str | None = command.option("image")
    given: str | None = command.option("from") or ("image" if image is not None else None)
    if image is not None and given != "image":
        raise DockerCacheError(
            f"--image names an image, but --from says {given}.", fix="Leave one of them out."
        )
    origin = next((it for it in ORIGINS if it == given), None)
    if given is not None and origin is None:
        raise DockerCacheError(
            f"--from {given!r} is nowhere that sizes come from.",
            fix=f"Use one of {', '.join(ORIGINS)}.",
        )
    return origin, image


def find_sizes(
    command: LayersCommand,
    images: Sequence[Prepared],
    chosen: Origin | None,
    image: str | None,
) -> dict[Origin, Sizes]:
    """The sizes of all packages by origin: each is asked only for what those before it lack.

    Raises DockerCacheError where the one that was chosen fails, or all of them do.
    """
    listed = [package for it in images for package in packages_of(it)]
    locked = {package.key: package for package in listed}.values()
    found: dict[Origin, Sizes] = {}
    failures: dict[Origin, DockerCacheError] = {}
    for origin in (chosen,) if chosen else ORIGINS:
        known = {key for sizes in found.values() for key in sizes}
        missing = [package for package in locked if package.key not in known]
        if not missing or (origin == "image" and not chosen and not shutil.which("docker")):
            continue
        try:
            found[origin] = _ask(origin, images, missing, image)
        except DockerCacheError as error:
            failures[origin] = error
    if not any(found.values()):
        raise failures.get(chosen or "index") or _nothing_known(chosen)
    if "index" in failures:  # that there is no environment, or no image, is nothing to tell
        command.note(failures["index"].problem)
    return found


def _ask(
    origin: Origin,
    images: Sequence[Prepared],
    packages: Sequence[LockedPackage],
    image: str | None,
) -> Sizes:
    if origin == "environment":
        return environment_sizes(images[0].poetry, packages)
    if origin == "index":
        return index_sizes(images[0].poetry, packages)
    if image is not None:
        return image_sizes(image, packages)
    told = [_built(it, packages) for it in images]
    failures = [it for it in told if isinstance(it, DockerCacheError)]
    if len(failures) == len(told):
        raise failures[0]
    known = (it.items() for it in told if not isinstance(it, DockerCacheError))
    return {key: size for sizes in known for key, size in sizes}


def _built(prepared: Prepared, packages: Sequence[LockedPackage]) -> Sizes | DockerCacheError:
    """What the image tells, if it was built; or why it does not."""
    version = prepared.git_version or prepared.version
    image, among = prepared.settings.image, prepared.image
    try:
        return image_sizes(default_tag(prepared.name, version, image=image, among=among), packages)
    except DockerCacheError as error:
        return error


def _nothing_known(chosen: Origin | None) -> DockerCacheError:
    where = f"The {chosen}" if chosen else "Nobody"
    return DockerCacheError(
        f"{where} knows the size of none of the locked packages.",
        fix="Run `poetry install` or `poetry docker build`, or use `--from index`.",
    )
