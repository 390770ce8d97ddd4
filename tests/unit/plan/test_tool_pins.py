"""The pins of the build's tools: which requirements they satisfy, and what a release has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from plans import TREE, lock, plan, project, wheel_root
from projects import package, sdist

from poetry_docker_cache.plan.poetry_version import NEWEST_POETRY
from poetry_docker_cache.plan.python_version import PYTHONS, Python
from poetry_docker_cache.plan.tool_pins import PINS, find_pins, find_poetry_pins
from poetry_docker_cache.render.build_scripts import image_scripts
from poetry_docker_cache.render.dockerfile import render_dockerfile

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(PINS.glob("*.txt"))
NOTE = "Installed without a check of hashes"
BUILT = package("acme", files=[sdist("acme")])
"""A package that Poetry downloads, since it has no wheel."""


def python(tag: str = "3.13") -> Python:
    """Return an image's Python."""
    return Python(tag=tag, reason="")


@pytest.mark.parametrize(
    ("requires", "names"),
    [
        (["poetry-core>=2.0"], ("poetry-core",)),
        (
            ["setuptools>=61", "Wheel", "setuptools_scm[toml]>=8"],
            ("setuptools", "setuptools-scm", "wheel"),
        ),
        (["hatchling", 'tomli>=1; python_version < "3.11"'], ("hatchling",)),
        (["setuptools<70"], ()),
        (["setuptools==61.0"], ()),
        (["setuptools", "acme-backend"], ()),
        (["setuptools[core]"], ()),
        (["setuptools @ https://files.example.com/setuptools.whl"], ()),
        (["no requirement"], ()),
        (["../poetry-core"], ()),
    ],
)
def test_pins_satisfy_all_requirements_or_none(requires: list[str], names: tuple[str, ...]) -> None:
    """Pip resolves the others as before: a mixture could have no solution."""
    assert find_pins(requires, python()) == names


def test_pins_are_for_known_pythons() -> None:
    """Each has its versions; a newer Python might need others."""
    assert find_pins(["poetry-core<2.3"], python("3.9.20")) == ("poetry-core",)
    assert find_pins(["poetry-core<2.3"], python("3.13")) == ()
    assert find_pins(["poetry-core"], python("3.99")) == ()
    assert find_poetry_pins(str(NEWEST_POETRY), python("3.9")) == ()
    assert find_poetry_pins("2.99.0", python()) == ()


def test_image_has_only_its_own_pins() -> None:
    """They are mounted by the steps that install tools, not by those of dependencies."""
    found = plan(project(BUILT))
    assert not [note for note in found.notes if NOTE in note]
    names = [path for path in image_scripts(found).texts if path.startswith("pins/")]
    assert names == ["pins/poetry-2.4.0.txt", "pins/poetry-core.txt"]
    steps = [
        step for step in re.split(r"\n(?=[A-Z]+ )", render_dockerfile(found)) if "/pins" in step
    ]
    assert len(steps) == 2
    assert all("-m install.tool " in step for step in steps)
    assert "--pinned=pins/poetry-2.4.0.txt" in steps[0]
    assert "--compile --pinned=pins/poetry-core.txt\n" in steps[1]


@pytest.mark.parametrize(
    ("settings", "poetry", "requirement"),
    [
        ({"pinned_tools": False}, "2.4.0", "poetry-core"),
        ({"poetry_version": "2.99.0"}, "2.99.0", "setuptools<70"),
    ],
)
def test_other_versions_are_installed_as_the_project_says(
    settings: dict[str, Any], poetry: str, requirement: str
) -> None:
    """A note names them, unless the setting asks for it."""
    shape = project(BUILT, root=wheel_root(requires=(requirement,)))
    found = plan(shape, **settings)
    assert not [path for path in image_scripts(found).texts if path.startswith("pins/")]
    text = render_dockerfile(found)
    assert f"poetry=={poetry}" in text
    assert requirement in text
    notes = [note for note in found.notes if NOTE in note]
    assert len(notes) == ("pinned_tools" not in settings)
    for note in notes:
        assert requirement in note
        assert f"poetry=={poetry}" in note


def test_notes_are_about_tools_of_the_image() -> None:
    """Without a wheel to build and without Poetry, there are none."""
    shape = project(package("rich"), root=TREE, files=None, lock=lock(package("rich")))
    assert not [note for note in plan(shape).notes if NOTE in note]


def test_every_poetry_has_pins() -> None:
    """Each final release that an image may get, for each Python that it runs on."""
    versions = sorted(
        Version(p.stem.removeprefix("poetry-")) for p in PINS.glob("poetry-[0-9]*.txt")
    )
    assert versions[0] == Version("2.1.0")
    assert versions[-1] == NEWEST_POETRY
    # Some dependencies have no wheels yet for the newest Python.
    tags = {tag for tag in PYTHONS if find_poetry_pins(str(NEWEST_POETRY), python(tag))}
    assert {"3.10", "3.14"} <= tags
    for version in versions:
        for tag in tags | ({"3.9"} if version < Version("2.3") else set()):
            assert find_poetry_pins(str(version), python(tag)), (version, tag)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_pins_are_complete(path: Path) -> None:
    """Each line names one version and its hashes, so that pip can check all files."""
    header, *lines = re.sub(r" \\\n +", " ", path.read_text(encoding="utf-8")).splitlines()
    assert header.startswith("# ")
    seen = set()
    for line in lines:
        requirement, *hashes = line.split(" --hash=")
        parsed = Requirement(requirement)
        assert [spec.operator for spec in parsed.specifier] == ["=="], line
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in hashes), line
        seen.add(parsed.name)
    name = path.stem if path.stem in seen else path.stem.rpartition("-")[0]
    assert name in seen
