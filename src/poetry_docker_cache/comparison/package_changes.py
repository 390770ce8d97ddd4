"""Which packages differ between two images, and the layer of each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.text import fitting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Packages = Mapping[str, Mapping[str, str]]
    """By layer: package name -> version."""


@dataclass(frozen=True, kw_only=True)
class PackageChange:
    """A package that differs."""

    name: str
    old: str | None
    """None if it was added."""
    new: str | None
    """None if it was removed."""
    layer: str
    """Its layer; for a removed package, its layer before."""
    old_layer: str | None = None
    """The layer that had it, if that was another one."""
    platforms: tuple[str, ...] = ()
    """The platforms on which it differs; empty for all."""

    @property
    def text(self) -> str:
        """The change in a few words."""
        old, new = short_version(self.old), short_version(self.new)
        if self.old is None:
            text = f"{self.name} {new} added"
        elif self.new is None:
            text = f"{self.name} {old} removed"
        elif self.old == self.new:
            text = f"{self.name} {new}"
        else:
            text = f"{self.name} {old} → {new}"
        return f"{text}{self.details}"

    @property
    def details(self) -> str:
        """The layer that had it, and the platforms, if that needs to be said."""
        moved = [f"from {self.old_layer}"] if self.old_layer else []
        platforms = [f"on {', '.join(self.platforms)}"] if self.platforms else []
        return f" ({', '.join([*moved, *platforms])})" if moved or platforms else ""


def package_changes(before: Packages, after: Packages) -> tuple[PackageChange, ...]:
    """Compare the packages of two images, by name. The order is that of the layers now."""
    old, new = _places(before), _places(after)
    found = []
    for name in {**new, **old}:
        old_layer, old_version = old.get(name, (None, None))
        new_layer, new_version = new.get(name, (None, None))
        if (old_layer, old_version) == (new_layer, new_version):
            continue
        layer = new_layer or old_layer
        assert layer is not None  # noqa: S101  # one of the images has it
        found.append(
            PackageChange(
                name=name,
                old=old_version,
                new=new_version,
                layer=layer,
                old_layer=old_layer if old_layer != layer else None,
            )
        )
    order = {layer: number for number, layer in enumerate({**after, **before})}
    return tuple(sorted(found, key=lambda change: (order[change.layer], change.name)))


def short_version(version: str | None) -> str:
    """Shorten the commit of a git dependency, which follows its version; empty without one.

    >>> short_version("1.0@0123456789abcdef0123456789abcdef01234567")
    '1.0@0123456'
    """
    number, at, commit = (version or "").partition("@")
    return f"{number}{at}{commit[:7]}"


def lines_by_layer(changes: Iterable[PackageChange], width: int) -> list[str]:
    """Return a line for each layer: its changes, and its name.

    >>> change = PackageChange(name="httpx", old="0.27.2", new="0.28.1", layer="pure-3")
    >>> lines_by_layer([change], 79)
    ['httpx 0.27.2 → 0.28.1: layer pure-3']
    """
    layers: dict[str, list[str]] = {}
    for change in changes:
        layers.setdefault(change.layer, []).append(change.text)
    return [
        f"{fitting(texts, width - len(end))}{end}"
        for texts, end in ((texts, f": layer {layer}") for layer, texts in layers.items())
    ]


def _places(packages: Packages) -> dict[str, tuple[str | None, str | None]]:
    """Return the layer and the version of each package."""
    return {
        name: (layer, version)
        for layer, versions in packages.items()
        for name, version in versions.items()
    }
