"""Tests of checking that packages have wheels for the architecture."""

from __future__ import annotations

import platform
import sys
from typing import Any

import pytest
from packaging import tags

from poetry_docker_cache.docker.platforms import MACHINES
from poetry_docker_cache.inside.install.architecture import (
    architecture,
    check_wheels,
    packaging,
)

MACHINE = platform.machine()
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
        manifest(package("elsewhere", OTHER, marker='platform_machine == "s390x"')),
        manifest(package("kernels", OTHER, marker='platform_release >= "not-a-version"')),
    ],
)
def test_installable_manifest_is_unchanged(whole: dict[str, Any]) -> None:
    """Packages for other machines and from other origins are accepted."""
    assert check_wheels(whole) == whole


def test_package_without_files_is_removed() -> None:
    """Only other machines need it."""
    whole = manifest(package("a", OWN), package("b", marker='platform_machine == "s390x"'))
    assert check_wheels(whole) == manifest(package("a", OWN))


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
        check_wheels(whole)
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
