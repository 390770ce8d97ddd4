"""The lock: which ones are refused, and whether they are fresh by the rules of every Poetry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version
from poetry.packages.locker import Locker
from projects import lock_text, package

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.lock import check_lock
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from poetry_docker_cache.project.model import Lock

PROJECT: dict[str, Any] = {"project": {"name": "a", "version": "1", "dependencies": ["b"]}}
GROUPS: dict[str, Any] = {**PROJECT, "dependency-groups": {"dev": ["c"]}}
LEGACY: dict[str, Any] = {"tool": {"poetry": {"name": "a", "dependencies": {"b": "*"}}}}


def check(text: str, pyproject: dict[str, Any]) -> Lock:
    """Check a lock file's text."""
    return check_lock(text.partition("\n")[0], tomllib.loads(text), pyproject)


@pytest.mark.parametrize("pyproject", [PROJECT, GROUPS, LEGACY, {}])
def test_a_lock_by_poetry_itself_is_fresh(pyproject: dict[str, Any]) -> None:
    """The hash is Poetry's, for PEP 621, for dependency groups, and for legacy metadata."""
    lock = check(lock_text(pyproject, [package("b")]), pyproject)
    assert lock.generator == Version("2.5.1")
    assert [p["name"] for p in lock.packages] == ["b"]


def test_a_lock_from_before_groups_were_hashed_is_fresh() -> None:
    """Poetry before 2.3 left `[dependency-groups]` out of the hash."""
    locker = Locker(Path("poetry.lock"), GROUPS)
    old = locker._get_content_hash(with_dependency_groups=False)
    text = lock_text(GROUPS, [], generator="2.2.1").replace(locker._get_content_hash(), old)
    assert check(text, GROUPS).generator == Version("2.2.1")
    with pytest.raises(DockerCacheError, match="changed significantly"):
        check(text.replace("Poetry 2.2.1", "Poetry 2.3.0"), GROUPS)


def test_a_changed_dependency_makes_it_stale() -> None:
    """A lock for other dependencies would fill the image with something else."""
    changed = {"project": {**PROJECT["project"], "dependencies": ["b", "c"]}}
    with pytest.raises(DockerCacheError, match="changed significantly") as raised:
        check(lock_text(PROJECT, []), changed)
    assert raised.value.fix == "Run `poetry lock`."


@pytest.mark.parametrize(
    ("version", "message"),
    [("0.9", "has the format 0.9, which is too old"), ("3.0", "newer than this release knows")],
)
def test_an_unknown_format_says_which_poetry_wrote_it(version: str, message: str) -> None:
    """Formats that are too old or too new are refused, each with its fix."""
    with pytest.raises(DockerCacheError, match=message) as raised:
        check(lock_text(PROJECT, [], lock_version=version, generator="1.8.5"), PROJECT)
    assert "written by Poetry 1.8.5" in raised.value.problem
    assert "`poetry lock --regenerate`" in raised.value.fix


@pytest.mark.parametrize("data", [{}, {"metadata": {}}, {"metadata": {"lock-version": "x"}}])
def test_a_lock_without_metadata_is_refused(data: dict[str, Any]) -> None:
    """Damage is named as such, with what mends it: a mere `poetry lock` would read it first."""
    with pytest.raises(DockerCacheError, match=r"no usable \[metadata\]") as raised:
        check_lock("", data, PROJECT)
    assert "`poetry lock --regenerate`" in raised.value.fix


@pytest.mark.parametrize("header", ["# Poetry 1; rm -rf /", "", "# by Poetry x.y", "# Poetry $(x)"])
def test_nothing_but_a_version_leaves_the_header(header: str) -> None:
    """The header is free text, and the version goes into a RUN line."""
    text = lock_text(PROJECT, [])
    lock = check_lock(header, tomllib.loads(text), PROJECT)
    assert lock.generator in {None, Version("1")}


@pytest.mark.parametrize(
    "damage",
    [
        {"name": 3},
        {"version": None},
        {"groups": "main"},
        {"groups": [1]},
        {"files": None},
        {"files": 3},
        {"files": [{"file": "b-1-py3-none-any.whl"}]},
        {"files": ["b-1-py3-none-any.whl"]},
        {"markers": "(("},
        {"markers": {"main": 3}},
        {"markers": ["a"]},
        {"source": "acme"},
    ],
)
def test_a_damaged_package_is_named(damage: dict[str, Any]) -> None:
    """A lock that a merge or an editor broke is an error of its own, not a KeyError later on."""
    broken = {key: value for key, value in {**package("b"), **damage}.items() if value is not None}
    text = lock_text(PROJECT, [package("a"), broken])
    with pytest.raises(DockerCacheError, match="is damaged: ") as raised:
        check(text, PROJECT)
    assert str(broken["name"]) in raised.value.problem
    assert "version control" in raised.value.fix


@pytest.mark.parametrize("packages", [3, "a", {"a": "b"}, [3]])
def test_packages_that_are_no_tables(packages: Any) -> None:  # noqa: ANN401  # TOML of any shape
    """The same for what stands in place of the packages."""
    data = {**tomllib.loads(lock_text(PROJECT, [])), "package": packages}
    with pytest.raises(DockerCacheError, match="is damaged: "):
        check_lock("", data, PROJECT)


@pytest.mark.parametrize("content_hash", [3, [], {}])
def test_a_content_hash_of_any_type(content_hash: Any) -> None:  # noqa: ANN401  # TOML of any shape
    """It is a hash of something else, then."""
    data = {"metadata": {"lock-version": "2.1", "content-hash": content_hash}}
    with pytest.raises(DockerCacheError, match="changed significantly"):
        check_lock("", data, PROJECT)
