"""All checks of one image, in the order of the report. Pure."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.doctor.checks import error, failed
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.verify.base_checks import check_built_from
from poetry_docker_cache.verify.distributions import (
    intact_files,
    read_distributions,
    site_packages,
)
from poetry_docker_cache.verify.image_tree import scan
from poetry_docker_cache.verify.locked_contents import locked_contents
from poetry_docker_cache.verify.package_checks import (
    check_packages,
    check_project,
    check_records,
    check_sbom,
)
from poetry_docker_cache.verify.program_checks import Places, check_program, check_scripts
from poetry_docker_cache.verify.safety_checks import (
    check_left_over,
    check_secrets,
    check_user,
    check_writable,
    read_user,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from poetry_docker_cache.doctor.checks import Check
    from poetry_docker_cache.images.stored_image import StoredImage
    from poetry_docker_cache.plan.image_plan import ImagePlan
    from poetry_docker_cache.verify.image_tree import ImageTree

_SBOM = "application/vnd.cyclonedx+json"
"""The artifact type; importing the module that has it takes long, since it needs its library."""
_SETTING = re.compile(r"^(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check_image(  # noqa: PLR0913  # what the image should have
    image: StoredImage,
    plan: ImagePlan,
    packages: Iterable[Mapping[str, Any]],
    *,
    name: str,
    version: str | None,
    from_git: bool,
    now: datetime,
) -> Iterator[Check]:
    """Yield all checks; `name` and `version` are the project's.

    Raises DockerCacheError for an image without a virtual environment, before any layer is read.
    """
    venv = image.variables.get("VIRTUAL_ENV", "")
    if not posixpath.isabs(venv):
        raise _not_ours(image.name)
    tree = scan(image, venv)
    folders = site_packages(tree, venv)
    if not folders:
        raise _not_ours(image.name)
    cfg = dict(_SETTING.findall(tree.text(f"{venv}/pyvenv.cfg")))
    pythons = [path.split("/")[-2] for path in folders]
    if pythons != [f"python{plan.runtime.python}"]:
        yield error(
            "packages",
            f"The image has {' and '.join(pythons)}, not python{plan.runtime.python}.",
            "Build the image again: poetry docker build",
        )
    installed = read_distributions(tree, folders)
    locked = locked_contents(
        packages,
        plan.wheels,
        python=_python(plan.runtime.python, cfg),
        machine=MACHINES.get(image.platform.removesuffix("/v8"), ""),
    )
    runtime = plan.runtime
    yield from check_packages(installed, locked, optional=(name,))
    if plan.application is not None:
        yield check_project(installed, name, version, from_git=from_git)
    copied = [each.to.rstrip("/") for each in runtime.copies]
    made = [path.rstrip("/") for step in plan.steps for path in step.output]
    yield from check_records(
        tree,
        installed,
        folders,
        programs=tree.resolve(f"{venv}/bin"),
        compiled=plan.dependencies.compile,
        others=[tree.resolve(path) for path in (*copied, *made)],
    )
    try:
        yield check_sbom(image.find_attached(_SBOM), installed, name)
    except DockerCacheError as problem:  # of the registry
        yield failed("sbom", problem, "warning")
    intact = intact_files(tree, installed)
    yield from _safety_checks(image, tree, plan, [venv, *_library(cfg, pythons)])
    yield check_secrets(tree, intact)
    yield from check_left_over(tree, locked)
    workdir = image.settings.get("WorkingDir") or "/"
    places = Places(
        tree=tree,
        programs=image.variables.get("PATH", _PATH).split(":"),
        modules=[
            *filter(None, image.variables.get("PYTHONPATH", "").split(":")),
            *folders,
            workdir,
            *_library(cfg, pythons),
        ],
        workdir=workdir,
    )
    names = {each.name for each in installed if each.is_intact(intact)}
    # The project's own scripts are wrong in its pyproject.toml, even if its files are intact.
    yield from check_scripts(places, installed, f"{venv}/bin", names - {name})
    yield check_program(places, image.settings)
    created = str(image.config.get("created") or "")
    yield check_built_from(image.labels, created, wanted=runtime.image, now=now)


def _safety_checks(
    image: StoredImage, tree: ImageTree, plan: ImagePlan, code: Sequence[str]
) -> Iterator[Check]:
    runtime = plan.runtime
    user = read_user(tree, str(image.settings.get("User") or ""))
    yield check_user(user, wanted=runtime.user)
    owned = [
        *(folder.path for folder in runtime.owned),
        *runtime.volumes,
        *(each.to for each in runtime.copies if each.owner != "root"),
    ]
    writable = check_writable(tree, user, [*code, runtime.workdir], owned)
    if writable:
        yield writable


def _python(minor: str, cfg: Mapping[str, str]) -> str:
    """Return the full version of Python if the image says it."""
    found = cfg.get("version", cfg.get("version_info", ""))
    return found if found.startswith(f"{minor}.") else minor


def _library(cfg: Mapping[str, str], pythons: Sequence[str]) -> list[str]:
    """Return the folders of the standard library."""
    top = posixpath.dirname(cfg.get("home", "/usr/local/bin"))
    return [f"{top}/lib/{python}{rest}" for python in pythons for rest in ("", "/lib-dynload")]


def _not_ours(name: str) -> DockerCacheError:
    return DockerCacheError(
        f"The image {name} was not built by `poetry docker build`: it has no virtual environment.",
        fix="Check the name. An image of this project has VIRTUAL_ENV=/venv.",
    )
