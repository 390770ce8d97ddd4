"""ImagePlan -> Dockerfile. Pure: the same plan gives the same bytes."""

from __future__ import annotations

import json
import re
import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.docker.ignore_patterns import is_inside
from poetry_docker_cache.render import stage_commands
from poetry_docker_cache.render.ignore_file import IgnorePlan, render_ignore
from poetry_docker_cache.render.templates import DOCKERFILE, TemplateEnvironment, render_own

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poetry_docker_cache.plan.model import ImagePlan, Template
    from poetry_docker_cache.settings.image_values import Healthcheck

_FOR_OLDER_LOCKS = ("dependency_graph.py", "old_locks.py")


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
        IgnorePlan(
            keep=keep,
            project_ignore=plan.dockerignore,
            extra=plan.ignore,
            dockerfile=dockerfile,
            git_ignored=[line for wheel in plan.wheels for line in wheel.git_ignored],
            hidden=hidden,
            # What setuptools has left there goes into its next wheel.
            unsent=(
                *_unsent(plan, keep),
                *(it.located("build/lib") for it in plan.wheels if it.whole),
            ),
            beside=beside,
            folder=plan.folder,
            others=tuple(_others(plan)),
            whole=whole,
        )
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
        build_command=stage_commands.build_command,
        check_command=stage_commands.check_command,
        from_above=stage_commands.FROM_ABOVE,
        in_project=stage_commands.in_project,
        install_command=stage_commands.install_command,
        library_command=stage_commands.library_command,
        manifest_command=stage_commands.manifest_command,
        scripts_of=scripts_of,
        text_of=text_of,
        tool_command=stage_commands.tool_command,
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
        "earlier_image.py": not plan.dependencies.reuses_image,
        **dict.fromkeys(_FOR_OLDER_LOCKS, not plan.dependencies.older_lock),
        **dict.fromkeys(("families.py", "workspace.py"), not plan.dependencies.images),
    }
    modules = {
        f"/{name}/": sorted(
            p.name for p in (_inside() / name).glob("*.py") if not unused.get(p.name)
        )
        for name in packages
    }
    return {**modules, "/": [*single, "check.py"]}


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
