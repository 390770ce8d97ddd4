"""The Jinja environment: loading templates, and errors for mistakes in them.

The project's own template may come from an untrusted repository, so it is rendered in Jinja's
sandbox. It cannot run code, and finds only the built-in files and those that were read for it.
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

    from poetry_docker_cache.plan.image_plan import Template

DOCKERFILE = "Dockerfile.j2"
"""The built-in template, and the name under which the project's own template extends it."""
CORRECT_IT = "Correct the line. The documentation, docs/templates.md, describes what is possible."
# The prefix of the project's own files, so that none of them can replace a built-in file.
_THEIRS = "project:"


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """The environment for all templates, to which each kind of file adds its quoting filters."""

    def __init__(self, template: Template | None = None) -> None:
        ours = FileSystemLoader(_template_folder())
        super().__init__(
            loader=ChoiceLoader([FunctionLoader(_text_of(template)), ours]) if template else ours,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # the output is not HTML
        )
        self._path = template.path if template else ""
        self.filters["whole_lines"] = whole_lines

    def join_path(self, template: str, parent: str) -> str:
        """Resolve a name in a template; the project's own files are relative to its template."""
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
        """Compile (a hook of Jinja); end the blocks of the project's own files with a newline."""
        if name and name.startswith(_THEIRS):
            ours = {block.name for block in self.parse(built_in_text()).find_all(nodes.Block)}
            source = _WholeLines(ours).visit(source)
        return super()._generate(source, name, filename, *rest, **more)


class _WholeLines(NodeTransformer):
    """Ends the last line of the blocks with these names, and of included files."""

    def __init__(self, blocks: Collection[str]) -> None:
        self._blocks = blocks

    def visit_Block(self, node: nodes.Block) -> nodes.Block:  # noqa: N802  # Jinja looks for it
        self.generic_visit(node)
        if node.name in self._blocks:
            node.body = [_ended(node.body, node.lineno)]
        return node

    def visit_Include(self, node: nodes.Include) -> nodes.FilterBlock:  # noqa: N802  # as above
        node.with_context = True  # else Jinja puts the file before the block's lines
        return _ended([node], node.lineno)


def _ended(body: list[nodes.Node], line: int) -> nodes.FilterBlock:
    lines = nodes.Filter(None, "whole_lines", [], [], None, None)
    return nodes.FilterBlock(body, lines, lineno=line)


def whole_lines(text: str) -> str:
    """Add a missing final newline, so that the next text starts a new line."""
    return text if text.endswith("\n") or not text else f"{text}\n"


def built_in_text() -> str:
    """Read the built-in template of the Dockerfile."""
    return (_template_folder() / DOCKERFILE).read_text(encoding="utf-8")


def path_of(name: str, template: str) -> str:
    """Resolve a name in the project's own template to a path like the template's own."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(template), name))


def render_own(
    environment: TemplateEnvironment, template: Template, values: Mapping[str, object]
) -> str:
    """Render the project's own template. Raises DockerCacheError for a mistake in it."""
    try:
        text = environment.get_template(_THEIRS + template.path).render(values)
    except Exception as error:
        place = _place(error, template)
        if place is None:  # not from the project's own files
            raise
        raise DockerCacheError(f"{place}: {_words(error)}.", fix=CORRECT_IT) from error
    _check_stages(text, template)
    return text


def _text_of(template: Template) -> Callable[[str], tuple[str, str, None] | None]:
    """Make a loader of the project's own files; tracebacks show their paths."""

    def load(name: str) -> tuple[str, str, None] | None:
        path = name.removeprefix(_THEIRS)
        found = name != path and path in template.texts
        return (template.texts[path], path, None) if found else None

    return load


def _place(error: Exception, template: Template) -> str | None:
    """Return the file and line of the project's own template that caused an error, if any."""
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
    """Refuse stages with which BuildKit would silently build another image."""
    found = [(name.lower() if name else None, line) for name, line in stages(text)]
    names = Counter(name for name, _ in found if name)
    if twice := [name for name, count in names.items() if count > 1]:
        raise DockerCacheError(
            f"{template.path} adds a second stage named {twice[0]!r}.",
            fix="Rename the template's own stage.",
        )
    name, line = found[-1]
    if name != "final":
        raise DockerCacheError(
            f"With {template.path}, the last stage is {name or line!r}, which would be the image"
            " instead of `final`.",
            fix="Move the stage to the block `last_stages`, or `first_stages`.",
        )


def _template_folder() -> Path:
    """Return the folder of templates, which is in the repository's root in an editable install."""
    package = Path(str(resources.files("poetry_docker_cache")))
    installed = package / "templates"
    return installed if installed.is_dir() else package.parents[1] / "templates"
