"""Selecting groups and extras with the options of `poetry install`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.selection import SelectionOptions, select

if TYPE_CHECKING:
    from poetry_docker_cache.project.model import Selection

GROUPS = ("main", "server", "dev", "Dev,Tests")
EXTRAS = ("postgres", "Cuda_12")


def chosen(options: SelectionOptions, groups: tuple[str, ...] = ("main",)) -> Selection:
    """Select from the project above."""
    return select(
        options, default_groups=groups, default_extras=("postgres",), groups=GROUPS, extras=EXTRAS
    )


def test_all_stands_for_the_groups_and_extras_of_the_project() -> None:
    """`--without` still removes a group."""
    options = SelectionOptions(without_groups=["dev"])
    everything = select(
        options, default_groups="all", default_extras="all", groups=GROUPS, extras=EXTRAS
    )
    assert everything.groups == ("dev,tests", "main", "server")
    assert everything.extras == ("cuda-12", "postgres")


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        (SelectionOptions(), ("main",)),
        (SelectionOptions(with_groups=["server, dev"]), ("dev", "main", "server")),
        (SelectionOptions(without_groups=["main"], with_groups=["server"]), ("server",)),
        (SelectionOptions(only_groups=["server"]), ("server",)),
        (SelectionOptions(all_groups=True), ("dev", "dev,tests", "main", "server")),
    ],
)
def test_options_change_the_groups_of_the_setting(
    options: SelectionOptions, groups: tuple[str, ...]
) -> None:
    """They add groups, remove groups, or replace the setting."""
    assert chosen(options).groups == groups


def test_setting_may_name_a_group_with_a_comma() -> None:
    """A comma separates groups on the command line only."""
    assert chosen(SelectionOptions(), ("dev,tests",)).groups == ("dev,tests",)


def test_extras_are_added_and_normalised() -> None:
    """`-E` adds to the setting; spelling does not matter."""
    assert chosen(SelectionOptions(extras=["cuda-12 postgres"])).extras == ("cuda-12", "postgres")
    assert chosen(SelectionOptions(all_extras=True)).extras == ("cuda-12", "postgres")


def test_dependency_groups_need_poetry_22() -> None:
    """The error for Poetry 2.1 says so."""
    keys = {"default_groups": (), "default_extras": (), "groups": (), "extras": ()}
    with pytest.raises(DockerCacheError, match="this version of Poetry cannot read"):
        select(SelectionOptions(with_groups=["main,Server"]), **keys, unread_groups=["server"])
    assert select(SelectionOptions(), **keys, unread_groups=["server"]).groups == ()


@pytest.mark.parametrize(
    ("options", "problem", "fix"),
    [
        (SelectionOptions(with_groups=["serve"]), "'serve' (in --with)", "Did you mean server?"),
        (SelectionOptions(only_groups=[""]), "group '' (in --only)", "groups: dev, dev,tests"),
        (SelectionOptions(extras=["x"]), "The extra 'x'", "extras: cuda-12, postgres."),
        (SelectionOptions(extras=["postgres"], all_extras=True), "cannot be combined", "Leave one"),
        (SelectionOptions(all_groups=True, only_groups=["dev"]), "--all-groups", "Leave"),
        (SelectionOptions(only_groups=["dev"], with_groups=["dev"]), "--only", "Name all"),
    ],
)
def test_impossible_selection_is_an_error(
    options: SelectionOptions, problem: str, fix: str
) -> None:
    """A name is unknown, or two options exclude each other."""
    with pytest.raises(DockerCacheError) as raised:
        chosen(options)
    assert problem in raised.value.problem
    assert fix in raised.value.fix
