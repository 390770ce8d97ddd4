"""BuildKit's log of the dependencies, and the table that the demo makes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

COLUMNS = "{:<44} {:>12}   {:<16}  {:>7}"
# "#12 [pure-1 1/1] RUN …", with the platform before the stage where there are several.
_STEP = re.compile(
    r"^#(\d+) \[(?:\S+ )?(dependencies|source|pure-\d+|native-\d+|own-\S+) +\d+/\d+\] RUN ",
    re.MULTILINE,
)
_INSTALLED = r"^#{} [\d.]+ +[-•] (?:Installed|Installing) (\S+) \("


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one build did."""

    edit: str
    installed: int
    layers: int
    built: int
    seconds: float

    def __str__(self) -> str:
        """One line of the table."""
        layers = f"{self.built} of {self.layers}" if self.built else "CACHED"
        return COLUMNS.format(self.edit, self.installed, layers, f"{self.seconds:.1f}")


def header() -> str:
    """The table's first two lines."""
    titles = COLUMNS.format("edit", "dependencies", "layers of them", "seconds")
    return f"{titles}\n{COLUMNS.format('', 'installed', 'built', '')}".replace(" \n", "\n").rstrip()


def read(log: str, *, edit: str, seconds: float) -> Row:
    """Count what a log in BuildKit's plain form shows; ValueError where it shows no such step."""
    steps = dict(_STEP.findall(log))
    if not steps:
        raise ValueError("BuildKit's log shows no step that installs the dependencies")
    installed = {
        name for step in steps for name in re.findall(_INSTALLED.format(step), log, re.MULTILINE)
    }
    cached = {step for step in steps if re.search(rf"^#{step} CACHED$", log, re.MULTILINE)}
    # What BuildKit began and then found unneeded ends with another word, or none.
    done = {step for step in steps if re.search(rf"^#{step} DONE ", log, re.MULTILINE)}
    return Row(
        edit=edit,
        installed=len(installed),
        layers=len(set(steps.values())),
        built=len({layer for step, layer in steps.items() if step in done - cached}),
        seconds=seconds,
    )
