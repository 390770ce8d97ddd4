"""The reference for images: environments that `poetry install` fills, on the same Python."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clean_poetry import ONE_BY_ONE, POETRY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from acme import Project
    from engines import DockerEngine

_DOCKERFILE = f"""\
FROM python:3.13
RUN python -m venv --without-pip /opt/poetry \\
    && pip --python /opt/poetry/bin/python install --quiet --no-compile poetry=={POETRY}
# Python keeps the bytecode of what an installation imports: compiling it takes seconds each time.
WORKDIR /empty
RUN printf '[tool.poetry]\\npackage-mode = false\\n' > pyproject.toml \\
    && python -m venv --without-pip /tmp/venv \\
    && export VIRTUAL_ENV=/tmp/venv \\
    && /opt/poetry/bin/poetry --quiet lock && /opt/poetry/bin/poetry --quiet install
"""
# Poetry may write to the copy.
_SCRIPT = """\
set -e
cp -R /repository /work
cd "/work/$1"
shift
python -m venv --without-pip /venv
VIRTUAL_ENV=/venv /opt/poetry/bin/poetry -n install "$@" >&2
exec /venv/bin/python -c "
import importlib.metadata as metadata, json
print(json.dumps(sorted([d.metadata['Name'], d.version] for d in metadata.distributions())))
"
"""


@dataclass(frozen=True, kw_only=True)
class PoetryInstall:
    """Runs `poetry install` in a container, each time in a fresh environment."""

    engine: DockerEngine
    image: str

    @classmethod
    def prepare(cls, engine: DockerEngine) -> PoetryInstall:
        """Build the image with Poetry."""
        image = "acme-reference:3.13"
        engine.docker("build", "--network=host", f"--tag={image}", "-", text=_DOCKERFILE)
        return cls(engine=engine, image=image)

    def __call__(
        self,
        project: Project,
        *options: str,
        repository: Path | None = None,
        container: Sequence[str] = (),
    ) -> list[list[str]]:
        """Install with these options; return names and versions of what is installed, sorted.

        `repository` is the folder with all that the project needs, and `container` are options of
        `docker run`.
        """
        repository = repository or project.folder
        config = project.poetry.env["POETRY_CONFIG_DIR"]
        docker = ["run", "--rm", "--network=host", "--env=POETRY_CONFIG_DIR=/config"]
        docker += [f"--env={name}={value}" for name, value in ONE_BY_ONE.items()] + [*container]
        docker += [f"--volume={repository}:/repository:ro", f"--volume={config}:/config:ro"]
        place = project.folder.relative_to(repository).as_posix()
        done = self.engine.docker(*docker, self.image, "sh", "-c", _SCRIPT, "sh", place, *options)
        found: list[list[str]] = json.loads(done.stdout)
        return found
