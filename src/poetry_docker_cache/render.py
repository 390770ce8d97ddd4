"""ImagePlan -> Dockerfile. Pure: the same plan gives the same bytes."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.ignore import render_ignore
from poetry_docker_cache.ignore.rules import is_inside
from poetry_docker_cache.templating import DOCKERFILE, TemplateEnvironment, render_own

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.plan import (
        Dependencies,
        ImagePlan,
        Index,
        Layer,
        Runtime,
        Template,
        Wheel,
    )
    from poetry_docker_cache.settings import Healthcheck

_FOR_OLDER_LOCKS = ("conditions.py", "constraints.py", "dependencies.py", "older.py", "walk.py")
_CACHE_FOLDERS = {"pip": "pip", "uv": "uv", "poetry": "pypoetry"}
_ABOVE = ".above"
FROM_ABOVE = (
    *("sed", "-i", "-E", "-e", ":again"),
    *("-e", rf"""s#(from["']? *= *["'](\.(above)?/)*)\.\.(/|["'])#\1{_ABOVE}\4#"""),
    *("-e", "tagain", "/project/pyproject.toml"),
)
"""Makes each `..` in the `packages` of poetry-core the name of a folder of the project, since it
takes no file from outside of that."""


def render_dockerfile(plan: ImagePlan) -> str:
    """The Dockerfile, without banner and `# syntax` line.

    Raises DockerCacheError for a mistake in the project's own template.
    """
    environment = dockerfile_environment(plan.template)
    if plan.template:
        return render_own(environment, plan.template, plan)
    return environment.get_template(DOCKERFILE).render(plan=plan)


def render_ignore_file(
    plan: ImagePlan, dockerfile: str, hidden: Sequence[str] = (), beside: Sequence[str] = ()
) -> str:
    """The ignore file, without banner, of a Dockerfile at this path in the context.

    `hidden` are folders in the context that no build may see, whatever else is said, and `beside`
    what `export` has written for other images.
    """
    own = ["pyproject.toml", "poetry.lock", *(plan.files.paths if plan.files else ())]
    keep = [plan.located(path) for path in (*own, *plan.dependencies.files)]
    for wheel in plan.wheels:
        names = ["pyproject.toml"] * wheel.has_pyproject
        keep += [wheel.located(path) for path in (*names, *wheel.paths)]
    whole = [wheel.folder for wheel in plan.wheels if wheel.whole and wheel.folder != plan.folder]
    return render_ignore(
        keep=keep,
        project_ignore=plan.dockerignore,
        extra=plan.ignore,
        dockerfile=dockerfile,
        git_ignored=[line for wheel in plan.wheels for line in wheel.git_ignored],
        hidden=hidden,
        # What setuptools has left there goes into its next wheel.
        unsent=(*_unsent(plan, keep), *(it.located("build/lib") for it in plan.wheels if it.whole)),
        beside=beside,
        folder=plan.folder,
        others=tuple(_others(plan)),
        whole=whole,
    )


def _others(plan: ImagePlan) -> Iterator[str]:
    """The folders beside the project that the image takes something from."""
    for wheel in plan.wheels:
        holds = is_inside(plan.folder, [wheel.folder]) or wheel.folder == "."
        if not holds or (wheel.whole and wheel.folder != plan.folder):
            yield wheel.folder
        else:  # a folder above the project: not all of it is sent
            yield from map(wheel.located, wheel.paths)


def _unsent(plan: ImagePlan, keep: Sequence[str]) -> Iterator[str]:
    """The project's own template and what it includes: of use before the build only."""
    for name in sorted(plan.template.texts if plan.template else ()):
        path = plan.located(name)
        is_kept = any(path == kept or path.startswith(f"{kept}/") for kept in keep)
        if not name.startswith("../") and not is_kept:
            yield path


def dockerfile_environment(template: Template | None = None) -> TemplateEnvironment:
    """What the Dockerfile's template, or the project's own that extends it, is read with."""
    environment = TemplateEnvironment(template)
    environment.filters.update(
        copy=copy_arguments,
        exec_form=exec_form,
        healthcheck=healthcheck,
        quoted=quoted,
        shell=shlex.quote,
    )
    environment.globals.update(
        build_command=build_command,
        check_command=check_command,
        cache_folder=_CACHE_FOLDERS.__getitem__,
        from_above=FROM_ABOVE,
        in_project=in_project,
        install_command=functools.partial(install_command, template=template),
        library_command=library_command,
        manifest_command=manifest_command,
        scripts_of=scripts_of,
        text_of=text_of,
        tool_command=tool_command,
    )
    return environment


def text_of(name: str) -> str:
    """The text of a script that runs inside the build, for a heredoc.

    Raises ValueError for any other name: a template of the project's own may call this, too.
    """
    if not re.fullmatch(r"/?(\w+/)*\w+\.py", name, re.ASCII):
        raise ValueError(f"{name!r} is none of the scripts")
    text = _inside().joinpath(name.lstrip("/")).read_text(encoding="utf-8")
    # What our linters are told is of no use to who reads the Dockerfile.
    return re.sub(r"  # (noqa|type:).*", "", text.replace("\r\n", "\n"))


def _inside() -> Path:
    return Path(str(resources.files("poetry_docker_cache"))) / "inside"


def scripts_of(plan: ImagePlan) -> dict[str, list[str]]:
    """The files of the scripts that this image's build runs: folder, "/" or "/install/", to names.

    They are those of `inside/`.
    """
    single = ["compile.py"] if plan.dependencies.compile else []
    installs = bool(plan.dependencies.layers or plan.wheels)
    packages = ["manifest", "install"] if installs else ["manifest"]
    unused = {
        "wheelhouse.py": not plan.dependencies.keeps_wheels,
        "earlier.py": not plan.dependencies.reuses_image,
        **dict.fromkeys(_FOR_OLDER_LOCKS, not plan.dependencies.older_lock),
        "direct.py": True,  # in a stage of its own: no key of another layer may hang on it
        **dict.fromkeys(("families.py", "workspace.py"), not plan.dependencies.images),
    }
    modules = {
        f"/{name}/": sorted(
            p.name for p in (_inside() / name).glob("*.py") if not unused.get(p.name)
        )
        for name in packages
    }
    return {**modules, "/": [*single, "check.py"]}


def manifest_command(dependencies: Dependencies) -> list[str]:
    """The call of inside/manifest."""
    options = [
        (option, name)
        for option, names in (
            ("--group", dependencies.groups),
            ("--extra", dependencies.extras),
            ("--no-binary", dependencies.no_binary),
            ("--only-binary", dependencies.only_binary),
            ("--libc", [dependencies.libc] if dependencies.libc else []),
            ("--machines", [",".join(dependencies.machines)] if dependencies.machines else []),
            ("--images", [json.dumps(dependencies.images)] if dependencies.images else []),
            ("--layers", [",".join(layer.name for layer in dependencies.layers)]),
        )
        for name in names
    ]
    arguments = [f"{option}={name}" for option, name in options]
    return [
        "python",
        "-m",
        "manifest.workspace" if dependencies.images else "manifest",
        *arguments,
        "--project",
        "/project",
        "--output",
        "/manifest",
    ]


def tool_command(venv: str, index: Index | None, arguments: Sequence[str]) -> list[str]:
    """The call of inside/install/tool.py: a program that the build needs, in a place of its own."""
    source = ["--source", index.name, index.url] if index else []
    return ["python", "-m", "install.tool", "--venv", venv, *source, *arguments]


def install_command(
    layer: Layer, dependencies: Dependencies, template: Template | None = None
) -> str:
    """The call of inside/install, or of its direct.py, for a shell."""
    python = "/opt/poetry/bin/python" if layer.installer == "poetry" else "python"
    if layer.direct:
        words = [python, "-m", "install.direct", *["--ssh"] * layer.direct.ssh]
    else:
        words = [python, "-m", "install", "--installer", layer.installer]
        # What a layer needs of the image is written down wherever that is not the final one's.
        elsewhere = layer.from_source or (dependencies.on_build_image and layer.may_have_libraries)
        words += ["--from-source"] * elsewhere
    words += ["--compile"] * dependencies.compile
    if layer.from_source and dependencies.build_config_settings:
        words += ["--build-config-settings", dependencies.build_config_settings]
    words += ["--wheels", "/wheels"] * layer.keeps_wheels
    if dependencies.reuses_image and not layer.direct:
        words += ["--layer", layer.name, *_made_by(layer, dependencies, template)]
    return shlex.join(words)


def _made_by(layer: Layer, dependencies: Dependencies, template: Template | None) -> list[str]:
    """Tell inside/install/earlier.py what the files follow from that it cannot see."""
    if layer.installer == "pip":  # the image's own
        return []
    versions = {"uv": dependencies.uv, "poetry": dependencies.poetry}
    words = [layer.installer, versions[layer.installer] or ""]
    if layer.from_source:
        how = [
            dependencies.build_image,
            dependencies.packages,
            dependencies.instructions,
            sorted(dependencies.environment.items()),
            dependencies.build_config_settings,
            *(sorted(template.texts.items()) if template else ()),  # its block `build`
        ]
        words.append(hashlib.sha256(json.dumps(how).encode()).hexdigest()[:16])
    return ["--made-by", " ".join(words)]


def build_command(wheel: Wheel, dependencies: Dependencies) -> list[str]:
    """The call of inside/install/project.py."""
    paths = [f"--backend-path={path}" for path in wheel.backend_path]
    options = ["--compile"] * dependencies.compile
    options += ["--libraries", "/libraries.json"] * wheel.compiles
    options += ["--config-settings", wheel.config_settings] if wheel.config_settings else []
    options += ["--marker", wheel.marker] if wheel.marker else []
    backend = ["--backend", wheel.backend, *paths]
    return ["python", "-m", "install.project", *backend, *options, "/project"]


def in_project(path: str) -> str:
    """Where a file of a wheel lies below /project; one from above it, where `FROM_ABOVE` says."""
    return "/".join(_ABOVE if part == ".." else part for part in path.split("/"))


def check_command(runtime: Runtime) -> list[str]:
    """The call of inside/check.py."""
    command = ["/venv/bin/python", "/scripts/check.py", "--python", runtime.python]
    command += [f"--optional={name}" for name in runtime.optional_libraries]
    return [*command, "--home", runtime.home]


def library_command(runtime: Runtime) -> list[str]:
    """The call of inside/compile.py for the standard library, by a Python that is there."""
    python = "python" if runtime.has_shell else "/venv/bin/python"
    return [python, "-B", "/scripts/compile.py", "--standard-library"]


def exec_form(words: Sequence[str]) -> str:
    """A JSON list, as RUN, CMD, ENTRYPOINT and COPY take it."""
    return json.dumps(list(words), ensure_ascii=False)


def quoted(value: str) -> str:
    """A double-quoted word of ENV and LABEL, which arrives as it is.

    The Dockerfile's own rule: inside double quotes a backslash, a quote and a dollar are special.
    """
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def copy_arguments(paths: str | Sequence[str], destination: str) -> str:
    """The arguments of COPY for literal paths: their globs are no globs, a `$` no variable."""
    # Docker's reference of COPY: a character class is the way to name a special character.
    named = [paths] if isinstance(paths, str) else paths
    sources = [re.sub(r"[*?\[]", r"[\g<0>]", path) for path in named]
    words = [re.sub(r"[\\$'\"]", r"\\\g<0>", word) for word in (*sources, destination)]
    if any(re.search(r"[\s\"'\[\\#<]", word) for word in words):
        return exec_form(words)
    return " ".join(words)


def healthcheck(check: Healthcheck | Literal[False]) -> str:
    """The arguments of HEALTHCHECK."""
    if check is False:
        return "NONE"
    options = {
        "interval": check.interval,
        "timeout": check.timeout,
        "start-period": check.start_period,
        "retries": check.retries,
    }
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return " ".join([*words, "CMD", exec_form(check.command)])
