"""The secrets of build steps: each is the value of a variable of this environment."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OPTION = "--secret"


def not_passed(ids: Sequence[str], arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the ids without a `--secret` of their own in the arguments after `--`."""
    passed: set[str] = set()
    for word, following in itertools.pairwise([*arguments, ""]):
        option, has_value, given = word.partition("=")
        with contextlib.suppress(ValueError):  # buildx refuses it
            fields = go_csv.fields_of(given if has_value else following)
            fields = fields if option == _OPTION else []
            passed |= {field.partition("=")[2] for field in fields if field.startswith("id=")}
    return tuple(name for name in ids if name not in passed)


def refuse_unset_secrets(ids: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raise DockerCacheError for a secret whose variable is not set."""
    unset = [name for name in ids if name not in environment]
    if unset:
        name = unset[0]
        raise DockerCacheError(
            f"`run` in [tool.poetry-docker-cache] needs the secret {name}, but the variable {name}"
            " is not set.",
            fix=f"Set it (`export {name}=…`), or pass a file: `-- --secret id={name},src=PATH`.",
        )
