"""Implements `poetry docker diff`: compare the project with an image or a git revision."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform as host
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry.factory import Factory

from poetry_docker_cache.buildx.build_folder import build_folder
from poetry_docker_cache.commands.build_labels import image_contents, look_up_digests
from poetry_docker_cache.commands.patience import saying
from poetry_docker_cache.commands.planned_image import plan_images
from poetry_docker_cache.comparison.comparison_output import (
    Against,
    Result,
    as_data,
    lines,
    markdown,
)
from poetry_docker_cache.comparison.image_comparison import compare
from poetry_docker_cache.docker.image_labels import BASE_DIGEST, decode
from poetry_docker_cache.docker.image_names import has_digest, is_reference, names_registry
from poetry_docker_cache.docker.platforms import host_platform
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.images.layer_sizes import layer_sizes
from poetry_docker_cache.images.open_image import open_image
from poetry_docker_cache.project.git_revision import find_commit, no_commit, write_tree
from poetry_docker_cache.project.reader import unreadable
from poetry_docker_cache.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.build_labels import DigestOf
    from poetry_docker_cache.commands.console import ProgressConsole
    from poetry_docker_cache.commands.options import DiffOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.docker.image_labels import ImageContents

_HEAD = "HEAD"
_BYPASS = "POETRY_DYNAMIC_VERSIONING_BYPASS"
"""Keeps the plugin of this name from looking for a git repository."""


class _UnknownContentsError(DockerCacheError):
    """An image that does not say what it holds."""


@dataclass(frozen=True, kw_only=True)
class _Earlier:
    """What the project is compared with."""

    against: Against
    contents: ImageContents
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """The compressed bytes of the layers, by platform and name."""
    base_digest: str = ""
    """The digest of its base image; empty if unknown."""
    in_registry: bool = False


def report_differences(options: DiffOptions, poetry: Poetry, console: ProgressConsole) -> int:
    """Compare each image and print the differences; return 0. Raises DockerCacheError."""
    options = _with_reference(options)
    if options.json and options.markdown:
        raise DockerCacheError("--json and --markdown exclude each other.", fix="Leave one out.")
    with saying(console, "Reading the project"):
        images = plan_images(poetry, options.images, options.selection)
    with saying(console, f"Reading {options.against or 'the image'}"):
        earlier, notes = _find_earlier(options, images)
        compares = any(each.base_digest for each in earlier)
        digest_of = look_up_digests(images if compares else ())
        found = [
            _compare(image, before, digest_of)
            for image, before in zip(images, earlier, strict=True)
        ]
    _show([result for result, _ in found], options, console)
    for note in dict.fromkeys((*notes, *(note for _, note in found if note))):
        console.note(note)
    return 0


def _with_reference(options: DiffOptions) -> DiffOptions:
    """Take an argument that can only be the name of an image in a registry for `--against`."""
    given = [name for name in options.images if set(name) & set("/:@") or _is_archive(name)]
    if not given or not all(is_reference(name) or _is_archive(name) for name in given):
        return options
    if len(given) > 1 or options.against is not None:
        names = [*given, *([options.against] if options.against else [])]
        raise DockerCacheError(
            f"Only one image or revision can be compared with, not {', '.join(names)}.",
            fix=f"Run `poetry docker diff --against {names[0]}`.",
        )
    images = tuple(name for name in options.images if name not in given)
    return replace(options, images=images, against=given[0])


def _is_archive(name: str) -> bool:
    return name.endswith(".tar")


def _find_earlier(
    options: DiffOptions, images: Sequence[PlannedImage]
) -> tuple[list[_Earlier], list[str]]:
    """Return what each image is compared with, and notes on that choice."""
    folder, against = images[0].folder, options.against
    if against is None:
        return _default(options, images)
    if commit := find_commit(folder, against):
        return _from_revision(options, images, against, commit)
    if not is_reference(against.removeprefix("sha256:")) and not _is_archive(against):
        raise no_commit(folder, against)
    if len(images) > 1:
        names = ", ".join(image.image for image in images)
        raise DockerCacheError(
            f"{against} is one image, but several are compared: {names}.",
            fix=f"Name the one to compare: `poetry docker diff {images[0].image} --against"
            f" {against}`.",
        )
    if names_registry(against) or set(against) & set(":@") or _is_archive(against):
        return [_from_image(images[0], against)], []
    # More likely a branch or tag that does not exist than an image on Docker Hub.
    try:
        return [_from_image(images[0], against, local=True)], []
    except _UnknownContentsError:
        raise
    except DockerCacheError as error:
        reason = no_commit(folder, against)
        raise DockerCacheError(f"{error.problem} {reason.problem}", fix=reason.fix) from error


def _default(
    options: DiffOptions, images: Sequence[PlannedImage]
) -> tuple[list[_Earlier], list[str]]:
    """Compare with the images that the build names; if one does not exist, with HEAD."""
    try:
        return [_from_image(image, image.default_tag) for image in images], []
    except DockerCacheError as error:
        missing = error
    commit = find_commit(images[0].folder, _HEAD)
    if commit is None:
        reason = no_commit(images[0].folder, _HEAD)
        raise DockerCacheError(
            f"There is nothing to compare with. {missing.problem} {reason.problem}",
            fix="Build the image first, or name another one: `poetry docker diff --against NAME`.",
        )
    found, notes = _from_revision(options, images, _HEAD, commit)
    return found, [f"Compared with the last commit. {missing.problem}", *notes]


def _from_revision(
    options: DiffOptions, images: Sequence[PlannedImage], name: str, commit: str
) -> tuple[list[_Earlier], list[str]]:
    """Plan the images as of a commit. Raises DockerCacheError if that is not possible."""
    # On a disk: a repository may be larger than the memory.
    bases = [Path(tempfile.gettempdir()), Path("/var/tmp")]  # noqa: S108  # our folder is private
    context = images[0].context
    with build_folder(context=context, bases=bases) as temporary, _reading(name, temporary.path):
        folder = write_tree(images[0].folder, commit, temporary.path)
        found = plan_images(_read(folder), (), options.selection, may_be_stale=True)
        then = {image.image: image_contents(image) for image in found}
    against = Against(kind="revision", name=name, digest=commit)
    earlier, notes = [], []
    for image in images:
        contents = then.get(image.image)
        if contents is None:
            contents = _without_layers(image_contents(image))
            notes.append(f"There is no image {image.image!r} at {name}: all its layers are new.")
        earlier.append(_Earlier(against=against, contents=contents))
    return earlier, notes


@contextlib.contextmanager
def _reading(revision: str, folder: Path) -> Iterator[None]:
    """Read projects in a temporary folder without a git repository.

    An error says that it is in the revision, not in the files at hand.
    """
    known = os.environ.get(_BYPASS)
    os.environ[_BYPASS] = known or "0.0.0"
    logging.disable(logging.WARNING)  # Poetry's are about the files at hand
    try:
        yield
    except DockerCacheError as error:
        raise DockerCacheError(
            f"At {revision}: {error.problem.replace(f'{folder}/', '')}",
            fix="Compare with another revision, or with an image.",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
        if known is None:
            del os.environ[_BYPASS]


def _read(folder: Path) -> Poetry:
    if not (folder / "pyproject.toml").is_file():
        raise DockerCacheError("There is no pyproject.toml in its folder.")
    try:
        return Factory().create_poetry(folder)
    except Exception as error:
        raise unreadable(error, folder) from error


def _without_layers(contents: ImageContents) -> ImageContents:
    return replace(contents, layers=dict.fromkeys(contents.layers, ()))


def _from_image(image: PlannedImage, name: str, *, local: bool | None = None) -> _Earlier:
    """Read what an image says about itself. Raises DockerCacheError if it says nothing."""
    own, wanted = host_platform(host.machine()), image.settings.platforms
    platform = wanted[0] if wanted and own not in wanted else None
    with open_image(name, platform=platform, local=local) as found:
        contents = decode(found.labels)
        if contents is None:
            raise _UnknownContentsError(
                f"The image {name} has no label with its contents: another tool built it, or"
                " another release of `poetry docker build`.",
                fix="Build it again, or compare with a git revision: `poetry docker diff --against"
                " HEAD`.",
            )
    in_registry = found.place == "registry"
    sizes = {}
    for name_of in contents.layers if in_registry else ():
        # The label may name a platform that was not pushed.
        with (
            contextlib.suppress(DockerCacheError),
            open_image(name, platform=name_of, local=False) as each,
        ):
            sizes[name_of] = layer_sizes(each)
    return _Earlier(
        against=Against(kind="image", name=name, digest=found.digest),
        contents=contents,
        sizes=sizes,
        base_digest=found.labels.get(BASE_DIGEST, ""),
        in_registry=in_registry,
    )


def _compare(image: PlannedImage, earlier: _Earlier, digest_of: DigestOf) -> tuple[Result, str]:
    """Return the comparison of an image, and a note on what is unknown."""
    name, before = image.plan.runtime.image, earlier.base_digest
    comparable = before and earlier.contents.base == name and not has_digest(name)
    now = digest_of(name) if comparable else ""
    # An image in the engine is for this machine only, whatever the settings say.
    added = image.settings.platforms if earlier.in_registry else ()
    is_image = earlier.against.kind == "image"
    platforms = tuple(dict.fromkeys((*earlier.contents.layers, *added))) if is_image else ()
    comparison = compare(
        earlier.contents,
        image_contents(image, platforms),
        base_digests=(before, now) if now else None,
        sizes=earlier.sizes,
    )
    unknown = f"Whether a newer {name} exists is unknown: its registry did not answer."
    return Result(
        image=image.image, title=image.title, against=earlier.against, comparison=comparison
    ), unknown if comparable and not now else ""


def _show(results: Sequence[Result], options: DiffOptions, console: ProgressConsole) -> None:
    if options.json:
        data = {"images": [as_data(result) for result in results]}
        console.raw(f"{json.dumps(data, indent=2)}\n")
        return
    if options.markdown:
        console.raw("\n".join(map(markdown, results)))
        return
    for result in results:
        if result.image:
            console.line(result.image)
        for title, text in lines(result):
            console.line(_encodable(f"{title}{printable(text)}", console.encoding))


def _encodable(text: str, encoding: str) -> str:
    """Replace the arrow if stdout cannot show it."""
    try:
        text.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return text.replace("→", "->")
    return text
