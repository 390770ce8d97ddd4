"""Checks which locked packages have wheels, and what is built from source. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.docker.platforms import platform_of
from poetry_docker_cache.doctor.checks import error, ok, warning
from poetry_docker_cache.inside.manifest.layer_choice import (
    DIRECT,
    LINUX,
    MACHINE,
    SOURCE,
    allowed,
    kind,
    machines_without_wheel,
    unfit_for_pip,
)
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import SDIST, fits
from poetry_docker_cache.no_engine.obstacles import WITH_WHEELS
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.doctor.checks import Check
    from poetry_docker_cache.plan.image_plan import ImagePlan

    Package = Mapping[str, Any]

_MOST = 8
"""How many names a line has."""
_NEWER = "Lock a newer version (poetry update {names})"
_LIBRARIES = (
    "If its build lacks a library or a program, add the system package to `build-packages`."
)


@dataclass(frozen=True)
class _Reason:
    """Why packages have no wheel, and what to do, with `{names}`; equal ones share a line."""

    why: str
    fix: str
    is_error: bool = field(default=False)


def check_wheels(
    plan: ImagePlan, packages: Sequence[Package], machines: Sequence[str]
) -> Iterator[Check]:
    """Check each package that the image may contain, for the machines that it is built for.

    Each package has the part of its marker that the image's Python does not decide.
    """
    target = Target.linux(plan.runtime.python, libc=plan.dependencies.libc, machines=machines)
    reasons: dict[_Reason, list[Package]] = {}
    wanted = [package for package in packages if _is_wanted(package, target)]
    for package in wanted:
        if reason := _reason(package, plan, target):
            reasons.setdefault(reason, []).append(package)
    for reason, found in reasons.items():
        versions = [f"{package['name']} {package['version']}" for package in found]
        message = f"{listing(versions, _MOST)}: {reason.why}."
        fix = reason.fix.format(names=shlex.join(package["name"] for package in found))
        yield (error if reason.is_error else warning)("wheels", message, fix)
    if not reasons and wanted:
        where = listing([platform_of(machine) for machine in machines])
        all_of = f"All {len(wanted)} packages have" if len(wanted) > 1 else "The only package has"
        yield ok("wheels", f"{all_of} wheels for Python {plan.runtime.python} on {where}.")
    elif not wanted:
        yield ok("wheels", "The image has no packages.")
    yield from _own_wheels(plan)


def _is_wanted(package: Package, target: Target) -> bool:
    marker, known = package.get("marker", ""), target.environment
    return any(evaluate(marker, {**known, MACHINE: each}, set()) for each in target.machines)


def _reason(package: Package, plan: ImagePlan, target: Target) -> _Reason | None:
    """Return why a package is not installed from a wheel; None if it is."""
    policy, name = plan.dependencies, package["name"]
    found = kind(package, target, no_binary=policy.no_binary, only_binary=policy.only_binary)
    built = f"built from source on {policy.build_image}{_with(policy.packages)}"
    if found == DIRECT:
        return _direct_reason(package, built)
    may_be_wheel, may_be_sdist = allowed(name, policy.no_binary, policy.only_binary)
    files = [file["file"] for file in package.get("files", ())]
    has_sdist = may_be_sdist and any(file.endswith(SDIST) for file in files)
    fitting = [file for file in files if may_be_wheel and fits(file, target)]
    lacking = machines_without_wheel(package, fitting, target)
    if not lacking and fitting:
        if found == SOURCE and (why := unfit_for_pip(package)):
            return _Reason(f"installed by Poetry on {policy.build_image}: {why}", "")
        return None
    if not may_be_wheel:
        lacks, fix = "no wheel, by Poetry's setting `installer.no-binary`", _LIBRARIES
    elif fitting:
        lacks = f"no wheel for {listing([*map(platform_of, lacking)])}"
        fix = f"{_NEWER}. {_LIBRARIES}"
    elif any(LINUX.search(file) or file.endswith("-any.whl") for file in files):
        lacks = f"no wheel for Python {plan.runtime.python} on {plan.runtime.image}"
        fix = f"{_NEWER}, or set `python` to a version that it has wheels for. {_LIBRARIES}"
    else:
        lacks, fix = "no wheel", _LIBRARIES
    if twin := WITH_WHEELS.get(name):
        fix = f"Depend on {twin} instead, which has wheels."
    if not has_sdist:
        why = f"{lacks} and no source distribution, so it cannot be installed"
        return _Reason(why, f"{_NEWER}.", is_error=True)
    if fitting and not policy.machines:  # the layers are planned for any machine
        named = ", ".join(f'"{platform_of(machine)}"' for machine in target.machines)
        fix = f"To build it from source, set `platforms = [{named}]`. {fix}"
        return _Reason(lacks, fix, is_error=True)
    return _Reason(f"{lacks}, {built}", fix)


def _with(packages: Sequence[str]) -> str:
    return f" with {', '.join(packages)}" if packages else ""


def _direct_reason(package: Package, built: str) -> _Reason | None:
    if package["source"]["type"] == "git":
        return _Reason(
            f"comes from a git repository, {built}",
            "To avoid that, publish it as a wheel in a package index.",
        )
    if any(file["file"].endswith(".whl") for file in package.get("files", ())):
        return None
    return _Reason(f"its address is not a wheel, {built}", "To avoid that, depend on its wheel.")


def _own_wheels(plan: ImagePlan) -> Iterator[Check]:
    for wheel in plan.wheels:
        if wheel.compiles:
            what = "The project" if wheel.is_application else f"The path dependency {wheel.folder}"
            yield ok(
                "wheels",
                f"{what} has code to compile: its wheel is built on"
                f" {wheel.image}{_with(wheel.packages)}.",
            )
