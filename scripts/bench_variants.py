"""The ways to build the same project: the plugin, and Dockerfiles by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bench_project import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

POETRY = "2.5.1"
UV = "0.13.9"
# The private index listens on this machine's loopback: builds see it on the host's network only.
_NETWORK = "--network=host"


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build of a project, and where its image and its cache go."""

    folder: Path
    tag: str
    base: str
    full: str
    """The image that the article builds on."""
    secrets: Path
    """A folder with auth.toml for Poetry, and user name and password for uv."""
    poetry: Path
    """The user's Poetry, with the plugin."""
    cache_from: str | None = None
    cache_to: str | None = None
    """In BuildKit's words: `type=…`."""

    @property
    def options(self) -> list[str]:
        """The options that all variants share; whatever is built is pushed, as on CI."""
        options = ["--progress=plain", "--push", f"--tag={self.tag}"]
        if self.cache_from:
            options.append(f"--cache-from={self.cache_from}")
        if self.cache_to:
            options.append(f"--cache-to={self.cache_to},mode=max")
        return options


class Variant(Protocol):
    """One column of the comparison."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def title(self) -> str:
        """What readers see."""

    @property
    def kind(self) -> str:
        """Whose project it builds: poetry's or uv's."""

    def prepare(self, folder: Path, base: str) -> None:
        """Add to a locked project what only this variant needs."""

    def command(self, build: Build) -> list[str]:
        """Give the command that a user would type."""


@dataclass(frozen=True)
class Plugin:
    """`poetry docker build`, which installs wheels by pip."""

    compiled: bool = False
    setting: tuple[str, str] | None = None
    """One more, and its value."""
    kind = "poetry"

    @property
    def name(self) -> str:
        """What the command line calls it."""
        name = "pip-compiled" if self.compiled else "pip"
        return f"{name}-{self.setting[0]}" if self.setting else name

    @property
    def title(self) -> str:
        """What readers see."""
        return "plugin, pip"

    def prepare(self, folder: Path, base: str) -> None:
        """Write the settings."""
        settings = (
            f'\n[tool.poetry-docker-cache]\nbase-image = "{base.replace("3.13", "{python}")}"\n'
        )
        if self.compiled:
            settings += "compile = true\n"
        if self.setting:
            settings += f"{self.setting[0]} = {json.dumps(self.setting[1])}\n"
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(settings)

    def command(self, build: Build) -> list[str]:
        """Give the command that a user would type."""
        plain = ("--no-interaction", "--no-ansi")
        return [str(build.poetry), "docker", "build", *plain, *build.options, "--", _NETWORK]


@dataclass(frozen=True)
class Rival:
    """A Dockerfile by hand, below examples/bench."""

    name: str
    title: str
    kind: str
    version: tuple[str, str]
    """A build argument: the tool that installs, and which one."""
    secrets: tuple[str, ...]

    def prepare(self, folder: Path, base: str) -> None:  # noqa: ARG002  # the base is an argument
        """Copy the Dockerfile."""
        shutil.copy(EXAMPLES / f"{self.name}.Dockerfile", folder / "Dockerfile")

    def command(self, build: Build) -> list[str]:
        """Give the command that a user would type."""
        arguments = {"BASE": build.base, "BUILD": build.full, **dict([self.version])}
        command = ["docker", "buildx", "build", *build.options, _NETWORK]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command += [f"--secret=id={_id(name)},src={build.secrets / name}" for name in self.secrets]
        return [*command, "."]


def _id(name: str) -> str:
    return name.partition(".")[0]


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Plugin(),
        Rival("article", "the article's Dockerfile", "poetry", ("POETRY", POETRY), ("auth.toml",)),
        Rival(
            "uv-documented",
            "uv's documented Dockerfile",
            "uv",
            ("UV", UV),
            ("username", "password"),
        ),
    )
}
