"""Reads the text of a template of the project's own, and finds what it names. Pure."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, nodes

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render import dockerfile_environment
from poetry_docker_cache.templating import CORRECT_IT, DOCKERFILE

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMING: tuple[type[nodes.Extends | nodes.FromImport | nodes.Import | nodes.Include], ...] = (
    nodes.Extends,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
)


def parse(text: str, path: str) -> nodes.Template:
    """The tree of a template. Raises DockerCacheError for what Jinja cannot read."""
    environment = dockerfile_environment()
    try:
        environment.compile(text, path, path)  # sees unknown filters, repeated blocks
        return environment.parse(text, path, path)
    except TemplateSyntaxError as error:
        raise DockerCacheError(
            f"{path}, line {error.lineno}: {str(error.message).rstrip('.')}.", fix=CORRECT_IT
        ) from error
    except (RecursionError, SyntaxError) as error:  # Python's own, of what Jinja makes of it
        line = _line_reached(error)
        raise DockerCacheError(
            f"{path}{f', line {line}' if line else ''}: this is nested too deeply.",
            fix="Write it with fewer parentheses, or blocks, in one another.",
        ) from error


def _line_reached(error: Exception) -> int | None:
    """The template's line that Jinja was at: its own functions know it by these names."""
    known = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [it.get("lineno") or getattr(it.get("node"), "lineno", None) for it in known]
    return next((line for line in reversed(lines) if isinstance(line, int)), None)


def named_files(tree: nodes.Template, path: str) -> Mapping[str, int]:
    """The names by which a template extends, includes and imports others, but for ours; and lines.

    Raises DockerCacheError for one that is known only when it is rendered.
    """
    names: dict[str, int] = {}
    for node in tree.find_all(_NAMING):
        named = node.template
        values = named.items if isinstance(named, nodes.List | nodes.Tuple) else [named]
        for value in values:
            if not (isinstance(value, nodes.Const) and isinstance(value.value, str)):
                raise DockerCacheError(
                    f"{path}, line {node.lineno}: the name of the file is worked out, and files are"
                    " read before that.",
                    fix="Write the name itself, in quotes.",
                )
            names.setdefault(value.value, node.lineno)
    return {name: line for name, line in names.items() if name != DOCKERFILE}
