"""The keys of how the image is built, and of several images."""

from __future__ import annotations

from poetry_docker_cache.settings import caches, docker, references, reuse, values
from poetry_docker_cache.settings.keys.key import Key

BUILDING = (
    Key(
        name="compile",
        takes="`true` or `false`",
        default="`false`",
        meaning="byte-compile dependencies, project and standard library, reproducibly: a larger "
        "image that starts faster",
        example="compile = true",
        read=values.boolean,
    ),
    Key(
        name="syntax",
        takes='`"auto"`, `false` or the name of a frontend image',
        default='`"auto"`',
        meaning="the `# syntax` line: `auto` writes it where the engine may need it",
        example='syntax = "docker/dockerfile:1"',
        read=references.syntax,
    ),
    Key(
        name="cache",
        takes="the name of an image in a registry, a folder (`./…`, relative to the project), "
        "`type=…` with options, or a table of `type` and options",
        default="none",
        meaning="build cache, as `--cache`; always read, written with `--push` only",
        example='cache = "registry.example.com/team/app:cache"',
        read=caches.cache,
    ),
    Key(
        name="download-cache",
        takes="the path of a folder: relative to the project, absolute, or below `~`",
        default="none",
        meaning="a folder of this machine where `build` keeps the wheels that the image is made "
        "of, for layers that are installed again when BuildKit's own caches are gone; CI keeps it "
        "from run to run",
        example='download-cache = ".cache/wheels"',
        read=reuse.download_cache,
    ),
    Key(
        name="reuse-image",
        takes="the name of an image with a tag or digest",
        default="none",
        meaning="an earlier image of the project: a layer that is installed again takes from it "
        "the packages that have not changed; one that does not exist yet has none",
        example='reuse-image = "registry.example.com/team/app:latest"',
        read=references.reference,
    ),
    Key(
        name="ignore",
        takes="a list of lines",
        default="`[]`",
        meaning="lines added to the ignore file",
        example='ignore = ["data/", "*.csv"]',
        read=values.list_of(values.ignore_line),
    ),
    Key(
        name="instructions",
        takes="a table of `build` and `runtime`, each a list of Dockerfile lines",
        default="none",
        meaning="lines added to the stages that install and to the final one",
        example='instructions = { runtime = ["RUN ldconfig"] }',
        read=docker.instructions,
    ),
    Key(
        name="template",
        takes="the path of a Jinja template, relative to the project's root",
        default="none",
        meaning="a template of your own, which extends the built-in one and overrides its blocks",
        example='template = "docker/Dockerfile.j2"',
        read=values.template,
    ),
    Key(
        name="images",
        takes="a table for each image by its name, with any of the other settings",
        default="none",
        meaning="several images of one project, which share what they have in common: these "
        "settings are laid over the others",
        example='images = { api = { command = ["api"] }, worker = { command = ["worker"] } }',
        read=references.image_names,
    ),
)
