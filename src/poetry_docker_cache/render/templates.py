"""Jinja: where templates come from, what they may do, and how a mistake in one is told.

A template of the project's own comes along with the project, which somebody may have cloned a
minute ago. So it is rendered in Jinja's sandbox: it sees data and runs no code, and it finds no
file but ours and those that were read for it.
"""

from __future__ import annotations

import posixpath
import traceback
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    FunctionLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from poetry_docker_cache.docker.dockerfile_syntax import stages
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from poetry_docker_cache.plan.model import Template

DOCKERFILE = "Dockerfile.j2"
"""The template of the Dockerfile; what one of the project's own extends under this name."""
CORRECT_IT = "Correct the line; the documentation, docs/templates.md, has what can stand there."
# In front of the names of the project's own files, so that none of them stands in for one of ours.
_THEIRS = "project:"


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """What reads the templates; each kind of file brings filters of its own, which quote."""

    def __init__(self, template: Template | None = None) -> None:
        ours = FileSystemLoader(_template_folder())
        super().__init__(
            loader=ChoiceLoader([FunctionLoader(_text_of(template)), ours]) if template else ours,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # nothing that is written is HTML
        )
        self._path = template.path if template else ""
        self.filters["whole_lines"] = whole_lines

    def join_path(self, template: str, parent: str) -> str:
        """Find what a template names: the project's own by its path from the template's folder."""
        if template == DOCKERFILE or not parent.startswith(_THEIRS):
            return template
        return _THEIRS + path_of(template, self._path)

    def _generate(
        self,
        source: nodes.Template,
        name: str | None,
        filename: str | None,
        *rest: bool,
        **more: bool,
    ) -> str:
        """Jinja's hook: what the project's own files put among our lines are whole lines, too."""
        if name and name.startswith(_THEIRS):
            ours = {it.name for it in self.parse(built_in_text()).find_all(nodes.Block)}
            source = _WholeLines(ours).visit(source)
        return super()._generate(source, name, filename, *rest, **more)


class _WholeLines(NodeTransformer):
    """Ends the last line of the blocks with these names, and of whatever is included."""

    def __init__(self, blocks: Collection[str]) -> None:
        self._blocks = blocks

    def visit_Block(self, node: nodes.Block) -> nodes.Block:  # noqa: N802  # Jinja looks for it
        self.generic_visit(node)
        if node.name in self._blocks:
            node.body = [_ended(node.body, node.lineno)]
        return node

    def visit_Include(self, node: nodes.Include) -> nodes.FilterBlock:  # noqa: N802  # as above
        node.with_context = True  # without it, Jinja puts the file before the lines of its block
        return _ended([node], node.lineno)


def _ended(body: list[nodes.Node], line: int) -> nodes.FilterBlock:
    lines = nodes.Filter(None, "whole_lines", [], [], None, None)
    return nodes.FilterBlock(body, lines, lineno=line)


def whole_lines(text: str) -> str:
    """End the last line, or what comes next would be a part of it."""
    return text if text.endswith("\n") or not text else f"{text}\n"


def built_in_text() -> str:
    """The built-in template of the Dockerfile."""
    return (_template_folder() / DOCKERFILE).read_text(encoding="utf-8")


def path_of(name: str, template: str) -> str:
    """The path of a file that a template of the project's own names, as that one's is written."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(template), name))


def render_own(
    environment: TemplateEnvironment, template: Template, values: Mapping[str, object]
) -> str:
    """The text that the project's own template makes of these values.

    Raises DockerCacheError for a mistake in it.
    """
    try:
        text = environment.get_template(_THEIRS + template.path).render(values)
    except Exception as error:
        place = _place(error, template)
        if place is None:  # it is ours
            raise
        raise DockerCacheError(f"{place}: {_words(error)}.", fix=CORRECT_IT) from error
    _check_stages(text, template)
    return text


def _text_of(template: Template) -> Callable[[str], tuple[str, str, None] | None]:
    """The loader of the project's own files; their paths are what tracebacks call them."""

    def load(name: str) -> tuple[str, str, None] | None:
        path = name.removeprefix(_THEIRS)
        found = name != path and path in template.texts
        return (template.texts[path], path, None) if found else None

    return load


def _place(error: Exception, template: Template) -> str | None:
    """The line of the project's own files that it comes from, if it comes from one."""
    frames = traceback.walk_tb(error.__traceback__)
    places = [(frame.f_code.co_filename, line) for frame, line in frames]
    if isinstance(error, TemplateSyntaxError):
        places.append((error.filename or "", error.lineno))
    own = [f"{path}, line {line}" for path, line in places if path in template.texts]
    return own[-1] if own else None


def _words(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        names = [str(name).removeprefix(_THEIRS) for name in error.templates]
        return f"there is no file {' or '.join(names)}"
    kind = "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split()).rstrip(".")


def _check_stages(text: str, template: Template) -> None:
    """Refuse what BuildKit takes without a word: it would build another image than was meant."""
    found = [(name.lower() if name else None, line) for name, line in stages(text)]
    names = Counter(name for name, _ in found if name)
    if twice := [name for name, count in names.items() if count > 1]:
        raise DockerCacheError(
            f"With {template.path} there are two stages of the name {twice[0]!r}: each would stand"
            " in for the other one.",
            fix="Give the template's own stage another name.",
        )
    name, line = found[-1]
    if name != "final":
        raise DockerCacheError(
            f"With {template.path} the last stage is {name or line!r}: that would be the image,"
            " instead of `final`.",
            fix="Move the stage to the block `last_stages`, or `first_stages`.",
        )


def _template_folder() -> Path:
    """Inside the package when installed; at the top of the repository in an editable install."""
    package = Path(str(resources.files("poetry_docker_cache")))
    installed = package / "templates"
    return installed if installed.is_dir() else package.parents[1] / "templates"
