"""The scenarios of the benchmark: edits after the first build, on the same or a fresh machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kept = Literal["registry", "folder", "downloads", "image"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row of the comparison."""

    name: str
    title: str
    edit: str = "none"
    """A key of `bench_project.EDITS`."""
    cold: bool = False
    """Whether the engine has only the base image."""
    fresh: bool = False
    """Whether the engine is empty, and only something of the first build is kept."""
    kept: Kept = "registry"
    """What a fresh machine has: a cache, or something that only a setting of the plugin uses."""
    new_password: bool = False
    new_base: bool = False
    """Whether the tags of the base images have moved to images with one more layer."""
    platforms: tuple[str, ...] = ()
    """The setting `platforms`, if the image is not for this machine alone."""


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="cold", title="first build", cold=True),
        Scenario(name="none", title="no change"),
        Scenario(name="source", title="source file", edit="source"),
        Scenario(name="version", title="version bumped", edit="version"),
        Scenario(name="linter", title="linter setting", edit="linter"),
        Scenario(name="dev", title="dev dependency added", edit="dev"),
        Scenario(name="password", title="index password", new_password=True),
        Scenario(name="pure", title="pure Python dependency updated", edit="pure"),
        Scenario(name="native", title="native dependency updated", edit="native"),
        Scenario(name="added", title="dependency added", edit="added"),
        Scenario(
            name="platform", title="second platform", platforms=("linux/amd64", "linux/arm64")
        ),
        Scenario(name="base", title="base image moved", new_base=True),
        Scenario(name="fresh-version", title="fresh machine: version", edit="version", fresh=True),
        Scenario(
            name="fresh-pure", title="fresh machine: pure dependency", edit="pure", fresh=True
        ),
        Scenario(
            name="fresh-folder",
            title="fresh machine, folder cache: pure dependency",
            edit="pure",
            fresh=True,
            kept="folder",
        ),
        Scenario(
            name="fresh-downloads",
            title="fresh machine, `download-cache`: pure dependency",
            edit="pure",
            fresh=True,
            kept="downloads",
        ),
        Scenario(
            name="fresh-image",
            title="fresh machine, `reuse-image`: pure dependency",
            edit="pure",
            fresh=True,
            kept="image",
        ),
    )
}
