"""The work of `poetry docker export`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.cache_plan import refuse_tag
from poetry_docker_cache.caches.spec import folders_of
from poetry_docker_cache.commands.image_notes import print_notes
from poetry_docker_cache.commands.planned_image import collect_secret, plan_images
from poetry_docker_cache.docker.image_names import default_tag
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.bake_file import BakeTarget, render_bake_file
from poetry_docker_cache.render.build_scripts import SCRIPTS_FOLDER, all_scripts, image_scripts
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.render.exported_files import (
    BAKE_FILE,
    EXPORT,
    difference,
    dockerfile_name,
    is_foreign,
    leftovers,
    with_banner,
    writing,
)
from poetry_docker_cache.system.compat import is_folder, real_path
from poetry_docker_cache.system.private_files import refuse_inside, write_private

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.console import Console
    from poetry_docker_cache.commands.options import ExportOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage
    from poetry_docker_cache.render.build_scripts import Scripts


def export(options: ExportOptions, poetry: Poetry, console: Console) -> int:
    """Write, print or check the files; the exit status. Raises DockerCacheError."""
    images = plan_images(poetry, options.images, options.selection)
    print_notes(console, images)
    _refuse_what_is_of_one(images, options)
    if options.auth_file:
        for it in images:
            refuse_inside(Path(options.auth_file), it.context)
    if not options.ignore_file:
        _need_no_ignore_file(console, images)
    # Asked before anything is written: a missing password leaves nothing half-done.
    secret = collect_secret(images) if options.auth_file else None
    if options.to_stdout:
        files: dict[Path, str] = {}
        removed: list[Path] = []
    else:
        files = _files(images, options)
        removed = _removed(images, options, files)
    if options.check:
        return check(console, files, again=_again(options), removed=removed)
    suggestions = _suggestions(images, options)
    with writing(files, force=options.force, suggestions=suggestions, removed=removed):
        if options.auth_file and secret:
            _write_secret(Path(options.auth_file), secret.text, files)
    if options.to_stdout:
        console.raw(_dockerfile(images[0], image_scripts(images[0].plan, place=None)))
    else:
        console.line(f"Wrote {_listed(_shown(files))}.")
    _tell_context(console, images, options)
    for note in bake_notes(images) if options.bake else ():
        console.note(note)
    return 0


def _tell_context(console: Console, images: Sequence[PlannedImage], options: ExportOptions) -> None:
    """Say how a Dockerfile is built whose context is not the project's folder."""
    commands: list[str] = []
    for it in images:
        if it.context != it.folder:
            path = output_path(options.output, it.folder / dockerfile_name(it.image))
            file = "-" if options.to_stdout else path.as_posix()
            context = Path(os.path.relpath(it.context)).as_posix()
            commands.append(f"`{shlex.join(['docker', 'build', '--file', file, context])}`")
    if commands:
        console.note(f"What was written is built by {', '.join(commands)}.")


def _refuse_what_is_of_one(images: Sequence[PlannedImage], options: ExportOptions) -> None:
    """Raise DockerCacheError for options that several images, or a single one, cannot have."""
    names = ", ".join(it.image for it in images)
    if options.output is not None and len(images) > 1:
        raise DockerCacheError(
            f"`-o` is where one Dockerfile goes, and there are those of several images: {names}.",
            fix=f"Name one of them: `{EXPORT} {images[0].image} -o {options.output}`.",
        )
    if options.bake and not images[0].image:
        raise DockerCacheError(
            "--bake is for several images, and the project names none.",
            fix="Give each a table [tool.poetry-docker-cache.images.NAME], or leave --bake out.",
        )
    if options.bake and options.output is not None:
        raise DockerCacheError(
            f"--bake writes {BAKE_FILE} beside pyproject.toml, so it cannot be combined with `-o`.",
            fix="Leave one of them out.",
        )


def _again(options: ExportOptions) -> str:
    """The command that writes what was checked."""
    return " ".join([EXPORT, *options.images, *["--bake"] * options.bake])


def _shown(files: Collection[Path]) -> list[Path]:
    """The written files, with the folder of scripts in place of each script."""
    shown = (next((it for it in path.parents if it.name == SCRIPTS_FOLDER), path) for path in files)
    return list(dict.fromkeys(shown))


def _listed(files: Collection[Path]) -> str:
    *others, last = map(str, files)
    return f"{', '.join(others)} and {last}" if others else last


def _need_no_ignore_file(console: Console, images: Sequence[PlannedImage]) -> None:
    """Refuse to copy a whole tree that nothing filters; else say that nothing filters."""
    if any(it.plan.files and not it.plan.files.paths for it in images):
        raise DockerCacheError(
            "The image takes everything that the ignore file lets through, and here there is"
            " no ignore file: `.git`, `.env` and the like would be copied.",
            fix='Name what the image needs: `files = ["…"]` in [tool.poetry-docker-cache].',
        )
    console.note(
        "No Dockerfile.dockerignore goes along: Docker reads the .dockerignore of the context, and"
        " what that lets through is sent to the builder."
    )


def check(
    console: Console, files: dict[Path, str], *, again: str, removed: Sequence[Path] = ()
) -> int:
    """Say whether the files are those on disk; `again` is the command that writes them.

    Raises DockerCacheError, after a diff on stdout, if they are not.
    """
    found = difference(files, removed)
    if not found:
        console.line("Up to date.")
        return 0
    if console.is_quiet:  # the status is the answer
        return 1
    console.raw(found)  # for `patch`, whatever the terminal can show
    raise DockerCacheError(
        f"{'The files on disk are' if len(files) > 1 else f'{next(iter(files))} is'} not what"
        f" `{again}` would write.",
        fix=(
            f"Run `{again} --force`: one was written or edited by hand, and would be replaced."
            if any(is_foreign(path) for path in (*files, *removed))
            else f"Run `{again}`."
        ),
    )


def _dockerfile(prepared: PlannedImage, scripts: Scripts) -> str:
    return with_banner(render_dockerfile(prepared.plan, scripts), syntax=prepared.plan.syntax)


def _scripts(prepared: PlannedImage, dockerfile: Path) -> Scripts:
    """The image's scripts: in a folder beside the Dockerfile, if the build context has it."""
    folder = real_path(dockerfile).with_name(SCRIPTS_FOLDER)
    inside = folder.is_relative_to(prepared.context)
    place = Path(os.path.relpath(folder, prepared.folder)).as_posix() if inside else None
    return image_scripts(prepared.plan, place=place)


def _removed(
    images: Sequence[PlannedImage], options: ExportOptions, files: Collection[Path]
) -> list[Path]:
    """The scripts that no exported image uses any more.

    Where only some of several images are exported, a script of this release may be for another one.
    """
    found: list[Path] = []
    for it in images:
        dockerfile = output_path(options.output, it.folder / dockerfile_name(it.image))
        folder = dockerfile.with_name(SCRIPTS_FOLDER)
        known = {folder / path for path in all_scripts()} if it.image and options.images else set()
        found += leftovers(folder, {*files, *known})
    return list(dict.fromkeys(found))


def _files(images: Sequence[PlannedImage], options: ExportOptions) -> dict[Path, str]:
    """The files by path, relative to where the command was called if they lie below."""
    files: dict[Path, str] = {}
    for it in images:
        path = output_path(options.output, it.folder / dockerfile_name(it.image))
        scripts = _scripts(it, path)
        files[path] = _dockerfile(it, scripts)
        if options.ignore_file:
            ignore = path.with_name(f"{path.name}.dockerignore")
            below = _below(path, it.context) or it.plan.located("Dockerfile")
            text = render_ignore_file(it.plan, below, it.kept, it.beside, scripts=scripts.folder)
            files[ignore] = with_banner(text)
        if scripts.folder:
            folder = path.with_name(SCRIPTS_FOLDER)
            files |= {folder / name: text for name, text in scripts.texts.items()}
    if options.bake:
        path = output_path(None, images[0].folder / BAKE_FILE)
        files[path] = bake_file(images)
    return files


def _suggestions(images: Sequence[PlannedImage], options: ExportOptions) -> dict[Path, str]:
    """What to type where somebody else's file is at one of the paths."""
    found = {output_path(None, images[0].folder / BAKE_FILE): "Pass `--force` to replace it."}
    for it in images:
        path = output_path(options.output, it.folder / dockerfile_name(it.image))
        elsewhere = f"`{EXPORT} {it.image} -o PATH`" if it.image else "`-o PATH`"
        build = ["poetry docker build", *[it.image] * bool(it.image), "--file"]
        found[path] = (
            f"Pass `--force` to replace it, {elsewhere} to write elsewhere, or build with it:"
            f" `{' '.join([*build, shlex.quote(str(path))])}`."
        )
        found[path.with_name(f"{path.name}.dockerignore")] = (
            f"Pass `--force` to replace it, or {elsewhere} to write elsewhere."
        )
    return found


def output_path(given: str | None, usual: Path) -> Path:
    """Where `-o` says, else the usual place; relative to where the command was called if below.

    Raises DockerCacheError for what is no path of a file.
    """
    if given is not None and (given.endswith(("/", os.sep)) or is_folder(given or ".")):
        raise DockerCacheError(
            f"{given} is a folder." if given else "`-o` is empty.",
            fix="Give `-o` the path of a file, or leave it out.",
        )
    path = (usual if given is None else Path(given)).absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _below(path: Path, context: Path) -> str | None:
    """The path as the ignore file names it; none, if it is not in the context."""
    resolved = real_path(path)
    inside = resolved.is_relative_to(context)
    return resolved.relative_to(context).as_posix() if inside else None


def _write_secret(path: Path, text: str, files: Collection[Path]) -> None:
    if real_path(path) in set(map(real_path, files)):
        raise DockerCacheError(
            f"{path} would be the Dockerfile and the auth secret in one.",
            fix="Give --auth-file another path than `-o`.",
        )
    write_private(path, text)


def bake_file(images: Sequence[PlannedImage]) -> str:
    """The file for these images, with its banner.

    Raises DockerCacheError for a cache that would be pushed where the image is.
    """
    targets, tag = [], ""
    for it in images:
        name = default_tag(it.name, it.version, image=it.settings.image, among=it.image)
        if it.settings.cache:
            refuse_tag(it.settings.cache, [name])
        repository, _, tag = name.rpartition(":")
        targets.append(_target(it, repository))
    return with_banner(render_bake_file(targets, tag=tag), command=f"{EXPORT} --bake")


def bake_notes(images: Sequence[PlannedImage]) -> list[str]:
    """What is told of what the file cannot have."""
    names = ", ".join(it.image for it in images if _is_at_home(it))
    told = (
        f"{BAKE_FILE} has no cache for {names}: bake does not know which folder `~` is."
        " `cache` can name one without it, and so can `--set`."
    )
    return [told] if names else []


def _target(prepared: PlannedImage, repository: str) -> BakeTarget:
    plan, settings = prepared.plan, prepared.settings
    return BakeTarget(
        name=prepared.image,
        context=Path(os.path.relpath(prepared.context, prepared.folder)).as_posix(),
        dockerfile=plan.located(dockerfile_name(prepared.image)),
        repository=repository,
        platforms=settings.platforms,
        cache=None if _is_at_home(prepared) else settings.cache,
        ssh=plan.dependencies.ssh,
        version=plan.version,
    )


def _is_at_home(prepared: PlannedImage) -> bool:
    """Whether the cache is in the home folder of whoever builds."""
    cache = prepared.settings.cache
    return any(path.startswith("~") for path in (folders_of(cache) if cache else ()))
