"""The results of the benchmark as JSON data, and their medians."""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The measurement of one build."""

    size: str
    variant: str
    scenario: str
    installed: int
    blobs: int
    pushed: int
    pulled: int
    seconds: float
    buildkit: float | None = None
    """The seconds of `docker buildx build`; None without it and in results of earlier versions."""
    cpu: float | None = None
    """The CPU seconds of the command and of its engine; None in results of earlier versions."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """The compressed size of the layers of one variant's first image."""

    size: str
    variant: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """The time to import the large packages of an image, byte-compiled or not."""

    size: str
    compiled: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Bump:
    """The average share of packages and bytes that an update of one package reinstalls."""

    size: str
    layers: str
    own: int
    packages: float
    bytes: float


@dataclass(kw_only=True)
class Results:
    """A run of the benchmark."""

    command: str
    machine: dict[str, str]
    titles: dict[str, str]
    """What kind of project each size is."""
    dates: dict[str, str]
    """When each size was measured."""
    measurements: list[Measurement] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    bumps: list[Bump] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the results from a file."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"measurements": Measurement, "images": Image, "starts": Start, "bumps": Bump}
        rows = {name: [kind(**row) for row in data[name]] for name, kind in kinds.items()}
        return cls(**{**data, **rows})

    def write(self, path: Path) -> None:
        """Write the results to a file, with one line for each row."""
        lines = []
        for name, value in dataclasses.asdict(self).items():
            rows = [f"  {json.dumps(row)}" for row in value] if isinstance(value, list) else []
            text = "[\n" + ",\n".join(rows) + "\n ]" if rows else json.dumps(value)
            lines.append(f" {json.dumps(name)}: {text}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    def without(self, sizes: Collection[str]) -> Results:
        """Return the results without those of these sizes."""
        others: dict[str, Any] = {
            name: [row for row in getattr(self, name) if row.size not in sizes]
            for name in ("measurements", "images", "starts", "bumps")
        }
        return dataclasses.replace(self, **others)

    def median(
        self, size: str, variant: str, scenario: str, what: Callable[[Measurement], float | None]
    ) -> float | None:
        """Return the median over all rounds, or None if nothing was measured."""
        key = (size, variant, scenario)
        values = [
            what(row) for row in self.measurements if (row.size, row.variant, row.scenario) == key
        ]
        known = [value for value in values if value is not None]
        return statistics.median(known) if known else None

    def ratio(
        self, size: str, variant: str, scenario: str, what: Callable[[Measurement], float | None]
    ) -> float | None:
        """Return a number of a variant divided by that of the article's Dockerfile."""
        own, reference = (self.median(size, name, scenario, what) for name in (variant, "article"))
        return own / reference if own and reference else None
