"""The dependency groups and extras of an image, by the rules of `poetry install`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.model import Selection
from poetry_docker_cache.text import did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from poetry_docker_cache.project.model import Project

MAIN_GROUP = "main"
# Groups for development: no note says that they are left out.
DEVELOPMENT = frozenset(
    {
        "ci",
        "dev",
        "dev-dependencies",
        "docs",
        "lint",
        "linting",
        "test",
        "testing",
        "tests",
        "typing",
    }
)
TESTS = frozenset({"test", "testing", "tests"})


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """The options GROUPS of the command line, as typed."""

    with_groups: Sequence[str] = ()
    without_groups: Sequence[str] = ()
    only_groups: Sequence[str] = ()
    all_groups: bool = False
    extras: Sequence[str] = ()
    all_extras: bool = False


def together(selections: Iterable[Selection]) -> Selection:
    """The groups and extras that any of several images installs."""
    all_of_them = [*selections]
    return Selection(
        groups=tuple(sorted({group for each in all_of_them for group in each.groups})),
        extras=tuple(sorted({extra for each in all_of_them for extra in each.extras})),
    )


def select(  # noqa: PLR0913  # options, settings and project
    options: SelectionOptions,
    *,
    default_groups: Sequence[str] | Literal["all"],
    default_extras: Sequence[str] | Literal["all"],
    groups: Iterable[str],
    extras: Iterable[str],
    unread_groups: Iterable[str] = (),
) -> Selection:
    """The selection; `groups` and `extras` are those of the project, and "all" is all of them.

    `unread_groups` are groups of the project that this version of Poetry cannot read. Raises
    DockerCacheError for an unknown name, and for options that exclude each other.
    """
    _refuse_conflicts(options)
    # The main group exists even if the project has no dependencies.
    known_groups = {*map(str, map(canonicalize_name, groups)), MAIN_GROUP}
    known_extras = set(map(str, map(canonicalize_name, extras)))
    default_groups = tuple(known_groups) if default_groups == "all" else default_groups
    default_extras = tuple(known_extras) if default_extras == "all" else default_extras
    unread = set(map(str, map(canonicalize_name, unread_groups))) - known_groups
    named = _split([*options.only_groups, *options.with_groups], ",")
    _refuse_unread([*named, *default_groups], unread)
    only = _known("group", _split(options.only_groups, ","), known_groups, "--only")
    start = _known("group", default_groups, known_groups, "`groups`")
    added = _known("group", _split(options.with_groups, ","), known_groups, "--with")
    removed = _known("group", _split(options.without_groups, ","), known_groups, "--without")
    wanted_extras = _known("extra", default_extras, known_extras, "`extras`")
    wanted_extras |= _known("extra", _split(options.extras, None), known_extras, "--extras")
    chosen = only or ((start | added) - removed)
    return Selection(
        groups=tuple(sorted(known_groups if options.all_groups else chosen)),
        extras=tuple(sorted(known_extras if options.all_extras else wanted_extras)),
    )


def select_variant(  # noqa: PLR0913  # options, settings and project
    options: SelectionOptions,
    base: Selection,
    *,
    default_groups: Sequence[str],
    default_extras: Sequence[str],
    groups: Iterable[str],
    extras: Iterable[str],
    unread_groups: Iterable[str] = (),
) -> Selection:
    """The selection of an image that also has all of the image it is based on.

    `--with` replaces the default groups. Raises DockerCacheError as `select` does.
    """
    found = select(
        options,
        default_groups=() if options.with_groups else default_groups,
        default_extras=default_extras,
        groups=groups,
        extras=extras,
        unread_groups=unread_groups,
    )
    return together([base, found])


def groups_for_tests(project: Project) -> tuple[str, ...]:
    """The groups that tests need, by their names."""
    found = tuple(sorted(project.groups & TESTS))
    return found or tuple(sorted(project.groups & {"dev", "dev-dependencies"}))


def extras_for_tests(project: Project) -> tuple[str, ...]:
    """The extras that tests need, by their names, if no group has such a name."""
    return () if project.groups & TESTS else tuple(sorted(project.extras & TESTS))


def left_out_notes(project: Project, selection: Selection) -> tuple[str, ...]:
    """Notes on groups that `poetry install` installs by default, but the image does not."""
    left = project.default_groups - {*selection.groups} - DEVELOPMENT
    if not left:
        return ()
    needed = {
        group: module
        for table in project.lock.packages
        if (groups := {*table.get("groups", ())}) & left and not groups & {*selection.groups}
        for module in _modules_of(table["name"]) & project.imported
        for group in sorted(groups & left)
    }
    imports = [f"{module} of the group {group}" for group, module in sorted(needed.items())]
    why = f" The code imports {listing(imports)}." if imports else ""
    wanted = json.dumps([*selection.groups, *sorted(needed)])
    return (
        f"Groups that are not installed: {', '.join(sorted(left))}.{why} To add one, use `--with`"
        + (f", or set `groups = {wanted}`." if needed else "."),
    )


def _modules_of(package: str) -> set[str]:
    """The names that a package's module may have: `discord` for discord.py."""
    name = str(canonicalize_name(package))
    short = name.removeprefix("python-").removesuffix("-py").removesuffix("-bot")
    return {each.replace("-", "_") for each in (name, short)}


def _refuse_conflicts(options: SelectionOptions) -> None:
    if options.extras and options.all_extras:
        raise DockerCacheError(
            "--extras and --all-extras cannot be combined.", fix="Leave one of them out."
        )
    some = options.with_groups or options.without_groups or options.only_groups
    if options.all_groups and some:
        raise DockerCacheError(
            "--all-groups cannot be combined with --with, --without or --only.",
            fix="Leave out --all-groups, or the others.",
        )
    if options.only_groups and (options.with_groups or options.without_groups):
        raise DockerCacheError(
            "--only cannot be combined with --with or --without.",
            fix="Name all groups with --only, or leave it out.",
        )


def _refuse_unread(names: Sequence[str], unread: set[str]) -> None:
    for name in names:
        if canonicalize_name(name) in unread:
            raise DockerCacheError(
                f"The group {name!r} is in [dependency-groups], which this version of Poetry"
                " cannot read.",
                fix="Use Poetry 2.2 or newer, or define the group in [tool.poetry.group.NAME].",
            )


def _split(values: Sequence[str], separator: str | None) -> list[str]:
    return [name.strip() for value in values for name in value.split(separator)]


def _known(kind: str, names: Sequence[str], known: set[str], where: str) -> set[str]:
    chosen = set()
    for name in names:
        canonical = canonicalize_name(name)
        if canonical not in known:
            has = ", ".join(sorted(known)) or "none"
            raise DockerCacheError(
                f"The {kind} {name!r} (in {where}) does not exist in this project.",
                fix=f"{did_you_mean(canonical, known)}The project's {kind}s: {has}.",
            )
        chosen.add(str(canonical))
    return chosen
