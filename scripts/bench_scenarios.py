"""What is measured: an edit of the project as first built, here or on a fresh machine."""

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
    """The state that is built: a key of bench_project.EDITS."""
    cold: bool = False
    """On an engine that has the base image and nothing else."""
    fresh: bool = False
    """On an empty engine, with what is kept of the first build."""
    kept: Kept = "registry"
    """What a fresh machine has: a cache, or what only the plugin's own settings make use of."""
    new_password: bool = False


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="cold", title="first build", cold=True),
        Scenario(name="none", title="nothing"),
        Scenario(name="source", title="source file", edit="source"),
        Scenario(name="version", title="version bumped", edit="version"),
        Scenario(name="linter", title="linter's setting", edit="linter"),
        Scenario(name="dev", title="dev dependency added", edit="dev"),
        Scenario(name="password", title="index password", new_password=True),
        Scenario(name="pure", title="one pure dependency bumped", edit="pure"),
        Scenario(name="native", title="one native dependency bumped", edit="native"),
        Scenario(name="added", title="one dependency added", edit="added"),
        Scenario(name="fresh-version", title="fresh machine: version", edit="version", fresh=True),
        Scenario(name="fresh-pure", title="fresh machine: pure one", edit="pure", fresh=True),
        Scenario(
            name="fresh-folder",
            title="fresh machine, cache in a folder: pure one",
            edit="pure",
            fresh=True,
            kept="folder",
        ),
        Scenario(
            name="fresh-downloads",
            title="fresh machine, `download-cache`: pure one",
            edit="pure",
            fresh=True,
            kept="downloads",
        ),
        Scenario(
            name="fresh-image",
            title="fresh machine, `reuse-image`: pure one",
            edit="pure",
            fresh=True,
            kept="image",
        ),
    )
}
