"""Which versions of Python and Poetry are chosen."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.version import Version
from projects import package, sdist, wheel

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.poetry_version import choose_poetry
from poetry_docker_cache.plan.python_version import (
    PYTHONS,
    Python,
    choose_python,
)
from poetry_docker_cache.project.model import Lock, Selection
from poetry_docker_cache.project.reader import pinned_python, python_constraint

MAIN = Selection(groups=("main",), extras=())
NEWEST = PYTHONS[1]
"""The newest that was released a year before the plugin."""


def choose(
    constraint: str,
    *packages: dict[str, Any],
    setting: str | None = None,
    pinned: str | None = None,
    stated: tuple[tuple[str, str], ...] = (),
    machines: tuple[str, ...] = (),
) -> Python:
    """Choose a Python for a lock file with these packages."""
    data = {"package": list(packages), "metadata": {"lock-version": "2.1"}}
    return choose_python(
        python_constraint(constraint),
        setting=setting,
        pinned=pinned,
        stated=stated,
        lock=Lock(data=data, generator=None),
        selection=MAIN,
        libc=None,
        machines=machines,
    )


def native(name: str, *minors: int) -> dict[str, Any]:
    """Make a package with Linux wheels for these minor versions of Python 3, and an sdist."""
    tags = [f"cp3{minor}-cp3{minor}-manylinux_2_17_x86_64" for minor in minors]
    return package(name, files=[*(wheel(name, tag=tag) for tag in tags), sdist(name)])


@pytest.mark.parametrize(
    ("constraint", "tag"),
    [
        (">=3.10", NEWEST),
        (">=3.12,<4.0", NEWEST),
        ("^3.9", NEWEST),
        (">=3.9,<3.12", "3.11"),
        (">=3.12.4,<3.13", "3.12"),
        ("3.12.13", "3.12.13"),
        ("~3.12.4", "3.12"),
        (">=3.12,<3.12.5", "3.12.4"),
        (">=3.12,<=3.12.5", "3.12.5"),
        (">=3.8,<3.10 || >=3.11,<3.12", "3.11"),
        ("*", NEWEST),
    ],
)
def test_chooses_newest_python_that_constraint_allows(constraint: str, tag: str) -> None:
    """A patch version is chosen only where the constraint excludes newer ones."""
    assert choose(constraint).tag == tag


def test_skips_python_that_lacks_wheels() -> None:
    """An old lock file must not compile numpy."""
    python = choose(">=3.10", native("numpy", 11, 12), native("old", 12, 13), package("pure"))
    assert python.tag == "3.12"
    assert f"wheels for all locked packages ({NEWEST} has none for numpy, old)" in python.reason


def test_wheels_must_exist_for_all_platforms() -> None:
    """A marker may limit a package to some of the image's platforms."""
    late = native("late", 13, 14)
    arm = wheel("late", tag="cp313-cp313-manylinux_2_17_aarch64")
    late["files"] += package("late", files=[arm])["files"]
    both = ("aarch64", "x86_64")
    assert choose(">=3.10,<3.15", late).tag == "3.14"
    assert choose(">=3.10,<3.15", late, machines=both).tag == "3.13"
    assert choose(">=3.10,<3.15", native("intel", 13, 14), machines=both).tag == "3.14"
    sole = {**late, "markers": 'platform_machine == "x86_64"'}
    assert choose(">=3.10,<3.15", sole, machines=both).tag == "3.14"


def test_packages_without_any_wheels_do_not_count() -> None:
    """They are built from source with any Python."""
    assert choose(">=3.10", package("uwsgi", files=[sdist("uwsgi")])).tag == NEWEST


def test_packages_outside_image_do_not_count() -> None:
    """They are in other groups, or for other Pythons or systems."""
    dev = {**native("dev", 11), "groups": ["dev"]}
    windows = {**native("win", 11), "markers": 'sys_platform == "win32"'}
    backport = {**native("backport", 10), "markers": 'python_version < "3.11"'}
    assert choose(">=3.10", dev, windows, backport).tag == NEWEST


def test_chooses_python_with_most_wheels() -> None:
    """It is the newest of these if no Python has all wheels."""
    python = choose(">=3.11,<3.14", native("a", 12, 13), native("b", 11), native("c", 12))
    assert python.tag == "3.12"


def test_reason_names_only_wheels_that_choice_gains() -> None:
    """A package that the chosen Python has no wheel for either is not named."""
    windows = package("windows", files=[wheel("windows", tag="cp313-cp313-win_amd64")])
    python = choose(">=3.12", native("late", 13), windows)
    assert python.tag == "3.13"
    assert f"wheels for the most locked packages ({NEWEST} has none for late)" in python.reason
    sole = choose(">=3.12,<3.13", windows).reason
    assert (
        sole
        == "the only one that the project allows, though it has no wheels for some locked packages"
    )


def test_setting_wins_over_python_version_file() -> None:
    """The file counts if the constraint allows its version."""
    assert choose(">=3.10", pinned="3.11.9").tag == "3.11.9"
    assert choose(">=3.12", pinned="3.11.9").tag == NEWEST
    assert choose(">=3.10", setting="3.12", pinned="3.11").tag == "3.12"
    with pytest.raises(DockerCacheError, match="The project does not allow"):
        choose(">=3.12", setting="3.11")


def test_other_files_of_the_project_state_a_version() -> None:
    """The first that the constraint allows counts, after `.python-version`."""
    stated = (("Dockerfile", "3.11"), (".gitlab-ci.yml", "3.12"))
    assert choose(">=3.10", stated=stated).tag == "3.11"
    assert choose(">=3.10", stated=stated).reason == "from Dockerfile"
    assert choose(">=3.12", stated=stated).reason == "from .gitlab-ci.yml"
    assert choose(">=3.10,<3.11.5", stated=stated).tag == "3.11.4"
    assert choose(">=3.13", stated=stated).tag == NEWEST
    assert choose(">=3.10", stated=stated, pinned="3.13").tag == "3.13"


def test_young_python_is_chosen_only_if_no_other_is_allowed() -> None:
    """In its first year, many packages have no wheels."""
    young = PYTHONS[0]
    newest = choose(">=3.10")
    assert newest.tag == NEWEST
    assert newest.reason == f"the newest that the project allows ({young} is less than a year old)"
    assert choose(f">={young}").tag == young
    assert choose(f">={young}").reason == "the only one that the project allows"
    assert choose(">=3.10", setting=young).tag == young


def test_rejects_constraint_without_known_image() -> None:
    """No image exists for it."""
    with pytest.raises(DockerCacheError, match="No known Python image"):
        choose(">=4.0")


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("3.12\n", "3.12"),
        ("\n# comment\n 3.12.4 # why\n3.11\n", "3.12.4"),
        ("pypy3.10\n", None),
        ("myproject-venv\n", None),
        ("3.13t\n", None),
        ("3.8.19\n", None),
        ("3.9\n", "3.9"),
        ("3\n", None),
        ("", None),
    ],
)
def test_reads_python_version_file(text: str, pinned: str | None) -> None:
    """Only the first line that is not a comment counts, if it is a plain version of CPython."""
    assert pinned_python(text) == pinned


@pytest.mark.parametrize(
    ("generator", "setting", "python", "poetry"),
    [
        ("2.3.4", None, "3.12", "2.3.4"),
        ("2.9.1", None, "3.12", "2.9.1"),
        ("2.0.1", None, "3.12", "2.5.1"),
        ("2.4.0.dev0", None, "3.12", "2.5.1"),
        ("2.4.0rc1", None, "3.12", "2.5.1"),
        (None, None, "3.12", "2.5.1"),
        ("2.5.1", None, "3.9", "2.2.1"),
        ("2.1.2", None, "3.9", "2.1.2"),
        ("2.5.1", "2.1.4", "3.12", "2.1.4"),
    ],
)
def test_chooses_poetry_that_wrote_lock_file(
    generator: str | None, setting: str | None, python: str, poetry: str
) -> None:
    """Another is chosen if that is not a final release, or does not run on the image's Python."""
    version = Version(generator) if generator else None
    chosen = choose_poetry(version, setting=setting, python=Python(tag=python, reason=""))
    assert chosen == poetry


def test_rejects_poetry_that_does_not_run_on_python() -> None:
    """Poetry 2.3 dropped Python 3.9."""
    with pytest.raises(DockerCacheError, match=r"does not run on Python 3\.9"):
        choose_poetry(None, setting="2.4.3", python=Python(tag="3.9", reason=""))
