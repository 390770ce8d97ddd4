"""The steps of a build as data, and the paths of their temporary files."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from poetry_docker_cache.render.exported_files import dockerfile_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AUTH_FILE = "secret/auth.toml"
"""Not beside the Dockerfile, where a frontend may read any file."""
NPMRC_FILE = "secret/npmrc"
METADATA_FILE = "metadata.json"
SCRIPTS = "scripts"
"""The folder of scripts, and its named context in the Dockerfile."""
DEFINITION_FILE = "build/docker-bake.json"


class Leftover(Protocol):
    """The result of a step, which is used afterwards."""

    def prepare(self) -> None:
        """Prepare its place. Raises OSError."""

    def explain(self, error: str) -> str:
        """Return why the step failed, from the last line that docker printed."""

    def take(self) -> str:
        """Use it; return the reason if it is not usable, or "". Raises OSError."""

    def discard(self) -> None:
        """Remove what was not used."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a build."""

    argv: tuple[str, ...]
    output: Literal["terminal", "stderr", "captured"] = "captured"
    """Where its output goes; the reason of a failure is read from captured output."""
    decides: bool = False
    """Whether it builds the images: its exit status is the build's, and later steps run only if it
    succeeds."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Default environment variables."""
    announcement: str = ""
    """A note to print before it starts."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Files to write for this step only: texts by path."""
    leaves: Leftover | None = None
    failure: str = ""
    """The note to print after a failure."""
    chain: str = ""
    """The name shared by steps that need each other: after a failure the rest is skipped."""
    always: bool = False
    """Whether it runs in any case, even after a signal; its own failure is ignored."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The paths of a build's temporary files, or the placeholders that `--dry-run` shows."""

    folder: str
    """The private folder with all of them."""
    dockerfiles: Mapping[str, str]
    """The Dockerfiles by image."""
    auth: str
    npmrc: str
    """The user's configuration of npm, as far as a build needs it."""
    metadata: str
    """The file of buildx's metadata."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Named build contexts: folders inside the private one."""
    shown: bool = False
    """Whether these are placeholders."""

    @classmethod
    def below(
        cls,
        folder: str,
        images: Sequence[str],
        *,
        vendored: str | None = None,
        contexts: Sequence[str] = (),
        shown: bool = False,
    ) -> Places:
        """Return the paths in a folder.

        `vendored` is the Dockerfile that the user chose, `contexts` are the names of named
        contexts, which are folders of the same names.
        """
        own = {name: str(Path(folder, "build", dockerfile_name(name))) for name in images}
        return cls(
            folder=folder,
            dockerfiles=dict.fromkeys(images, vendored) if vendored else own,
            auth=str(Path(folder, AUTH_FILE)),
            npmrc=str(Path(folder, NPMRC_FILE)),
            metadata=str(Path(folder, METADATA_FILE)),
            contexts={name: str(Path(folder, name)) for name in contexts},
            shown=shown,
        )

    @classmethod
    def placeholders(
        cls, images: Sequence[str], *, vendored: str | None = None, contexts: Sequence[str] = ()
    ) -> Places:
        """Return the placeholders that `--dry-run` shows, shorter ones for a single image."""
        if len(images) > 1:
            return cls.below("<folder>", images, contexts=contexts, shown=True)
        return cls(
            folder="<folder>",
            dockerfiles=dict.fromkeys(images, vendored or "<dockerfile>"),
            auth="<auth>",
            npmrc="<npmrc>",
            metadata="<metadata>",
            contexts={name: f"<{name}>" for name in contexts},
            shown=True,
        )

    @property
    def definition(self) -> str:
        """The file that bake reads."""
        return str(Path(self.folder, DEFINITION_FILE))

    def token(self, name: str) -> str:
        """Return a word that no other build uses."""
        return f"<{name}>" if self.shown else secrets.token_hex(8)

    def output(self, name: str) -> Path:
        """Return the folder for the result of a step."""
        return Path(self.folder) if self.shown else Path(self.folder, name)
