"""Why Poetry cannot read a project: its own words, or better ones where it stumbles over a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from poetry.core.factory import Factory
from poetry.core.json import validate_object

from poetry_docker_cache.compat import tomllib
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from pathlib import Path

# Poetry's schemas, and the tables that they are for.
_SCHEMAS = {
    "project": "project-schema",
    "tool.poetry": "poetry-schema",
    "dependency-groups": "dependency-groups-schema",  # since Poetry 2.2
}


def unreadable(error: Exception, folder: Path) -> DockerCacheError:
    """The error for what Poetry raised when it read the project of this folder."""
    problem = str(error).strip().rstrip(".")
    try:
        path = Factory.locate(folder)
    except RuntimeError:
        fix = "Run it in the project's folder, or name that with `-C FOLDER`."
    else:
        own = str(path) in problem or ".toml" not in problem  # else it is one of Poetry's settings
        fix = f"Mend {path}; `poetry check` may tell more." if own else "Mend that file."
        # Poetry checks the types after it has used some values: `'int' has no attribute 'lower'`.
        if isinstance(error, AttributeError | LookupError | TypeError):
            problem = _wrong_type(path) or problem
    return DockerCacheError(f"The project cannot be read: {problem}.", fix=fix)


def _wrong_type(path: Path) -> str | None:
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for name, schema in _SCHEMAS.items():
        table = data
        for key in name.split("."):
            table = table.get(key, {})
            if not isinstance(table, Mapping):
                return f"{key!r} in {path.name} must be a table"
        if not table:
            continue
        try:
            errors = validate_object(dict(table), schema)
        except ValueError:  # no such schema in this Poetry
            continue
        if errors:
            return f"in {path.name}, {errors[0].replace('data', name, 1)}"
    return None
