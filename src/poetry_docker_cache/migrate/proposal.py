"""The proposed settings: only those that change the image, and only valid ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import may_have_user
from poetry_docker_cache.docker.ignore_patterns import outermost
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.migrate.image_reader import SEE_LAST_USER, user_outcome
from poetry_docker_cache.migrate.outcomes import left_over, merged, unneeded
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.selection import SelectionOptions, select
from poetry_docker_cache.settings.table import KEYS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.migrate.image_reader import Reading
    from poetry_docker_cache.migrate.outcomes import Outcome
    from poetry_docker_cache.plan.image_plan import ImagePlan
    from poetry_docker_cache.project.model import Project

_KNOWN = {key.name for key in KEYS}
_ANYWAY = "the image is the same without a setting"
# Each may make others unnecessary, so the order counts.
_ORDER = (
    *("python", "base-image", "groups", "extras", "build-packages", "runtime-packages"),
    *("workdir", "user", "init", "entrypoint", "command", "ports", "files", "copy", "directories"),
    *("volumes", "run", "assets", "env", "build-args", "labels", "healthcheck", "stop-signal"),
    *("compile", "platforms", "instructions", "ignore"),
)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Settings, and what becomes of each instruction."""

    settings: Mapping[str, object]
    outcomes: tuple[Outcome, ...]
    plan: ImagePlan | None
    """The plan of the new image; None if it cannot be planned yet."""
    problem: str = ""
    """Why it cannot be planned."""

    @property
    def left_over(self) -> list[Outcome]:
        """The instructions that the user has to take care of."""
        return [outcome for outcome in self.outcomes if outcome.advice]


def propose(
    reading: Reading,
    project: Project,
    existing: Mapping[str, object],
    base: str,
    companions: Sequence[Outcome] = (),
) -> Proposal:
    """Make a table of the settings that the outcomes have; `existing` settings win.

    `base` is the base of the old image, `companions` what other files add.
    """
    outcomes = _with_user(reading, base)
    checked = [_checked(outcome) for outcome in (*outcomes, *companions)]
    outcomes = [outcome for outcome in checked if outcome.line or not outcome.advice]
    table = _tidied(merged(outcomes), reading, project)
    return prune(table, outcomes, project, existing)


def prune(
    table: Mapping[str, object],
    outcomes: Sequence[Outcome],
    project: Project,
    existing: Mapping[str, object],
) -> Proposal:
    """Leave out the settings without which the image is the same, and those that exist."""
    wanted = {key: value for key, value in table.items() if key not in existing}
    wanted = {key: wanted[key] for key in (*_ORDER, *wanted) if key in wanted}
    plan, problem = _plan({**existing, **wanted}, project)
    for key in list(wanted):
        if key not in _KNOWN or key == "assets":  # a front end always changes the image
            continue
        fewer = {name: value for name, value in wanted.items() if name != key}
        other, _ = _plan({**existing, **fewer}, project)
        if key == "runtime-packages" and other:
            value = wanted[key]
            names = value if isinstance(value, list) else []
            kept = [name for name in names if name not in other.runtime.packages]
            wanted.update({key: kept} if kept else {})
            if kept:
                continue
        same = other is not None and plan is not None and _is_same(plan, other)
        same = same or (
            plan is None and _parsed({**existing, **wanted}) == _parsed({**existing, **fewer})
        )
        if same:
            del wanted[key]
    plan, problem = _plan({**existing, **wanted}, project)
    found = tuple(
        replace(unneeded(_ANYWAY), line=outcome.line, text=outcome.text)
        if outcome.settings and not any(key in wanted for key, _ in outcome.settings)
        else outcome
        for outcome in outcomes
    )
    return Proposal(settings=wanted, outcomes=found, plan=plan, problem=problem)


def _with_user(reading: Reading, base: str) -> list[Outcome]:
    """Replace the outcome of the last USER."""
    outcomes = [*reading.outcomes]
    at = [n for n, outcome in enumerate(outcomes) if outcome.reason == SEE_LAST_USER]
    for number in at:
        if number == at[-1]:
            found = user_outcome(reading.user, dict(reading.users), may_have=may_have_user(base))
        else:
            found = unneeded("a later USER replaces it")
        outcome = outcomes[number]
        outcomes[number] = replace(found, line=outcome.line, text=outcome.text)
    return outcomes


def _checked(outcome: Outcome) -> Outcome:
    """Turn an outcome whose settings are not valid into one that is left over."""
    for key, value in outcome.settings:
        if key not in _KNOWN:
            continue
        table = {key: value}
        if key == "base-image" and "{python}" not in str(value):
            table["python"] = "3.12"
        try:
            Settings.parse(table)
        except DockerCacheError as error:
            problem = str(error).replace("\n", " ")
            return replace(left_over(problem), line=outcome.line, text=outcome.text)
    return outcome


def _tidied(table: dict[str, object], reading: Reading, project: Project) -> dict[str, object]:
    """Complete `files`, which replaces the default, and drop folders that exist anyway."""
    if "files" in table:
        files = [*_items(table, "files"), *reading.covered]
        files += [*(project.files or ())] if reading.whole else []
        table["files"] = [*outermost(tuple(dict.fromkeys(map(str, files))))]
    elif project.files is None and reading.covered and not reading.whole:
        table["files"] = [*outermost(tuple(dict.fromkeys(reading.covered)))]
    outputs = {
        str(path)
        for step in _items(table, "run")
        if isinstance(step, dict)
        for path in step["output"]
    }
    outputs |= {str(each["to"]) for each in _items(table, "assets") if isinstance(each, dict)}
    targets = {str(each["to"]) for each in _items(table, "copy") if isinstance(each, dict)}
    folders: dict[str, object] = {}
    for entry in _items(table, "directories"):
        path = str(entry["path"] if isinstance(entry, dict) else entry)
        if path not in outputs | targets | reading.filled and (
            path not in folders or isinstance(entry, dict)
        ):
            folders[path] = entry
    if folders:
        table["directories"] = [*folders.values()]
    else:
        table.pop("directories", None)
    return table


def _items(table: Mapping[str, object], key: str) -> list[object]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _plan(table: Mapping[str, object], project: Project) -> tuple[ImagePlan | None, str]:
    try:
        settings = _parsed(table)
        if any(each.folder not in project.front_ends for each in settings.assets):
            settings = replace(settings, assets=())  # the files of a new front end are not read yet
        selection = select(
            SelectionOptions(),
            default_groups=settings.groups,
            default_extras=settings.extras,
            groups=project.groups,
            extras=project.extras,
        )
        return make_plan(project, settings, selection), ""
    except DockerCacheError as error:
        return None, str(error)


def _parsed(table: Mapping[str, object]) -> Settings:
    return Settings.parse({key: value for key, value in table.items() if key in _KNOWN})


def _is_same(plan: ImagePlan, other: ImagePlan) -> bool:
    """Whether two plans make the same image."""
    plain = [
        replace(each, notes=(), runtime=replace(each.runtime, start_reason=None))
        for each in (plan, other)
    ]
    return plain[0] == plain[1]
