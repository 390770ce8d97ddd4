"""Write the manifests of an image that shares layers with other images of the project."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .__main__ import main as run
from .families import families, family_name, layer_name, plain_name
from .layer_choice import SHARED
from .locked_packages import manifests, readable
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .families import Images
    from .locked_packages import Wanted


def shared_manifests(
    pyproject: Mapping[str, Any],
    lock: Mapping[str, Any],
    wanted: Wanted,
    target: Target,
    *,
    images: Images,
) -> dict[str, dict[str, Any]]:
    """Return the manifest of each layer, separately for each family.

    A layer is therefore the same in all its images. Packages that are not installed from wheels are
    not split: each image has one layer of them. Raises ValueError as `manifests` does.
    """
    python = "{}.{}".format(*target.python)
    planned = Target.linux(python, libc=wanted.libc, machines=wanted.machines)
    lock = readable(pyproject, lock)
    parts = families(lock, images, planned.environment)
    split = [layer for layer in wanted.layers if _is_of_wheels(plain_name(layer))]
    whole = [layer for layer in wanted.layers if layer not in split]
    plain = [*dict.fromkeys(map(plain_name, split)), *whole]
    found = manifests(pyproject, lock, replace(wanted, layers=plain), target)
    result = {layer: found[layer] for layer in whole}
    for family in sorted({*parts, *map(family_name, split)}):
        own = [plain_name(layer) for layer in split if family_name(layer) == family]
        part = {**lock, "package": parts.get(family, [])}
        found = manifests(pyproject, part, replace(wanted, layers=[*own, *whole]), target)
        result.update({layer_name(name, family): found[name] for name in own})
    return result


def _is_of_wheels(plain: str) -> bool:
    return plain.startswith("own-") or SHARED.fullmatch(plain) is not None


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: the options of `manifest`, and the images."""
    parser = argparse.ArgumentParser(prog="manifest.workspace", allow_abbrev=False)
    parser.add_argument("--image", action="append", help="NAME={groups, extras} as JSON")
    options, others = parser.parse_known_args(arguments)
    named = (text.partition("=") for text in options.image)
    images = {name: json.loads(chosen) for name, _, chosen in named}
    return run(others, functools.partial(shared_manifests, images=images))


if __name__ == "__main__":
    sys.exit(main())
