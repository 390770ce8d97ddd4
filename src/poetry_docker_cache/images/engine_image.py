"""An image in the container engine of this machine."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO

from poetry_docker_cache.buildx.engine import ask, run
from poetry_docker_cache.buildx.engine_errors import shortened
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images.archived_image import open_archive
from poetry_docker_cache.images.image_errors import damaged
from poetry_docker_cache.images.stored_image import StoredImage
from poetry_docker_cache.registry.base_image import platform_name, same_platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poetry_docker_cache.buildx.engine_info import Answer

_PATIENCE = 20
"""How many seconds the engine may take to describe an image."""
_CLIENTS = ("docker", "podman")


class NotInEngine(DockerCacheError):  # noqa: N818  # the registry may have it
    """An image that the engine does not have, with the platform that it has instead, if any.

    The problem is a clause, to be combined with what the registry says.
    """

    def __init__(self, problem: str, *, platform: str = "") -> None:
        super().__init__(problem)
        self.platform = platform


@contextlib.contextmanager
def open_engine_image(name: str, platform: str | None) -> Iterator[StoredImage]:
    """Read an image's configuration; its layers are saved to a temporary file when read.

    Raises NotInEngine if there is no engine, or no such image for this platform.
    """
    client = next(filter(None, map(shutil.which, _CLIENTS)), None)
    if client is None:
        raise NotInEngine("no container engine is installed")
    found = _inspect(client, name, platform)
    with contextlib.ExitStack() as stack:

        def open_layers() -> Iterator[contextlib.AbstractContextManager[BinaryIO]]:
            archived = stack.enter_context(_saved(client, name, platform_name(config)))
            if archived.diff_ids != tuple(found["RootFS"]["Layers"]):
                raise damaged(name, "the engine saves another image than it describes")
            return archived.open_layers()

        config = {
            "created": found.get("Created"),
            "os": found.get("Os"),
            "architecture": found.get("Architecture"),
            "variant": found.get("Variant"),
            "config": found.get("Config"),
            "rootfs": {"type": "layers", "diff_ids": (found.get("RootFS") or {}).get("Layers")},
        }
        yield StoredImage(
            name=name,
            place="engine",
            platform=platform_name(config),
            digest=_with_algorithm(str(found["Id"])),
            config=config,
            open_layers=open_layers,
        )


def _inspect(client: str, name: str, platform: str | None) -> Mapping[str, Any]:
    """Return what the engine says about an image."""
    command = [client, "image", "inspect"]
    found = _parsed(_ask([*command, name]))
    if platform and not same_platform(platform_name(_lowered(found)), platform):
        # An engine with the containerd store may have it for several platforms.
        with contextlib.suppress(NotInEngine):
            other = _parsed(_ask([*command, "--platform", platform, name]))
            if same_platform(platform_name(_lowered(other)), platform):
                return other
        own = platform_name(_lowered(found))
        raise NotInEngine(f"the engine has it for {own} only", platform=own)
    return found


def _ask(command: list[str]) -> Answer:
    try:
        (answer,) = ask([command], seconds=_PATIENCE)
    except DockerCacheError as error:
        raise NotInEngine(error.problem[:1].lower() + error.problem[1:].rstrip(".")) from error
    return answer


def _parsed(answer: Answer) -> Mapping[str, Any]:
    if answer.status:
        if "no such" in answer.err.lower() or "not known" in answer.err.lower():
            raise NotInEngine("the engine does not have it")
        raise NotInEngine(f"the engine does not answer: {_reason(answer.err)}")
    try:
        (found,) = json.loads(answer.out)
        valid = isinstance(found, dict) and "Id" in found
    except (ValueError, TypeError):
        valid = False
    if not valid:
        raise NotInEngine("the engine does not answer as Docker or Podman does")
    described: Mapping[str, Any] = found
    return described


def _reason(message: str) -> str:
    """Return the client's reason as a part of a sentence."""
    return shortened(message).removesuffix(" Is the docker daemon running?").rstrip(".")


def _lowered(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in found.items()}


def _with_algorithm(digest: str) -> str:
    return digest if ":" in digest else f"sha256:{digest}"  # as Podman prints it


@contextlib.contextmanager
def _saved(client: str, name: str, platform: str) -> Iterator[StoredImage]:
    """Save an image to a temporary file, since engines write its layers in any order."""
    with tempfile.TemporaryFile() as file:
        errors = _Errors()
        status = run([client, "image", "save", name], output=file.fileno(), watch=errors)
        if status:
            raise DockerCacheError(
                f"The engine cannot save the image {name}: {shortened(errors.text)}",
                fix=f"Check the free space with: df -h {tempfile.gettempdir()}",
            )
        file.seek(0)
        with open_archive(file, name, platform) as image:
            yield image


class _Errors:
    """What a command prints to stderr."""

    def __init__(self) -> None:
        self.text = ""

    def read(self, line: str) -> None:
        self.text += f"{line}\n"

    def ask(self, text: str) -> None:
        self.text += text

    def tick(self) -> None:
        """Do nothing: nothing is drawn."""
