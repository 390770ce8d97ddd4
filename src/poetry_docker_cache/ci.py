"""A project -> a pipeline for its image. Pure: the same project gives the same bytes."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from packaging.utils import canonicalize_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.image_names import is_repository, names_registry
from poetry_docker_cache.sources import login_variables
from poetry_docker_cache.templating import TemplateEnvironment

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
_CI_PLATFORM = "linux/amd64"
# What YAML calls not printable, and its line breaks; JSON lets them stand.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


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

    @property
    def emulates(self) -> bool:
        """Whether a machine of the CI's cannot run what some platform's stages run."""
        return not set(self.platforms) <= {_CI_PLATFORM}

    @property
    def repository(self) -> str | None:
        """The image in full, where the setting says that."""
        return self.image if self.image and "/" in self.image else None

    @property
    def registry(self) -> str:
        """The host that `repository` begins with; empty is Docker Hub's."""
        found = self.repository
        return found.partition("/")[0] if found and names_registry(found) else ""

    @property
    def token_is_enough(self) -> bool:
        """Whether GitHub's own token opens the registry."""
        return self.repository is None or self.registry == _GHCR

    @property
    def own_name(self) -> str | None:
        """The image's name below that of the repository, which may have several projects.

        Raises DockerCacheError for a project's name that no image can have.
        """
        if self.image or self.folder == "." or not self.name:
            return self.image
        name = str(canonicalize_name(self.name))
        if not is_repository(name) or "/" in name:
            raise DockerCacheError(
                f"The project's name {self.name!r} cannot be the name of an image.",
                fix="Set `image` in [tool.poetry-docker-cache].",
            )
        return name

    @property
    def logins(self) -> Mapping[tuple[str, str], str]:
        """The variables of user names and passwords, with the sources that they are for."""
        found: dict[tuple[str, str], list[str]] = {}
        for source in self.sources:
            found.setdefault(login_variables(source), []).append(yaml_string(source))
        return {variables: " and ".join(names) for variables, names in found.items()}


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

    Raises DockerCacheError for a name that it could not pass on as it is.
    """
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


def _refuse_unspeakable(text: str, kind: CiKind) -> None:
    if re.search(r"[\n\r]", text):
        why = "a line break, which a block of YAML would change"
    elif kind == "github" and "${{" in text:
        why = "`${{`, with which an expression of GitHub begins"
    else:
        return
    raise DockerCacheError(f"{text!r} holds {why}.", fix="Give it another name.")
