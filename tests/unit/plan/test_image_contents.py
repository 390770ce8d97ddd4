"""What an image holds: packages and digests by layer, and the digest of everything else."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import plans
import pytest
from hypothesis import Phase, given
from hypothesis import settings as limits
from packaging.version import Version
from plans import MAIN, METADATA, project
from projects import package, sdist, wheel
from setting_tables import VALID_TABLES

from poetry_docker_cache.docker.image_labels import CONTENTS, decode, encode
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_contents import _LEFT_OUT, contents_of
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import FrontEnd
from poetry_docker_cache.render.dockerfile import render_dockerfile
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from poetry_docker_cache.docker.image_labels import ImageContents
    from poetry_docker_cache.plan.image_plan import ImagePlan
    from poetry_docker_cache.project.model import Project

AMD, ARM = "linux/amd64", "linux/arm64"
ONLY_ARM = package("mobile", markers='platform_machine == "aarch64"')
FRONT_ENDS = {
    place: FrontEnd(folder=place, lock="package-lock.json", scripts=frozenset({"build"}))
    for place in (".", "web")
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FROM_GIT = package(
    "ours",
    files=[],
    source={"type": "git", "url": "https://git.example/x.git", "resolved_reference": COMMIT},
)
PSYCOPG2 = package("psycopg2", files=[sdist("psycopg2")])
WITHOUT_EFFECT_ON_CONTENT = {
    *("cache", "download-cache", "image", "platforms", "reuse-image", "syntax"),
    *("build-network", "ssh", "pinned-tools", "optional-libraries"),
}
"""Settings of how to build."""


def contents(shape: Project, table: Mapping[str, object] | None = None) -> ImageContents:
    """Return what the image of the main group holds."""
    settings = Settings.parse({"python": "3.13", **(table or {})})
    plan = make_plan(shape, settings, MAIN)
    return contents_of(plan, settings, {}, shape.lock.data, platforms=[AMD, ARM], plugin="1.0")


def test_each_layer_has_the_packages_of_its_platform() -> None:
    """Markers of the machine decide; the commit follows the version of a git dependency."""
    found = contents(project(package("rich", "13.0"), ONLY_ARM, FROM_GIT), {"layers": 1})
    packages = {
        platform: {layer.name: dict(layer.packages) for layer in layers}
        for platform, layers in found.layers.items()
    }
    direct = {"ours": f"1.0@{COMMIT}"}
    assert packages == {
        AMD: {"dependencies": {"rich": "13.0"}, "direct": direct},
        ARM: {"dependencies": {"rich": "13.0", "mobile": "1.0"}, "direct": direct},
    }
    assert decode({CONTENTS: encode(found)}) == found


def test_upgrade_changes_one_layer() -> None:
    """The digests of the other layers, and of the settings, stay the same."""
    many = [package(f"package-{number}") for number in range(30)]
    before = contents(project(*many), {"layers": 4})
    after = contents(project(package("package-0", "2.0"), *many[1:]), {"layers": 4})
    changed = [
        new.name
        for old, new in zip(before.layers[AMD], after.layers[AMD], strict=True)
        if old.digest != new.digest
    ]
    assert len(changed) == 1
    assert after.settings == before.settings


@pytest.mark.parametrize(
    "shape",
    [
        project(package("rich"), PSYCOPG2),
        project(*(package(f"package-{number}") for number in range(60))),
        project(package("rich", files=[wheel("rich", tag="cp313-cp313-manylinux_2_28_x86_64")])),
        project(
            package("rich"), metadata=replace(METADATA, version="2.0"), requires_python=">=3.13"
        ),
        project(package("rich"), lock=replace(plans.lock(), generator=Version("2.1.1"))),
        project(lock=plans.lock()),
    ],
)
def test_lock_and_version_do_not_change_the_settings(shape: Project) -> None:
    """Also where they add layers, system packages, a compiler or another Poetry."""
    assert contents(shape).settings == contents(project(package("rich"))).settings


@pytest.mark.parametrize(
    "table",
    [
        {"env": {"A": "1"}},
        {"labels": {"a": "1"}},
        {"command": ["shop", "serve"]},
        {"user": "1:1"},
        {"build-packages": ["gcc"]},
        {"runtime-packages": ["curl"]},
        {"build-image": "python:3.13-bookworm"},
        {"poetry-version": "2.2.0"},
        {"layers": 2},
        {"ignore": ["*.md"]},
    ],
)
def test_setting_changes_only_the_settings(table: dict[str, object]) -> None:
    """The layers' digests do not depend on what the image starts and contains besides them."""
    before, after = contents(project()), contents(project(), table)
    assert after.settings != before.settings
    assert replace(after, settings="") == replace(before, settings="")


@pytest.mark.parametrize(
    ("table", "changed"),
    [
        ({"compile": True}, ["dependencies", "source"]),
        ({"instructions": {"build": ["RUN true"]}}, ["dependencies", "source"]),
        ({"reuse-image": "registry.test/shop:1"}, ["dependencies", "source"]),
        ({"download-cache": ".wheels"}, ["dependencies"]),
        ({"build-packages": ["gcc"]}, ["source"]),
        ({"build-image": "python:3.13-bookworm"}, ["source"]),
        ({"poetry-version": "2.2.0"}, ["source"]),
        ({"build-network": True}, ["source"]),
        ({"runtime-packages": ["curl"]}, []),
    ],
)
def test_digest_of_layer_covers_its_installation(
    table: dict[str, object], changed: list[str]
) -> None:
    """Settings of the installation rebuild a layer as its packages do."""
    shape = project(package("rich"), PSYCOPG2)
    before, after = contents(shape, {"layers": 1}), contents(shape, {"layers": 1, **table})
    assert [
        new.name
        for old, new in zip(before.layers[AMD], after.layers[AMD], strict=True)
        if old.digest != new.digest
    ] == changed


@pytest.mark.parametrize("table", [{"base-image": "python:3.13-slim-bookworm"}, {"python": "3.12"}])
def test_base_and_python_are_not_settings(table: dict[str, object]) -> None:
    """The label has a value of its own for each of them."""
    before, after = contents(project()), contents(project(), table)
    assert after.settings == before.settings
    assert (after.base, after.python) != (before.base, before.python)


@given(VALID_TABLES)
@limits(max_examples=10, phases=[Phase.generate])
def test_every_change_of_the_dockerfile_changes_the_contents(table: dict[str, object]) -> None:
    """For every setting, except those of how to build."""
    kept = {key: value for key, value in table.items() if key not in WITHOUT_EFFECT_ON_CONTENT}
    if (whole := _planned(kept)) is None:
        return
    for left_out in kept:
        part = _planned({key: value for key, value in kept.items() if key != left_out})
        if part and part[1] == whole[1]:
            assert render_dockerfile(part[0]) == render_dockerfile(whole[0]), left_out


def _planned(table: Mapping[str, object]) -> tuple[ImagePlan, ImageContents] | None:
    """Return plan and contents; None for settings that do not fit together."""
    shape = project(package("rich"), front_ends=FRONT_ENDS)
    try:
        settings = Settings.parse(table)
        plan = make_plan(shape, settings, MAIN)
    except DockerCacheError:
        return None
    found = contents_of(plan, settings, {}, shape.lock.data, platforms=[AMD], plugin="1.0")
    return plan, found


def test_fields_that_are_left_out_exist() -> None:
    """A renamed field would be part of the digest again."""
    for of, names in _LEFT_OUT.items():
        fields: Any = of
        assert {*names} <= {field.name for field in dataclasses.fields(fields)}
