"""Projects of many shapes: images match `poetry install`, and both ways to build are equal."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomlkit
from acme import PASSWORD, USER, AcmeIndex, Project
from builds import build, inspect_image
from clean_poetry import POETRY
from harmless import COMMENTS, edit_harmlessly
from index import PrivateIndex
from pushed_images import assert_equal_images
from shapes import SHAPES
from shapes.indexes import INDEXES, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall
    from shapes.shape import Shape

pytestmark = pytest.mark.engine

UPGRADED = ("legacy", "markers")
"""`test_cache` has upgrades, and how the project is built makes no difference to them."""
COMPILED = ("extension", "rust")
"""These need a compiler, and so an engine."""
WITH_SDISTS = ("markers",)
NOTHING = ("--", "--output=type=cacheonly")
"""For a build whose image is not needed."""


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """The running indexes, each with its own password, and a Poetry with credentials for all."""

    acme: AcmeIndex
    others: Mapping[str, PrivateIndex]
    poetry: Poetry
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def urls(self) -> dict[str, str]:
        """Return the URLs without credentials."""
        return {"acme": self.acme.url, **{name: index.url for name, index in self.others.items()}}

    def rotate(self) -> None:
        """Change all passwords; the old ones stop working."""
        number = next(self._numbers)
        logins = {}
        self.acme.set_password(f"{PASSWORD}{number}")
        logins[INDEXES["acme"]] = {"username": USER, "password": self.acme.password}
        for name, served in self.others.items():
            served.set_password(name, f"{name}{number}")
            logins[INDEXES[name]] = {"username": name, "password": f"{name}{number}"}
        auth = Path(self.poetry.env["POETRY_CONFIG_DIR"]) / "auth.toml"
        auth.write_text(tomlkit.dumps({"http-basic": logins}), encoding="utf-8")


@pytest.fixture(scope="module")
def indexes(
    index: AcmeIndex,
    poetry_home: Callable[[DockerEngine], Poetry],
    engine: DockerEngine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Indexes]:
    """Serve what the shapes need."""
    folders = {name: tmp_path_factory.mktemp(name) for name in INDEXES if name != "acme"}
    fill({"acme": index.packages, **folders})
    with contextlib.ExitStack() as stack:
        others = {
            name: stack.enter_context(PrivateIndex(folder, {name: name}))
            for name, folder in folders.items()
        }
        stack.callback(index.set_password, PASSWORD)
        found = Indexes(acme=index, others=others, poetry=poetry_home(engine))
        found.rotate()
        yield found


@dataclass(frozen=True, kw_only=True)
class Built:
    """A project with a shape, and its image in the registry."""

    name: str
    project: Project
    repository: str
    base: str

    @property
    def shape(self) -> Shape:
        """What tests know of it."""
        return SHAPES[self.name]

    @property
    def image(self) -> str:
        """The image from BuildKit."""
        return f"{self.repository}:buildkit"


@pytest.fixture(scope="module")
def built(
    request: pytest.FixtureRequest,
    registry: str,
    indexes: Indexes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """Write, lock and build a project with the shape that the test names."""
    name: str = request.param
    base, repository = f"{registry}/library/python:3.13-slim", f"{registry}/shapes/{name}"
    project = Project(tmp_path_factory.mktemp("shape") / name, indexes.poetry)
    SHAPES[name].write(project.folder, indexes.urls)
    project.configure(base_image=base, python="3.13", layers=4, poetry_version=POETRY)
    project.configure(build_image="python:{python}", build_on_host=name in WITH_SDISTS)
    project.lock()
    found = Built(name=name, project=project, repository=repository, base=base)
    build(project, f"--tag={found.image}", "--push")
    return found


# Other files build such projects: test_build groups and private sources, test_odd_projects one
# that no wheel can be built from. Other shapes have setuptools.
ELSEWHERE = ("groups", "sources", "no_module", "setuptools")
each_shape = pytest.mark.parametrize(
    "built", [name for name in SHAPES if name not in ELSEWHERE], indirect=True
)


@each_shape
def test_image_has_what_poetry_installs(
    built: Built, engine: DockerEngine, poetry_install: PoetryInstall
) -> None:
    """The container starts, and the image contains nothing else."""
    shape = built.shape
    assert engine.run(built.image) == shape.prints
    found = inspect_image(engine, built.image)
    options = [*shape.options, *(() if shape.is_package else ("--no-root",))]
    assert found["distributions"] == poetry_install(built.project, *options)
    for nothing in ("apt", "compilers", "leftovers", "writable"):
        assert found[nothing] == [], nothing


@pytest.mark.parametrize("built", [name for name in SHAPES if name not in COMPILED], indirect=True)
def test_image_without_engine_is_equal(built: Built) -> None:
    """Both ways to build give the same files and the same configuration."""
    project, image = built.project, f"{built.repository}:wheels"
    project.poetry.run(project.folder, "docker", "build", "--no-engine", f"--tag={image}", "--push")
    assert_equal_images(built.image, image, base=built.base)


@each_shape
def test_edits_install_only_what_changes(built: Built, indexes: Indexes, tmp_path: Path) -> None:
    """Harmless edits and new passwords install nothing; an upgrade installs only its layer."""
    shape = built.shape
    shutil.copytree(built.project.folder, tmp_path / built.name, symlinks=True)
    project = Project(tmp_path / built.name, built.project.poetry)
    indexes.rotate()
    constraint = shape.constraint
    edit_harmlessly(
        project,
        sources=[path for path in shape.files if Path(path).suffix in COMMENTS],
        wider=(constraint.text, constraint.wider) if constraint else None,
        script=shape.may_have_scripts,
    )
    told = tmp_path / "metadata.json"
    again = build(project, f"--metadata-file={told}", *NOTHING)
    assert (again.installed, again.rebuilt) == ((), frozenset())
    assert "build-backend" not in again.ran
    planned = json.loads(told.read_text())["poetry-docker-cache"]["layers"]
    layers = {
        layer["name"]: tuple(package["name"] for package in layer["packages"]) for layer in planned
    }
    assert layers.keys() == again.layers
    assert bool(layers) == bool(constraint)

    if constraint and built.name in UPGRADED:
        project.replace("pyproject.toml", constraint.wider, constraint.other)
        project.lock()
        (layer,) = (name for name, packages in layers.items() if "acme-lib" in packages)
        # Another shape may have built the same layer.
        bumped = build(project, *NOTHING, f"--no-cache-filter={layer}")
        assert bumped.rebuilt == {layer}
        assert bumped.installed == layers[layer]
