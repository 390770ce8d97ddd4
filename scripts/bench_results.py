"""What the benchmark measured, as data that is kept, and the medians that readers see."""

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
    """One build."""

    size: str
    variant: str
    scenario: str
    installed: int
    blobs: int
    pushed: int
    pulled: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Image:
    """One variant's image, as first built: the compressed bytes of its layers."""

    size: str
    variant: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Start:
    """How long the heavy imports of an image take, byte-compiled or not."""

    size: str
    compiled: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Bump:
    """What a new version of one package costs on average: shares of packages and of bytes."""

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
    """What the packages of each size are."""
    dates: dict[str, str]
    """When each size was measured."""
    measurements: list[Measurement] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    bumps: list[Bump] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what was written."""
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"measurements": Measurement, "images": Image, "starts": Start, "bumps": Bump}
        rows = {name: [kind(**row) for row in data[name]] for name, kind in kinds.items()}
        return cls(**{**data, **rows})

    def write(self, path: Path) -> None:
        """Write it all, a line for each row."""
        lines = []
        for name, value in dataclasses.asdict(self).items():
            rows = [f"  {json.dumps(row)}" for row in value] if isinstance(value, list) else []
            text = "[\n" + ",\n".join(rows) + "\n ]" if rows else json.dumps(value)
            lines.append(f" {json.dumps(name)}: {text}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    def without(self, sizes: Collection[str]) -> Results:
        """Give what was measured at other sizes."""
        others: dict[str, Any] = {
            name: [row for row in getattr(self, name) if row.size not in sizes]
            for name in ("measurements", "images", "starts", "bumps")
        }
        return dataclasses.replace(self, **others)

    def median(
        self, size: str, variant: str, scenario: str, what: Callable[[Measurement], float]
    ) -> float | None:
        """Give the median over the repetitions; None where nothing was measured."""
        key = (size, variant, scenario)
        values = [
            what(row) for row in self.measurements if (row.size, row.variant, row.scenario) == key
        ]
        return statistics.median(values) if values else None

    def ratio(self, size: str, variant: str, scenario: str, to: str = "article") -> float | None:
        """Give a variant's seconds in proportion to another's."""
        ours, theirs = (
            self.median(size, name, scenario, lambda row: row.seconds) for name in (variant, to)
        )
        return ours / theirs if ours and theirs else None
