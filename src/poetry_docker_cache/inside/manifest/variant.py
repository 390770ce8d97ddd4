"""Write the manifests of what an image for development or tests installs in addition.

The plugin and the build use the same code, so they agree. The layers of the final image come from
the usual manifests, which do not depend on any of this.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .__main__ import main as run
from .locked_packages import manifests, readable, select
from .markers import canonical
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .locked_packages import Wanted

    Chosen = Mapping[str, Sequence[str]]

ADDED = "added"
"""The group of all packages in the lock that `added_lock` returns."""


def added_lock(
    lock: Mapping[str, Any], base: Chosen, chosen: Chosen, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return a lock of the packages that an image needs besides those of the image it is based on.

    Both have `groups` and `extras`, and the lock comes from `readable`. A package that the base
    installs only on some platforms is added if this image needs it on others, too. Raises
    ValueError for a package that the base has in another version.
    """
    installed = select(lock, base["groups"], base["extras"], environment)
    markers = {id(package): marker for package, marker in installed}
    versions = {canonical(package["name"]): (package, marker) for package, marker in installed}
    added = []
    for package, marker in select(lock, chosen["groups"], chosen["extras"], environment):
        if markers.get(id(package)) in ("", marker):
            continue
        name = canonical(package["name"])
        other, elsewhere = versions.get(name, (package, ""))
        if other is not package and id(package) not in markers and not (marker and elsewhere):
            raise ValueError(
                f"the image has {name} {other['version']}, and the groups and extras in addition"
                f" to it want {package['version']}: one environment cannot have both"
            )
        added.append({**package, "groups": [ADDED], "markers": marker or "*"})
    metadata = {**lock.get("metadata", {}), "lock-version": "2.1"}
    rest = {key: value for key, value in lock.items() if key != "graph"}
    return {**rest, "package": added, "metadata": metadata}


def added_manifests(  # noqa: PLR0913  # two images, and what `manifests` takes
    pyproject: Mapping[str, Any],
    lock: Mapping[str, Any],
    wanted: Wanted,
    target: Target,
    *,
    base: Chosen,
    prefix: str,
) -> dict[str, dict[str, Any]]:
    """Return the manifest of each additional layer. Raises ValueError as `manifests` does."""
    # Without the patch version of Python, as the plugin planned the layers.
    environment = Target.linux(
        "{}.{}".format(*target.python), libc=wanted.libc, machines=wanted.machines
    ).environment
    chosen = {"groups": wanted.groups, "extras": wanted.extras}
    added = added_lock(readable(pyproject, lock), base, chosen, environment)
    plain = [layer[len(prefix) :] for layer in wanted.layers]
    wanted = replace(wanted, groups=[ADDED], extras=[], layers=plain)
    found = manifests(pyproject, added, wanted, target)
    return {f"{prefix}{layer}": found[layer] for layer in plain}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: the options of `manifest`, and the image that this one is based on."""
    parser = argparse.ArgumentParser(prog="manifest.variant", allow_abbrev=False)
    parser.add_argument("--base", required=True, type=json.loads, help="groups and extras as JSON")
    parser.add_argument("--prefix", required=True)
    options, others = parser.parse_known_args(arguments)
    make = functools.partial(added_manifests, base=options.base, prefix=options.prefix)
    return run(others, make)


if __name__ == "__main__":
    sys.exit(main())
