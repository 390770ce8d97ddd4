"""Reads the project's own template, and checks that none of its lines is silently ignored.

Jinja ignores blocks that the extended template does not have, and text outside blocks. In a
Dockerfile that would be a missing step, so here it is an error or a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, meta, nodes

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import Template
from poetry_docker_cache.render.dockerfile import dockerfile_environment
from poetry_docker_cache.render.templates import CORRECT_IT, DOCKERFILE, built_in_text, path_of
from poetry_docker_cache.system.compat import real_path
from poetry_docker_cache.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from poetry_docker_cache.plan.image_plan import ImagePlan

    Blocks = Mapping[str, nodes.Block]

_NAMING = (nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include)
_ALLOWED_OUTSIDE = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Block,
    nodes.Extends,
    nodes.FromImport,
    nodes.Import,
    nodes.Macro,
)
"""What has an effect outside blocks; text has none."""


def read_template(folder: Path, path: str | None) -> Template | None:
    """Read the template that the setting names, relative to the project's folder.

    Raises DockerCacheError if it cannot be read, or if some of its lines would have no effect.
    """
    if path is None:
        return None
    texts: dict[str, str] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        text = _text(folder, current)
        if text is None and current == path:
            raise DockerCacheError(
                f"`template` in [tool.poetry-docker-cache] names {path!r}, which does not exist.",
                fix="Correct the path, which is relative to the project's root.",
            )
        if text is not None:  # Jinja reports another missing file, if it is not optional
            texts[current] = text
            for name, line in _named_files(_parse(text, current), current):
                found = path_of(name, path)
                _refuse_elsewhere(folder, found, path, f"{current}, line {line}")
                waiting += [found] if found not in texts else []
    template = Template(path=path, texts=texts)
    _check(template)
    return template


def _text(folder: Path, path: str) -> str | None:
    try:
        return (folder / path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not valid UTF-8"
        raise DockerCacheError(
            f"The template {path} cannot be read: {why}.", fix="Fix the file or its permissions."
        ) from error


def _parse(text: str, path: str) -> nodes.Template:
    environment = dockerfile_environment()
    try:
        environment.compile(text, path, path)  # detects unknown filters and repeated blocks
        return environment.parse(text, path, path)
    except TemplateSyntaxError as error:
        place, problem = f"{path}, line {error.lineno}", str(error.message).rstrip(".")
    except (RecursionError, SyntaxError):  # Python's own, for the code that Jinja generates
        place, problem = path, "parentheses or blocks are nested too deeply"
    raise DockerCacheError(f"{place}: {problem}.", fix=CORRECT_IT)


def _named_files(tree: nodes.Template, path: str) -> Iterator[tuple[str, int]]:
    """Yield the files that a template extends, includes or imports, with the line of each."""
    for node in tree.find_all(_NAMING):
        for name in meta.find_referenced_templates(nodes.Template([node])):
            if name is None:
                raise DockerCacheError(
                    f"{path}, line {node.lineno}: the name of the file is an expression, but files"
                    " are read before expressions have a value.",
                    fix="Write the name itself, in quotes.",
                )
            if name != DOCKERFILE:
                yield name, node.lineno


def _refuse_elsewhere(folder: Path, path: str, template: str, place: str) -> None:
    """Refuse files from outside the template's folder, since their text gets into the image."""
    if not real_path(folder / path).is_relative_to(real_path((folder / template).parent)):
        raise DockerCacheError(
            f"{place}: {path} is outside the template's folder.",
            fix="Move it into that folder.",
        )


def our_blocks() -> Blocks:
    """Return the blocks of the built-in template in their order. The names are a public API."""
    return _blocks(_ours())


def _ours() -> nodes.Template:
    return dockerfile_environment().parse(built_in_text(), DOCKERFILE)


def _blocks(tree: nodes.Template) -> Blocks:
    return {block.name: block for block in tree.find_all(nodes.Block)}


def _chain(template: Template) -> Mapping[str, nodes.Template]:
    """Return the files from the template to the last one before the built-in one, by path."""
    chain: dict[str, nodes.Template] = {}
    path = template.path
    while path in template.texts and path not in chain:
        chain[path] = _parse(template.texts[path], path)
        extended = [node.template for node in chain[path].body if isinstance(node, nodes.Extends)]
        if len(extended) != 1 or not isinstance(extended[0], nodes.Const):
            break
        if extended[0].value == DOCKERFILE:
            return chain
        path = path_of(extended[0].value, template.path)
    missing = f": {path} does not exist" if path not in template.texts else ""
    raise DockerCacheError(
        f"{[*chain][-1]} does not extend the built-in template{missing}.",
        fix=f'Begin it with {{% extends "{DOCKERFILE}" %}}. To use a complete Dockerfile, run'
        " `poetry docker build --file`.",
    )


def _check(template: Template) -> None:
    """Raise DockerCacheError for lines without effect, or with an unexpected one."""
    chain = _chain(template)
    known = [*our_blocks()]
    names = {"plan", *dockerfile_environment().globals, *_names(_ours())}
    for path, tree in reversed([*chain.items()]):
        _check_outside(path, tree)
        for name in names.intersection(_names(tree)):
            raise DockerCacheError(
                f"{path} sets {name!r}, a name that the built-in template uses.",
                fix="Choose another name.",
            )
        for block in _blocks(tree).values():
            _check_block(path, block, known, is_nested=block not in tree.body)
        known += _blocks(tree)
    _check_contents(template, chain)


def _check_outside(path: str, tree: nodes.Template) -> None:
    for node in tree.body:
        line = _text_line(node) if isinstance(node, nodes.Output) else node.lineno
        if line and not isinstance(node, _ALLOWED_OUTSIDE):
            raise DockerCacheError(
                f"{path}, line {line}: this is outside a block, so the Dockerfile would not have"
                " it.",
                fix=f"Move it into a block: {', '.join(our_blocks())}.",
            )


def _text_line(output: nodes.Output) -> int | None:
    """Return the first line that is not blank."""
    for part in output.nodes:
        if not isinstance(part, nodes.TemplateData):
            return part.lineno
        if part.data.strip():
            blank = len(part.data) - len(part.data.lstrip())
            return part.lineno + part.data[:blank].count("\n")
    return None


def _names(tree: nodes.Template) -> Iterator[str]:
    """Yield the names that a template defines for all blocks: variables, macros and imports."""
    for node in tree.body:
        if isinstance(node, nodes.Macro):
            yield node.name
        elif isinstance(node, nodes.Import):
            yield node.target
        elif isinstance(node, nodes.FromImport):
            yield from (name if isinstance(name, str) else name[1] for name in node.names)
        elif isinstance(node, nodes.Assign | nodes.AssignBlock):
            yield from (name.name for name in node.find_all(nodes.Name) if name.ctx == "store")


def _check_block(path: str, block: nodes.Block, known: list[str], *, is_nested: bool) -> None:
    place = f"{path}, line {block.lineno}"
    if is_nested and block.name in known:
        raise DockerCacheError(
            f"{place}: the block {block.name!r} is nested, but it would replace the block of this"
            " name in the built-in template.",
            fix="Move it to the top level, or give it another name.",
        )
    if not is_nested and block.name not in known:
        raise DockerCacheError(
            f"{place}: this release's template has no block {block.name!r}, so the Dockerfile would"
            " not have its lines.",
            fix=f"{did_you_mean(block.name, known)}The blocks are {', '.join(known)}.",
        )


def _check_contents(template: Template, chain: Mapping[str, nodes.Template]) -> None:
    """Refuse a block `contents` if another block replaces `final`, which has it."""
    owner = next((path for path, tree in chain.items() if "contents" in _blocks(tree)), None)
    final = _replacing("final", chain)
    if owner and final and "self.contents" not in "".join(template.texts.values()):
        raise DockerCacheError(
            f"The block `final` of {final} replaces the built-in one, so the Dockerfile would not"
            f" have the block `contents` of {owner}.",
            fix="Write `{{ super() -}}` or `{{ self.contents() -}}` in `final`.",
        )


def _replacing(name: str, chain: Mapping[str, nodes.Template]) -> str | None:
    """Return the first file whose block of this name does not call `super()`."""
    for path, tree in chain.items():
        block = _blocks(tree).get(name)
        if block and all(called.name != "super" for called in block.find_all(nodes.Name)):
            return path
    return None


def template_notes(plan: ImagePlan) -> list[str]:
    """Return notes on likely mistakes: blocks that replace built-in lines or have no effect."""
    if plan.template is None:
        return []
    chain = _chain(plan.template)
    replaced: dict[str, list[str]] = {}
    for name, ours in our_blocks().items():
        if path := _replacing(name, chain):
            above = [*chain][[*chain].index(path) + 1 :]
            if any(map(_has_lines, [ours, *(_blocks(chain[other]).get(name) for other in above)])):
                replaced.setdefault(path, []).append(name)
    notes = [
        f"{path} replaces {', '.join(names)}, so the Dockerfile lacks the built-in lines there, in"
        " later releases, too. Add `{{ super() }}` to keep them."
        for path, names in replaced.items()
    ]
    owner = next((path for path, tree in chain.items() if "application" in _blocks(tree)), None)
    if plan.application is None and owner:
        notes.append(
            f"The block `application` of {owner} has no effect: no wheel of the project is built."
        )
    return notes


def _has_lines(block: nodes.Block | None) -> bool:
    return block is not None and any(
        not isinstance(node, nodes.Output) or _text_line(node) for node in block.body
    )
