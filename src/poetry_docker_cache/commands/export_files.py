"""Implements `poetry docker export`."""

from __future__ import annotations

import os
import posixpath
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.cache_plan import refuse_tag
from poetry_docker_cache.caches.spec import folders_of
from poetry_docker_cache.commands.image_notes import print_notes
from poetry_docker_cache.commands.new_hosts import note_new_hosts
from poetry_docker_cache.commands.output_files import check, output_path
from poetry_docker_cache.commands.planned_image import collect_secret, plan_images
from poetry_docker_cache.docker.dockerfile_syntax import EXPORT
from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import DEV, TEST
from poetry_docker_cache.project.context_files import unignored
from poetry_docker_cache.project.selection import SelectionOptions
from poetry_docker_cache.render.bake_file import BakeTarget, render_bake_file
from poetry_docker_cache.render.build_scripts import SCRIPTS_FOLDER, all_scripts, image_scripts
from poetry_docker_cache.render.compose_file import (
    COMPOSE_FILE,
    OTHER_NAMES,
    render_compose_file,
    service_of,
)
from poetry_docker_cache.render.dockerfile import render_dockerfile
from poetry_docker_cache.render.exported_files import (
    BAKE_FILE,
    dockerfile_name,
    leftovers,
    with_banner,
    writing,
)
from poetry_docker_cache.system.compat import real_path
from poetry_docker_cache.system.folder_locks import waiting
from poetry_docker_cache.system.outward_links import refuse_outward_links
from poetry_docker_cache.system.private_files import refuse_inside, write_private
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.options import ExportOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.plan.image_plan import VariantName
    from poetry_docker_cache.render.build_scripts import Scripts


def export(options: ExportOptions, poetry: Poetry, console: Console) -> int:
    """Write, print or check the files; return the exit status. Raises DockerCacheError."""
    images = _planned(options, poetry)
    print_notes(console, images)
    _refuse_wrong_number(images, options)
    if options.compose and not options.force:
        _refuse_hidden_file(images)
    if options.auth_file:
        for image in images:
            refuse_inside(Path(options.auth_file), image.context)
    if not options.ignore_file:
        _check_missing_ignore_file(console, images)
    # Before anything is written: a missing password must not leave half of the files.
    secret = collect_secret(images) if options.auth_file else None
    files = {} if options.to_stdout else _files(images, options)
    _refuse_links(images, options, files)
    # Another export would see temporary files in the folder of scripts, and could remove the same.
    with waiting(images[0].folder):
        removed = [] if options.to_stdout else _removed(images, options, files)
        suggestions = _suggestions(images, options)
        if options.check:
            again = _again(options)
            return check(console, files, again=again, removed=removed, suggestions=suggestions)
        with writing(files, force=options.force, suggestions=suggestions, removed=removed):
            if options.auth_file and secret:
                _write_secret(Path(options.auth_file), secret.text, files)
                note_new_hosts(console, secret.unconfirmed)
    if options.to_stdout:
        console.raw(_dockerfile(images[0], image_scripts(images[0].plan, place=None)))
    else:
        console.line(f"Wrote {_listed(_shown(files))}.")
    _note_build_commands(console, images, options)
    for note in bake_notes(images) if options.bake else ():
        console.note(note)
    return 0


def _planned(options: ExportOptions, poetry: Poetry) -> tuple[PlannedImage, ...]:
    """Plan the images, and with --compose those for development and tests."""
    own = SelectionOptions()
    variants: dict[VariantName, SelectionOptions] = {DEV: own, TEST: own} if options.compose else {}
    images = plan_images(poetry, options.images, options.selection, variants)
    if not options.compose:
        return images
    return tuple(replace(image, plan=replace(image.plan, ends_with_image=True)) for image in images)


def _note_build_commands(
    console: Console, images: Sequence[PlannedImage], options: ExportOptions
) -> None:
    """Print how to build the Dockerfiles whose context is not the project's folder."""
    commands: list[str] = []
    for image in images:
        if image.context != image.folder:
            path = _dockerfile_path(image, options)
            file = "-" if options.to_stdout else path.as_posix()
            context = Path(os.path.relpath(image.context)).as_posix()
            commands.append(f"`{shlex.join(['docker', 'build', '--file', file, context])}`")
    if commands:
        console.note(f"Build with {', '.join(commands)}.")


def _refuse_links(
    images: Sequence[PlannedImage], options: ExportOptions, files: Collection[Path]
) -> None:
    """Raise DockerCacheError for a file that would be read or written through an outward link."""
    named = [Path(options.auth_file)] if options.auth_file else []
    if not options.to_stdout:
        named += [_dockerfile_path(image, options) for image in images]
    scripts = [path.with_name(SCRIPTS_FOLDER) for path in named]
    folders = (images[0].folder, *(path.absolute().parent for path in named))
    refuse_outward_links([*named, *files, *scripts], *folders)


def _refuse_wrong_number(images: Sequence[PlannedImage], options: ExportOptions) -> None:
    """Raise DockerCacheError for options that do not fit the number of images."""
    names = ", ".join(image.image for image in images)
    if options.output is not None and len(images) > 1:
        raise DockerCacheError(
            f"`-o` is the path of one Dockerfile, but several are exported: {names}.",
            fix=f"Name one of them: `{EXPORT} {images[0].image} -o {options.output}`.",
        )
    if options.bake and not images[0].image:
        raise DockerCacheError(
            "--bake is for several images, but the settings define only one.",
            fix="Add a table [tool.poetry-docker-cache.images.NAME] for each, or leave --bake out.",
        )
    for option, name, given in (
        ("--bake", BAKE_FILE, options.bake),
        ("--compose", COMPOSE_FILE, options.compose),
    ):
        if given and options.output is not None:
            raise DockerCacheError(
                f"{option} writes {name} beside pyproject.toml, so it cannot be combined with"
                " `-o`.",
                fix="Leave one of them out.",
            )


def _again(options: ExportOptions) -> str:
    """Return the command that writes the checked files."""
    compose = ["--compose"] * options.compose
    return " ".join([EXPORT, *options.images, *["--bake"] * options.bake, *compose])


def _shown(files: Collection[Path]) -> list[Path]:
    """Return the written files, with the folder of scripts instead of each script."""
    shown = (
        next((folder for folder in path.parents if folder.name == SCRIPTS_FOLDER), path)
        for path in files
    )
    return list(dict.fromkeys(shown))


def _listed(files: Collection[Path]) -> str:
    *others, last = map(str, files)
    return f"{', '.join(others)} and {last}" if others else last


def _check_missing_ignore_file(console: Console, images: Sequence[PlannedImage]) -> None:
    """Note that nothing filters the context; refuse if the image would take all of it."""
    for image in images:
        if image.plan.files and not image.plan.files.paths:
            _refuse_unfiltered(image)
        _refuse_installed_packages(image)
    console.note(
        "Without Dockerfile.dockerignore, Docker reads the .dockerignore of the build context, and"
        " sends every file that this does not exclude to the builder."
    )


def _refuse_unfiltered(image: PlannedImage) -> None:
    """Raise DockerCacheError if only `.dockerignore` filters the image, and not well enough."""
    ignore = image.plan.dockerignore if image.context == image.folder else None
    if ignore is None:
        raise DockerCacheError(
            "The image takes every file that the ignore file does not exclude: without one, `.git`,"
            " `.env` and the like would be copied.",
            fix='List what the image needs: `files = ["…"]` in [tool.poetry-docker-cache].',
        )
    if taken := unignored(image.folder, ignore):
        raise DockerCacheError(
            "The image takes every file that .dockerignore does not exclude, such as"
            f" {listing(taken)}.",
            fix="Add a line for each to .dockerignore, or list what the image needs:"
            ' `files = ["…"]` in [tool.poetry-docker-cache].',
        )


def _refuse_installed_packages(image: PlannedImage) -> None:
    """Raise DockerCacheError if a front end's own node_modules would replace those of the build."""
    ignore = image.plan.dockerignore if image.context == image.folder else None
    lines = [parse(line) for line in (ignore or "").split("\n")]
    for stage in image.plan.assets:
        if hiding_line(lines, posixpath.join(stage.folder, "node_modules")) < 0:
            raise DockerCacheError(
                f"The build of the front end in {stage.folder} would copy node_modules of this"
                " machine: .dockerignore does not exclude it.",
                fix="Add the line `**/node_modules` to .dockerignore.",
            )


def _dockerfile(image: PlannedImage, scripts: Scripts) -> str:
    options = " --compose" if image.plan.variants else ""
    text = render_dockerfile(image.plan, scripts)
    return with_banner(text, syntax=image.plan.syntax, options=options)


def _scripts(image: PlannedImage, dockerfile: Path) -> Scripts:
    """Return the image's scripts: in a folder beside the Dockerfile if that is in the context."""
    folder = real_path(dockerfile).with_name(SCRIPTS_FOLDER)
    inside = folder.is_relative_to(image.context)
    place = Path(os.path.relpath(folder, image.folder)).as_posix() if inside else None
    return image_scripts(image.plan, place=place)


def _removed(
    images: Sequence[PlannedImage], options: ExportOptions, files: Collection[Path]
) -> list[Path]:
    """List the exported scripts that no image uses any more.

    If only some images are exported, scripts of this release stay: another image may use them.
    """
    found: list[Path] = []
    for image in images:
        dockerfile = _dockerfile_path(image, options)
        folder = dockerfile.with_name(SCRIPTS_FOLDER)
        some = image.image and options.images
        known = {folder / path for path in all_scripts()} if some else set()
        found += leftovers(folder, {*files, *known})
    return list(dict.fromkeys(found))


def _files(images: Sequence[PlannedImage], options: ExportOptions) -> dict[Path, str]:
    """Return the texts of the files by path, relative to the working directory if possible."""
    files: dict[Path, str] = {}
    for image in images:
        path = _dockerfile_path(image, options)
        scripts = _scripts(image, path)
        files[path] = _dockerfile(image, scripts)
        if options.ignore_file:
            ignore = path.with_name(f"{path.name}.dockerignore")
            text = image.ignore_file(_below(path, image.context), scripts=scripts.folder)
            files[ignore] = with_banner(text, options=" --compose" if image.plan.variants else "")
        if scripts.folder:
            folder = path.with_name(SCRIPTS_FOLDER)
            files |= {folder / name: text for name, text in scripts.texts.items()}
    if options.bake:
        path = output_path(None, images[0].folder / BAKE_FILE)
        files[path] = bake_file(images)
    if options.compose:
        path = output_path(None, images[0].folder / COMPOSE_FILE)
        files[path] = compose_file(images)
    return files


def _suggestions(images: Sequence[PlannedImage], options: ExportOptions) -> dict[Path, str]:
    """Return the fix for each path at which there is a file that was written by hand."""
    found = {
        output_path(None, images[0].folder / name): "Pass `--force` to replace it."
        for name in (BAKE_FILE, COMPOSE_FILE)
    }
    for image in images:
        path = _dockerfile_path(image, options)
        elsewhere = f"`{EXPORT} {image.image} -o PATH`" if image.image else "`-o PATH`"
        build = ["poetry docker build", *[image.image] * bool(image.image), "--file"]
        found[path] = (
            f"Pass `--force` to replace it, {elsewhere} to write elsewhere, or build with it:"
            f" `{' '.join([*build, shlex.quote(str(path))])}`."
        )
        found[path.with_name(f"{path.name}.dockerignore")] = (
            f"Pass `--force` to replace it, or {elsewhere} to write elsewhere."
        )
    return found


def _dockerfile_path(image: PlannedImage, options: ExportOptions) -> Path:
    return output_path(options.output, image.folder / dockerfile_name(image.image))


def _below(path: Path, context: Path) -> str | None:
    """Return the path relative to the context; None if it is outside."""
    resolved = real_path(path)
    inside = resolved.is_relative_to(context)
    return resolved.relative_to(context).as_posix() if inside else None


def _write_secret(path: Path, text: str, files: Collection[Path]) -> None:
    if real_path(path) in set(map(real_path, files)):
        raise DockerCacheError(
            f"The Dockerfile and the auth secret would be the same file, {path}.",
            fix="Give --auth-file and `-o` different paths.",
        )
    write_private(path, text)


def bake_file(images: Sequence[PlannedImage]) -> str:
    """Render the bake file of these images, with its banner.

    Raises DockerCacheError for a cache with the name of its image.
    """
    targets, tag = [], ""
    for image in images:
        name = image.own_name(image.version)
        if image.settings.cache:
            refuse_tag(image.settings.cache, [name])
        repository, _, tag = name.rpartition(":")
        targets.append(_target(image, repository))
    return with_banner(render_bake_file(targets, tag=tag), options=" --bake")


def compose_file(images: Sequence[PlannedImage]) -> str:
    """Render the compose file of these images, with its banner."""
    services = [
        service_of(
            image.plan,
            name=image.image or _service_name(image),
            context=Path(os.path.relpath(image.context, image.folder)).as_posix(),
            dockerfile=dockerfile_name(image.image),
            environment=dict(image.settings.env),
        )
        for image in images
    ]
    secret = any(source.lower() != "pypi" for image in images for source in image.sources)
    return with_banner(render_compose_file(services, secret=secret), options=" --compose")


def _service_name(image: PlannedImage) -> str:
    if not (image.settings.image or image.name):
        return "app"
    return image.own_name(None).rpartition("/")[2].partition(":")[0]


def _refuse_hidden_file(images: Sequence[PlannedImage]) -> None:
    """Raise DockerCacheError for a compose file that Docker Compose would no longer read."""
    for name in OTHER_NAMES:
        if (images[0].folder / name).exists():
            raise DockerCacheError(
                f"Docker Compose would read {COMPOSE_FILE} instead of {name}. Nothing was changed.",
                fix=f"Pass `--force` to write it nevertheless, then name both:"
                f" `docker compose -f {COMPOSE_FILE} -f {name} up`.",
            )


def bake_notes(images: Sequence[PlannedImage]) -> list[str]:
    """Return the note about caches that the bake file cannot use."""
    names = ", ".join(image.image for image in images if _is_at_home(image))
    note = (
        f"{BAKE_FILE} has no cache for {names}: bake cannot resolve `~`. Set `cache` to a folder"
        " without `~`, or pass one with `--set`."
    )
    return [note] if names else []


def _target(image: PlannedImage, repository: str) -> BakeTarget:
    plan, settings = image.plan, image.settings
    return BakeTarget(
        name=image.image,
        context=Path(os.path.relpath(image.context, image.folder)).as_posix(),
        dockerfile=plan.located(dockerfile_name(image.image)),
        repository=repository,
        platforms=settings.platforms,
        cache=None if _is_at_home(image) else settings.cache,
        ssh=bool(plan.dependencies.ssh),
        secrets=plan.secret_variables,
        npmrc=bool(plan.assets),
        version=plan.version,
    )


def _is_at_home(image: PlannedImage) -> bool:
    """Return whether the path of the cache begins with `~`."""
    cache = image.settings.cache
    return any(path.startswith("~") for path in (folders_of(cache) if cache else ()))
