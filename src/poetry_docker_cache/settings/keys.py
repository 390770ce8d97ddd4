"""The keys of `[tool.poetry-docker-cache]`: parsing, errors and the README are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.settings import image_values, install_values, values
from poetry_docker_cache.settings.setting_errors import Spot

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Key:
    """One setting. The texts are Markdown; `example` is a line of TOML that would be accepted."""

    name: str
    takes: str
    default: str
    meaning: str
    example: str
    read: Callable[[Spot, object], object]

    @property
    def field(self) -> str:
        """The name of the dataclass field that holds it."""
        return self.name.replace("-", "_")

    @property
    def spot(self) -> Spot:
        """Where its value stands."""
        return Spot(path=self.name, takes=self.takes, example=self.example)


BASES = (
    Key(
        name="image",
        takes="the name of a repository in lower case, without a tag",
        default="the project's name",
        meaning="repository name of the image",
        example='image = "registry.example.com/team/app"',
        read=image_values.repository,
    ),
    Key(
        name="python",
        takes='`"X.Y"` or `"X.Y.Z"` in quotes, 3.9 or newer',
        default="`.python-version`, else the newest that the project allows and that has wheels "
        "of all locked packages",
        meaning="the image's Python",
        example='python = "3.12"',
        read=install_values.python_version,
    ),
    Key(
        name="base-image",
        takes="the name of an image with a tag or digest, in which `{python}` is filled in; "
        "without `{python}`, `python` is required",
        default='`"python:{python}-slim"`',
        meaning="base of the final stage",
        example='base-image = "python:{python}-slim-bookworm"',
        read=image_values.base_image,
    ),
    Key(
        name="build-image",
        takes="the name of an image with a tag or digest, in which `{python}` is filled in",
        default="`python:{python}`, the full image of the same suite",
        meaning="base of the stage that installs what must be built from source; used only when "
        "something needs it",
        example='build-image = "python:{python}-bookworm"',
        read=image_values.base_image,
    ),
    Key(
        name="shell",
        takes="`true` or `false`",
        default="by its name: `false` for distroless, Chainguard's, Docker's hardened; else `true`",
        meaning="whether `base-image` has a shell and pip: without, only the final check and what "
        "`compile` does run on it, and all else on `build-image`, which must be named then",
        example="shell = false",
        read=values.boolean,
    ),
    Key(
        name="platforms",
        takes='a list of platforms such as `"linux/arm64"`',
        default="none: the platform that builds, or what `--platform` says",
        meaning="what the image is for: `build --push` builds them all, and what has no wheel for "
        "one of them is built from source there",
        example='platforms = ["linux/amd64", "linux/arm64"]',
        read=values.set_of(image_values.platform),
    ),
)


_NAMES = values.set_of(install_values.name)
_PACKAGES = values.set_of(install_values.system_package)

INSTALLING = (
    Key(
        name="poetry-version",
        takes="the version of a final release in quotes, 2.1 or newer",
        default="the one that wrote the lock, if it can install into the image",
        meaning="Poetry in the build; it installs what is built from source and what does not come "
        "from a package index",
        example='poetry-version = "2.1.4"',
        read=install_values.poetry_version,
    ),
    Key(
        name="groups",
        takes="a list of names",
        default='`["main"]`',
        meaning="dependency groups to install; `--with` and `--without` start from them, "
        "`--only` replaces them",
        example='groups = ["main", "server"]',
        read=_NAMES,
    ),
    Key(
        name="extras",
        takes="a list of names",
        default="`[]`",
        meaning="extras to install; `-E` adds to them",
        example='extras = ["postgres"]',
        read=_NAMES,
    ),
    Key(
        name="build-packages",
        takes="a list of Debian packages, or Alpine's, each with `:arch` or `=version` if need be",
        default="`[]`",
        meaning="packages of the system for the stages that build from source",
        example='build-packages = ["libpq-dev"]',
        read=_PACKAGES,
    ),
    Key(
        name="runtime-packages",
        takes="a list of Debian packages, or Alpine's, each with `:arch` or `=version` if need be",
        default="`[]`",
        meaning="packages of the system for the final image",
        example='runtime-packages = ["libpq5"]',
        read=_PACKAGES,
    ),
    Key(
        name="optional-libraries",
        takes='a list of names such as `"libtbb.so.12"`',
        default="`[]`",
        meaning="shared libraries that the image may lack although a module asks for them: it is "
        "never imported",
        example='optional-libraries = ["libtbb.so.12"]',
        read=values.set_of(install_values.shared_library),
    ),
    Key(
        name="ssh-known-hosts",
        takes="a list of lines of OpenSSH's `known_hosts`, as `ssh-keyscan HOST` prints them",
        default="`[]`",
        meaning="the keys of the hosts that git dependencies come from over ssh; no other host is "
        "trusted",
        example='ssh-known-hosts = ["git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"]',
        read=values.set_of(install_values.known_host),
    ),
    Key(
        name="layers",
        takes='`"auto"` or a number from 1 to 48, without quotes',
        default='`"auto"`',
        meaning="into how many layers the dependencies are split",
        example="layers = 8",
        read=install_values.layers,
    ),
    Key(
        name="own-layers",
        takes="a list of names of packages",
        default="`[]`",
        meaning="packages that get a layer each, beside those of `layers`: the heaviest, as "
        "`poetry docker layers` proposes",
        example='own-layers = ["numpy", "pandas"]',
        read=install_values.own_layers,
    ),
)


RUNNING = (
    Key(
        name="files",
        takes="a list of paths inside the project, relative to its root; `.` is all of it",
        default="what a running app needs beside its package",
        meaning="files and folders copied to the working directory; `[]` copies none",
        example='files = ["alembic.ini", "migrations"]',
        read=values.set_of(values.project_path),
    ),
    Key(
        name="workdir",
        takes="an absolute path below `/`, of letters, digits and `._@+-`",
        default='`"/app"`',
        meaning="working directory",
        example='workdir = "/srv/app"',
        read=values.workdir,
    ),
    Key(
        name="user",
        takes='a number, `"uid"` or `"uid:gid"`, not root',
        default='`"10001:10001"`',
        meaning="who the image runs as; a lone uid is its gid too",
        example='user = "1000:1000"',
        read=image_values.user,
    ),
    Key(
        name="entrypoint",
        takes="a list: the program and its arguments",
        default="none",
        meaning="ENTRYPOINT in exec form; `[]` clears the base's",
        example='entrypoint = ["tini", "--"]',
        read=values.argv,
    ),
    Key(
        name="command",
        takes="a list: the program and its arguments",
        default="the project's only script, else `python -m PACKAGE`; none with `entrypoint`",
        meaning="CMD in exec form; `[]` clears the base's",
        example='command = ["gunicorn", "shop.wsgi"]',
        read=values.argv,
    ),
    Key(
        name="env",
        takes="a table of strings",
        default="`HOME` is a folder that the user owns, `USER` is `app`",
        meaning="environment variables, taken literally",
        example='env = { LOG_LEVEL = "info" }',
        read=values.env,
    ),
    Key(
        name="labels",
        takes="a table of strings, with dotted names in quotes",
        default="OCI labels from the project's metadata",
        meaning="labels of the image, taken literally",
        example='labels = { "com.example.team" = "shop" }',
        read=values.labels,
    ),
    Key(
        name="ports",
        takes='a list of numbers from 1 to 65535 or strings such as `"8000/udp"`',
        default="none",
        meaning="ports that EXPOSE names",
        example='ports = [8000, "8125/udp"]',
        read=values.set_of(image_values.port),
    ),
    Key(
        name="healthcheck",
        takes="a list (the program and its arguments), a table of `command`, `interval`, "
        "`timeout`, `start-period` and `retries`, or `false`",
        default="none",
        meaning="HEALTHCHECK in exec form; `false` turns off the base's",
        example='healthcheck = { command = ["python", "-m", "shop.health"], interval = "30s" }',
        read=image_values.healthcheck,
    ),
    Key(
        name="stop-signal",
        takes="a signal's name or number",
        default="none",
        meaning="what `docker stop` sends",
        example='stop-signal = "SIGINT"',
        read=image_values.stop_signal,
    ),
)


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
        read=image_values.syntax,
    ),
    Key(
        name="cache",
        takes="the name of an image in a registry, a folder (`./…`, relative to the project), "
        "`type=…` with options, or a table of `type` and options",
        default="none",
        meaning="build cache, as `--cache`; always read, written with `--push` only",
        example='cache = "registry.example.com/team/app:cache"',
        read=install_values.cache,
    ),
    Key(
        name="download-cache",
        takes="the path of a folder: relative to the project, absolute, or below `~`",
        default="none",
        meaning="a folder of this machine where `build` keeps the wheels that the image is made "
        "of, for layers that are installed again when BuildKit's own caches are gone; CI keeps it "
        "from run to run",
        example='download-cache = ".cache/wheels"',
        read=install_values.download_cache,
    ),
    Key(
        name="reuse-image",
        takes="the name of an image with a tag or digest",
        default="none",
        meaning="an earlier image of the project: a layer that is installed again takes from it "
        "the packages that have not changed; one that does not exist yet has none",
        example='reuse-image = "registry.example.com/team/app:latest"',
        read=image_values.reference,
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
        read=image_values.instructions,
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
        read=image_values.image_names,
    ),
)


KEYS: tuple[Key, ...] = (*BASES, *INSTALLING, *RUNNING, *BUILDING)
"""All of them, in the README's order."""

_PIP_ONLY = "pip installs every wheel, and Poetry what must be built or does not come from an index"
REMOVED = {"installer": _PIP_ONLY, "uv-version": _PIP_ONLY}
"""Keys of earlier releases, each with the reason why it was removed."""
