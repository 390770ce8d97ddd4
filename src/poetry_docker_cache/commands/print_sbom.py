"""Implements `poetry docker sbom`."""

from __future__ import annotations

import contextlib
import platform as machine
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.commands.image_sbom import sbom_of
from poetry_docker_cache.commands.new_hosts import note_new_hosts
from poetry_docker_cache.commands.output_files import output_path
from poetry_docker_cache.commands.package_licences import find_licences
from poetry_docker_cache.commands.patience import saying
from poetry_docker_cache.commands.planned_image import plan_images
from poetry_docker_cache.docker.platforms import MACHINES, host_platform, refuse_unknown
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.credentials import collect
from poetry_docker_cache.system.full_disks import suggest_space
from poetry_docker_cache.system.outward_links import refuse_outward_links

if TYPE_CHECKING:
    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.project.selection import SelectionOptions


def print_sbom(  # noqa: PLR0913  # the options of the command
    poetry: Poetry,
    console: ProgressConsole,
    *,
    image: str | None,
    selection: SelectionOptions,
    platform: str | None,
    output: str | None,
) -> None:
    """Print the document to stdout, and nothing else, or write it. Raises DockerCacheError."""
    planned = plan_images(poetry, (image,) if image else (), selection)
    if len(planned) > 1:
        names = [each.image for each in planned]
        raise DockerCacheError(
            f"The project has several images: {', '.join(names)}.",
            fix=f"Name one of them: `poetry docker sbom {names[0]}`.",
        )
    chosen, name = planned[0], _platform(platform, planned[0])

    with contextlib.ExitStack() as waiting:

        def check_credentials() -> None:
            note_new_hosts(console, collect(poetry, chosen.sources).unconfirmed)
            waiting.enter_context(saying(console, "Reading licences"))

        licences = find_licences(planned, before=check_credentials)
    document = sbom_of(chosen, name, licences)
    if licences.note:
        console.note(licences.note)
    if output in (None, "-"):
        console.raw(document.decode())
        return
    path = output_path(output, Path(output or ""))
    refuse_outward_links([path], chosen.folder)
    try:
        path.write_bytes(document)
    except OSError as error:
        raise DockerCacheError(
            f"{path} cannot be written: {error.strerror}.",
            fix=suggest_space(error, "Choose a file in an existing folder that you can write to."),
        ) from error
    console.note(f"Wrote {path}.")


def _platform(given: str | None, image: PlannedImage) -> str:
    """Return the platform: the given one, else this machine's, or the first one of the settings.

    Raises DockerCacheError for a platform without wheels.
    """
    own = host_platform(machine.machine())
    platforms = image.settings.platforms
    if given is None:
        found = own if own and own in (platforms or (own,)) else next(iter(platforms), None)
    else:
        refuse_unknown([given])
        found = given if given.startswith("linux/") else f"linux/{given}"
    if found not in MACHINES:
        raise DockerCacheError(
            f"Locked packages cannot be chosen for {given or machine.machine()}.",
            fix=f"Use --platform with one of {', '.join(MACHINES)}.",
        )
    return found
