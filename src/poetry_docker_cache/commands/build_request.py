"""Turns options and settings into a build request for each image."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx.command_line import (
    CACHE_PERMISSIONS,
    SET_BY_BAKE,
    BuildRequest,
    names_context,
    options_for,
)
from poetry_docker_cache.buildx.ssh_agent import agents
from poetry_docker_cache.buildx.step_secrets import not_passed
from poetry_docker_cache.caches.spec import Store, placed
from poetry_docker_cache.commands.image_choice import no_context
from poetry_docker_cache.docker import platforms
from poetry_docker_cache.docker.dockerfile_syntax import stages
from poetry_docker_cache.docker.image_names import implied_official, moved_to, tagged
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import BASE, REFRESHED, RUN_TESTS
from poetry_docker_cache.project.git import repository_of
from poetry_docker_cache.text import did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.commands.options import BuildOptions
    from poetry_docker_cache.commands.planned_image import PlannedImage


# Arguments that BuildKit has without a declaration, and those of platforms, which stages declare.
_PREDEFINED = re.compile(
    r"^(BUILDKIT_\w+|(BUILD|TARGET)(PLATFORM|OS|ARCH|VARIANT)|SOURCE_DATE_EPOCH"
    r"|(HTTPS?|FTP|NO|ALL)_PROXY)$",
    re.IGNORECASE,
)


_ARG = re.compile(r"\s*ARG\s", re.IGNORECASE)


def request_builds(options: BuildOptions, images: Sequence[PlannedImage]) -> list[BuildRequest]:
    """Return the build request of each image.

    Raises DockerCacheError for options that are empty, invalid or for a single image only.
    """
    platforms.refuse_unknown(options.platforms)
    bakes = len(images) > 1
    if bakes:
        _refuse_options_of_one_image(options, images)
    if names_context(options.after_dashes):
        raise no_context(".")
    if options.refresh and options.file is not None:
        _refuse_without_base(options.file)
    requests = [_request(options, image, among=image.image if bakes else "") for image in images]
    if pushes(options):
        for image, request in zip(images, requests, strict=True):
            _refuse_without_registry(image, request.tags)
    return requests


def pushes(options: BuildOptions) -> bool:
    """Return whether the images are pushed, also by an argument for buildx."""
    return options.push or "--push" in options.after_dashes


def _request(options: BuildOptions, image: PlannedImage, *, among: str) -> BuildRequest:
    arguments = options_for(options.after_dashes, among)
    ssh = agents(
        image.plan.dependencies,
        setting=image.settings.ssh,
        typed=options.ssh,
        arguments=arguments,
        vendored=options.file is not None,
    )
    return BuildRequest(
        tags=_tags(options, image),
        build_arguments={
            **({"VERSION": image.git_version} if image.git_version else {}),
            **given_arguments(options),
        },
        ssh=ssh,
        secrets=[f"id={name},env={name}" for name in _secrets(options, image, arguments)],
        unanswered=[*_outside(image), *["ssh"] * bool(ssh and not options.ssh)],
        push=options.push,
        load=options.load,
        platforms=platforms.to_build(
            options.platforms,
            own=image.settings.platforms,
            push=options.push,
            arguments=arguments,
        ),
        target=options.target,
        builder=options.builder,
        no_cache=options.no_cache,
        pull=options.pull or options.refresh,
        run_again=_run_again(options, image),
        progress=options.progress,
        arguments=options.after_dashes,
        image=among,
        context=str(image.context),
        place=image.plan.folder,
    )


def given_arguments(options: BuildOptions) -> dict[str, str]:
    """Return the values of `--build-arg`; as for Docker, a variable may have the value of a name.

    Raises DockerCacheError for an option without a name.
    """
    found = {}
    for text in options.build_args:
        name, is_set, value = text.partition("=")
        if not name.strip():
            raise DockerCacheError(
                f"--build-arg {text!r} has no name.", fix="Write `--build-arg NAME=VALUE`."
            )
        if is_set or name in os.environ:
            found[name] = value if is_set else os.environ[name]
    return found


def unused_arguments(options: BuildOptions, images: Sequence[PlannedImage]) -> list[str]:
    """Return a note for build arguments that no image declares.

    A template may declare any, and so may a Dockerfile that is not ours.
    """
    plans = [image.plan for image in images]
    if options.file is not None or any(plan.template for plan in plans):
        return []
    known = {each.name for plan in plans for each in plan.runtime.arguments}
    for plan in plans:
        for line in (*plan.runtime.instructions, *plan.dependencies.instructions):
            known |= {*re.findall(r"(\w+)(?:=\S*)?", line)[1:]} if _ARG.match(line) else set()
    known |= {"VERSION" for plan in plans if plan.version is not None}
    words = [word for each in options.after_dashes for word in each.split("=", 1)]
    passed = [word for option, word in pairwise(words) if option == "--build-arg"]
    named = [text.partition("=")[0] for text in (*options.build_args, *passed)]
    unknown = [name for name in named if name not in known and not _PREDEFINED.search(name)]
    near = did_you_mean(unknown[0], known) if unknown else ""
    note = (
        f"The image has no build argument {listing(unknown)}. {near}Declare it with `build-args` in"
        " [tool.poetry-docker-cache]."
    )
    return [note] if unknown else []


def _secrets(
    options: BuildOptions, image: PlannedImage, arguments: Sequence[str]
) -> tuple[str, ...]:
    """Return the environment variables that the builds of front ends and `run` get as secrets."""
    found = (name for front_end in image.front_ends for name in front_end.variables)
    needed = not_passed(image.plan.secrets, arguments)
    if options.file is not None:  # a vendored Dockerfile may not need them
        needed = tuple(name for name in needed if name in os.environ)
    return tuple(dict.fromkeys((*found, *needed)))


def _refuse_without_registry(image: PlannedImage, tags: Sequence[str]) -> None:
    """Raise DockerCacheError for a name that Docker Hub would refuse at the end of the build."""
    table = f"tool.poetry-docker-cache{image.image and f'.images.{image.image}'}"
    for tag in tags:
        if official := implied_official(tag):
            name = f"registry.example.com/team/{official.rpartition('/')[2]}"
            raise DockerCacheError(
                f"{tag} does not name a registry: --push would push it to {official}, where only"
                " Docker may push.",
                fix=f"Name the registry with -t (`-t {moved_to(tag, name)}`), or set in"
                f' [{table}]:\nimage = "{name}"',
            )


def _run_again(options: BuildOptions, image: PlannedImage) -> tuple[str, ...]:
    """Return the stages that run again: those of `--refresh`, and the tests.

    A build argument would change their cache key: the next build would find the old result again.
    This way, the result has the same key, and of two results BuildKit takes the newest. A stage
    based on one of these also runs again, but no stage of dependencies is. buildx does not accept
    the option with `--no-cache`, which includes it.
    """
    if options.no_cache:
        return ()
    is_changed = options.file is not None or image.plan.changes_base
    # The command for tests shows their output. Before a build, their success is enough.
    tests = (RUN_TESTS,) if image.plan.tests and not options.tests_first else ()
    return (*(REFRESHED if options.refresh and is_changed else ()), *tests)


def _refuse_without_base(file: str) -> None:
    """Raise DockerCacheError if a Dockerfile lacks the stage that `--refresh` runs again."""
    if file == "-":
        raise DockerCacheError(
            "--refresh needs to read the Dockerfile first, which it cannot do with --file -.",
            fix="Save the Dockerfile, and pass its path.",
        )
    text = Path(file).read_text(encoding="utf-8", errors="replace")
    if BASE not in (name.lower() for name, _ in stages(text) if name):
        raise DockerCacheError(
            f"--refresh runs the stage `{BASE}` again, but {file} has no such stage.",
            fix=f"Install system packages in a stage of this name (`FROM IMAGE AS {BASE}`), or use"
            " --pull for a newer base image, or --no-cache to run every stage again.",
        )


def _outside(image: PlannedImage) -> Iterator[str]:
    """Yield what the project's files chose outside its repository, as values of bake's `--allow`.

    The user has chosen the repository as a whole, and its packages may depend on each other.
    """
    repository = repository_of(image.folder) or image.folder
    if not image.context.is_relative_to(repository):
        yield f"fs.read={image.context}"
    setting = image.settings.cache and placed(image.settings.cache, image.folder)
    if isinstance(setting, Store) and setting.type == "local":
        for name, kind in CACHE_PERMISSIONS.items():
            path = setting.get(name)
            if path and not Path(path).is_relative_to(repository):
                yield f"{kind}={path}"


def _tags(options: BuildOptions, image: PlannedImage) -> list[str]:
    """Return the image's names. A tag alone, such as `-t :dev`, is added to the default name."""
    if not options.tags:
        return [image.default_tag]
    # If all tags are full names, a project without a name is fine.
    name = image.own_name(None) if any(tag.startswith(":") for tag in options.tags) else ""
    return [tagged(name, tag) for tag in options.tags]


def _refuse_options_of_one_image(options: BuildOptions, images: Sequence[PlannedImage]) -> None:
    """Raise DockerCacheError for options that work for one image only."""
    names = ", ".join(image.image for image in images)
    one = images[0].image
    if not all(tag.startswith(":") for tag in options.tags):
        raise DockerCacheError(
            f"-t names one image, but several are built: {names}.",
            fix=f"Build one of them (`poetry docker build {one} -t …`), pass a tag without a name"
            f" (`-t :latest`), or set `image` in [tool.poetry-docker-cache.images.{one}].",
        )
    if options.file is not None:
        raise DockerCacheError(
            f"--file is the Dockerfile of one image, but several are built: {names}.",
            fix=f"Build one of them: `poetry docker build {one} --file …`. To build all exported"
            " Dockerfiles, run `poetry docker export --bake`, then `docker buildx bake`.",
        )
    for option in (word.partition("=")[0] for word in options.after_dashes):
        if path := SET_BY_BAKE.get(option):
            raise DockerCacheError(
                f"Several images are built with `docker buildx bake`, which has no {option}.",
                fix=f"Write `-- --set '*.{path}'`, or build one of them:"
                f" `poetry docker build {one} -- {option} …`.",
            )
