"""Renders an image's plan as Dockerfile and ignore file. Pure."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Literal

from poetry_docker_cache.docker.ignore_patterns import is_inside, moved
from poetry_docker_cache.render import asset_commands, stage_commands
from poetry_docker_cache.render.build_scripts import image_scripts
from poetry_docker_cache.render.ignore_file import IgnorePlan, render_ignore
from poetry_docker_cache.render.templates import DOCKERFILE, TemplateEnvironment, render_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Copy, ImagePlan, Template
    from poetry_docker_cache.render.build_scripts import Scripts
    from poetry_docker_cache.settings.image_values import Healthcheck

_WIDTH = 100
"""Lines are wrapped before this column if possible."""
_SHORT, _LONGEST_LINE = 75, 110
_BREAK = re.compile(r"(?<=[A-Za-z0-9]) ?(?=[A-Za-z0-9])")


def render_dockerfile(plan: ImagePlan, scripts: Scripts | None = None) -> str:
    """Render the Dockerfile, without banner and `# syntax` line.

    `scripts` are the scripts of the build; by default they are in a folder beside the Dockerfile.
    Raises DockerCacheError for a mistake in the project's own template.
    """
    environment = dockerfile_environment(plan.template)
    values = {"plan": plan, "scripts": scripts or image_scripts(plan)}
    if plan.template:
        return render_own(environment, plan.template, values)
    return environment.get_template(DOCKERFILE).render(values)


def render_ignore_file(
    plan: ImagePlan,
    dockerfile: str,
    hidden: Sequence[str] = (),
    exported: Sequence[str] = (),
    *,
    scripts: str | None = None,
) -> str:
    """Render the ignore file, without banner, of a Dockerfile at this path in the context.

    `hidden` are folders that are excluded in any case, `exported` what `export` writes for
    other images, and `scripts` is the folder of scripts, which is included.
    """
    own = ["pyproject.toml", "poetry.lock", *(plan.files.paths if plan.files else ())]
    own += [path for step in plan.steps for path in step.paths or ()]
    own += [path for variant in plan.variants for path in variant.paths]
    keep = [plan.located(path) for path in (*own, *plan.dependencies.files)]
    keep += [each.source for each in plan.runtime.copies if each.image is None]
    for stage in plan.assets:
        keep += [plan.located(path) for path in (*stage.manifests, *stage.sources)]
    for wheel in plan.all_wheels:
        names = ["pyproject.toml"] * wheel.has_pyproject
        keep += [wheel.located(path) for path in (*names, *wheel.paths)]
    whole = [
        wheel.folder for wheel in plan.all_wheels if wheel.whole and wheel.folder != plan.folder
    ]
    return render_ignore(
        IgnorePlan(
            keep=keep,
            left_out=plan.files.left_out if plan.files else (),
            project_ignore=plan.dockerignore,
            extra=plan.ignore,
            dockerfile=dockerfile,
            git_ignored=[line for wheel in plan.all_wheels for line in wheel.git_ignored],
            front_ends_ignored=[
                moved(line, plan.folder) for stage in plan.assets for line in stage.git_ignored
            ],
            hidden=hidden,
            # setuptools would put old files from there into the next wheel.
            unsent=(
                *_unsent(plan, keep),
                *(plan.located(path) for stage in plan.assets for path in stage.generated),
                *(wheel.located("build/lib") for wheel in plan.all_wheels if wheel.whole),
            ),
            exported=exported,
            folder=plan.folder,
            others=tuple(_others(plan)),
            whole=whole,
            scripts=scripts and scripts.rstrip("/"),
        )
    )


def copy_from(each: Copy) -> str:
    """Return the options and arguments of COPY for a file with another name or place."""
    if each.image is not None:
        stage, source = [f"--from={each.image}"], each.source
    elif each.is_made_readable and not each.in_workdir:
        stage, source = ["--from=copied"], f"/copied/{each.source}"
    else:
        stage, source = [], each.source
    return " ".join([*stage, *each.options, copy_arguments(source, each.to)])


def _others(plan: ImagePlan) -> Iterator[str]:
    """Yield the folders outside the project that the image takes files from."""
    for wheel in plan.all_wheels:
        holds = is_inside(plan.folder, [wheel.folder]) or wheel.folder == "."
        if not holds or (wheel.whole and wheel.folder != plan.folder):
            yield wheel.folder
        else:  # a folder above the project: only some of its paths are sent
            yield from map(wheel.located, wheel.paths)
    for path in (path for stage in plan.assets for path in (stage.folder, *stage.sources)):
        if path.startswith("../"):
            yield plan.located(path)


def _unsent(plan: ImagePlan, keep: Sequence[str]) -> Iterator[str]:
    """Yield the project's own template and its includes, which the build does not need."""
    for name in sorted(plan.template.texts if plan.template else ()):
        path = plan.located(name)
        is_kept = any(path == kept or path.startswith(f"{kept}/") for kept in keep)
        if not name.startswith("../") and not is_kept:
            yield path


def dockerfile_environment(template: Template | None = None) -> TemplateEnvironment:
    """Return the Jinja environment for the template of the Dockerfile."""
    environment = TemplateEnvironment(template)
    environment.filters.update(
        assignments=assignments,
        command=command,
        copy=copy_arguments,
        copy_from=copy_from,
        exec_form=exec_form,
        healthcheck=healthcheck,
        in_context=lambda path, plan: plan.located(path),
        quoted=quoted,
        shell=shlex.quote,
    )
    environment.globals.update(
        assets_command=asset_commands.assets_command,
        at_project=asset_commands.at_project,
        in_asset_stage=asset_commands.in_asset_stage,
        fetch_command=asset_commands.fetch_command,
        front_ends_in=asset_commands.front_ends_in,
        manifest_copies=asset_commands.manifest_copies,
        scripts_command=asset_commands.scripts_command,
        build_command=stage_commands.build_command,
        check_command=stage_commands.check_command,
        checked_stages=stage_commands.checked_stages,
        files_command=stage_commands.files_command,
        from_above=stage_commands.FROM_ABOVE,
        in_project=stage_commands.in_project,
        install_command=stage_commands.install_command,
        library_command=stage_commands.library_command,
        manifest_command=stage_commands.manifest_command,
        step_command=stage_commands.step_command,
        tool_command=stage_commands.tool_command,
        variant_command=stage_commands.variant_command,
    )
    return environment


def exec_form(words: Sequence[str]) -> str:
    """Return the exec form (a JSON list) of RUN, CMD, ENTRYPOINT or COPY."""
    return json.dumps(list(words), ensure_ascii=False)


def quoted(value: str) -> str:
    """Return a double-quoted value of ENV or LABEL.

    Inside double quotes, a Dockerfile gives a meaning to backslashes, quotes and dollar signs.
    """
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def command(words: Sequence[str], shell: bool = True) -> str:
    """Return a wrapped command of RUN: for a shell, or as JSON for an image without one."""
    if shell:
        return _wrapped(map(shlex.quote, words))
    items = [json.dumps(word, ensure_ascii=False) for word in words]
    return f"[{_wrapped([f'{item},' for item in items[:-1]] + items[-1:])}]"


def assignments(values: Mapping[str, str]) -> str:
    """Return the assignments of ENV or LABEL: on one line if short, else one per line."""
    pairs = [f"{name}={quoted(value)}" for name, value in values.items()]
    short = " ".join(pairs)
    return short if len(short) < _SHORT else " \\\n    ".join(map(_broken, pairs))


def _wrapped(words: Iterable[str]) -> str:
    """Join words to lines continued with a backslash; a long word is not split."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return " \\\n    ".join(lines)


def _broken(text: str) -> str:
    """Split a long quoted value into several lines.

    BuildKit joins the lines before it reads the quotes, but strips leading spaces and takes a line
    with a leading `#` for a comment, so each break is between two letters or digits.
    """
    parts = []
    while len(text) > _LONGEST_LINE:
        places = [match.end() for match in _BREAK.finditer(text, 0, _LONGEST_LINE)]
        if not places:
            break
        parts.append(text[: places[-1]])
        text = text[places[-1] :]
    return "\\\n".join([*parts, text])


def copy_arguments(paths: str | Sequence[str], destination: str) -> str:
    """Return the arguments of COPY for literal paths, with wildcards and `$` escaped."""
    # Per Docker's reference of COPY, a wildcard is escaped as a character class.
    named = [paths] if isinstance(paths, str) else paths
    sources = [re.sub(r"[*?\[]", r"[\g<0>]", path) for path in named]
    words = [re.sub(r"[\\$'\"]", r"\\\g<0>", word) for word in (*sources, destination)]
    if any(re.search(r"[\s\"'\[\\#<]", word) for word in words):
        return exec_form(words)
    return " ".join(words)


def healthcheck(check: Healthcheck | Literal[False]) -> str:
    """Return the arguments of HEALTHCHECK."""
    if check is False:
        return "NONE"
    options = {
        "interval": check.interval,
        "timeout": check.timeout,
        "start-period": check.start_period,
        "start-interval": check.start_interval,
        "retries": check.retries,
    }
    words = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return _wrapped([*words, f"CMD {exec_form(check.command)}"])
