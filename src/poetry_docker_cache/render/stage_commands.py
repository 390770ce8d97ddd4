"""The commands that the build stages run. Pure."""

from __future__ import annotations

import hashlib
import json
import shlex
from typing import TYPE_CHECKING

from poetry_docker_cache.render.asset_commands import front_ends_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.plan.image_plan import (
        Dependencies,
        ImagePlan,
        Index,
        Layer,
        RunStep,
        Runtime,
        Variant,
        Wheel,
    )

_ABOVE = ".above"
FROM_ABOVE = (
    *("sed", "-i", "-E", "-e", ":again"),
    "-e",
    rf"""s#((from|readme|file)["']? *= *(\[[^]]*)?["'](\.(above)?/)*)\.\.(/|["'])#\1{_ABOVE}\6#""",
    *("-e", "tagain", "/project/pyproject.toml"),
)
"""Replaces each `..` in the `packages` and the README of poetry-core by a folder inside the
project, where the stage has the files from outside."""


def manifest_command(dependencies: Dependencies) -> list[str]:
    """Return the command that runs inside/manifest."""
    images = [f"{name}={json.dumps(value)}" for name, value in dependencies.images.items()]
    return [
        "python",
        "-m",
        "manifest.workspace" if images else "manifest",
        *_manifest_options(dependencies, dependencies.groups, dependencies.extras),
        *(f"--image={image}" for image in images),
        "--layers",
        *(layer.name for layer in dependencies.layers),
    ]


def variant_command(variant: Variant, dependencies: Dependencies) -> list[str]:
    """Return the command that runs inside/manifest/variant.py."""
    return [
        "python",
        "-m",
        "manifest.variant",
        f"--base={json.dumps(variant.base)}",
        f"--prefix={variant.prefix}",
        f"--output=/{variant.prefix}manifest",
        *_manifest_options(dependencies, variant.groups, variant.extras),
        "--layers",
        *(layer.name for layer in variant.layers),
    ]


def _manifest_options(
    dependencies: Dependencies, groups: Sequence[str], extras: Sequence[str]
) -> list[str]:
    options = [
        (option, name)
        for option, names in (
            ("--group", groups),
            ("--extra", extras),
            ("--no-binary", dependencies.no_binary),
            ("--only-binary", dependencies.only_binary),
            ("--libc", [dependencies.libc] if dependencies.libc else []),
            ("--machines", [",".join(dependencies.machines)] if dependencies.machines else []),
        )
        for name in names
    ]
    return [f"{option}={name}" for option, name in options]


def tool_command(
    venv: str,
    index: Index | None,
    options: Sequence[str],
    *,
    pins: Sequence[str],
    requirements: Sequence[str],
) -> list[str]:
    """Return the command that runs inside/install/tool.py, to install a build tool.

    Requirements files with hashes, if there are any, replace the requirements.
    """
    source = ["--source", index.name, index.url] if index else []
    tools = [f"--pinned=pins/{name}.txt" for name in pins] or requirements
    return ["python", "-m", "install.tool", f"--venv={venv}", *source, *options, *tools]


def install_command(layer: Layer, dependencies: Dependencies, instructions: str) -> list[str]:
    """Return the command that runs inside/install or inside/direct.py.

    `instructions` are the lines of the block `build` in the Dockerfile.
    """
    if layer.direct:
        words = ["/opt/poetry/bin/python", "-m", "direct", *["--ssh"] * bool(layer.direct.ssh)]
    else:
        words = ["python", "-m", "install", *["--from-source"] * layer.from_source]
    words += ["--compile"] * dependencies.compile
    if layer.from_source and dependencies.build_config_settings:
        words.append(f"--build-config-settings={dependencies.build_config_settings}")
    words += ["--wheels=/wheels"] * layer.keeps_wheels
    if dependencies.reuses_image and not layer.direct:
        words += ["--reuse", *_made_by(layer, dependencies, instructions)]
    return words


def _made_by(layer: Layer, dependencies: Dependencies, instructions: str) -> list[str]:
    """Return the option with a digest of what determines the result of building from source."""
    if not layer.from_source:  # the script itself compares the versions of pip
        return []
    inputs = [
        dependencies.build_image,
        dependencies.packages,
        instructions.split("\n")[:-1],
        sorted(dependencies.environment.items()),
        dependencies.build_config_settings,
    ]
    digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
    return [f"--made-by=poetry {dependencies.poetry} {digest}"]


def build_command(wheel: Wheel, dependencies: Dependencies) -> list[str]:
    """Return the command that runs inside/install/own_wheel.py."""
    paths = [f"--backend-path={path}" for path in wheel.backend_path]
    options = ["--compile"] * dependencies.compile
    options += ["--libraries"] * wheel.compiles
    options += [f"--config-settings={wheel.config_settings}"] if wheel.config_settings else []
    options += [f"--marker={wheel.marker}"] if wheel.marker else []
    backend = [f"--backend={wheel.backend}", *paths]
    command = ["/opt/build/bin/python", "-m", "install.own_wheel"]
    return [*command, *backend, f"/{wheel.name}", *options]


def in_project(path: str) -> str:
    """Return a path of the project in its copy, in which `..` is a folder of another name."""
    return "/".join(_ABOVE if part == ".." else part for part in path.split("/"))


def check_command(runtime: Runtime) -> list[str]:
    """Return the command that runs inside/check.py."""
    foreign = runtime.checked_on_build_platform
    python = (
        ["python", "check.py", "--root=/image"]
        if foreign
        else ["/venv/bin/python", "/scripts/check.py"]
    )
    command = [*python, f"--python={runtime.python}"]
    command += [f"--optional={name}" for name in runtime.optional_libraries]
    command.append(f"--user={runtime.user}")
    for folder in runtime.owned:
        prefix = f"{folder.mode}:" if folder.mode else ""
        command.append(f"--folder={prefix}{folder.path}")
    return command


def library_command(runtime: Runtime) -> list[str]:
    """Return the command that runs inside/compile.py on the standard library."""
    python = "python" if runtime.has_shell else "/venv/bin/python"
    return [python, "-B", "/scripts/compile.py", "--standard-library"]


def checked_stages(plan: ImagePlan) -> list[str]:
    """Return the stages that record which shared libraries their packages need."""
    layers = [layer.name for layer in plan.dependencies.layers if layer.may_have_libraries]
    return layers + [wheel.name for wheel in plan.wheels if wheel.compiles]


def files_command(plan: ImagePlan, place: str, *, compiles: bool) -> str:
    """Return the command for files beside the package; `place` is the folder of scripts in them."""
    whole = plan.files is not None and not plan.files.paths
    tests = plan.files.removed if plan.files else ()
    removed = [*[place] * whole, *front_ends_beside(plan), *tests]
    commands = [shlex.join(["rm", "-rf", *removed])] if removed else []
    commands += ["python /scripts/compile.py ."] if compiles else []
    return " && ".join([*commands, "chmod -R u=rwX,go=rX ."])


def step_command(step: RunStep, runtime: Runtime) -> list[str]:
    """Return the command that runs inside/run_step.py."""
    options = [f"--user={runtime.user}", f"--keep=/{step.name}"]
    options += [f"--output={path}" for path in step.output]
    options += [f"--env={name}={value}" for name, value in step.environment.items()]
    options += [f"--secret={name}" for name in step.secrets]
    options += ["--offline"] * (not step.network) + ["--narrowed"] * step.is_narrowed
    return ["/venv/bin/python", "-IS", "/scripts/run_step.py", *options, "--", *step.command]
