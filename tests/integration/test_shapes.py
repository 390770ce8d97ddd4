"""Projects of many shapes: images match `poetry install`, and both ways to build are equal."""

from __future__ import annotations

import contextlib
import itertools
import json
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


# Other files build such projects: test_build groups and private sources, test_odd_projects one
# that no wheel can be built from. Other shapes have setuptools.
ELSEWHERE = ("groups", "sources", "no_module", "setuptools")


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in ELSEWHERE])
def test_shape(
    name: str,
    engine: DockerEngine,
    indexes: Indexes,
    poetry_install: PoetryInstall,
    tmp_path: Path,
) -> None:
    """The image has what Poetry installs, and harmless edits install nothing.

    An upgrade installs only its layer.
    """
    shape, image = SHAPES[name], f"shapes/{name}:test"
    project = Project(tmp_path / name, indexes.poetry)
    shape.write(project.folder, indexes.urls)
    project.configure(python="3.13", layers=4, poetry_version=POETRY)
    project.lock()
    build(project, f"--tag={image}")
    assert engine.run(image) == shape.prints
    found = inspect_image(engine, image)
    options = [*shape.options, *(() if shape.is_package else ("--no-root",))]
    assert found["distributions"] == poetry_install(project, *options)
    for nothing in ("apt", "compilers", "leftovers", "writable"):
        assert found[nothing] == [], nothing

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

    if constraint and name in UPGRADED:
        project.replace("pyproject.toml", constraint.wider, constraint.other)
        project.lock()
        (layer,) = (name for name, packages in layers.items() if "acme-lib" in packages)
        # Another shape may have built the same layer.
        bumped = build(project, *NOTHING, f"--no-cache-filter={layer}")
        assert bumped.rebuilt == {layer}
        assert bumped.installed == layers[layer]


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in COMPILED])
def test_shape_equals_without_engine(
    name: str, registry: str, indexes: Indexes, tmp_path: Path
) -> None:
    """Both ways to build give the same files and the same configuration."""
    base, image = f"{registry}/library/python:3.13-slim", f"{registry}/equal/{name}"
    project = Project(tmp_path / name, indexes.poetry)
    SHAPES[name].write(project.folder, indexes.urls)
    project.configure(base_image=base, python="3.13", layers=4, poetry_version=POETRY)
    project.configure(build_image="python:{python}", build_on_host=name in WITH_SDISTS)
    project.lock()
    build(project, f"--tag={image}:buildkit", "--push")
    project.poetry.run(
        project.folder, "docker", "build", "--no-engine", f"--tag={image}:wheels", "--push"
    )
    assert_equal_images(f"{image}:buildkit", f"{image}:wheels", base=base)
