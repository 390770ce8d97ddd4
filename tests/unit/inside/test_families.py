"""What several images have in common lies in layers that are the same in each of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import plan, project
from projects import package, sdist, wheel

from poetry_docker_cache.inside.manifest.families import families, family_name, plain_name
from poetry_docker_cache.inside.manifest.locked_packages import Wanted, manifests
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.workspace import main, shared_manifests
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import Selection
from poetry_docker_cache.project.selection import together
from poetry_docker_cache.render.build_scripts import image_scripts
from poetry_docker_cache.render.stage_commands import manifest_command
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from poetry_docker_cache.plan.image_plan import ImagePlan

GROUPS = ("main", "web", "queue")
NATIVE = [wheel("num", tag="cp312-cp312-manylinux_2_17_x86_64")]
PACKAGES = [
    package("click"),
    package("flask"),
    package("gunicorn", groups=["web"]),
    package("celery", groups=["queue"]),
    package("packaging", groups=["web", "queue"]),
    package("num", groups=["queue"], files=NATIVE),
    package("old", groups=["web"], files=[sdist("old")]),
]
CHOICES = {
    "api": Selection(groups=("main", "web"), extras=()),
    "tidy": Selection(groups=("main",), extras=()),
    "worker": Selection(groups=("main", "queue"), extras=()),
}
PYTHON = Target.linux("3.12.4", libc="glibc")


def installs(choices: Mapping[str, Selection]) -> dict[str, dict[str, tuple[str, ...]]]:
    """What the images install, as the plan has it."""
    return {name: {"groups": it.groups, "extras": it.extras} for name, it in choices.items()}


def planned(
    packages: list[dict[str, Any]],
    choices: Mapping[str, Selection],
    **wish: Any,  # noqa: ANN401  # settings
) -> dict[str, ImagePlan]:
    """Plan each image of a project."""
    shape, wanted = project(*packages, requires_python=">=3.12,<3.13"), Settings(**wish)
    return {
        name: make_plan(
            shape, wanted, it, installs(choices), selected_by_any=together(choices.values())
        )
        for name, it in choices.items()
    }


def built(
    packages: list[dict[str, Any]], choices: Mapping[str, Selection], made: ImagePlan
) -> dict[str, Any]:
    """The manifests of an image, as its build gathers them."""
    how = made.dependencies
    wanted = Wanted(
        groups=how.groups,
        extras=how.extras,
        no_binary=how.no_binary,
        only_binary=how.only_binary,
        libc=how.libc,
        layers=[layer.name for layer in how.layers],
    )
    lock = {"package": packages, "metadata": {"lock-version": "2.1"}}
    return shared_manifests({}, lock, wanted, PYTHON, images=installs(choices))


def names(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The packages in a manifest."""
    return tuple(entry["name"] for entry in manifest["packages"])


def test_what_the_same_images_install_is_together() -> None:
    """Each package is in one family, which is named after its images; all of them need no name."""
    lock = {"package": PACKAGES, "metadata": {"lock-version": "2.1"}}
    found = families(lock, installs(CHOICES), PYTHON.environment)
    assert {family: [it["name"] for it in packages] for family, packages in found.items()} == {
        "": ["click", "flask"],
        "api": ["gunicorn", "old"],
        "api.worker": ["packaging"],
        "worker": ["celery", "num"],
    }


def test_the_layers_of_an_image_are_those_of_its_families() -> None:
    """Their names tell with whom they are shared; what is built from source is by itself."""
    made = planned(PACKAGES, CHOICES, own_layers=("num",))
    layers = {name: [it.name for it in made[name].dependencies.layers] for name in made}
    assert layers == {
        "api": ["dependencies", "dependencies.api", "dependencies.api.worker", "source"],
        "tidy": ["dependencies"],
        "worker": [
            "dependencies",
            "dependencies.api.worker",
            "dependencies.worker",
            "own-num.worker",
        ],
    }
    held = {it.name: it.packages for it in made["worker"].dependencies.layers}
    assert held["dependencies.worker"] == ("celery",)
    # That an image does not hold it is nothing to tell, where another one does.
    assert not [
        note for it in made.values() for note in it.notes if "`own-layers` has no effect" in note
    ]
    missing = planned([*PACKAGES[:5], package("num", groups=["dev"])], CHOICES, own_layers=("num",))
    assert all("`own-layers` has no effect on num" in " ".join(it.notes) for it in missing.values())


@st.composite
def workspaces(
    draw: st.DrawFn,
) -> tuple[list[dict[str, Any]], dict[str, Selection], int]:
    """A lock, images that choose among its groups, and a number of layers."""
    some = st.lists(st.sampled_from(GROUPS), min_size=1, unique=True)
    packages = []
    for number in range(draw(st.integers(0, 12))):
        name = f"p{number}"
        tag = draw(st.sampled_from(["py3-none-any", "cp312-cp312-manylinux_2_17_x86_64", ""]))
        files = [wheel(name, tag=tag)] if tag else [sdist(name)]
        packages.append(package(name, groups=draw(some), files=files))
    images = draw(st.lists(some, min_size=2, max_size=4))
    choices = {
        f"image{number}": Selection(groups=tuple(sorted(groups)), extras=())
        for number, groups in enumerate(images)
    }
    return packages, choices, draw(st.integers(1, 6))


@given(workspaces())
@settings(max_examples=60)
def test_layers_are_shared_and_nothing_is_lost(
    workspace: tuple[list[dict[str, Any]], dict[str, Selection], int],
) -> None:
    """The build finds a layer for each package, where the plan has it.

    A layer that two images have holds the same; a wheel of both is in no layer of one alone. And
    each image holds what it would by itself.
    """
    packages, choices, layers = workspace
    made = planned(packages, choices, layers=layers)
    content = {image: built(packages, choices, made[image]) for image in made}
    for image, found in content.items():
        how = made[image].dependencies
        assert {layer: sorted(names(it)) for layer, it in found.items()} == {
            layer.name: sorted(layer.packages) for layer in how.layers
        }
        alone = make_plan(project(*packages), Settings(python="3.12"), choices[image])
        held = [name for layer in alone.dependencies.layers for name in layer.packages]
        assert sorted(name for it in found.values() for name in names(it)) == sorted(held)
        for other, theirs in content.items():
            for layer in set(found) & set(theirs) - {"source"}:
                assert found[layer] == theirs[layer], (image, other, layer)
            ours = {n for layer in found if layer != "source" for n in names(found[layer])}
            both = {n for layer in theirs if layer in found for n in names(theirs[layer])}
            assert ours & {n for it in theirs.values() for n in names(it)} <= both


def test_a_layer_without_packages_has_a_manifest() -> None:
    """A vendored Dockerfile may have a layer that the lock fills no more."""
    made = planned(PACKAGES, CHOICES)["worker"]
    left = [it for it in PACKAGES if it["name"] not in ("celery", "num")]
    found = built(left, CHOICES, made)
    assert found["dependencies.worker"]["packages"] == []


def test_a_package_without_a_layer_is_told() -> None:
    """A vendored Dockerfile may lack the layer of a family that is new."""
    made = planned(PACKAGES[:2], CHOICES)["worker"]
    with pytest.raises(ValueError, match="no layer for celery"):
        built(PACKAGES[:4], CHOICES, made)


def test_the_command_line(tmp_path: Path) -> None:
    """What the Dockerfile runs writes the manifests; for one image it runs what it ever did."""
    made = planned(PACKAGES[:4], CHOICES)["worker"].dependencies
    lock = {"package": PACKAGES[:4], "metadata": {"lock-version": "2.1"}}
    (tmp_path / "poetry.lock").write_text(tomlkit.dumps(lock))
    (tmp_path / "pyproject.toml").touch()
    command = manifest_command(made)
    assert command[:3] == ["python", "-m", "manifest.workspace"]
    places = ["--project", str(tmp_path), "--output", str(tmp_path / "out")]
    assert main([*places, *command[3:]]) == 0
    written = {path.stem: names(json.loads(path.read_text())) for path in tmp_path.glob("out/*")}
    assert written == {"dependencies": ("click", "flask"), "dependencies.worker": ("celery",)}
    assert manifest_command(plan(project()).dependencies)[:3] == ["python", "-m", "manifest"]


def test_the_scripts_come_along_where_they_are_needed() -> None:
    """A Dockerfile of one image does not know of others."""
    alone, several = plan(project(*PACKAGES)), planned(PACKAGES, CHOICES)["api"]
    extra = image_scripts(several).texts.keys() - image_scripts(alone).texts.keys()
    assert extra == {"manifest/families.py", "manifest/workspace.py"}


def test_images_have_the_same_python() -> None:
    """It is the newest that fits all of them; with one each they would share nothing."""
    shape = project(*PACKAGES[:2], PACKAGES[5])
    selected_by_any = together(CHOICES.values())
    for shared in (installs(CHOICES), None):  # an older lock is not taken apart, all the same
        found = [
            make_plan(shape, Settings(), it, shared, selected_by_any=selected_by_any)
            for it in CHOICES.values()
        ]
        assert {it.runtime.python for it in found} == {"3.12"}
    assert make_plan(shape, Settings(), CHOICES["tidy"]).runtime.python == "3.13"


def test_one_image_by_itself_is_as_ever() -> None:
    """The manifests of one family are those without any."""
    lock = {"package": PACKAGES[:2], "metadata": {"lock-version": "2.1"}}
    wanted = Wanted(
        groups=["main"], extras=[], no_binary=[], only_binary=[], libc="glibc", layers=["pure-1"]
    )
    images = installs({"a": CHOICES["tidy"], "b": CHOICES["tidy"]})
    assert shared_manifests({}, lock, wanted, PYTHON, images=images) == manifests(
        {}, lock, wanted, PYTHON
    )
    other = replace(wanted, layers=["pure-1.a"])
    with pytest.raises(ValueError, match="no layer"):
        shared_manifests({}, lock, other, PYTHON, images=images)


@pytest.mark.parametrize("layer", ["pure-1", "own-num.api", "native-12.api.worker_2"])
def test_names_come_apart(layer: str) -> None:
    """A layer's name holds its plain name and its family."""
    family = family_name(layer)
    assert layer == f"{plain_name(layer)}.{family}".rstrip(".")
    assert "." not in plain_name(layer)
