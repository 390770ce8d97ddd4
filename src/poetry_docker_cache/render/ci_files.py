"""Renders a CI pipeline that builds the project's image."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from poetry_docker_cache.docker.image_names import image_slug, names_registry, normalised
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.sources import login_variables
from poetry_docker_cache.render.templates import TemplateEnvironment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CiKind = Literal["github", "gitlab", "shell"]
CI_KINDS: tuple[CiKind, ...] = get_args(CiKind)
CI_PATHS: Mapping[CiKind, str] = {
    "github": ".github/workflows/docker.yml",
    "gitlab": ".gitlab-ci.yml",
    "shell": "docker-build.sh",
}
SHEBANG = "#!/bin/sh\n"
"""The first line of the shell form."""
CI_PYTHON = "3.13"
"""The Python that runs Poetry in the pipeline, not the image's."""
NO_ENGINE = "--no-engine"
"""The option of `poetry docker build`, and of `export --ci`."""

_GHCR = "ghcr.io"
_HUB = "docker.io"
_DOCKER_HUB = (_HUB, f"index.{_HUB}")
"""Names of Docker Hub, which a login does not need."""
_OWN_VARIABLES = frozenset({"BRANCH", "DEFAULT_BRANCH", "GIT_TAG", "IMAGE", "PUSH", "REFRESH"})
_CI_PLATFORM = "linux/amd64"
# YAML's line breaks and characters that are not printable, which JSON does not escape.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class CiImage:
    """One of several images."""

    name: str
    image: str | None
    """The setting, which may be derived from the common one."""
    project: str | None
    """The project's name followed by the image's."""


@dataclass(frozen=True, kw_only=True)
class CiPlan:
    """The project as a pipeline needs it, without credentials and addresses of indexes."""

    kind: CiKind
    name: str | None
    """The project's name."""
    image: str | None
    """The setting: a name in the CI's own registry, unless it has a `/`."""
    sources: tuple[str, ...]
    """The names of the package sources that a build contacts."""
    poetry: str
    plugin: str
    """The version of the plugin; the CI installs both."""
    folder: str
    """The project's folder in the checkout; for the shell form, relative to the script."""
    selection: tuple[str, ...] = ()
    """The options of `poetry docker build` that choose groups and extras."""
    no_engine: bool = False
    """Whether the images are made from wheels, without a container engine."""
    sign: bool = False
    """Whether cosign signs the images after the push; on GitHub only."""
    python: str = CI_PYTHON
    version_variables: tuple[str, ...] = ()
    """Environment variables that set the version, if the project takes it from git."""
    platforms: tuple[str, ...] = ()
    """The setting; empty for the platform of the CI's machine."""
    images: tuple[CiImage, ...] = ()
    """The images if there are several; `name` and `image` are the common settings."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """The variables of the environment that a build takes as secrets, and what needs each."""

    @property
    def emulates(self) -> bool:
        """Whether the CI's machine must emulate a platform."""
        return not set(self.platforms) <= {_CI_PLATFORM}

    @property
    def repository(self) -> str | None:
        """The full name of the image, if the setting has it."""
        return _in_full(self.image)

    @property
    def repositories(self) -> tuple[str | None, ...]:
        """The full name of each image, if its setting has it."""
        several = tuple(_in_full(image.image) for image in self.images)
        return several or (self.repository,)

    @property
    def is_elsewhere(self) -> bool:
        """Whether an image is in another registry than the CI's own."""
        return any(self.repositories)

    @property
    def registry(self) -> str:
        """The registry in the full names; empty for Docker Hub."""
        return next((_host(name) for name in self.repositories if name), "")

    @property
    def login_registry(self) -> str:
        """The registry to log in to, as a word of a shell's command line."""
        if self.kind == "shell" and self.needs_image:
            return '"$registry"'
        if self.is_elsewhere:
            return shlex.quote(self.registry or _HUB)
        return _GHCR if self.kind == "github" else '"$CI_REGISTRY"'

    @property
    def token_is_enough(self) -> bool:
        """Whether GitHub's own token is enough to log in."""
        return all(name is None or _host(name) == _GHCR for name in self.repositories)

    @property
    def needs_image(self) -> bool:
        """Whether the shell form needs a name from which those of the images are derived."""
        return not self.images or any("$" in name for name in self.references.values())

    @property
    def references(self) -> dict[str, str]:
        """The names of several images, as a shell reads them between double quotes."""
        return {image.name: self._reference(image) for image in self.images}

    def _reference(self, ci_image: CiImage) -> str:
        if self.kind == "shell" and ci_image.image in (None, f"{self.image}-{ci_image.name}"):
            return f"$common-{ci_image.name}"
        if found := _in_full(ci_image.image):
            return found
        if self.kind == "shell":
            return f"${{common%/*}}/{ci_image.image}"
        own = ci_image.image or (
            ci_image.name if self.folder == "." else _name_of(ci_image.project) or ci_image.name
        )
        if self.kind == "gitlab":
            return f"$CI_REGISTRY_IMAGE/{own}"
        above = "GITHUB_REPOSITORY_OWNER" if ci_image.image else "GITHUB_REPOSITORY"
        return f"{_GHCR}/${{{above},,}}/{own}"

    @property
    def own_name(self) -> str | None:
        """The image's name below that of the repository, for one of several projects."""
        return self.image if self.image or self.folder == "." else _name_of(self.name)

    @property
    def logins(self) -> Mapping[tuple[str, str], str]:
        """The variables of user names and passwords, with the names of their sources."""
        found: dict[tuple[str, str], list[str]] = {}
        for source in self.sources:
            found.setdefault(login_variables(source), []).append(yaml_string(source))
        return {variables: " and ".join(names) for variables, names in found.items()}

    @property
    def more_secrets(self) -> Mapping[str, str]:
        """The secrets that are not logins of package sources as well."""
        known = {name for variables in self.logins for name in variables}
        return {name: what for name, what in self.secrets.items() if name not in known}

    @property
    def secrets_to_add(self) -> Mapping[str, str]:
        """The secrets that the CI does not set itself, as it does `CI_JOB_TOKEN`."""
        own = {"github": "GITHUB_", "gitlab": "CI_", "shell": None}[self.kind]
        return {
            name: what
            for name, what in self.more_secrets.items()
            if own is None or not name.startswith(own)
        }


def _in_full(image: str | None) -> str | None:
    """Return the name of an image if it includes a registry or team."""
    return image if image and "/" in image else None


def _host(repository: str) -> str:
    host = repository.partition("/")[0].lower() if names_registry(repository) else ""
    return "" if host in _DOCKER_HUB else host


def _name_of(project: str | None) -> str | None:
    """Return a project's name as an image's."""
    return image_slug(project) if project else None


def selection_options(options: Mapping[str, Sequence[str] | bool]) -> tuple[str, ...]:
    """Return options for groups and extras as words of a command line."""
    words: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            words += [f"--{name}"] * value
        else:
            words += [f"--{name}={item}" for item in value]
    return tuple(words)


def render_ci(plan: CiPlan) -> str:
    """Render the pipeline without banner and `#!` line.

    Raises DockerCacheError for a name that a pipeline cannot contain, for images in several
    registries, for two images with the same full name, and for a secret with the name of one of the
    pipeline's own variables.
    """
    _refuse_several_registries(plan)
    _refuse_one_place(plan)
    _refuse_own_variables(plan)
    for text in (plan.folder, *plan.selection):
        _refuse_unwritable(text, plan.kind)
    environment = TemplateEnvironment()
    environment.filters.update(yaml=yaml_string, words=words, shell=shlex.quote)
    return environment.get_template(f"ci/{plan.kind}.j2").render(
        plan=plan, no_engine=f" {NO_ENGINE}" if plan.no_engine else ""
    )


def yaml_string(text: str) -> str:
    """Return a double-quoted YAML scalar on one line: JSON with a few more escapes."""
    return _NOT_IN_YAML.sub(
        lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False)
    )


def words(arguments: Sequence[str]) -> str:
    """Return words of a shell's command line, each after a space."""
    return "".join(f" {shlex.quote(word)}" for word in arguments)


def _refuse_several_registries(plan: CiPlan) -> None:
    """Raise DockerCacheError for images in several registries: the pipeline logs in to one."""
    own = {"github": _GHCR, "gitlab": "GitLab's own", "shell": None}[plan.kind]
    if plan.kind == "shell" and plan.needs_image and plan.repository:
        own = _host(plan.repository)
    hosts = {own if name is None else _host(name) for name in plan.repositories} - {None}
    if len(hosts) > 1:
        names = ", ".join(sorted(host or "Docker Hub" for host in hosts if host is not None))
        raise DockerCacheError(
            f"The pipeline can log in to one registry only, but the images are in: {names}.",
            fix="Use the same registry for each `image` in [tool.poetry-docker-cache.images.NAME].",
        )


def _refuse_one_place(plan: CiPlan) -> None:
    """Raise DockerCacheError for two images that have the same name in the registry."""
    found: dict[str, str] = {}
    for name, reference in plan.references.items():
        place = reference
        if plan.kind == "shell" and plan.repository:
            above = plan.repository.rpartition("/")[0]
            place = place.replace("${common%/*}", above).replace("$common", plan.repository)
        if (other := found.setdefault(normalised(place), name)) != name:
            raise DockerCacheError(
                f"The pipeline would push both images {other} and {name} to {place}.",
                fix=f"Change `image` in [tool.poetry-docker-cache.images.{name}].",
            )


def _refuse_own_variables(plan: CiPlan) -> None:
    for name in _OWN_VARIABLES.intersection(plan.secrets):
        raise DockerCacheError(
            f"The pipeline uses the variable {name} itself, so it cannot be a secret of the build.",
            fix="Rename the secret.",
        )


def _refuse_unwritable(text: str, kind: CiKind) -> None:
    if re.search(r"[\n\r]", text):
        why = "its line break, which YAML would change"
    elif kind == "github" and "${{" in text:
        why = "`${{`, which GitHub would evaluate"
    else:
        return
    raise DockerCacheError(
        f"The pipeline cannot contain {text!r} because of {why}.",
        fix="Rename the folder, group or extra.",
    )
