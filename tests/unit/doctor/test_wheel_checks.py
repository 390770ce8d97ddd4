"""What `poetry docker doctor` says about packages without wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plans
import pytest
from projects import package, sdist, wheel

from poetry_docker_cache.doctor.wheel_checks import check_wheels
from poetry_docker_cache.project.model import InstallerConfig
from poetry_docker_cache.project.selected_packages import locked_packages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.doctor.checks import Check

BOTH = ("linux/amd64", "linux/arm64")
AMD64 = wheel("fast", tag="cp313-cp313-manylinux_2_17_x86_64")


def find(
    *packages: dict[str, Any],
    machines: Sequence[str] = ("x86_64",),
    keys: dict[str, Any] | None = None,
    **settings: Any,  # noqa: ANN401  # of many types
) -> list[Check]:
    """Check the project with these locked packages, for an image with Python 3.13."""
    project = plans.project(*packages, **(keys or {}))
    plan = plans.plan(project, python="3.13", **settings)
    return [*check_wheels(plan, locked_packages(project.lock, plans.MAIN, "3.13"), machines)]


def test_wheels_for_all_platforms_are_counted() -> None:
    """One line is enough."""
    native = [AMD64, wheel("fast", tag="cp313-abi3-manylinux_2_17_aarch64")]
    (check,) = find(
        package("pure"),
        package("fast", files=native),
        machines=("x86_64", "aarch64"),
        platforms=BOTH,
    )
    assert check.status == "ok"
    assert (
        check.message == "All 2 packages have wheels for Python 3.13 on linux/amd64, linux/arm64."
    )


@pytest.mark.parametrize(
    ("files", "settings", "why", "fix"),
    [
        ([sdist("fast")], {}, "no wheel, built from source on python:3.13", "build-packages"),
        (
            [wheel("fast", tag="cp313-cp313-win_amd64"), sdist("fast")],
            {},
            "no wheel, built from source on python:3.13",
            "If its build lacks",
        ),
        (
            [wheel("fast", tag="cp39-cp39-manylinux_2_17_x86_64"), sdist("fast")],
            {},
            "no wheel for Python 3.13 on python:3.13-slim, built",
            "set `python`",
        ),
        (
            [AMD64, sdist("fast")],
            {"platforms": BOTH},
            "no wheel for linux/arm64, built",
            "poetry update fast",
        ),
    ],
)
def test_package_without_wheel_is_built(
    files: list[str], settings: dict[str, Any], why: str, fix: str
) -> None:
    """The line says why and with what, and the build still works."""
    (check,) = find(
        package("pure"), package("fast", files=files), machines=("x86_64", "aarch64"), **settings
    )
    assert check.status == "warning"
    assert check.message.startswith(f"fast 1.0: {why}")
    assert fix in check.fix


def test_build_packages_are_named() -> None:
    """They are what the compiler gets: those of the settings, and those of known packages."""
    (check,) = find(
        package("python-ldap", files=[sdist("python-ldap")]), build_packages=("libfoo-dev",)
    )
    assert check.message.endswith(
        "built from source on python:3.13 with libfoo-dev, libldap-dev, libsasl2-dev."
    )


def test_known_twin_is_proposed() -> None:
    """It has the same code, in wheels."""
    (check,) = find(package("psycopg2", files=[sdist("psycopg2")]))
    assert check.fix == "Depend on psycopg2-binary instead, which has wheels."


def test_equal_reasons_share_a_line() -> None:
    """A long list is cut."""
    (check,) = find(*(package(f"built-{n}", files=[sdist(f"built-{n}")]) for n in range(10)))
    assert check.message.startswith("built-0 1.0, built-1 1.0, ")
    assert " and 2 more: no wheel" in check.message


def test_packages_to_update_are_in_one_command() -> None:
    """They lack a wheel for the same platform."""
    files = {name: wheel(name, tag="cp313-cp313-manylinux_2_17_x86_64") for name in ("a", "b")}
    packages = (package(name, files=[file, sdist(name)]) for name, file in files.items())
    (check,) = find(*packages, machines=("x86_64", "aarch64"), platforms=BOTH)
    assert check.fix.startswith("Lock a newer version (poetry update a b). ")


def test_package_without_any_file_prevents_a_build() -> None:
    """Neither pip nor Poetry can install it."""
    (check,) = find(package("old", files=[wheel("old", tag="cp39-cp39-win_amd64")]))
    assert check.status == "error"
    assert "no source distribution" in check.message


def test_platform_must_be_declared_to_build_for_it() -> None:
    """Without `platforms`, the layers are planned for wheels of any machine."""
    (check,) = find(package("fast", files=[AMD64, sdist("fast")]), machines=("aarch64",))
    assert check.status == "error"
    assert 'platforms = ["linux/arm64"]' in check.fix


def test_package_for_another_machine_needs_no_wheel() -> None:
    """Its marker leaves it out."""
    arm = package("fast", files=[sdist("fast")], markers='platform_machine == "aarch64"')
    assert [check.status for check in find(arm)] == ["ok"]
    assert find(arm)[0].message == "The image has no packages."


def test_setting_of_poetry_excludes_wheels() -> None:
    """`installer.no-binary` is the reason then."""
    installer = InstallerConfig(no_binary=("pure",), only_binary=(), build_config_settings={})
    files = [wheel("pure"), sdist("pure")]
    (check,) = find(package("pure", files=files), keys={"installer": installer})
    assert "by Poetry's setting `installer.no-binary`" in check.message


def test_git_dependency_and_own_code_are_built() -> None:
    """The project's own compiled code is as intended: nothing to warn about."""
    source = {"type": "git", "url": "https://git.test/a.git", "resolved_reference": "0" * 40}
    forked = package("forked", files=[], source={**source, "reference": "main"})
    root = plans.wheel_root(needs_compiler=True, requires=("setuptools", "maturin"))
    git, own = find(forked, keys={"root": root})
    assert (git.status, own.status) == ("warning", "ok")
    assert git.message.startswith("forked 1.0: comes from a git repository, built from source on")
    assert own.message == (
        "The project has code to compile: its wheel is built on python:3.13 with cargo."
    )
