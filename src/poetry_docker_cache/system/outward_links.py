"""Links that lead out of the project: nothing is read or written through them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.system.compat import exists, is_link, real_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def refuse_outward_links(paths: Iterable[Path], *folders: Path) -> None:
    """Raise DockerCacheError for a path behind a link that leaves its folder or is dangling.

    The first of the folders that contains a link has to contain its target. A link outside of them
    belongs to the user, and is followed.
    """
    homes = [real_path(folder) for folder in folders]
    for path in paths:
        for link in (path.absolute(), *path.absolute().parents):
            if not is_link(link):
                continue
            place = real_path(link.parent)
            home = next((home for home in homes if place.is_relative_to(home)), None)
            if home and not exists(link):
                raise _refused(link, "it leads to nothing")
            if home and not real_path(link).is_relative_to(home):
                raise _refused(link, f"it leaves {home}")


def _refused(link: Path, why: str) -> DockerCacheError:
    return DockerCacheError(
        f"{link} is a link that is not followed: {why}. Nothing was changed.",
        fix=f"Replace it with a copy of its target, or remove it: rm {shlex.quote(str(link))}",
    )
