"""Tests of layers that several images of a project share."""

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
    """Return the groups and extras of each image, as in the plan."""
    return {
        name: {"groups": selection.groups, "extras": selection.extras}
        for name, selection in choices.items()
    }


def planned(
    packages: list[dict[str, Any]],
    choices: Mapping[str, Selection],
    **wish: Any,  # noqa: ANN401  # settings
) -> dict[str, ImagePlan]:
    """Plan each image of a project."""
    shape, wanted = project(*packages, requires_python=">=3.12,<3.13"), Settings(**wish)
    return {
        name: make_plan(
            shape, wanted, selection, installs(choices), selected_by_any=together(choices.values())
        )
        for name, selection in choices.items()
    }


def built(
    packages: list[dict[str, Any]], choices: Mapping[str, Selection], made: ImagePlan
) -> dict[str, Any]:
    """Return the manifests of an image, as its build writes them."""
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
    """Return the names of the packages in a manifest."""
    return tuple(entry["name"] for entry in manifest["packages"])


def test_packages_are_grouped_by_their_images() -> None:
    """A family is named after its images; the family of all images has no name."""
    lock = {"package": PACKAGES, "metadata": {"lock-version": "2.1"}}
    found = families(lock, installs(CHOICES), PYTHON.environment)
    assert {
        family: [entry["name"] for entry in packages] for family, packages in found.items()
    } == {
        "": ["click", "flask"],
        "api": ["gunicorn", "old"],
        "api.worker": ["packaging"],
        "worker": ["celery", "num"],
    }


def test_image_has_the_layers_of_its_families() -> None:
    """The name of a layer has its images; packages built from source are not shared."""
    made = planned(PACKAGES, CHOICES, own_layers=("num",))
    layers = {name: [layer.name for layer in made[name].dependencies.layers] for name in made}
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
    held = {layer.name: layer.packages for layer in made["worker"].dependencies.layers}
    assert held["dependencies.worker"] == ("celery",)
    # The setting has an effect if any of the images has the package.
    notes = [note for image in made.values() for note in image.notes]
    assert not [note for note in notes if "`own-layers` has no effect" in note]
    missing = planned([*PACKAGES[:5], package("num", groups=["dev"])], CHOICES, own_layers=("num",))
    for image in missing.values():
        assert "`own-layers` has no effect on num" in " ".join(image.notes)


@st.composite
def workspaces(
    draw: st.DrawFn,
) -> tuple[list[dict[str, Any]], dict[str, Selection], int]:
    """Draw a lock, images with some of its groups, and a number of layers."""
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
def test_build_and_plan_share_the_same_layers(
    workspace: tuple[list[dict[str, Any]], dict[str, Selection], int],
) -> None:
    """The build puts each package into the layer that the plan has for it.

    A layer of two images has the same packages in both, and a wheel of both images is always in
    such a layer. Each image has the same packages as without the other images.
    """
    packages, choices, layers = workspace
    made = planned(packages, choices, layers=layers)
    content = {image: built(packages, choices, made[image]) for image in made}
    for image, found in content.items():
        how = made[image].dependencies
        assert {layer: sorted(names(manifest)) for layer, manifest in found.items()} == {
            layer.name: sorted(layer.packages) for layer in how.layers
        }
        alone = make_plan(project(*packages), Settings(python="3.12"), choices[image])
        held = [name for layer in alone.dependencies.layers for name in layer.packages]
        assert sorted(name for manifest in found.values() for name in names(manifest)) == sorted(
            held
        )
        for other, theirs in content.items():
            for layer in set(found) & set(theirs) - {"source"}:
                assert found[layer] == theirs[layer], (image, other, layer)
            ours = {n for layer in found if layer != "source" for n in names(found[layer])}
            both = {n for layer in theirs if layer in found for n in names(theirs[layer])}
            assert ours & {n for manifest in theirs.values() for n in names(manifest)} <= both


def test_empty_layer_has_a_manifest() -> None:
    """An exported Dockerfile may have a layer without packages in the current lock."""
    made = planned(PACKAGES, CHOICES)["worker"]
    left = [entry for entry in PACKAGES if entry["name"] not in ("celery", "num")]
    found = built(left, CHOICES, made)
    assert found["dependencies.worker"]["packages"] == []


def test_package_without_a_layer_fails() -> None:
    """An exported Dockerfile may lack the layer of a new family."""
    made = planned(PACKAGES[:2], CHOICES)["worker"]
    with pytest.raises(ValueError, match="no layer for celery"):
        built(PACKAGES[:4], CHOICES, made)


def test_command_line(tmp_path: Path) -> None:
    """The command in the Dockerfile writes the manifests; a single image has a simpler one."""
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


def test_only_shared_images_have_the_scripts() -> None:
    """The Dockerfile of a single image does not contain them."""
    alone, several = plan(project(*PACKAGES)), planned(PACKAGES, CHOICES)["api"]
    extra = image_scripts(several).texts.keys() - image_scripts(alone).texts.keys()
    own = {name for name in extra if name.startswith("manifest/")}  # one has a source layer
    assert own == {"manifest/families.py", "manifest/workspace.py"}


def test_images_share_one_python() -> None:
    """It is the newest that fits all images: with different ones they could share no layer."""
    shape = project(*PACKAGES[:2], PACKAGES[5])
    selected_by_any = together(CHOICES.values())
    for shared in (installs(CHOICES), None):  # None: an older lock
        found = [
            make_plan(shape, Settings(), selection, shared, selected_by_any=selected_by_any)
            for selection in CHOICES.values()
        ]
        assert {image.runtime.python for image in found} == {"3.12"}
    assert make_plan(shape, Settings(), CHOICES["tidy"]).runtime.python == "3.13"


def test_family_of_all_images_has_plain_manifests() -> None:
    """They are the same as those of a single image."""
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
def test_layer_name_is_split(layer: str) -> None:
    """The name of a layer consists of its plain name and its family."""
    family = family_name(layer)
    assert layer == f"{plain_name(layer)}.{family}".rstrip(".")
    assert "." not in plain_name(layer)
