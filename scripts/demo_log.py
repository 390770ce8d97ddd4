"""Read the steps of the dependency layers in BuildKit's log, and format the demo's table."""

from __future__ import annotations

import re
from dataclasses import dataclass

COLUMNS = "{:<44} {:>12}   {:<16}  {:>7}"
# For example "#12 [pure-1 1/1] RUN …"; with several platforms, each is before the stage.
_STEP = re.compile(
    r"^#(\d+) \[(?:\S+ )?(dependencies|source|pure-\d+|native-\d+|own-\S+) +\d+/\d+\] RUN ",
    re.MULTILINE,
)
_INSTALLED = r"^#{} [\d.]+ +[-•] (?:Installed|Installing) (\S+) \("


@dataclass(frozen=True, kw_only=True)
class Row:
    """The result of one build."""

    edit: str
    installed: int
    layers: int
    built: int
    seconds: float

    def __str__(self) -> str:
        """Format a line of the table."""
        layers = f"{self.built} of {self.layers}" if self.built else "CACHED"
        return COLUMNS.format(self.edit, self.installed, layers, f"{self.seconds:.1f}")


def header() -> str:
    """Return the first two lines of the table."""
    titles = COLUMNS.format("edit", "dependencies", "their layers", "seconds")
    return f"{titles}\n{COLUMNS.format('', 'installed', 'built', '')}".rstrip()


def read(log: str, *, edit: str, seconds: float) -> Row:
    """Count steps in a log of plain progress output; raise ValueError if it has none."""
    steps = dict(_STEP.findall(log))
    if not steps:
        raise ValueError("BuildKit's log shows no step that installs the dependencies")
    installed = {
        name for step in steps for name in re.findall(_INSTALLED.format(step), log, re.MULTILINE)
    }
    cached = {step for step in steps if re.search(rf"^#{step} CACHED$", log, re.MULTILINE)}
    # A step that BuildKit cancelled ends with another word, or has no end.
    done = {step for step in steps if re.search(rf"^#{step} DONE ", log, re.MULTILINE)}
    return Row(
        edit=edit,
        installed=len(installed),
        layers=len(set(steps.values())),
        built=len({layer for step, layer in steps.items() if step in done - cached}),
        seconds=seconds,
    )
