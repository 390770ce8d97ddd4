"""What images for development and tests install besides the final image."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from plans import project
from projects import lock_text, package, wheel

from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.variant import added_lock, main
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import Selection
from poetry_docker_cache.render.stage_commands import manifest_command, variant_command
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = Target.linux(python="3.12").environment
BASE = {"groups": ["main"], "extras": []}
DEV = {"groups": ["main", "dev"], "extras": []}
INTEL = 'platform_machine == "x86_64"'
ARM = 'platform_machine == "aarch64"'


def added(*packages: dict[str, Any]) -> dict[str, str]:
    """Return the added packages, with their markers."""
    lock = {"package": list(packages), "metadata": {"lock-version": "2.1"}}
    found = added_lock(lock, BASE, DEV, ENVIRONMENT)["package"]
    return {f"{each['name']} {each['version']}": each["markers"] for each in found}


def test_only_packages_that_the_image_lacks_are_added() -> None:
    """Packages of both are already there."""
    packages = (package("click"), package("pytest", groups=["dev"]))
    shared = package("packaging", groups=["main", "dev"])
    assert added(*packages, shared) == {"pytest 1.0": "*"}


def test_package_of_some_platforms_is_added_for_all() -> None:
    """The image has it on one machine only, and the dev group wants it on each."""
    fast = package("fast", groups=["main", "dev"], markers={"main": INTEL})
    assert added(fast) == {"fast 1.0": "*"}


def test_two_versions_on_different_machines_are_no_conflict() -> None:
    """The installer evaluates both markers."""
    old = package("fast", "1.0", markers=INTEL)
    new = package("fast", "2.0", groups=["dev"], markers=ARM)
    assert added(old, new) == {"fast 2.0": ARM}


def test_another_version_is_refused() -> None:
    """One environment cannot have both."""
    old = package("torch", "1.0")
    new = package("torch", "2.0", groups=["dev"], markers=INTEL)
    with pytest.raises(ValueError, match=r"has torch 1\.0, .* want 2\.0"):
        added(old, new)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_layers_of_the_image_do_not_depend_on_a_variant(tmp_path: Path, version: str) -> None:
    """The scripts write the same manifests of the image, and separate ones for the variant."""
    pyproject = {
        "project": {"name": "shop", "version": "1", "dependencies": ["click"]},
        "tool": {"poetry": {"group": {"dev": {"dependencies": {"pytest": "*", "click": "*"}}}}},
    }
    packages = [package("click", groups=["dev", "main"]), package("pytest", groups=["dev"])]
    if version == "2.0":
        packages = [
            {key: value for key, value in each.items() if key != "groups"} for each in packages
        ]
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1"\ndependencies = ["click"]\n'
        '[tool.poetry.group.dev.dependencies]\npytest = "*"\nclick = "*"\n'
    )
    (tmp_path / "poetry.lock").write_text(lock_text(pyproject, packages, lock_version=version))
    plain = ("--layers", "dependencies", f"--project={tmp_path}", f"--output={tmp_path / 'dev'}")
    named = ("--layers", "dev-dependencies", *plain[2:])
    options = [f"--base={json.dumps(BASE)}", "--prefix=dev-", "--group=main", "--group=dev"]
    assert main([*options, *named]) == 0
    written = json.loads((tmp_path / "dev/dev-dependencies.json").read_text())
    assert [each["name"] for each in written["packages"]] == ["pytest"]
    assert [path.name for path in (tmp_path / "dev").iterdir()] == ["dev-dependencies.json"]


def test_command_of_the_image_is_the_same_with_a_variant() -> None:
    """So are its layers, by name and in order."""
    linux = wheel("num", tag="cp312-cp312-manylinux_2_17_x86_64")
    shop = project(
        package("click"),
        package("num", files=[linux]),
        package("pytest", groups=["dev"]),
        groups=frozenset({"main", "dev"}),
    )
    base = Selection(groups=("main",), extras=())
    more = Selection(groups=("dev", "main"), extras=())
    settings = Settings(python="3.12")
    alone = make_plan(shop, settings, base)
    both = make_plan(shop, settings, base, variants={"dev": more})
    assert manifest_command(alone.dependencies) == manifest_command(both.dependencies)
    assert alone.dependencies.layers == both.dependencies.layers
    (dev,) = both.variants
    assert [layer.name for layer in dev.layers] == ["dev-dependencies"]
    assert "dev-dependencies" in variant_command(dev, both.dependencies)
