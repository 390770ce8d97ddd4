"""The work of `poetry docker layers`."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from poetry_docker_cache.buildkit import default_tag
from poetry_docker_cache.commands.preparing import Prepared, prepare
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layers import DIRECT, kind
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheels import allowed, usable_files
from poetry_docker_cache.layer_table import as_ascii, as_data, megabytes, table, values
from poetry_docker_cache.proposal import Setting, outcome, propose
from poetry_docker_cache.pyproject_edit import write_settings
from poetry_docker_cache.python import listing
from poetry_docker_cache.sizes import ORIGINS, LockedPackage, settle, unit_of
from poetry_docker_cache.sizes.environment import environment_sizes
from poetry_docker_cache.sizes.image import image_sizes
from poetry_docker_cache.sizes.index import index_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.commands.layers import LayersCommand
    from poetry_docker_cache.proposal import Outcome
    from poetry_docker_cache.sizes import Origin, SizedPackage, Sizes


def layers(command: LayersCommand) -> int:
    """Show the layers and a better split; write it if asked to. Raises DockerCacheError."""
    chosen, image = _origin(command)
    prepared = prepare(
        command,
        only="`poetry docker layers`",
        instead="Name the heaviest packages in `own-layers`: they get a layer each, in all images.",
        notes=False,
    )
    locked = locked_packages(prepared)
    if not locked:
        raise DockerCacheError(
            "The image holds no packages: there is nothing to split.",
            fix="Choose other groups, if it should: `--with`, `--only`.",
        )
    found = _find(command, prepared, locked, chosen, image)
    packages, unit = settle(locked, found), unit_of(found)
    settings = prepared.settings
    now = outcome(packages, Setting(layers=settings.layers, own=settings.own_layers))
    better = propose(packages, now)
    if command.option("json"):
        command.raw_line(json.dumps(as_data(packages, unit, now, better), indent=2))
    else:
        for line in table(packages, unit, now, better):
            command.raw_line(line if _has_bars(command) else as_ascii(line))
    _tell_guesses(command, packages)
    _conclude(command, prepared, better)
    return 0


def locked_packages(prepared: Prepared) -> list[LockedPackage]:
    """The packages of the image as the lock has them, each with the files that may be installed."""
    how = prepared.plan.dependencies
    python = prepared.plan.runtime.python
    target = Target.linux(python=python, libc=how.libc, machines=how.machines)
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
            )
        )
    return packages


def _origin(command: LayersCommand) -> tuple[Origin | None, str | None]:
    """Where the sizes are to come from, if that was said, and the image that was named."""
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


def _find(
    command: LayersCommand,
    prepared: Prepared,
    locked: Sequence[LockedPackage],
    chosen: Origin | None,
    image: str | None,
) -> dict[Origin, Sizes]:
    """The sizes by origin: each is asked only for what those before it lack.

    Raises DockerCacheError where the one that was chosen fails, or all of them do.
    """
    found: dict[Origin, Sizes] = {}
    failures: dict[Origin, DockerCacheError] = {}
    for origin in (chosen,) if chosen else ORIGINS:
        known = {name for sizes in found.values() for name in sizes}
        missing = [package for package in locked if package.name not in known]
        if not missing or (origin == "image" and not chosen and not shutil.which("docker")):
            continue
        try:
            found[origin] = _ask(origin, prepared, missing, image)
        except DockerCacheError as error:
            failures[origin] = error
    if not any(found.values()):
        raise failures.get(chosen or "index") or _nothing_known(chosen)
    if "index" in failures:  # that there is no environment, or no image, is nothing to tell
        command.note(failures["index"].problem)
    return found


def _ask(
    origin: Origin, prepared: Prepared, packages: Sequence[LockedPackage], image: str | None
) -> Sizes:
    if origin == "environment":
        return environment_sizes(prepared.poetry, packages)
    if origin == "index":
        return index_sizes(prepared.poetry, packages)
    version = prepared.git_version or prepared.version
    own = default_tag(prepared.name, version, image=prepared.settings.image)
    return image_sizes(own if image is None else image, packages)


def _nothing_known(chosen: Origin | None) -> DockerCacheError:
    where = f"The {chosen}" if chosen else "Nobody"
    return DockerCacheError(
        f"{where} knows the size of none of the locked packages.",
        fix="Run `poetry install` or `poetry docker build`, or use `--from index`.",
    )


def _has_bars(command: LayersCommand) -> bool:
    """Whether stdout can show more than ASCII."""
    encoding = getattr(getattr(command.io.output, "stream", None), "encoding", None) or "utf-8"
    try:
        "█≈…".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _tell_guesses(command: LayersCommand, packages: Sequence[SizedPackage]) -> None:
    for package in packages:
        if package.origin is None:
            command.note(
                f"Nobody knows the size of {package.name} {package.version}: it counts as"
                f" {megabytes(package.size)}, the median of its kind."
            )
    if converted := [package.name for package in packages if not package.exact]:
        command.note(
            f"{listing(converted)}: the size (≈) is estimated from that of the download, as it is"
            " not installed in its locked version."
        )


def _conclude(command: LayersCommand, prepared: Prepared, better: Outcome | None) -> None:
    """Write, or say what could be written."""
    if better is None:
        command.note("The present setting is as good as any that was tried: nothing to change.")
    elif not command.option("write"):
        command.note("`poetry docker layers --write` puts the better setting into pyproject.toml.")
    elif write_settings(prepared.folder / "pyproject.toml", values(better.setting)):
        command.note(
            "Wrote `layers` and `own-layers` into pyproject.toml. The lock stays fresh; an exported"
            " Dockerfile does not: `poetry docker export`."
        )
