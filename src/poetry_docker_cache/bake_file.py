"""The file by which plain `docker buildx bake` builds the exported Dockerfiles. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.templating import TemplateEnvironment

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATE = "docker-bake.hcl.j2"


@dataclass(frozen=True, kw_only=True)
class BakeTarget:
    """One image."""

    name: str
    context: str
    """From the project's folder, where the file lies."""
    dockerfile: str
    """In the context."""
    repository: str
    ssh: bool = False
    """Whether its build needs an SSH agent."""
    version: str | None = None
    """The default of its `ARG VERSION`, where only git knows the version."""


def render_bake_file(targets: Sequence[BakeTarget], *, tag: str) -> str:
    """The file, without banner; `tag` is the default of all images."""
    environment = TemplateEnvironment()
    environment.filters.update(hcl=quoted, literal=literal)
    version = next((it.version for it in targets if it.version), None)
    return environment.get_template(TEMPLATE).render(targets=targets, tag=tag, version=version)


def quoted(text: str) -> str:
    """A string of HCL, which arrives as it is: JSON's, but for what begins an interpolation."""
    return literal(json.dumps(text, ensure_ascii=False))


def literal(text: str) -> str:
    """The inside of a string of HCL without interpolation."""
    return text.replace("${", "$${").replace("%{", "%%{")
