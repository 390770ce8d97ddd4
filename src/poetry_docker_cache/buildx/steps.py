"""A step of a build as data, and where the temporary files that steps name are."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from poetry_docker_cache.render.exported_files import dockerfile_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AUTH_FILE = "secret/auth.toml"
"""Apart from the Dockerfile: a frontend may ask for any file beside that."""
METADATA_FILE = "metadata.json"
SCRIPTS = "scripts"
"""The folder of scripts, and the named context that stands for it in the Dockerfile."""
DEFINITION_FILE = "build/docker-bake.json"


class Leftover(Protocol):
    """What a step leaves behind, and what this program does with it."""

    def prepare(self) -> None:
        """Make room for it. Raises OSError."""

    def explain(self, error: str) -> str:
        """Say why there is nothing, from the last line that docker printed."""

    def take(self) -> str:
        """Use it; give the reason if it is of no use. Raises OSError."""

    def discard(self) -> None:
        """Remove what was not used."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a build."""

    argv: tuple[str, ...]
    output: Literal["terminal", "stderr", "captured"] = "captured"
    """Where its output goes; captured output is read for the reason of a failure."""
    decides: bool = False
    """Whether it builds the images: its exit status is the build's, and what follows it runs only
    after a success."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it gets unless the environment has them."""
    announcement: str = ""
    """The note before it starts."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Files that are written for this step only: their paths and texts."""
    leaves: Leftover | None = None
    failure: str = ""
    """The note after a failure."""
    chain: str = ""
    """The name that it shares with steps that need each other: the first failure ends them."""
    always: bool = False
    """Whether it runs all the same, even after a signal; its own failure does not matter."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The paths of a build's temporary files, or what `--dry-run` shows instead of them."""

    folder: str
    """The private folder that holds all of them."""
    dockerfiles: Mapping[str, str]
    """By the names of the images."""
    auth: str
    metadata: str
    """Where buildx leaves its metadata."""
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
        """Lay out the files in a folder.

        `vendored` is the Dockerfile that the user chose, `contexts` are the names of folders that
        are named contexts.
        """
        own = {name: str(Path(folder, "build", dockerfile_name(name))) for name in images}
        return cls(
            folder=folder,
            dockerfiles=dict.fromkeys(images, vendored) if vendored else own,
            auth=str(Path(folder, AUTH_FILE)),
            metadata=str(Path(folder, METADATA_FILE)),
            contexts={name: str(Path(folder, name)) for name in contexts},
            shown=shown,
        )

    @classmethod
    def placeholders(
        cls, images: Sequence[str], *, vendored: str | None = None, contexts: Sequence[str] = ()
    ) -> Places:
        """Give what `--dry-run` shows: short names if there is one image only."""
        if len(images) > 1:
            return cls.below("<folder>", images, contexts=contexts, shown=True)
        return cls(
            folder="<folder>",
            dockerfiles=dict.fromkeys(images, vendored or "<dockerfile>"),
            auth="<auth>",
            metadata="<metadata>",
            contexts={name: f"<{name}>" for name in contexts},
            shown=True,
        )

    @property
    def definition(self) -> str:
        """The file that bake reads."""
        return str(Path(self.folder, DEFINITION_FILE))

    def token(self, name: str) -> str:
        """Give a word that no other build uses."""
        return f"<{name}>" if self.shown else secrets.token_hex(8)

    def output(self, name: str) -> Path:
        """Give a folder for the result of a step."""
        return Path(self.folder) if self.shown else Path(self.folder, name)
