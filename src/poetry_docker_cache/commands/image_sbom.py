"""The SBOM of a planned image: what `sbom` prints, and what a push attaches."""

from __future__ import annotations

import os
from importlib import metadata
from typing import TYPE_CHECKING

from poetry_docker_cache.sbom.cyclonedx_document import ImageFacts, render_document
from poetry_docker_cache.sbom.inventory import take_inventory

if TYPE_CHECKING:
    from poetry.poetry import Poetry

    from poetry_docker_cache.commands.package_licences import PackageLicences
    from poetry_docker_cache.commands.planned_image import PlannedImage


def sbom_of(image: PlannedImage, platform: str, licences: PackageLicences) -> bytes:
    """Return the document for one platform."""
    plan = image.plan
    runtime, dependencies = plan.runtime, plan.dependencies
    groups, extras, system = dependencies.groups, dependencies.extras, runtime.packages
    for variant in plan.variants:
        groups, extras = variant.groups, variant.extras
        system = (*system, *variant.runtime_packages)
    inventory = take_inventory(
        [
            {**package, "licences": licences.of(package)}
            for package in (*image.packages, *image.path_packages)
        ],
        image.poetry.pyproject.data,
        dependencies,
        python=runtime.python,
        platform=platform,
        groups=groups,
        extras=extras,
    )
    facts = ImageFacts(
        name=image.poetry.package.pretty_name if image.name else image.folder.name,
        version=image.git_version or image.version,
        image=image.image,
        platform=platform,
        python=runtime.python,
        base=runtime.image,
        system_packages=system,
        groups=groups,
        extras=extras,
        labels=runtime.labels,
        index=_index(image.poetry),
        plugin=metadata.version("poetry-docker-cache"),
        epoch=os.environ.get("SOURCE_DATE_EPOCH", ""),
    )
    return render_document(facts, inventory)


def _index(poetry: Poetry) -> str:
    """Return the address of Poetry's own index; empty if the project's sources replace it."""
    found = (each for each in poetry.pool.all_repositories if each.name.lower() == "pypi")
    return str(getattr(next(found, None), "url", ""))
