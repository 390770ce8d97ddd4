"""Projects of many shapes: images hold what `poetry install` installs, and keep their layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from acme import PASSWORD, USER, AcmeIndex, Project
from builds import LAYER, build, look
from clean_poetry import POETRY
from index import PrivateIndex
from shapes import SHAPES, text_of
from wheels import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

REFERENCE = f"""\
FROM python:3.13
RUN python -m venv --without-pip /opt/poetry \\
    && pip --python /opt/poetry/bin/python install --quiet --no-compile poetry=={POETRY}
"""
SOURCES = {"acme": "acme", "cpu": "Acme.CPU-wheels", "cuda": "acme-cuda", "more": "acme-more"}


@pytest.fixture(scope="module")
def urls(index: AcmeIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Serve what the shapes need on four indexes, each with a password of its own."""
    packages = index.packages
    make_wheel(packages, "acme-local", "1.0+cpu")
    for name in ("a", "b"):
        make_wheel(packages, f"acme-ns-{name}", files={f"acme_ns/{name}.py": f"NAME = '{name}'\n"})
    make_wheel(packages, "acme-both", files={"acme_both.py": "VERSION = 'of the wheel'\n"})
    make_sdist(packages, "acme-both")
    folders = {name: tmp_path_factory.mktemp(name) for name in ("cpu", "cuda", "more")}
    for name in ("cpu", "cuda"):
        make_wheel(folders[name], "acme-torch", files={"acme_torch.py": f"BUILT = '{name}'\n"})
    make_wheel(folders["more"], "acme-there")
    served = {name: PrivateIndex(folder, {name: name}) for name, folder in folders.items()}
    yield {"acme": index.url, **{name: it.url for name, it in served.items()}}
    for it in served.values():
        it.stop()


@pytest.fixture(scope="module")
def projects(
    urls: Mapping[str, str],
    poetry_home: Callable[[DockerEngine], Poetry],
    engine: DockerEngine,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Project]:
    """Write and lock each project."""
    poetry, folder = poetry_home(engine), tmp_path_factory.mktemp("shapes")
    logins = {SOURCES[name]: {"username": name, "password": name} for name in urls}
    logins["acme"] = {"username": USER, "password": PASSWORD}
    auth = Path(poetry.env["POETRY_CONFIG_DIR"]) / "auth.toml"
    auth.write_text(tomlkit.dumps({"http-basic": logins}), encoding="utf-8")
    made = {}
    for name, shape in SHAPES.items():
        project = made[name] = Project(folder / name, poetry)
        project.write("pyproject.toml", text_of(shape, urls).encode())
        for path, text in shape.files.items():
            written = project.write(path, text)
            written.chmod(0o755 if text.startswith("#!") else 0o644)
        project.configure(python="3.13", image=f"shapes/{name}")
        project.lock()
    return made


@pytest.fixture(scope="module")
def installed(projects: Mapping[str, Project], engine: DockerEngine) -> dict[str, Any]:
    """Have `poetry install` install each project on the image's Python; list what is there then."""
    engine.docker("build", "--network=host", "--tag=shapes/reference", "-", text=REFERENCE)
    any_project = next(iter(projects.values()))
    folder, config = any_project.folder.parent, any_project.poetry.env["POETRY_CONFIG_DIR"]
    script = Path(__file__).parents[1] / "reference.py"
    mounts = {folder: "/shapes", config: "/config", script: "/reference.py"}
    options = [f"--volume={here}:{there}:ro" for here, there in mounts.items()]
    options += ["--env=POETRY_CONFIG_DIR=/config", "--network=host", "--interactive", "--rm"]
    wanted = {
        name: [*shape.options, *(() if shape.is_package else ("--no-root",))]
        for name, shape in SHAPES.items()
    }
    command = [*options, "shapes/reference", "python", "/reference.py"]
    done = engine.docker("run", *command, text=json.dumps(wanted))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape(
    name: str, engine: DockerEngine, projects: Mapping[str, Project], installed: Mapping[str, Any]
) -> None:
    """The image is right, and edits of all but what is installed install nothing again."""
    project, image = projects[name], f"shapes/{name}:test"
    build(project, f"--tag={image}")
    assert engine.run(image) == SHAPES[name].prints
    found = look(engine, image)
    assert found["distributions"] == installed[name]
    assert found["writable"] == []
    assert found["leftovers"] == []
    assert found["compilers"] == []

    document: Any = tomlkit.parse(project.read("pyproject.toml"))
    table = document.get("project", document["tool"]["poetry"])
    table = table if "version" in table else document["tool"]["poetry"]
    table["version"] = "7.0"
    table["description"] = "Not what it was"
    document["tool"]["linter"] = {"strict": True}
    # Appended: tomlkit loses what is added to a table that a file has in parts.
    group = (
        "[tool.poetry.group.tools.dependencies]\nacme-lint = { version = '*', source = 'acme' }\n"
    )
    project.write("pyproject.toml", f"{tomlkit.dumps(document)}\n{group}".encode())
    project.lock()
    assert "acme-lint" in project.read("poetry.lock")
    again = build(project, "--", "--output=type=cacheonly")
    layers = {stage for stage in again.ran | again.cached if LAYER.fullmatch(stage)}
    assert layers
    assert layers <= again.cached
    assert again.installed == ()
