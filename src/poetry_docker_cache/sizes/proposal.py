"""What one changed package costs under a split into layers, and which split is better. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.inside.manifest.families import layer_name
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, SOURCE
from poetry_docker_cache.plan.layer_split import split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.sizes.package_sizes import SizedPackage

MOST_LAYERS = 24
"""No proposal has more: each is a stage that starts the installer, and lines in the Dockerfile."""

LAYER_PRICE = 0.3
"""What a layer more must save of a bump, in packages and bytes together: a part of one package. A
cold build starts the installer once for each layer, which takes about as long as a package does;
but there are many more bumps than cold builds."""

SMALL_GAIN = 0.015
"""What is better by less is not worth another Dockerfile."""

_SHARED = (1, 4, 6, 8, 10, 12, 16)
_MOST_OWN = 12
# Of the packages. A small project would be split to the last one, although its installation takes
# no longer than a few starts of the installer do.
_SHARED_PART = 2
_OWN_PART = 4


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The settings `layers` and `own-layers`."""

    layers: int | Literal["auto"]
    own: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What comes of a setting: the layers, and the mean cost of a bump over all packages."""

    setting: Setting
    layers: Mapping[str, tuple[SizedPackage, ...]] = field(hash=False)
    packages: float
    """So many packages are installed anew,"""
    size: float
    """and so many bytes."""
    packages_share: float
    size_share: float

    @property
    def cost(self) -> float:
        """What makes one setting better than another."""
        packages = sum(map(len, self.layers.values()))
        price = LAYER_PRICE * len(self.layers) / max(1, packages)
        return self.packages_share + self.size_share + price

    def layer_of(self, package: SizedPackage) -> str:
        """The layer that a package falls into."""
        return next(name for name, packages in self.layers.items() if package in packages)


def outcome(packages: Sequence[SizedPackage], setting: Setting) -> Outcome:
    """What comes of this setting for these packages."""
    layers = _split(packages, setting)
    total = sum(package.size for package in packages)
    # A layer is hit as often as it has packages, and then costs all of them.
    hits = [(len(inside), sum(it.size for it in inside)) for inside in layers.values()]
    count = sum(packages_in * packages_in for packages_in, _ in hits) / max(1, len(packages))
    size = sum(packages_in * bytes_in for packages_in, bytes_in in hits) / max(1, len(packages))
    return Outcome(
        setting=setting,
        layers=layers,
        packages=count,
        size=size,
        packages_share=count / max(1, len(packages)),
        size_share=size / max(1, total),
    )


def propose(packages: Sequence[SizedPackage], now: Outcome) -> Outcome | None:
    """The best setting that was found; None if the present one is as good, or nearly.

    The heaviest packages get layers of their own, as many as pay for them.
    """
    found = (outcome(packages, setting) for setting in _settings(packages))
    best = min(
        (it for it in found if len(it.layers) <= MOST_LAYERS),
        key=lambda it: (round(it.cost, 9), len(it.layers), len(it.setting.own)),
        default=now,  # many images may have more layers by any setting
    )
    return best if now.cost - best.cost >= SMALL_GAIN else None


def _split(
    packages: Sequence[SizedPackage], setting: Setting
) -> dict[str, tuple[SizedPackage, ...]]:
    """The layers, each with its packages: what the same images have is split by itself."""
    layers: dict[str, tuple[SizedPackage, ...]] = {}
    for family in sorted({package.family for package in packages}):
        own = {package.name: package for package in packages if package.family == family}
        kinds = ((package.name, package.kind) for package in own.values())
        for name, names in split(kinds, layers=setting.layers, own=setting.own).items():
            # What is built is one layer in each image.
            layer = name if name in (SOURCE, DIRECT) else layer_name(name, family)
            layers[layer] = (*layers.get(layer, ()), *(own[it] for it in names))
    return layers


def _settings(packages: Sequence[SizedPackage]) -> Iterator[Setting]:
    wheels = [package for package in packages if package.kind not in (SOURCE, DIRECT)]
    heaviest = sorted(wheels, key=lambda package: (-package.size, package.name))
    for own in range(min(_MOST_OWN, len(heaviest) // _OWN_PART) + 1):
        names = tuple(sorted({package.name for package in heaviest[:own]}))
        for layers in _SHARED:
            if layers == 1 or layers <= len(heaviest) // _SHARED_PART:
                yield Setting(layers=layers, own=names)
