"""The split of the dependencies into layers. Pure.

Each layer has its own stage and a `COPY --link` in the final image, so upgrading a package rebuilds
only its layer. More layers make an upgrade cheaper and the first build slower, because the
installer starts once for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import DIRECT, SINGLE, SOURCE, assign
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from poetry_docker_cache.inside.manifest.layer_choice import Kind
    from poetry_docker_cache.plan.image_plan import Notes

# Pairs: the number of layers for at most this number of packages. The bounds are far apart, so that
# a growing lock file rarely changes an exported Dockerfile.
AUTO = ((5, 1), (15, 4), (50, 10))
MOST = 16
"""The number of layers for more packages than the largest bound."""
MOST_IN_ALL = 105
"""The limit of overlay2 is 127, minus the layers of a large base and the image's other layers."""


def split(
    packages: Iterable[tuple[str, Kind]],
    *,
    layers: int | Literal["auto"],
    own: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """The layers in the Dockerfile's order, each with the names of its packages.

    `packages` are names with kinds; `own` are the names that get their own layer. Empty layers are
    left out, which moves no package to another layer.
    """
    listed = sorted(set(packages))
    names = _names(listed, layers=layers, own=own)
    content: dict[str, list[str]] = {name: [] for name in names}
    for package, kind in listed:
        content[assign(package, kind, names)].append(package)
    return {name: tuple(dict.fromkeys(inside)) for name, inside in content.items() if inside}


def refuse_too_many(dependencies: int, wheels: int) -> None:
    """Raise DockerCacheError for more layers than an image can have besides those of its base.

    `wheels` is the number of path dependencies and of the project itself.
    """
    if dependencies + wheels > MOST_IN_ALL:
        raise DockerCacheError(
            f"The image would have {dependencies} layers of dependencies and {wheels} of path"
            f" dependencies and the project. At most {MOST_IN_ALL} are possible: an image can have"
            " 127 layers, including those of its base.",
            fix="Lower `layers` or shorten `own-layers` in [tool.poetry-docker-cache].",
        )


def own_layers_notes(wanted: Iterable[str], stages: Collection[str]) -> Notes:
    """Notes on packages in `own-layers` that have no stage."""
    without = [name for name in wanted if f"own-{name}" not in stages]
    note = (
        f"`own-layers` has no effect on {listing(without)}: not in this image, or built from"
        " source."
    )
    return (note,) if without else ()


def automatic(packages: int) -> int:
    """The number of layers that "auto" stands for, by the number of packages."""
    return next((layers for most, layers in AUTO if packages <= most), MOST)


def _names(
    packages: Collection[tuple[str, Kind]],
    *,
    layers: int | Literal["auto"],
    own: Collection[str],
) -> list[str]:
    """The names of all possible layers."""
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
