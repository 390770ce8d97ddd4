"""The file by which plain `docker buildx bake` builds the exported Dockerfiles. Pure."""

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
"""How a cache is written whose name bake knows as `image`."""


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
    def reads(self) -> str:
        """The caches of the settings that are read, as HCL."""
        if isinstance(self.cache, Store) and self.cache.type == "inline":  # the image carries it
            named = f'"{literal(self.repository)}:${{tag}}"'
            # Without a `/` in its name, nobody ever pushed it.
            return f'[for tag in split(",", TAG) : {named}]' if "/" in self.repository else "[]"
        return f"[{quoted(read_words(self.cache))}]" if self.cache else "[]"

    @property
    def writes(self) -> str:
        """Those that are written, as HCL."""
        return f"WRITE_CACHE ? [{quoted(write_words(self.cache))}] : []" if self.cache else "[]"


def render_bake_file(targets: Sequence[BakeTarget], *, tag: str) -> str:
    """The file, without banner; `tag` is the default of all images."""
    environment = TemplateEnvironment()
    environment.filters.update(hcl=quoted, literal=literal)
    return environment.get_template(TEMPLATE).render(
        targets=targets,
        tag=tag,
        version=next((it.version for it in targets if it.version), None),
        to_registry=_TO_REGISTRY,
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
