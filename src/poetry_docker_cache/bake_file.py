"""The file by which plain `docker buildx bake` builds the exported Dockerfiles. Pure."""

from __future__ import annotations

import json
import posixpath
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import Store, folders_of
from poetry_docker_cache.caches.spelling import read_words, write_words
from poetry_docker_cache.templating import TemplateEnvironment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.caches.spec import Cache

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
    platforms: tuple[str, ...] = ()
    """Those of the settings."""
    cache: Cache | None = None
    """That of the settings; a folder is seen from the project's."""
    ssh: bool = False
    """Whether its build needs an SSH agent."""
    version: str | None = None
    """The default of its `ARG VERSION`, where only git knows the version."""

    @property
    def carries_cache(self) -> bool:
        """Whether the image itself carries its cache, under whatever tags it has."""
        return isinstance(self.cache, Store) and self.cache.type == "inline"

    @property
    def cache_from(self) -> str | None:
        """What is read, if it has a name of its own."""
        return None if self.cache is None or self.carries_cache else read_words(self.cache)

    @property
    def cache_to(self) -> str | None:
        """What is written, if that is asked for."""
        return None if self.cache is None else write_words(self.cache)

    @property
    def is_pushed(self) -> bool:
        """Whether its name says where to: without a `/`, nobody ever pushed it."""
        return "/" in self.repository


def render_bake_file(targets: Sequence[BakeTarget], *, tag: str) -> str:
    """The file, without banner; `tag` is the default of all images."""
    environment = TemplateEnvironment()
    environment.filters.update(hcl=quoted, literal=literal)
    return environment.get_template(TEMPLATE).render(
        targets=targets,
        tag=tag,
        version=next((it.version for it in targets if it.version), None),
        allowed=_allowed(targets),
    )


def _allowed(targets: Sequence[BakeTarget]) -> dict[str, str]:
    """The options by which bake may use what is not in the project's folder, and what that is."""
    found: dict[str, str] = {}
    for target in targets:
        if target.context != ".":
            found[f"fs.read={target.context}"] = "the images take files from there, too"
    for target in targets:
        for path in folders_of(target.cache) if target.cache else ():
            if posixpath.normpath(path).startswith(("/", "..")):
                found[f"fs={path}"] = "a cache"
    if any(target.ssh for target in targets):
        found["ssh"] = "your SSH agent: a git dependency comes over ssh"
    return {f"--allow {shlex.quote(option)}": what for option, what in found.items()}


def quoted(text: str) -> str:
    """A string of HCL, which arrives as it is: JSON's, but for what begins an interpolation."""
    return literal(json.dumps(text, ensure_ascii=False))


def literal(text: str) -> str:
    """The inside of a string of HCL without interpolation."""
    return text.replace("${", "$${").replace("%{", "%%{")
