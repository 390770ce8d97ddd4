"""Which layers the next build rebuilds, and why: two `ImageContents`, compared. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.comparison.package_changes import PackageChange, package_changes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.docker.image_labels import ImageContents, LayerContents

Cause = Literal[
    "packages", "installation", "base image", "base digest", "Python", "plugin", "settings"
]
"""Why a layer is rebuilt, and what else differs.

`installation` stands for other files of the same packages, and for another way to install them.
"""
State = Literal["kept", "rebuilt", "added", "removed"]

_REBUILD_ALL: tuple[Cause, ...] = ("base image", "base digest", "Python", "plugin")
"""What each layer of dependencies is built on, and with."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A difference that is not one of packages."""

    cause: Cause
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class LayerChange:
    """A layer of dependencies, and what the next build does with it."""

    name: str
    state: State
    causes: tuple[Cause, ...] = ()
    """Why it is rebuilt."""
    packages: tuple[str, ...] = ()
    """The packages in it that differ, also those that leave it."""
    size: int | None = None
    """The compressed bytes of the layer before, on its platforms together; None if unknown."""
    platforms: tuple[str, ...] = ()
    """The platforms to which this applies; empty for all."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How an image differs from what the project installs now."""

    packages: tuple[PackageChange, ...]
    layers: tuple[LayerChange, ...]
    reasons: tuple[Reason, ...]
    platforms: tuple[str, ...]
    """The platforms that both have."""
    new_platforms: tuple[str, ...] = ()
    """The platforms that only the next build has."""
    old_platforms: tuple[str, ...] = ()
    """The platforms that the next build does not have."""

    def in_state(self, *states: State) -> tuple[LayerChange, ...]:
        """Return the layers to which one of these states applies."""
        return tuple(layer for layer in self.layers if layer.state in states)

    @property
    def to_build(self) -> tuple[LayerChange, ...]:
        """The layers that the next build does not find."""
        return self.in_state("rebuilt", "added")

    @property
    def kept_bytes(self) -> int | None:
        """The compressed bytes of the layers that are kept; None if unknown."""
        return _total(self.in_state("kept"))

    @property
    def old_bytes(self) -> int | None:
        """The compressed bytes that the layers to rebuild had before; None if unknown."""
        return _total(self.in_state("rebuilt"))


def compare(
    before: ImageContents,
    after: ImageContents,
    *,
    base_digests: tuple[str, str] | None = None,
    sizes: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> Comparison:
    """Compare an image with what the project installs now.

    `base_digests` are those of the base image, before and now, if both are known and differ.
    `sizes` are the compressed bytes of the layers before, by platform and name.
    """
    common = tuple(name for name in after.layers if name in before.layers)
    reasons = _reasons(before, after, base_digests)
    packages: dict[PackageChange, list[str]] = {}
    layers: dict[LayerChange, list[tuple[str, int | None]]] = {}
    for platform in common:
        old, new = before.layers[platform], after.layers[platform]
        changes = package_changes(_packages(old), _packages(new))
        for change in changes:
            packages.setdefault(change, []).append(platform)
        for layer in _layers(old, new, changes, reasons):
            size = sizes.get(platform, {}).get(layer.name)
            layers.setdefault(layer, []).append((platform, size))
    return Comparison(
        packages=tuple(
            replace(change, platforms=_some(found, common)) for change, found in packages.items()
        ),
        layers=tuple(_merged(layer, found, common) for layer, found in layers.items()),
        reasons=reasons,
        platforms=common,
        new_platforms=tuple(name for name in after.layers if name not in common),
        old_platforms=tuple(name for name in before.layers if name not in common),
    )


def _reasons(
    before: ImageContents, after: ImageContents, base_digests: tuple[str, str] | None
) -> tuple[Reason, ...]:
    values: tuple[tuple[Cause, str, str], ...] = (
        ("base image", before.base, after.base),
        ("base digest", *(base_digests or ("", ""))),
        ("Python", before.python, after.python),
        ("plugin", before.plugin, after.plugin),
        ("settings", before.settings, after.settings),
    )
    return tuple(Reason(cause=cause, old=old, new=new) for cause, old, new in values if old != new)


def _layers(
    old: Sequence[LayerContents],
    new: Sequence[LayerContents],
    changes: Sequence[PackageChange],
    reasons: Sequence[Reason],
) -> list[LayerChange]:
    before = {layer.name: layer for layer in old}
    found = []
    for layer in new:
        earlier = before.pop(layer.name, None)
        concerned = tuple(
            change.name for change in changes if layer.name in (change.layer, change.old_layer)
        )
        if earlier is None:
            found.append(LayerChange(name=layer.name, state="added", packages=concerned))
            continue
        causes = _causes(earlier, layer, concerned, reasons)
        state: State = "rebuilt" if causes else "kept"
        found.append(LayerChange(name=layer.name, state=state, causes=causes, packages=concerned))
    removed = (
        LayerChange(name=name, state="removed", packages=tuple(layer.packages))
        for name, layer in before.items()
    )
    return [*found, *removed]


def _causes(
    earlier: LayerContents,
    layer: LayerContents,
    concerned: Sequence[str],
    reasons: Sequence[Reason],
) -> tuple[Cause, ...]:
    """Return why a layer is rebuilt; empty if it is kept."""
    common = tuple(reason.cause for reason in reasons if reason.cause in _REBUILD_ALL)
    if concerned:
        return ("packages", *common)
    if earlier.digest == layer.digest:
        return common
    return common or ("installation",)


def _packages(layers: Sequence[LayerContents]) -> dict[str, Mapping[str, str]]:
    return {layer.name: layer.packages for layer in layers}


def _merged(
    layer: LayerChange, found: Sequence[tuple[str, int | None]], common: Sequence[str]
) -> LayerChange:
    sizes = [size for _, size in found if size is not None]
    return replace(
        layer,
        size=sum(sizes) if len(sizes) == len(found) else None,
        platforms=_some([platform for platform, _ in found], common),
    )


def _some(found: Sequence[str], every: Sequence[str]) -> tuple[str, ...]:
    """Return the platforms, unless these are all."""
    return () if len(found) == len(every) else tuple(found)


def _total(layers: Sequence[LayerChange]) -> int | None:
    sizes = [layer.size for layer in layers]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None
