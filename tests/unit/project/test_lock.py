"""Lock files: which are fresh by the rules of every supported Poetry, and which are rejected."""

from __future__ import annotations

from functools import partialmethod
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
def test_lock_written_by_poetry_is_fresh(pyproject: dict[str, Any]) -> None:
    """The hash is computed as by Poetry, with PEP 621, dependency groups, or legacy metadata."""
    lock = check(lock_text(pyproject, [package("b")]), pyproject)
    assert lock.generator == Version("2.5.1")
    assert [p["name"] for p in lock.packages] == ["b"]


def test_lock_without_hashed_groups_is_fresh_before_poetry_23() -> None:
    """Poetry before 2.3 left `[dependency-groups]` out of the hash."""
    locker = Locker(Path("poetry.lock"), GROUPS)
    old = locker._get_content_hash(with_dependency_groups=False)
    text = lock_text(GROUPS, [], generator="2.2.1").replace(locker._get_content_hash(), old)
    assert check(text, GROUPS).generator == Version("2.2.1")
    with pytest.raises(DockerCacheError, match="changed significantly"):
        check(text.replace("Poetry 2.2.1", "Poetry 2.3.0"), GROUPS)


@pytest.mark.parametrize(
    "pyproject", [GROUPS, {**GROUPS, **LEGACY}, {"dependency-groups": {"a": []}}]
)
def test_lock_with_hashed_groups_is_fresh_before_poetry_23(
    pyproject: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Poetry 2.1 and 2.2 cannot compute the hash that a newer version wrote."""
    text = lock_text(pyproject, [])
    without_groups = partialmethod(Locker._get_content_hash, with_dependency_groups=False)
    monkeypatch.setattr(Locker, "_get_content_hash", without_groups)
    assert check(text, pyproject)
    with pytest.raises(DockerCacheError, match="changed significantly"):
        check(text, {**pyproject, "dependency-groups": {"dev": ["d"]}})


def test_changed_dependency_makes_lock_stale() -> None:
    """The image would have other packages than pyproject.toml declares."""
    changed = {"project": {**PROJECT["project"], "dependencies": ["b", "c"]}}
    with pytest.raises(DockerCacheError, match="changed significantly") as raised:
        check(lock_text(PROJECT, []), changed)
    assert raised.value.fix == "Run `poetry lock`."


@pytest.mark.parametrize(
    ("version", "message"),
    [("0.9", "has the format 0.9, which is too old"), ("3.0", "newer than this release supports")],
)
def test_error_for_unknown_format_names_poetry_that_wrote_it(version: str, message: str) -> None:
    """A format that is too old or too new is an error with its own fix."""
    with pytest.raises(DockerCacheError, match=message) as raised:
        check(lock_text(PROJECT, [], lock_version=version, generator="1.8.5"), PROJECT)
    assert "written by Poetry 1.8.5" in raised.value.problem
    assert "`poetry lock --regenerate`" in raised.value.fix


@pytest.mark.parametrize("data", [{}, {"metadata": {}}, {"metadata": {"lock-version": "x"}}])
def test_rejects_lock_without_metadata(data: dict[str, Any]) -> None:
    """The fix is `--regenerate`, because `poetry lock` alone would read the damaged file."""
    with pytest.raises(DockerCacheError, match=r"no valid \[metadata\]") as raised:
        check_lock("", data, PROJECT)
    assert "`poetry lock --regenerate`" in raised.value.fix


@pytest.mark.parametrize("header", ["# Poetry 1; rm -rf /", "", "# by Poetry x.y", "# Poetry $(x)"])
def test_only_a_valid_version_is_read_from_header(header: str) -> None:
    """The header is free text, and the version is written into a RUN instruction."""
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
def test_damaged_package_is_named(damage: dict[str, Any]) -> None:
    """A merge or an editor may break a lock file."""
    broken = {key: value for key, value in {**package("b"), **damage}.items() if value is not None}
    text = lock_text(PROJECT, [package("a"), broken])
    with pytest.raises(DockerCacheError, match="is damaged: ") as raised:
        check(text, PROJECT)
    assert str(broken["name"]) in raised.value.problem
    assert "version control" in raised.value.fix


@pytest.mark.parametrize("packages", [3, "a", {"a": "b"}, [3]])
def test_packages_that_are_not_tables_are_damage(packages: Any) -> None:  # noqa: ANN401  # TOML of any shape
    """Any other value for `package` is an error, too."""
    data = {**tomllib.loads(lock_text(PROJECT, [])), "package": packages}
    with pytest.raises(DockerCacheError, match="is damaged: "):
        check_lock("", data, PROJECT)


@pytest.mark.parametrize("content_hash", [3, [], {}])
def test_content_hash_of_wrong_type_is_stale(content_hash: Any) -> None:  # noqa: ANN401  # TOML of any shape
    """It cannot be equal to a hash."""
    data = {"metadata": {"lock-version": "2.1", "content-hash": content_hash}}
    with pytest.raises(DockerCacheError, match="changed significantly"):
        check_lock("", data, PROJECT)
