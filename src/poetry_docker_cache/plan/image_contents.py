"""What an image holds, for the label that `verify` and `diff` read again. Pure.

It follows from the project alone: no engine, no registry and no base image is asked. The build's
own script lists the packages of each layer, for the Python and the C library in the plan. The build
knows the patch version of Python as well, and may leave out files that do not fit it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.image_labels import ImageContents, LayerContents
from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.layer_choice import MACHINE
from poetry_docker_cache.inside.manifest.locked_packages import Wanted, manifests
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.plan.image_plan import (
    AssetStage,
    Dependencies,
    ImagePlan,
    Runtime,
    Wheel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Layer
    from poetry_docker_cache.settings.table import Settings

    Manifest = Mapping[str, Any]

_VERSION = "org.opencontainers.image.version"
# Fields that follow from the lock file, the version, the base image, files that git ignores or this
# release, and those that do not change the image.
_LEFT_OUT: Mapping[type, tuple[str, ...]] = {
    ImagePlan: (
        *("syntax", "project", "version", "stage_image", "traits", "notes"),
        *("variants", "tests", "ends_with_image"),
    ),
    Dependencies: (
        *("layers", "further", "libc", "poetry", "poetry_pins", "build_image", "packages"),
        *("reuses_image", "older_lock"),
    ),
    Runtime: (
        *("image", "has_shell", "python", "checked_on_build_platform", "packages"),
        "start_reason",
    ),
    Wheel: ("image", "backend_name", "pins", "version", "packages", "git_ignored"),
    AssetStage: ("may_have_user", "git_ignored", "generated"),
}
# The settings behind some of them.
_SETTINGS = (
    *("build_image", "build_packages", "runtime_packages", "poetry_version"),
    *("layers", "own_layers"),
)


def contents_of(  # noqa: PLR0913  # all that decides
    plan: ImagePlan,
    settings: Settings,
    pyproject: Mapping[str, Any],
    lock: Mapping[str, Any],
    *,
    platforms: Sequence[str],
    plugin: str,
) -> ImageContents:
    """Return what the image holds on each platform; `plugin` is the plugin's release.

    Raises DockerCacheError if no locked file of a package can be installed.
    """
    dependencies, python = plan.dependencies, plan.runtime.python
    target = Target.linux(python, libc=dependencies.libc)
    found = layer_manifests(dependencies, pyproject, lock, target)
    return ImageContents(
        plugin=plugin,
        python=python,
        base=plan.runtime.image,
        settings=_settings_digest(plan, settings),
        layers={
            platform: tuple(
                LayerContents(
                    name=layer.name,
                    digest=_digest([found[layer.name], _installation(plan, layer)]),
                    packages=_packages(found[layer.name], target, platform),
                )
                for layer in dependencies.layers
            )
            for platform in platforms
        },
    )


def layer_manifests(
    dependencies: Dependencies,
    pyproject: Mapping[str, Any],
    lock: Mapping[str, Any],
    target: Target,
) -> dict[str, Manifest]:
    """Return the manifest of each layer of the final image, as the build writes it on this target.

    Raises DockerCacheError if no locked file of a package can be installed.
    """
    wanted = Wanted(
        groups=dependencies.groups,
        extras=dependencies.extras,
        no_binary=dependencies.no_binary,
        only_binary=dependencies.only_binary,
        libc=dependencies.libc,
        layers=[layer.name for layer in dependencies.layers],
        machines=dependencies.machines,
    )
    images = dependencies.images
    try:
        if images:
            from poetry_docker_cache.inside.manifest.workspace import shared_manifests  # noqa: PLC0415  # only for several images

            return {**shared_manifests(pyproject, lock, wanted, target, images=images)}
        return {**manifests(pyproject, lock, wanted, target)}
    except KeyError as error:
        raise DockerCacheError(
            f"An entry of poetry.lock has no {error}.", fix="Run `poetry lock --regenerate`."
        ) from error
    except ValueError as error:
        problem, _, fix = str(error).partition(". ")
        raise DockerCacheError(f"{problem}.", fix=fix) from error


def manifest_text(manifest: Manifest) -> bytes:
    """Format a manifest as the build's script does."""
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _packages(manifest: Manifest, target: Target, platform: str) -> dict[str, str]:
    """Return the versions of the packages on a platform; what is undecided may be installed."""
    machine = MACHINES.get(platform)
    environment = {**target.environment, **({MACHINE: machine} if machine else {})}
    return {
        package["name"]: _version(package)
        for package in manifest["packages"]
        if evaluate(package.get("marker", ""), environment, set())
    }


def _version(package: Mapping[str, Any]) -> str:
    commit = package.get("source", {}).get("resolved_reference")
    return f"{package['version']}@{commit}" if commit else str(package["version"])


def _settings_digest(plan: ImagePlan, settings: Settings) -> str:
    """Return a digest of the plan without what is in the other parts of the label."""
    own = {name: _data(getattr(settings, name)) for name in _SETTINGS}
    data = {"plan": _data(plan), "settings": own}
    data["plan"]["runtime"]["labels"].pop(_VERSION, None)
    return _digest(data)


def _installation(plan: ImagePlan, layer: Layer) -> list[object]:
    """Return what determines the installation of a layer besides its manifest."""
    found = plan.dependencies
    common = (plan.stage_image, found.compile, found.instructions, layer.keeps_wheels)
    tools = (found.build_image, found.packages, found.poetry, found.poetry_pins, found.index)
    builds = (found.environment, found.build_config_settings, found.build_network, layer.direct)
    reuses = found.reuses_image and not layer.direct
    return [
        _data(each) for each in (*common, reuses, *((*tools, *builds) if layer.from_source else ()))
    ]


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _data(value: Any) -> Any:  # noqa: ANN401  # any value of a plan
    """Return a value as JSON has it."""
    if dataclasses.is_dataclass(value):
        left_out = _LEFT_OUT.get(type(value), ())
        names = (field.name for field in dataclasses.fields(value) if field.name not in left_out)
        return {name: _data(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): _data(each) for key, each in value.items()}
    return [_data(each) for each in value] if isinstance(value, list | tuple) else value
