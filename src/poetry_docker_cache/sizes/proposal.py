"""The average cost of updating one package with a split into layers, and a better split."""

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
"""The limit of a proposal: each layer starts an installer and adds lines to the Dockerfile."""

LAYER_PRICE = 0.3
"""How many packages of an update another layer must save, in packages and bytes together. Starting
the installer for a layer takes about as long as installing a package, but only in a cold build,
and updates are much more frequent."""

SMALL_GAIN = 0.015
"""A smaller improvement is not worth another Dockerfile."""

_SHARED = (1, 4, 6, 8, 10, 12, 16)
_MOST_OWN = 12
# Packages per layer. Without a limit, a small project would get a layer per package, although it
# installs as fast as the installer starts a few times.
_SHARED_PART = 2
_OWN_PART = 4


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The settings `layers` and `own-layers`."""

    layers: int | Literal["auto"]
    own: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a setting: the layers, and the average cost of updating one package."""

    setting: Setting
    layers: Mapping[str, tuple[SizedPackage, ...]] = field(hash=False)
    packages: float
    """How many packages are installed again."""
    size: float
    """How many bytes these have."""
    packages_share: float
    size_share: float

    @property
    def cost(self) -> float:
        """The value that a proposal minimises."""
        packages = sum(map(len, self.layers.values()))
        price = LAYER_PRICE * len(self.layers) / max(1, packages)
        return self.packages_share + self.size_share + price

    def layer_of(self, package: SizedPackage) -> str:
        """Return the layer of a package."""
        return next(name for name, packages in self.layers.items() if package in packages)


def outcome(packages: Sequence[SizedPackage], setting: Setting) -> Outcome:
    """Return the result of a setting for these packages."""
    layers = _split(packages, setting)
    total = sum(package.size for package in packages)
    # Each package of a layer may be the updated one, and all of them are installed again.
    rebuilt = [(len(inside), sum(each.size for each in inside)) for inside in layers.values()]
    count = sum(packages_in * packages_in for packages_in, _ in rebuilt) / max(1, len(packages))
    size = sum(packages_in * bytes_in for packages_in, bytes_in in rebuilt) / max(1, len(packages))
    return Outcome(
        setting=setting,
        layers=layers,
        packages=count,
        size=size,
        packages_share=count / max(1, len(packages)),
        size_share=size / max(1, total),
    )


def propose(packages: Sequence[SizedPackage], now: Outcome) -> Outcome | None:
    """Return the best setting found; None if it is not noticeably better than the present one.

    The largest packages get their own layers, as long as that lowers the cost.
    """
    found = (outcome(packages, setting) for setting in _settings(packages))
    best = min(
        (each for each in found if len(each.layers) <= MOST_LAYERS),
        key=lambda each: (round(each.cost, 9), len(each.layers), len(each.setting.own)),
        default=now,  # with many images, every setting may have more layers
    )
    return best if now.cost - best.cost >= SMALL_GAIN else None


def _split(
    packages: Sequence[SizedPackage], setting: Setting
) -> dict[str, tuple[SizedPackage, ...]]:
    """Return the layers and their packages; packages of the same images are split together."""
    layers: dict[str, tuple[SizedPackage, ...]] = {}
    for family in sorted({package.family for package in packages}):
        own = {package.name: package for package in packages if package.family == family}
        kinds = ((package.name, package.kind) for package in own.values())
        for name, names in split(kinds, layers=setting.layers, own=setting.own).items():
            # Each image has one layer of packages that are built from source.
            layer = name if name in (SOURCE, DIRECT) else layer_name(name, family)
            layers[layer] = (*layers.get(layer, ()), *(own[each] for each in names))
    return layers


def _settings(packages: Sequence[SizedPackage]) -> Iterator[Setting]:
    wheels = [package for package in packages if package.kind not in (SOURCE, DIRECT)]
    heaviest = sorted(wheels, key=lambda package: (-package.size, package.name))
    for own in range(min(_MOST_OWN, len(heaviest) // _OWN_PART) + 1):
        names = tuple(sorted({package.name for package in heaviest[:own]}))
        for layers in _SHARED:
            if layers == 1 or layers <= len(heaviest) // _SHARED_PART:
                yield Setting(layers=layers, own=names)
