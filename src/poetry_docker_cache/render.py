"""ImagePlan -> Dockerfile. Pure: the same plan gives the same bytes."""

from __future__ import annotations

import json
import re
import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from poetry_docker_cache.ignore import render_ignore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.plan import Application, Dependencies, ImagePlan
    from poetry_docker_cache.settings import Healthcheck

TEMPLATE = "Dockerfile.j2"


def render_dockerfile(plan: ImagePlan) -> str:
    """The Dockerfile, without banner and `# syntax` line."""
    return _environment().get_template(TEMPLATE).render(plan=plan)


def render_ignore_file(plan: ImagePlan, dockerfile: str) -> str:
    """The ignore file, without banner, of a Dockerfile at this path in the context."""
    keep = ["pyproject.toml", "poetry.lock"]
    keep += plan.application.paths if plan.application else ()
    keep += plan.files.paths if plan.files else ()
    return render_ignore(
        keep=keep,
        project_ignore=plan.dockerignore,
        extra=plan.ignore,
        dockerfile=dockerfile,
        git_ignored=plan.git_ignored,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_template_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # a Dockerfile is not HTML; the filters below quote
    )
    environment.filters.update(
        copy=copy_arguments,
        exec_form=exec_form,
        healthcheck=healthcheck,
        quoted=quoted,
        shell=shlex.quote,
    )
    environment.globals.update(
        build_command=build_command,
        manifest_command=manifest_command,
        script=script,
        scripts_of=scripts_of,
    )
    return environment


def _template_folder() -> Path:
    """Inside the package when installed; at the top of the repository in an editable install."""
    package = Path(str(resources.files("poetry_docker_cache")))
    installed = package / "templates"
    return installed if installed.is_dir() else package.parents[1] / "templates"


def script(name: str) -> str:
    """The text of a script that runs inside the build, for a heredoc."""
    text = (resources.files("poetry_docker_cache") / "inside" / name).read_text(encoding="utf-8")
    # What our linters are told is of no use to who reads the Dockerfile.
    return re.sub(r"  # (noqa|type:).*", "", text.replace("\r\n", "\n"))


def scripts_of(plan: ImagePlan) -> list[str]:
    """The names of the scripts that this image's build runs, in order."""
    indexes = [plan.dependencies.index, plan.application and plan.application.index]
    pip = ["pip_install.py"] if any(indexes) else []
    wheel = ["build_wheel.py"] if plan.application else []
    return ["manifest.py", *pip, "poetry_install.py", *wheel, "check.py"]


def manifest_command(dependencies: Dependencies) -> list[str]:
    """The call of inside/manifest.py."""
    options = [
        (option, name)
        for option, names in (
            ("--group", dependencies.groups),
            ("--extra", dependencies.extras),
            ("--no-binary", dependencies.no_binary),
            ("--only-binary", dependencies.only_binary),
        )
        for name in names
    ]
    arguments = [f"{option}={name}" for option, name in options]
    places = ["--project", "/project", "--output", "/manifest/dependencies.json"]
    return ["python", "/manifest.py", *arguments, *places]


def build_command(application: Application) -> list[str]:
    """The call of inside/build_wheel.py."""
    paths = [f"--backend-path={path}" for path in application.backend_path]
    backend = ["--backend", application.backend, *paths, "--wheel-dir", "/wheels"]
    return ["/opt/build/bin/python", "/build_wheel.py", *backend]


def exec_form(words: Sequence[str]) -> str:
    """A JSON list, as RUN, CMD, ENTRYPOINT and COPY take it."""
    return json.dumps(list(words), ensure_ascii=False)


def quoted(value: str) -> str:
    """A double-quoted word of ENV and LABEL, which arrives as it is.

    The Dockerfile's own rule: inside double quotes a backslash, a quote and a dollar are special.
    """
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def copy_arguments(path: str, destination: str) -> str:
    """The arguments of COPY for one literal path: its globs are no globs, its `$` no variable."""
    # Docker's reference of COPY: a character class is the way to name a special character.
    source = re.sub(r"[*?\[]", r"[\g<0>]", path)
    words = [re.sub(r"[\\$'\"]", r"\\\g<0>", word) for word in (source, destination)]
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
