"""The layers besides those of packages: the output of front ends and of `run`. Pure."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.text import fitting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from poetry_docker_cache.plan.image_plan import AssetStage, ImagePlan, RunStep

_SHARE_OF_COLUMN = 0.4
_TITLE = "runs again after a change of"


@dataclass(frozen=True, kw_only=True)
class BuiltLayer:
    """What one command makes for the image."""

    name: str
    """The stage of the Dockerfile."""
    command: str
    inputs: tuple[str, ...]
    """What runs the command again if it changes: paths of the project, or parts of the image."""
    output: tuple[str, ...]


def built_layers(plans: Iterable[ImagePlan]) -> tuple[BuiltLayer, ...]:
    """Return the front ends and build steps of images, each once."""
    found = [
        layer
        for plan in plans
        for layer in (*map(_front_end, plan.assets), *map(_step, plan.steps))
    ]
    return tuple(dict.fromkeys(found))


def _front_end(stage: AssetStage) -> BuiltLayer:
    in_wheel = f"{stage.wheel_place} in the wheel"
    return BuiltLayer(
        name=stage.name,
        command=" && ".join(shlex.join(words) for words in stage.build),
        inputs=stage.sources,
        output=(*[stage.image_place] * bool(stage.image_place), *[in_wheel] * bool(stage.wheel)),
    )


def _step(step: RunStep) -> BuiltLayer:
    inputs = ("all that the image has",) if step.paths is None else ("the packages", *step.paths)
    return BuiltLayer(
        name=step.name, command=shlex.join(step.command), inputs=inputs, output=step.output
    )


def rows(layers: Sequence[BuiltLayer], *, width: int) -> Iterator[str]:
    """Yield the lines of a table, after an empty one; nothing without such layers."""
    if not layers:
        return
    name = max(len(layer.name) for layer in layers)
    widest = int(width * _SHARE_OF_COLUMN)
    inputs = [fitting(layer.inputs, widest) for layer in layers]
    column = max(map(len, (*inputs, _TITLE)))
    yield ""
    yield f" {'':{name}}  {_TITLE:{column}}  output"
    for layer, text in zip(layers, inputs, strict=True):
        output = fitting(layer.output, max(1, width - name - column - 5))
        yield f" {layer.name:{name}}  {text:{column}}  {output}"


def as_data(layers: Iterable[BuiltLayer]) -> list[dict[str, Any]]:
    """Return the data for `--json`."""
    return [asdict(layer) for layer in layers]
