"""Tests of choosing what a machine needs, and of checking that it has wheels."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from packaging import tags

from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.inside.install.architecture import (
    architecture,
    machine_of,
    packaging,
    platform_names,
    select,
    supported_platforms,
    supported_tags,
)

MACHINE = machine_of("")
OWN = next(tag.platform for tag in tags.sys_tags())
OTHER = "manylinux_2_17_s390x"
assert MACHINE != "s390x"


def package(name: str, *systems: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # values of JSON
    """Return an entry of a manifest with a wheel for each of these systems."""
    files = [f"{name}-1.0-cp39-abi3-{system}.whl" for system in systems]
    listed = [{"file": file, "hash": "sha256:0"} for file in files]
    return {"name": name, "version": "1.0", "files": listed, **more}


def manifest(*packages: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest."""
    return {"packages": list(packages), "sources": []}


SDIST = [{"file": "built-1.0.tar.gz", "hash": "sha256:0"}]
GIT = {"type": "git", "url": "https://git.example/a", "reference": "main"}


@pytest.mark.parametrize(
    "whole",
    [
        manifest(),
        manifest(package("pure", "any"), package("mixed", OTHER, "any")),
        manifest(package("native", OTHER, OWN), package("joint", f"{OTHER}.{OWN}")),
        manifest({**package("built", OTHER), "files": [*package("built", OTHER)["files"], *SDIST]}),
        manifest(package("from-git", source=GIT)),
    ],
)
def test_installable_manifest_is_unchanged(whole: dict[str, Any]) -> None:
    """Wheels for other machines, and packages from other origins, are accepted."""
    assert select(whole, MACHINE) == whole


def test_packages_for_other_machines_are_removed() -> None:
    """Each machine gets its packages, without markers, which pip would evaluate for this one."""
    whole = manifest(
        package("a", OWN, OTHER),
        package("b", marker='platform_machine == "s390x"'),
        package("c", OTHER, marker='platform_machine == "s390x"'),
        package("d", OWN, marker='platform_machine != "s390x"'),
    )
    assert select(whole, MACHINE) == manifest(package("a", OWN, OTHER), package("d", OWN))
    whole["packages"].pop(1)
    assert select(whole, "s390x") == manifest(package("a", OWN, OTHER), package("c", OTHER))


def test_missing_wheel_for_this_architecture_fails() -> None:
    """The error names all such packages, and the setting to add."""
    marker = f'platform_machine == "{MACHINE}"'
    whole = manifest(
        package("a", OTHER, "manylinux_2_17_ppc64le.manylinux2014_ppc64le", marker=marker),
        package("fine", OWN),
        package("b", OTHER),
        package("c", marker=marker),
    )
    with pytest.raises(ValueError, match="no wheel") as caught:
        select(whole, MACHINE)
    message = str(caught.value)
    assert message.splitlines()[:3] == [
        f"a 1.0 has no wheel for {architecture(OWN)}, only for ppc64le, s390x.",
        f"b 1.0 has no wheel for {architecture(OWN)}, only for s390x.",
        f"c 1.0 has no wheel for {architecture(OWN)} with this C library.",
    ]
    assert '"linux/ppc64le", "linux/s390x"' in message
    assert "fine" not in message


@pytest.mark.parametrize("machine", [*MACHINES.values(), "arm64"])
@pytest.mark.parametrize("system", ["linux", "manylinux1", "manylinux_2_17", "musllinux_1_2"])
def test_architecture_of_a_platform_tag(system: str, machine: str) -> None:
    """It is the last part of the tag, and may contain an underscore."""
    assert architecture(f"{system}_{machine}") == machine


@pytest.mark.parametrize("module", ["markers", "tags"])
def test_packaging_is_found(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from pip; Poetry's environment has no pip, but its own copy."""
    assert packaging(module).__name__ in {f"pip._vendor.packaging.{module}", f"packaging.{module}"}
    monkeypatch.setitem(sys.modules, "pip._vendor.packaging", None)
    monkeypatch.delitem(sys.modules, f"pip._vendor.packaging.{module}", raising=False)
    assert packaging(module).__name__ == f"packaging.{module}"


@pytest.mark.parametrize(
    ("platform", "machine"),
    [
        ("linux/amd64", "x86_64"),
        ("linux/amd64/v3", "x86_64"),
        ("linux/arm64", "aarch64"),
        ("linux/arm64/v8", "aarch64"),
        ("linux/arm/v6", "armv6l"),
        ("linux/arm/v7", "armv7l"),
        ("linux/s390x", "s390x"),
    ],
)
def test_machine_of_a_platform(platform: str, machine: str) -> None:
    """It is the name that markers and tags have."""
    assert machine_of(platform) == machine


def test_tags_of_this_machine() -> None:
    """They are those of `packaging`, in the same order."""
    assert supported_platforms(MACHINE) == platform_names()
    own = packaging("tags").sys_tags()
    assert supported_tags(MACHINE) == [str(tag) for tag in own]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_tags_of_another_machine(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any machine, x86_64 has the tags that it has itself: older ones than others have."""
    old = {"x86_64": [f"manylinux_2_{minor}" for minor in (16, 12)] + ["manylinux2010"]}
    names = ["linux", "manylinux_2_17", "manylinux2014", *old.get(machine, ())]
    other = "s390x"
    there = [f"{name}_{other}" for name in ("linux", "manylinux_2_17", "manylinux2014")]
    monkeypatch.setattr(
        "poetry_docker_cache.inside.install.architecture.platform_names", lambda: [*there, "any"]
    )
    found = supported_platforms(machine)
    assert [name for name in found if name in {f"{name}_{machine}" for name in names}] == [
        f"{name}_{machine}" for name in names
    ]
    assert (f"manylinux1_{machine}" in found) == (machine == "x86_64")
    assert found[-1] == "any"
    tags = supported_tags(machine)
    assert tags[0].endswith(f"-linux_{machine}")
    assert tags.index("py3-none-any") > tags.index(f"py3-none-manylinux2014_{machine}")
