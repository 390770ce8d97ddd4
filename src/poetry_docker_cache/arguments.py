"""What the user's own arguments, which stand behind `--`, say of an image. Pure.

They reach buildx as they are: its `build` as options, its `bake` as `--set TARGET.KEY=VALUE`, since
that builds several images and has few options.
"""

from __future__ import annotations

import fnmatch
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TELLING = ("--call", "--check", "--list", "--print")
"""Options of buildx that make it tell something instead of building."""
SET_BY_BAKE = {
    "--build-arg": "args.NAME=VALUE",
    "--build-context": "contexts.NAME=PATH",
    "--label": "labels.NAME=VALUE",
    "--secret": "secrets=id=NAME,src=PATH",
    "--ssh": "ssh=default=PATH",
}
"""Options of `build` that bake lacks, and what `--set` says in their place."""

_SET = "--set"
# Bake asks for leave for what `build` simply does. Only these entitlements are options of both.
_ALLOW = "--allow"
_OF_BOTH = ("device", "network.host", "security.insecure")
# Where the key of a target is not the name of the option.
_OPTIONS = {"args": "build-arg", "contexts": "build-context", "tags": "tag", "secrets": "secret"}


def options_for(arguments: Sequence[str], image: str) -> tuple[str, ...]:
    """Spell what bake is told of an image as the options of `build`; no name is the only image.

    >>> options_for(["--set", "*.args.VERSION=1", "--set=web.ssh=default"], "api")
    ('--build-arg=VERSION=1',)
    """
    return tuple(_spelled(arguments, image)) if image else tuple(arguments)


def _spelled(arguments: Sequence[str], image: str) -> Iterator[str]:
    value = False
    for word, following in itertools.pairwise([*arguments, ""]):
        option, has_value, given = word.partition("=")
        if value:
            value = False
        elif option in (_SET, _ALLOW):
            value = not has_value
            yield from _translated(option, given if has_value else following, image)
        else:
            yield word


def _translated(option: str, value: str, image: str) -> Iterator[str]:
    if option == _SET:
        yield from _set(value, image)
    elif value.startswith(_OF_BOTH):
        yield f"{option}={value}"


def _set(text: str, image: str) -> Iterator[str]:
    path, _, value = text.partition("=")
    pattern, _, key = path.removesuffix("+").partition(".")
    if fnmatch.fnmatchcase(image, pattern):
        name, _, entry = key.partition(".")
        yield f"--{_OPTIONS.get(name, name)}={f'{entry}={value}' if entry else value}"


def names_context(arguments: Sequence[str]) -> bool:
    """Whether a `.` stands there for the build context, and not as the value of an option."""
    return any(
        word == "." and ("=" in before or not before.startswith("-"))
        for before, word in itertools.pairwise(["", *arguments])
    )


def tells_only(options: Sequence[str]) -> bool:
    """Whether buildx makes no image, by these options."""
    return any(word.partition("=")[0] in TELLING for word in options)
