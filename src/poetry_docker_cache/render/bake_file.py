"""The bake file, with which plain `docker buildx bake` builds the exported Dockerfiles."""

from __future__ import annotations

import json
import posixpath
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.caches.spec import Store, folders_of, read_words, write_words
from poetry_docker_cache.render.templates import TemplateEnvironment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.caches.spec import Cache

TEMPLATE = "docker-bake.hcl.j2"
_TO_REGISTRY = write_words(Store(type="registry", options=(("ref", "${image}"),)))
"""The cache export to the name in bake's variable `image`."""


@dataclass(frozen=True, kw_only=True)
class BakeTarget:
    """One image in the bake file."""

    name: str
    context: str
    """Relative to the project's folder, where the file is."""
    dockerfile: str
    """Relative to the context."""
    repository: str
    platforms: tuple[str, ...] = ()
    """The platforms in the settings."""
    cache: Cache | None = None
    """The cache in the settings; a folder is relative to the project's."""
    ssh: bool = False
    """Whether its build needs an SSH agent."""
    secrets: tuple[str, ...] = ()
    """The secrets of its front ends and build steps, which are variables of this name."""
    npmrc: bool = False
    """Whether it has a front end, whose download may need a login."""
    version: str | None = None
    """The default of `ARG VERSION` if the version comes from git."""

    @property
    def reads(self) -> str:
        """The caches to import, as HCL."""
        if isinstance(self.cache, Store) and self.cache.type == "inline":  # the image carries it
            named = f'"{literal(self.repository)}:${{tag}}"'
            # Without a `/` in its name, it was never pushed.
            return f'[for tag in split(",", TAG) : {named}]' if "/" in self.repository else "[]"
        return f"[{quoted(read_words(self.cache))}]" if self.cache else "[]"

    @property
    def writes(self) -> str:
        """The caches to export, as HCL."""
        return f"WRITE_CACHE ? [{quoted(write_words(self.cache))}] : []" if self.cache else "[]"


def render_bake_file(targets: Sequence[BakeTarget], *, tag: str) -> str:
    """Render the file without its banner; `tag` is the default tag of all images."""
    environment = TemplateEnvironment()
    environment.filters.update(hcl=quoted, literal=literal)
    return environment.get_template(TEMPLATE).render(
        targets=targets,
        tag=tag,
        version=next((target.version for target in targets if target.version), None),
        to_registry=_TO_REGISTRY,
        allowed=_allowed(targets),
    )


def _allowed(targets: Sequence[BakeTarget]) -> dict[str, str]:
    """Return the options that allow bake to use what is outside the project, and why."""
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
    """Quote a string for HCL: as JSON, with escaped interpolations."""
    return literal(json.dumps(text, ensure_ascii=False))


def literal(text: str) -> str:
    """Escape what would start an interpolation in a string of HCL."""
    return text.replace("${", "$${").replace("%{", "%%{")
