"""The labels that `poetry docker build` adds: where an image comes from, and what it holds."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.command_line import builds_other, requested_platforms
from poetry_docker_cache.commands.background import Background
from poetry_docker_cache.docker.image_labels import (
    BASE_DIGEST,
    BASE_NAME,
    CONTENTS,
    REVISION,
    SOURCE,
    encode,
)
from poetry_docker_cache.docker.image_names import without_digest
from poetry_docker_cache.docker.platforms import full_name, host_platform
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_contents import contents_of
from poetry_docker_cache.plan.image_plan import TEST
from poetry_docker_cache.project.git_origin import read_origin
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from poetry_docker_cache.buildx.command_line import BuildRequest
    from poetry_docker_cache.buildx.engine_info import EngineInfo
    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.docker.image_labels import ImageContents
    from poetry_docker_cache.project.git_origin import Origin

    DigestOf = Callable[[str], str]

_PATIENCE = 3.0
"""How many seconds a registry has to name the digest of a base image."""
_LONGEST = 24_000 if os.name == "nt" else 100_000
"""How long the label of the contents may be: systems limit the arguments of a command."""


def image_contents(image: PlannedImage, platforms: Sequence[str] = ()) -> ImageContents:
    """Return what a planned image holds; by default for the platforms in its settings, or this one.

    Raises DockerCacheError if no locked file of a package can be installed.
    """
    own = host_platform(platform.machine())
    # Poetry's own data is slow to read if the tables of the file are out of order.
    pyproject = tomllib.loads(image.poetry.pyproject_path.read_text(encoding="utf-8"))
    return contents_of(
        image.plan,
        image.settings,
        pyproject,
        image.lock.data,
        platforms=platforms or image.settings.platforms or ([own] if own else []),
        plugin=version("poetry-docker-cache"),
    )


def origin_labels(images: Sequence[PlannedImage], dockerfile: str = "") -> list[dict[str, str]]:
    """Return the labels of each image that name its commit and its repository.

    `dockerfile` is the text of the user's own, which the images are built with.
    """
    known: dict[Path, Origin] = {}
    result = []
    for image in images:
        if image.context not in known:
            known[image.context] = read_origin(image.folder, image.context)
        origin = known[image.context]
        found = {REVISION: origin.revision, SOURCE: origin.source}
        result.append(not_stated(image, found, dockerfile))
    return result


def planned_labels(
    image: PlannedImage, platforms: Sequence[str], *, base_digest: str = ""
) -> dict[str, str]:
    """Return the labels that follow from the plan of an image: its base, and what it holds."""
    contents = ""
    # The build itself explains why a package cannot be installed.
    with contextlib.suppress(DockerCacheError):
        contents = encode(image_contents(image, platforms))
    found = {
        BASE_NAME: without_digest(image.plan.runtime.image),
        BASE_DIGEST: base_digest,
        CONTENTS: contents if len(contents) <= _LONGEST else "",
    }
    return not_stated(image, found)


def not_stated(
    image: PlannedImage, labels: Mapping[str, str], dockerfile: str = ""
) -> dict[str, str]:
    """Return the labels with a value that neither the project nor the user's Dockerfile sets."""
    runtime, template = image.plan.runtime, image.plan.template
    named = {*runtime.labels, *(each.label for each in runtime.arguments)}
    texts = [*runtime.instructions, *(template.texts.values() if template else ()), dockerfile]
    return {
        name: value
        for name, value in labels.items()
        if value and name not in named and not any(name in text for text in texts)
    }


def request_labels(  # noqa: PLR0913  # all that decides
    options: BuildOptions,
    image: PlannedImage,
    request: BuildRequest,
    *,
    engine: EngineInfo,
    digest_of: DigestOf,
    origin: Mapping[str, str],
) -> dict[str, str]:
    """Return the labels for a build with an engine.

    Tests get none. Another Dockerfile or stage than that of the image gets only its origin, and an
    image for development does not get what the final image holds.
    """
    base = image.plan.runtime.image
    if options.variant == TEST:
        return {}
    # The user may replace the base image by a named build context.
    if options.file is not None or builds_other(request) or any(base in w for w in request.options):
        return {**origin}
    is_from_registry = engine.driver != "docker" or engine.store != "classic" or request.pull
    pinned = base.partition("@")[2]
    digest = pinned or (digest_of(base) if is_from_registry else "")
    if options.dry_run:
        shown = {BASE_NAME: without_digest(base), BASE_DIGEST: digest, CONTENTS: "<contents>"}
        found = not_stated(image, shown)
    else:
        found = planned_labels(image, _platforms(request), base_digest=digest)
    if options.variant:
        found.pop(CONTENTS, None)
    return {**found, **origin}


def _platforms(request: BuildRequest) -> list[str]:
    """Return the platforms of a build by their names in images; empty for this machine's."""
    usual = os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    given = requested_platforms(request) or ({usual} if usual else set())
    return [] if "local" in given else sorted(set(map(full_name, given)))


def look_up_digests(images: Sequence[PlannedImage]) -> DigestOf:
    """Ask the registries for the digests of the base images, in the background.

    The returned function waits for a moment, and returns an empty string for an unknown digest.
    """
    background = Background(_PATIENCE)
    names = dict.fromkeys(image.plan.runtime.image for image in images)
    waiting = {
        name: background.start(functools.partial(_ask, name)) for name in names if "@" not in name
    }

    def digest_of(name: str) -> str:
        try:
            return waiting[name]() if name in waiting else ""
        except (TimeoutError, DockerCacheError, OSError):
            return ""

    return digest_of


def _ask(name: str) -> str:
    from poetry_docker_cache.registry.registry_client import Reference, Registry  # noqa: PLC0415  # only to push
    from poetry_docker_cache.registry.registry_session import RegistrySession  # noqa: PLC0415

    reference = Reference.parse(name)
    session = RegistrySession(reference.host, timeout=(_PATIENCE, _PATIENCE))
    with Registry(session) as registry:
        return registry.manifest_digest(reference.repository, reference.target)
