"""The variants of the benchmark: the plugin, and Dockerfiles written by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import bench_log
from bench_project import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

POETRY = "2.5.1"
UV = "0.13.9"
# The private index listens on loopback, so builds reach it only on the host's network.
_NETWORK = "--network=host"


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build of a project, with the names of its image and cache."""

    folder: Path
    tag: str
    base: str
    full: str
    """The base image of the article's build stage."""
    secrets: Path
    """A folder with auth.toml for Poetry, and the user name and password for uv."""
    poetry: Path
    """The user's Poetry, with the plugin."""
    metadata: Path
    """The file for what a build without an engine has made."""
    cache_from: str | None = None
    cache_to: str | None = None
    """A cache in BuildKit's format, `type=…`; without an engine, `cache_from` is an image."""
    pull: bool = False
    """Whether BuildKit looks for newer base images."""

    @property
    def options(self) -> list[str]:
        """The options that all variants with an engine share; images are pushed, as on CI."""
        options = ["--progress=plain", "--push", f"--tag={self.tag}"]
        if self.pull:
            options.append("--pull")
        if self.cache_from:
            options.append(f"--cache-from={self.cache_from}")
        if self.cache_to:
            options.append(f"--cache-to={self.cache_to},mode=max")
        return options


class Variant(Protocol):
    """One column of the comparison."""

    @property
    def name(self) -> str:
        """The name on the command line."""

    @property
    def title(self) -> str:
        """The name in tables."""

    @property
    def kind(self) -> str:
        """The project's format, `poetry` or `uv`."""

    @property
    def needs_engine(self) -> bool:
        """Whether a container engine builds the image."""

    def prepare(self, folder: Path, base: str) -> None:
        """Add the files or settings of this variant to a locked project."""

    def command(self, build: Build) -> list[str]:
        """Return the command that a user would type."""

    def installed(self, build: Build, log: str) -> int:
        """Return how many packages a finished build has installed."""


@dataclass(frozen=True)
class Plugin:
    """The command `poetry docker build`."""

    compiled: bool = False
    setting: tuple[str, str | tuple[str, ...]] | None = None
    """The name and the value of an additional setting."""
    revision: str = ""
    """A git revision of the plugin, for a comparison with the current one."""
    poetry: Path | None = None
    """The Poetry that has the plugin of that revision."""
    needs_engine: bool = True
    """False for `--no-engine`."""
    kind = "poetry"

    @property
    def name(self) -> str:
        """The name on the command line."""
        parts = ["plugin", self.revision]
        parts += ["" if self.needs_engine else "no-engine", "compiled" if self.compiled else ""]
        if self.setting:
            parts.append(self.setting[0])
        return "-".join(filter(None, parts))

    @property
    def title(self) -> str:
        """The name in tables."""
        return "the plugin" if self.needs_engine else "the plugin, no engine"

    def prepare(self, folder: Path, base: str) -> None:
        """Write the settings into pyproject.toml."""
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
        """Return the command that a user would type."""
        command = [str(self.poetry or build.poetry), "docker", "build"]
        command += ["--no-interaction", "--no-ansi"]
        if self.needs_engine:
            return [*command, *build.options, "--", _NETWORK]
        command += ["--no-engine", "--push", f"--tag={build.tag}"]
        command.append(f"--metadata-file={build.metadata}")
        return [*command, *([f"--cache={build.cache_from}"] if build.cache_from else [])]

    def installed(self, build: Build, log: str) -> int:
        """Return how many packages a finished build has installed."""
        if self.needs_engine:
            return len(bench_log.installed(log))
        return bench_log.made(build.metadata.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class HandwrittenDockerfile:
    """A Dockerfile in examples/bench."""

    name: str
    title: str
    kind: str
    version: tuple[str, str]
    """The build argument with the version of Poetry or uv: its name and value."""
    secrets: tuple[str, ...]
    needs_engine = True

    def prepare(self, folder: Path, base: str) -> None:  # noqa: ARG002  # the base is an argument
        """Copy the Dockerfile into the project."""
        shutil.copy(EXAMPLES / f"{self.name}.Dockerfile", folder / "Dockerfile")

    def command(self, build: Build) -> list[str]:
        """Return the command that a user would type."""
        arguments = {"BASE": build.base, "BUILD": build.full, **dict([self.version])}
        command = ["docker", "buildx", "build", *build.options, _NETWORK]
        command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        for name in self.secrets:
            secret_id = name.partition(".")[0]
            command.append(f"--secret=id={secret_id},src={build.secrets / name}")
        return [*command, "."]

    def installed(self, build: Build, log: str) -> int:  # noqa: ARG002  # the log says it
        """Return how many packages a finished build has installed."""
        return len(bench_log.installed(log))


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Plugin(),
        Plugin(needs_engine=False),
        HandwrittenDockerfile(
            "article",
            "the article's Dockerfile",
            "poetry",
            ("POETRY", POETRY),
            ("auth.toml",),
        ),
        HandwrittenDockerfile(
            "uv-documented",
            "uv's documented Dockerfile",
            "uv",
            ("UV", UV),
            ("username", "password"),
        ),
    )
}
