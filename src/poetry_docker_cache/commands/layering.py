"""The work of `poetry docker layers`.

Images that share their layers are looked at together: a package that several have is in one layer
of all of them, and a better setting is better for all.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.commands.choosing import chosen, selection_words
from poetry_docker_cache.commands.preparing import Prepared, prepare_images
from poetry_docker_cache.commands.sizing import asked_origin, find_sizes, packages_of
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.layer_table import as_ascii, as_data, table, values
from poetry_docker_cache.project import settings_table
from poetry_docker_cache.proposal import Outcome, Setting, outcome, propose
from poetry_docker_cache.pyproject_edit import table_of, write_settings
from poetry_docker_cache.sizes import settle, unit_of
from poetry_docker_cache.wording import listing, megabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.layers import LayersCommand
    from poetry_docker_cache.sizes import Origin, SizedPackage, Sizes, Unit

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
        made_by = (settings.installer, settings.uv_version, how.compile, how.instructions)
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
