"""Into which layers the dependencies are split. Pure.

A layer is a stage of its own and a `COPY --link` of the final image: a changed package costs its
layer. Many layers make such a change cheap, and the first build dearer, since the installer starts
once for each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, SINGLE, SOURCE, assign
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from poetry_docker_cache.inside.manifest.layer_choice import Kind

# Up to so many packages: so many layers. The bounds lie far apart, so that a growing lock seldom
# changes a vendored Dockerfile.
AUTO = ((5, 1), (15, 4), (50, 10))
MOST = 16
"""How many layers "auto" makes of more packages than these bounds name."""
MOST_IN_ALL = 105
"""What the 127 of overlay2 leave, beside a base of many layers and the image's own few."""


def split(
    packages: Iterable[tuple[str, Kind]],
    *,
    layers: int | Literal["auto"],
    own: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """The layers in the Dockerfile's order, each with the names of its packages.

    `packages` are names with kinds; `own` are the names that get a layer to themselves. A layer
    that would be empty is not there, which moves no package to another one.
    """
    listed = sorted(set(packages))
    names = _names(listed, layers=layers, own=own)
    content: dict[str, list[str]] = {name: [] for name in names}
    for package, kind in listed:
        content[assign(package, kind, names)].append(package)
    return {name: tuple(dict.fromkeys(inside)) for name, inside in content.items() if inside}


def refuse_too_many(dependencies: int, wheels: int) -> None:
    """Raise DockerCacheError for more layers than an image can hold beside those of its base.

    `wheels` are those of path dependencies and of the project itself.
    """
    if dependencies + wheels > MOST_IN_ALL:
        raise DockerCacheError(
            f"The image would have {dependencies} layers of dependencies and {wheels} of path"
            " dependencies and the project. An image can hold 127 in all, its base's among them.",
            fix="Lower `layers`, or take names out of `own-layers`, in"
            f" [tool.poetry-docker-cache]: {MOST_IN_ALL} are possible in all.",
        )


def own_layers_note(wanted: Iterable[str], stages: Collection[str]) -> list[str]:
    """What is told of packages that are to have a layer, where no stage is theirs."""
    without = [name for name in wanted if f"own-{name}" not in stages]
    told = f"No layer of its own: {listing(without)} (not in this image, or built from source)."
    return [told] if without else []


def automatic(packages: int) -> int:
    """The number of layers that "auto" makes of so many packages."""
    return next((layers for most, layers in AUTO if packages <= most), MOST)


def _names(
    packages: Collection[tuple[str, Kind]],
    *,
    layers: int | Literal["auto"],
    own: Collection[str],
) -> list[str]:
    """All layers that there may be."""
    kinds = {kind for _, kind in packages}
    total = automatic(len({name for name, _ in packages})) if layers == "auto" else layers
    if total == 1:
        shared = [SINGLE]
    else:
        native = total // 2 if "pure" in kinds else total
        pure = total - native if "native" in kinds else total
        shared = [f"pure-{number}" for number in range(1, pure + 1)]
        shared += [f"native-{number}" for number in range(1, native + 1)]
    wheels = {name for name, kind in packages if kind not in (SOURCE, DIRECT)}
    return [*shared, *(f"own-{name}" for name in sorted(wheels & {*own})), SOURCE, DIRECT]
