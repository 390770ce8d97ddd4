"""The compose file, with which Docker Compose builds and runs the exported Dockerfiles. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.plan.image_plan import DEV, TEST
from poetry_docker_cache.render.templates import TemplateEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import ImagePlan, Variant

TEMPLATE = "compose.yaml.j2"
COMPOSE_FILE = "compose.yaml"
OTHER_NAMES = ("compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""Names that Docker Compose reads if there is no `compose.yaml`, the preferred one first."""
_PLAIN = re.compile(r"[A-Za-z./][A-Za-z0-9_./-]*[A-Za-z0-9_/]|[A-Za-z.]")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""What YAML reads as something other than text."""
# Variables of the shell on every machine, which must not replace those of the image.
_OF_THE_SHELL = frozenset(
    {"DISPLAY", "EDITOR", "HOME", "HOSTNAME", "LANG", "LANGUAGE", "LC_ALL", "LOGNAME", "MAIL"}
    | {"PAGER", "PWD", "PYTHONPATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One image in the compose file, as services for development and for tests."""

    name: str
    test: str | None
    """The name of the service that runs its tests."""
    context: str
    """Relative to the project's folder, where the file is."""
    dockerfile: str
    """Relative to the context."""
    ports: tuple[str, ...]
    environment: Mapping[str, str]
    """Values in YAML, which variables of the same name in `.env` and the shell replace."""
    volumes: Mapping[str, str]
    """The folders in the container that keep their content, by the name of the volume."""
    synced: Mapping[str, str]
    """The paths to copy into the container when they change, each with its path there."""
    rebuilt: tuple[str, ...]
    """The paths whose changes need another image."""
    reloads: bool
    ssh: bool
    secrets: tuple[str, ...] = ()
    """The secrets of its front ends and build steps, which are variables of this name."""
    npmrc: bool = False
    """Whether it has a front end, whose download may need a login."""


def render_compose_file(services: Sequence[Service], *, secret: bool) -> str:
    """Render the file without its banner; `secret` is whether builds take the auth secret."""
    environment = TemplateEnvironment()
    environment.filters.update(yaml=quoted)
    return environment.get_template(TEMPLATE).render(services=services, secret=secret)


def service_of(
    plan: ImagePlan,
    *,
    name: str,
    context: str,
    dockerfile: str,
    environment: Mapping[str, str],
) -> Service:
    """Describe the services of an image whose Dockerfile has its variants."""
    variants = {variant.name: variant for variant in plan.variants}
    dev = variants[DEV]
    return Service(
        name=name,
        test=f"{name}-test" if TEST in variants else None,
        context=context,
        dockerfile=plan.located(dockerfile),
        ports=plan.runtime.published_ports,
        environment={
            variable: interpolated(variable, value)
            for variable, value in {**environment, **dev.environment}.items()
            if variable not in _OF_THE_SHELL
        },
        volumes={
            f"{name}-{re.sub('[^a-z0-9]+', '-', path.lower()).strip('-')}": path
            for path in plan.runtime.volumes
        },
        synced=dict(_synced(plan, dev)),
        rebuilt=tuple(dict.fromkeys(_rebuilt(plan))),
        reloads=dev.reloads,
        ssh=bool(plan.dependencies.ssh),
        secrets=plan.secret_variables,
        npmrc=bool(plan.assets),
    )


def _synced(plan: ImagePlan, dev: Variant) -> Iterator[tuple[str, str]]:
    """Yield the source in the image, relative to the project, with its place there."""
    paths = [*dev.paths, *((plan.files.paths or (".",)) if plan.files else ())]
    for path in ["."] if "." in paths else dict.fromkeys(paths):
        yield path, posixpath.normpath(posixpath.join(plan.runtime.workdir, path))


def _rebuilt(plan: ImagePlan) -> Iterator[str]:
    """Yield what the dependencies are made of, relative to the project."""
    yield "pyproject.toml"
    yield "poetry.lock"
    yield from plan.dependencies.files
    for wheel in plan.packages:
        yield posixpath.relpath(wheel.folder, plan.folder)


def quoted(text: str) -> str:
    """Return a string in YAML, without interpolation of variables; quoted unless it is a name.

    >>> quoted("./src"), quoted("8000:8000"), quoted("no")
    ('./src', '"8000:8000"', '"no"')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text.replace("$", "$$"), ensure_ascii=False)


def interpolated(name: str, default: str) -> str:
    """Return a value in YAML: the variable of that name, by default this text.

    A default with a brace cannot be written: it is then the value.
    """
    escaped = default.replace("$", "$$")
    if "{" in default or "}" in default:
        return json.dumps(escaped, ensure_ascii=False)
    return json.dumps(f"${{{name}-{escaped}}}", ensure_ascii=False)
