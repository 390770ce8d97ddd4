"""`[tool.poetry-docker-cache]` of pyproject.toml: each setting, and the parser of the table."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from poetry_docker_cache.settings import (
    asset_values,
    content_values,
    image_values,
    install_values,
    run_values,
    values,
    variant_values,
)
from poetry_docker_cache.settings.image_values import Healthcheck, Instructions
from poetry_docker_cache.settings.keys import REMOVED, keys_of, setting
from poetry_docker_cache.settings.setting_errors import (
    TABLE,
    SettingsError,
    kind,
    removed_key,
    unknown_key,
)
from poetry_docker_cache.settings.variant_values import VariantSettings

if TYPE_CHECKING:
    from poetry_docker_cache.caches.spec import Cache
    from poetry_docker_cache.settings.asset_values import Assets
    from poetry_docker_cache.settings.content_values import BuildArgument, Copied, Directory
    from poetry_docker_cache.settings.run_values import RunSetting

_NAMES = values.set_of(install_values.name)
_PACKAGES = values.set_of(values.system_package)
_TAKES_PACKAGES = "a list of Debian or Alpine packages, with an optional `:arch` or `=version`"
_TAKES_COMMAND = "a list: the program and its arguments"
_TAKES_BASE = "an image with a tag or digest, in which `{python}` is replaced"


# A setting that is on or off.
_switch = functools.partial(setting, read=values.boolean, takes="`true` or `false`")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one image; None if the project, the lock file or the base image decides."""

    image: str | None = setting(
        default=None,
        default_text="the project's name, or that of its folder",
        read=image_values.repository,
        takes="a repository name in lower case, without a tag",
        meaning="repository name of the image",
        example='image = "registry.example.com/team/app"',
    )
    python: str | None = setting(
        default=None,
        default_text="`.python-version`, your Dockerfile or CI, else the newest version that is at"
        " least a year old, that the project allows and that has wheels for all locked packages",
        read=install_values.python_version,
        takes='`"X.Y"` or `"X.Y.Z"` in quotes, 3.9 or newer',
        meaning="the image's Python",
        example='python = "3.12"',
    )
    base_image: str = setting(
        default="python:{python}-slim",
        read=image_values.base_image,
        takes=f"{_TAKES_BASE}; without `{{python}}`, `python` is required",
        meaning="base of the final image",
        example='base-image = "python:{python}-slim-bookworm"',
    )
    build_image: str | None = setting(
        default=None,
        default_text="`python:{python}`, the full image of the same suite",
        read=image_values.base_image,
        takes=_TAKES_BASE,
        meaning="base of the stage that builds packages from source; only used if there are any",
        example='build-image = "python:{python}-bookworm"',
    )
    shell: bool | None = setting(
        default=None,
        default_text="`false` for the names of distroless, Chainguard and Docker Hardened images,"
        " else `true`",
        read=values.boolean,
        takes="`true` or `false`",
        meaning="whether `base-image` has a shell and pip. Without them, everything except"
        " `compile` and the final check runs on `build-image`, which is then required",
        example="shell = false",
    )
    platforms: tuple[str, ...] = setting(
        default=(),
        default_text="the platform of the builder, or `--platform`",
        read=values.set_of(image_values.platform),
        takes='a list of platforms such as `"linux/arm64"`',
        meaning="platforms of the image: `build --push` builds them all, and a package without a"
        " wheel for one of them is built from source there",
        example='platforms = ["linux/amd64", "linux/arm64"]',
    )
    poetry_version: str | None = setting(
        default=None,
        default_text="the version that wrote the lock file, if it can install into the image",
        read=install_values.poetry_version,
        takes="the version of a final release in quotes, 2.1 or newer",
        meaning="Poetry in the build, for packages that are built from source or do not come from a"
        " package index",
        example='poetry-version = "2.1.4"',
    )
    groups: tuple[str, ...] | Literal["all"] = setting(
        default=("main",),
        read=install_values.names_or_all,
        takes='a list of names, or `"all"`',
        meaning="dependency groups to install; `--with` and `--without` modify the list, `--only`"
        " replaces it",
        example='groups = ["main", "server"]',
    )
    extras: tuple[str, ...] | Literal["all"] = setting(
        default=(),
        read=install_values.names_or_all,
        takes='a list of names, or `"all"`',
        meaning="extras to install; `-E` adds to them",
        example='extras = ["postgres"]',
    )
    build_packages: tuple[str, ...] = setting(
        default=(),
        read=_PACKAGES,
        takes=_TAKES_PACKAGES,
        meaning="system packages for the stages that build from source",
        example='build-packages = ["libpq-dev"]',
    )
    runtime_packages: tuple[str, ...] = setting(
        default=(),
        read=_PACKAGES,
        takes=_TAKES_PACKAGES,
        meaning="system packages for the final image",
        example='runtime-packages = ["libpq5"]',
    )
    optional_libraries: tuple[str, ...] = setting(
        default=(),
        read=values.set_of(install_values.shared_library),
        takes='a list of names such as `"libtbb.so.12"`',
        meaning="shared libraries that may be missing, because the module that needs them is never"
        " imported",
        example='optional-libraries = ["libtbb.so.12"]',
    )
    build_network: bool = _switch(
        default=False,
        meaning="packages without a wheel are built with access to the network, for builds that"
        " download something themselves, as those in Rust do",
        example="build-network = true",
    )
    engine: bool = _switch(
        default=True,
        meaning="whether `build` uses a container engine; without, it makes the image from wheels,"
        " as with `--no-engine`",
        example="engine = false",
    )
    sbom: bool = _switch(
        default=True,
        meaning="whether `build --push` attaches the [list of its contents](docs/sbom.md) (SBOM)",
        example="sbom = false",
    )
    build_on_host: bool = _switch(
        default=False,
        meaning="whether `--no-engine` builds packages without a wheel on this machine, with your"
        " rights, if they have no compiled code",
        example="build-on-host = true",
    )
    ssh: bool = _switch(
        default=False,
        meaning="whether `build` forwards your SSH agent to the step that clones git dependencies"
        " over ssh, as with `--ssh default`",
        example="ssh = true",
    )
    pinned_tools: bool = _switch(
        default=True,
        meaning="Poetry and build backends are installed in the versions that this release pins,"
        " with checked hashes; `false` lets pip choose the versions",
        example="pinned-tools = false",
    )
    ssh_known_hosts: tuple[str, ...] = setting(
        default=(),
        read=values.set_of(install_values.known_host),
        takes="a list of lines of OpenSSH's `known_hosts`, as `ssh-keyscan HOST` prints them",
        meaning="host keys for git dependencies over ssh; no other host is trusted",
        example='ssh-known-hosts = ["git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"]',
    )
    layers: int | Literal["auto"] = setting(
        default="auto",
        read=install_values.layers,
        takes='`"auto"` or a number from 1 to 48, without quotes',
        meaning="number of layers that the dependencies are split into",
        example="layers = 8",
    )
    own_layers: tuple[str, ...] = setting(
        default=(),
        read=install_values.own_layers,
        takes="a list of package names",
        meaning="packages that get their own layer in addition to `layers`: the largest ones, as"
        " `poetry docker layers` proposes",
        example='own-layers = ["numpy", "pandas"]',
    )
    files: tuple[str, ...] | None = setting(
        default=None,
        default_text="the files that a running application needs beside its package",
        read=values.set_of(values.project_pattern),
        takes="a list of paths relative to the project; `.` is the whole project, and `*`, `?` and"
        " `**` are wildcards",
        meaning="files and folders that are copied to the working directory; `[]` copies none",
        example='files = ["alembic.ini", "migrations", "conf/*.ini"]',
    )
    copy: tuple[Copied, ...] = setting(
        default=(),
        default_text="none",
        read=values.list_of(content_values.copied),
        takes="a list of tables of `from` (a path in the project, or in `image`), `to` (a path in"
        " the image; relative to `workdir`, with `/` at its end for a folder), `image`, `owner` and"
        " `mode`",
        meaning="files and folders that are copied under another name or to another place, from"
        " the project or from another image; owned by root",
        example='copy = [{ from = "docker/start.sh", to = "/usr/local/bin/start", mode = "0755" }]',
    )
    directories: tuple[Directory, ...] = setting(
        default=(),
        default_text="none",
        read=values.set_of(content_values.directory),
        takes="a list of paths (relative to `workdir`), or of tables of `path` and `mode`",
        meaning="folders that the image's user owns and can write to",
        example='directories = ["media", { path = "/var/lib/shop", mode = "0750" }]',
    )
    volumes: tuple[str, ...] = setting(
        default=(),
        read=values.set_of(content_values.folder),
        takes="a list of paths (relative to `workdir`)",
        meaning="folders for VOLUME, which the image's user owns",
        example='volumes = ["/var/lib/shop"]',
    )
    assets: tuple[Assets, ...] = setting(
        default=(),
        default_text="none",
        read=asset_values.assets,
        takes="a table of `folder`, `output`, `to`, and, if needed, `image`, `install`, `build`,"
        " `files` and `network`, or a list of such tables",
        meaning="[front ends](docs/front-ends.md): each is built in a stage of its own with npm,"
        " pnpm, Yarn or Bun, and `output`, relative to `folder`, is copied `to` the package or the"
        " working directory",
        example='assets = { folder = "frontend", output = "dist", to = "shop/static" }',
    )
    workdir: str = setting(
        default="/app",
        read=values.workdir,
        takes="an absolute path below `/`, of letters, digits and `._@+-`",
        meaning="working directory",
        example='workdir = "/srv/app"',
    )
    user: str = setting(
        default="10001:10001",
        read=image_values.user,
        takes='a number, `"uid:gid"`, or the name of a user in the base image, not root',
        meaning="user of the image; a uid alone is also the gid",
        example='user = "1000:1000"',
    )
    entrypoint: tuple[str, ...] | None = setting(
        default=None,
        read=values.argv,
        takes=_TAKES_COMMAND,
        meaning="ENTRYPOINT in exec form; `[]` clears that of the base image",
        example='entrypoint = ["tini", "--"]',
    )
    init: bool = _switch(
        default=False,
        meaning="whether `tini` starts the image's program: it reaps child processes, and forwards"
        " signals; its system package is installed",
        example="init = true",
    )
    command: tuple[str, ...] | None = setting(
        default=None,
        default_text="[found in the project](docs/images.md#start-command); none with `entrypoint`",
        read=values.argv,
        takes=_TAKES_COMMAND,
        meaning="CMD in exec form; `[]` clears that of the base image",
        example='command = ["gunicorn", "shop.wsgi"]',
    )
    env: tuple[tuple[str, str], ...] = setting(
        default=(),
        default_text="`HOME`, a folder that the user owns, and `USER=app`",
        read=values.env,
        takes="a table of strings",
        meaning="environment variables, without substitution",
        example='env = { LOG_LEVEL = "info" }',
    )
    labels: tuple[tuple[str, str], ...] = setting(
        default=(),
        default_text="OCI labels from the project's metadata",
        read=values.labels,
        takes="a table of strings, with dotted names in quotes",
        meaning="labels of the image, without substitution",
        example='labels = { "com.example.team" = "shop" }',
    )
    build_args: tuple[BuildArgument, ...] = setting(
        default=(),
        default_text="none",
        read=content_values.build_arguments,
        takes="a table of defaults by name, each a string, or a table of `default` and one or more"
        " of `env`, `label` and `file`",
        meaning="build arguments, set with `--build-arg NAME=VALUE`: each becomes the environment"
        " variable of its name, unless it has `env`, `label` or `file`",
        example='build-args = { GIT_SHA = "unknown" }',
    )
    ports: tuple[str, ...] = setting(
        default=(),
        read=values.set_of(image_values.port),
        takes='a list of numbers from 1 to 65535 or strings such as `"8000/udp"`',
        meaning="ports for EXPOSE",
        example='ports = [8000, "8125/udp"]',
    )
    healthcheck: Healthcheck | Literal[False] | None = setting(
        default=None,
        read=image_values.healthcheck,
        takes="a list (the program and its arguments), a table of `command`, `interval`,"
        " `timeout`, `start-period`, `start-interval` and `retries`, or `false`",
        meaning="HEALTHCHECK in exec form; `false` disables that of the base image",
        example='healthcheck = { command = ["python", "-m", "shop.health"], interval = "30s" }',
    )
    stop_signal: str | None = setting(
        default=None,
        read=image_values.stop_signal,
        takes="the name or number of a signal",
        meaning="signal that `docker stop` sends",
        example='stop-signal = "SIGINT"',
    )
    compile: bool = _switch(
        default=False,
        meaning="byte-compile dependencies, project and standard library, reproducibly: a larger"
        " image that starts faster",
        example="compile = true",
    )
    run: tuple[RunSetting, ...] = setting(
        default=(),
        default_text="none",
        read=run_values.run_steps,
        takes="a list of tables, each with `command` and `output`, and optionally `env`,"
        " `packages`, `network`, `secrets` and `dependencies`",
        meaning="commands that [need the installed application](docs/images.md#build-steps), such"
        " as Django's `collectstatic`; only their `output` gets into the image",
        example='run = [{ command = ["python", "manage.py", "collectstatic", "--no-input"],'
        ' output = ["staticfiles"] }]',
    )
    syntax: str | Literal[False] = setting(
        default="auto",
        read=image_values.syntax,
        takes='`"auto"`, `false` or the name of a frontend image',
        meaning="the `# syntax` line: `auto` writes it if the engine may need it",
        example='syntax = "docker/dockerfile:1"',
    )
    cache: Cache | None = setting(
        default=None,
        read=install_values.cache,
        takes="an image in a registry, a folder (`./…`, relative to the project), `type=…` with"
        " options, or a table of `type` and options",
        meaning="build cache, as `--cache`; always read, but only written with `--push`",
        example='cache = "registry.example.com/team/app:cache"',
    )
    download_cache: str | None = setting(
        default=None,
        read=install_values.download_cache,
        takes="the path of a folder: relative to the project, absolute, or below `~`",
        meaning="folder of this machine in which `build` keeps the wheels of the image, for layers"
        " that are installed again after BuildKit's caches are gone; for CI, which can keep the"
        " folder between runs",
        example='download-cache = ".cache/wheels"',
    )
    reuse_image: str | None = setting(
        default=None,
        read=image_values.reference,
        takes="an image with a tag or digest",
        meaning="an earlier image of the project: a layer that is installed again copies unchanged"
        " packages from it, if it exists",
        example='reuse-image = "registry.example.com/team/app:latest"',
    )
    ignore: tuple[str, ...] = setting(
        default=(),
        read=values.list_of(values.ignore_line),
        takes="a list of lines",
        meaning="lines added to the ignore file",
        example='ignore = ["data/", "*.csv"]',
    )
    instructions: Instructions = setting(
        default=Instructions(),
        default_text="none",
        read=image_values.instructions,
        takes="a table of `build` and `runtime`, each a list of Dockerfile lines",
        meaning="lines added to the stages that install packages, and to the final stage",
        example='instructions = { runtime = ["RUN ldconfig"] }',
    )
    template: str | None = setting(
        default=None,
        read=values.template,
        takes="the path of a Jinja template, relative to the project",
        meaning="a template that extends the built-in one and overrides its blocks",
        example='template = "docker/Dockerfile.j2"',
    )
    dev: VariantSettings = setting(
        default=VariantSettings(),
        default_text="the groups that `poetry install` installs, and the start command with"
        " automatic reload",
        read=variant_values.reader(_NAMES, tests=False),
        takes="a table of `groups`, `extras`, `command` and `env`",
        meaning="what the image of `build --dev` adds to the image",
        example='dev = { groups = ["dev"], command = ["flask", "run", "--debug"] }',
    )
    test: VariantSettings = setting(
        default=VariantSettings(),
        default_text="the groups `test` and `tests`, else `dev`; pytest, else unittest; the"
        " project's tests",
        read=variant_values.reader(_NAMES, tests=True),
        takes="a table of `groups`, `extras`, `command`, `env`, `files` and `network`",
        meaning="what the image of `poetry docker test` adds to the image; `network = true` lets"
        " tests use the network",
        example='test = { groups = ["test"], files = ["examples"] }',
    )
    images: tuple[str, ...] = setting(
        default=(),
        default_text="none",
        read=image_values.image_names,
        takes="a table for each image by its name, with any of the other settings",
        meaning="several images of one project, which share layers; the settings of an image"
        " override the common ones",
        example='images = { api = { command = ["api"] }, worker = { command = ["worker"] } }',
    )
    """The names of several images, whose tables `settings.image_tables` reads."""

    @classmethod
    def parse(cls, table: object) -> Settings:
        """Return the settings of a TOML table, which is not modified.

        Raises `SettingsError` for an unknown key, a wrong type or an impossible value.
        """
        if not isinstance(table, Mapping):
            raise SettingsError(
                f"`{TABLE[1:-1]}` in pyproject.toml is {kind(table)}, not a table.",
                fix=f"Add a line {TABLE} and write each setting below it as key = value.",
            )
        refuse_unknown(table, [key.name for key in KEYS])
        # `setting` makes mypy check that each reader returns the type of its field.
        read: dict[str, Any] = {
            key.field: key.read(key.spot, plain(table[key.name]))
            for key in KEYS
            if key.name in table
        }
        settings = cls(**read)
        if not settings.images:
            settings.refuse_unknown_python()
        return settings

    def refuse_unknown_python(self, *, inside: str = "") -> None:
        """Raise `SettingsError` if the Python of the base image is unknown."""
        if self.python is None and "{python}" not in self.base_image:
            raise SettingsError(
                f"`{inside}python` in {TABLE} is missing: `base-image` is {self.base_image},"
                " and its Python is not known.",
                fix='Add the Python of that image, for example python = "3.12", or write {python}'
                " instead of the version in the image's name.",
            )


KEYS = keys_of(Settings)
"""The keys of all settings, in the README's order."""


def refuse_unknown(table: Mapping[str, object], known: Collection[str], inside: str = "") -> None:
    """Raise `SettingsError` for a key that is unknown or was removed."""
    for name in table:
        if name in REMOVED:
            raise removed_key(name, REMOVED[name], inside=inside)
        if name not in known:
            raise unknown_key(str(name), known, inside=inside)


def plain(value: object) -> object:
    """Return a plain Python value instead of tomlkit's, whose booleans in lists are not bool."""
    unwrap = getattr(value, "unwrap", None)
    return unwrap() if callable(unwrap) else value
