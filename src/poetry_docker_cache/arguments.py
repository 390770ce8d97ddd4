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

_SET = "--set"
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
        if value:
            value = False
        elif word == _SET:
            value = True
            yield from _set(following, image)
        elif word.startswith(f"{_SET}="):
            yield from _set(word.partition("=")[2], image)
        else:
            yield word


def _set(text: str, image: str) -> Iterator[str]:
    path, _, value = text.partition("=")
    pattern, _, key = path.removesuffix("+").partition(".")
    if fnmatch.fnmatchcase(image, pattern):
        name, _, entry = key.partition(".")
        yield f"--{_OPTIONS.get(name, name)}={f'{entry}={value}' if entry else value}"


def tells_only(options: Sequence[str]) -> bool:
    """Whether buildx makes no image, by these options."""
    return any(word.partition("=")[0] in TELLING for word in options)
