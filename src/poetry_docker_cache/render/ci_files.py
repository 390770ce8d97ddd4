"""A project -> a pipeline for its image. Pure: the same project gives the same bytes."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from packaging.utils import canonicalize_name

from poetry_docker_cache.docker.image_names import is_repository, names_registry, normalised
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
"""Runs Poetry there; which Python the image has is another question."""

_GHCR = "ghcr.io"
_DOCKER_HUB = ("docker.io", "index.docker.io")
"""Those of its names that a login may leave out."""
_CI_PLATFORM = "linux/amd64"
# What YAML calls not printable, and its line breaks; JSON lets them stand.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class CiImage:
    """One of several images, by what it is called."""

    name: str
    image: str | None
    """The setting, which may be made of the common one."""
    project: str | None
    """The project's name, with that of the image behind it."""


@dataclass(frozen=True, kw_only=True)
class CiPlan:
    """What a pipeline knows of the project. Holds no credential, and no address of an index."""

    kind: CiKind
    name: str | None
    """The project's."""
    image: str | None
    """The setting: a name of the CI's own registry, unless it holds a `/`."""
    sources: tuple[str, ...]
    """The names of the package sources that a build contacts."""
    poetry: str
    plugin: str
    """The versions that the CI installs."""
    folder: str
    """Of the project, below the checkout; for the shell form, as seen from the script."""
    selection: tuple[str, ...] = ()
    """The options of `poetry docker build` that choose groups and extras."""
    version_from_git: bool = False
    platforms: tuple[str, ...] = ()
    """The setting; none is that of the CI's machine."""
    images: tuple[CiImage, ...] = ()
    """Where there are several: `name` and `image` are what they have in common."""

    @property
    def emulates(self) -> bool:
        """Whether a machine of the CI's cannot run what some platform's stages run."""
        return not set(self.platforms) <= {_CI_PLATFORM}

    @property
    def repository(self) -> str | None:
        """The image in full, where the setting says that."""
        return _in_full(self.image)

    @property
    def repositories(self) -> tuple[str | None, ...]:
        """Each of the images in full, where its setting says that."""
        several = tuple(_in_full(it.image) for it in self.images)
        return several or (self.repository,)

    @property
    def is_elsewhere(self) -> bool:
        """Whether an image is in another registry than the CI's own."""
        return any(self.repositories)

    @property
    def registry(self) -> str:
        """The host that the names in full begin with; empty is Docker Hub's."""
        return next((_host(it) for it in self.repositories if it), "")

    @property
    def token_is_enough(self) -> bool:
        """Whether GitHub's own token opens the registry."""
        return all(it is None or _host(it) == _GHCR for it in self.repositories)

    @property
    def needs_image(self) -> bool:
        """Whether the shell form is to be told a name that those of the images are made of."""
        return not self.images or any("$" in it for it in self.references.values())

    @property
    def references(self) -> dict[str, str]:
        """What several images are called, as a shell reads it between double quotes.

        Raises DockerCacheError for a project's name that no image can have.
        """
        return {it.name: self._reference(it) for it in self.images}

    def _reference(self, it: CiImage) -> str:
        if self.kind == "shell" and it.image in (None, f"{self.image}-{it.name}"):
            return f"$common-{it.name}"
        if found := _in_full(it.image):
            return found
        if self.kind == "shell":
            return f"${{common%/*}}/{it.image}"
        own = it.image or (it.name if self.folder == "." else _name_of(it.project) or it.name)
        if self.kind == "gitlab":
            return f"$CI_REGISTRY_IMAGE/{own}"
        above = "GITHUB_REPOSITORY_OWNER" if it.image else "GITHUB_REPOSITORY"
        return f"{_GHCR}/${{{above},,}}/{own}"

    @property
    def own_name(self) -> str | None:
        """The image's name below that of the repository, which may have several projects.

        Raises DockerCacheError for a project's name that no image can have.
        """
        return self.image if self.image or self.folder == "." else _name_of(self.name)

    @property
    def logins(self) -> Mapping[tuple[str, str], str]:
        """The variables of user names and passwords, with the sources that they are for."""
        found: dict[tuple[str, str], list[str]] = {}
        for source in self.sources:
            found.setdefault(login_variables(source), []).append(yaml_string(source))
        return {variables: " and ".join(names) for variables, names in found.items()}


def _in_full(image: str | None) -> str | None:
    """The name of an image, if it says in which registry or team it is."""
    return image if image and "/" in image else None


def _host(repository: str) -> str:
    host = repository.partition("/")[0].lower() if names_registry(repository) else ""
    return "" if host in _DOCKER_HUB else host


def _name_of(project: str | None) -> str | None:
    """A project's name as that of an image; raises DockerCacheError where that cannot be."""
    name = str(canonicalize_name(project or ""))
    if project and (not is_repository(name) or "/" in name):
        raise DockerCacheError(
            f"The project's name {project!r} cannot be the name of an image.",
            fix="Set `image` in [tool.poetry-docker-cache].",
        )
    return name or None


def selection_options(options: Mapping[str, Sequence[str] | bool]) -> tuple[str, ...]:
    """The options GROUPS, as words of a command line."""
    words: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            words += [f"--{name}"] * value
        else:
            words += [f"--{name}={item}" for item in value]
    return tuple(words)


def render_ci(plan: CiPlan) -> str:
    """The pipeline, without banner and `#!` line.

    Raises DockerCacheError for a name that it could not pass on as it is, and for images in several
    registries, or in one place.
    """
    _refuse_several_registries(plan)
    _refuse_one_place(plan)
    for text in (plan.folder, *plan.selection):
        _refuse_unspeakable(text, plan.kind)
    environment = TemplateEnvironment()
    environment.filters.update(yaml=yaml_string, words=words, shell=shlex.quote)
    return environment.get_template(f"ci/{plan.kind}.j2").render(plan=plan, python=CI_PYTHON)


def yaml_string(text: str) -> str:
    """A double-quoted scalar of YAML, in one line: what is JSON, but for a few characters."""
    return _NOT_IN_YAML.sub(
        lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False)
    )


def words(arguments: Sequence[str]) -> str:
    """Words of a shell's command line, each after a space."""
    return "".join(f" {shlex.quote(word)}" for word in arguments)


def _refuse_several_registries(plan: CiPlan) -> None:
    """Raise DockerCacheError for images of which some are where the pipeline does not log in."""
    own = {"github": _GHCR, "gitlab": "GitLab's own", "shell": None}[plan.kind]
    if plan.kind == "shell" and plan.needs_image and plan.repository:
        own = _host(plan.repository)
    hosts = {own if it is None else _host(it) for it in plan.repositories} - {None}
    if len(hosts) > 1:
        names = ", ".join(sorted(it or "Docker Hub" for it in hosts if it is not None))
        raise DockerCacheError(
            f"The images are in several registries, and the pipeline logs in to one: {names}.",
            fix="Give each an `image` of the same one, in [tool.poetry-docker-cache.images.NAME].",
        )


def _refuse_one_place(plan: CiPlan) -> None:
    """Raise DockerCacheError for two images that are called otherwise, but not in the registry."""
    found: dict[str, str] = {}
    for name, reference in plan.references.items():
        place = reference
        if plan.kind == "shell" and plan.repository:
            above = plan.repository.rpartition("/")[0]
            place = place.replace("${common%/*}", above).replace("$common", plan.repository)
        if (other := found.setdefault(normalised(place), name)) != name:
            raise DockerCacheError(
                f"The pipeline would push the images {other} and {name} to {place}: the one would"
                " take the other's place.",
                fix=f"Give `image` in [tool.poetry-docker-cache.images.{name}] another value.",
            )


def _refuse_unspeakable(text: str, kind: CiKind) -> None:
    if re.search(r"[\n\r]", text):
        why = "a line break, which a block of YAML would change"
    elif kind == "github" and "${{" in text:
        why = "`${{`, with which an expression of GitHub begins"
    else:
        return
    raise DockerCacheError(
        f"The pipeline cannot name {text!r}, which holds {why}.",
        fix="Rename the folder, group or extra that is called so.",
    )
