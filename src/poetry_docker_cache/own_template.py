"""What a template of the project's own may hold, so that none of its lines is lost in silence.

Jinja passes over what has no effect: a block that the template which is extended does not have (any
more), text outside of blocks. In a Dockerfile that is a step which nobody misses until it matters:
here it is an error, or a note. Pure.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, nodes

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render import dockerfile_environment
from poetry_docker_cache.templating import CORRECT_IT, DOCKERFILE, built_in_text, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poetry_docker_cache.plan import ImagePlan, Template

_EXTENDS = f'{{% extends "{DOCKERFILE}" %}}'
# What has an effect outside of blocks. Of text, nothing has.
_OUTSIDE = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Block,
    nodes.Extends,
    nodes.FromImport,
    nodes.Import,
    nodes.Macro,
)
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
        environment.compile(text, path, path, raw=True)  # sees unknown filters, repeated blocks
        return environment.parse(text, path, path)
    except TemplateSyntaxError as error:
        raise DockerCacheError(
            f"{path}, line {error.lineno}: {str(error.message).rstrip('.')}.", fix=CORRECT_IT
        ) from error


def named_files(tree: nodes.Template, path: str) -> tuple[str, ...]:
    """The names by which a template extends, includes and imports others, but for ours.

    Raises DockerCacheError for one that is known only when it is rendered.
    """
    names: list[str] = []
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
            names.append(value.value)
    return tuple(name for name in dict.fromkeys(names) if name != DOCKERFILE)


def our_blocks() -> Mapping[str, nodes.Block]:
    """The blocks of the built-in template, in its order: their names are promised."""
    return {block.name: block for block in _ours().find_all(nodes.Block)}


def check_template(template: Template) -> None:
    """Raise DockerCacheError for what would have no effect, or another one than it seems."""
    trees = {path: parse(text, path) for path, text in template.texts.items()}
    chain = _chain(template, trees)
    known = [*our_blocks()]
    names = {"plan", *dockerfile_environment().globals, *_names(_ours())}
    for path in reversed(chain):
        _check_outside(path, trees[path])
        _check_blocks(path, trees[path], known)
        for name in _names(trees[path]):
            if name in names:
                raise DockerCacheError(
                    f"{path} sets {name!r}, which the built-in template has a use for.",
                    fix="Give it another name.",
                )
        known += [block.name for block in trees[path].find_all(nodes.Block)]
    for path in sorted(trees.keys() - chain):
        if block := next(trees[path].find_all((nodes.Block, nodes.Extends)), None):
            raise DockerCacheError(
                f"{path}, line {block.lineno}: only {template.path} and what it extends can have"
                " blocks; in a file that is included or imported they replace nothing.",
                fix=f"Move the block to {template.path}, or take its tags away.",
            )


def template_notes(plan: ImagePlan) -> list[str]:
    """What a person may not have meant: blocks that lose our lines, or are not used at all."""
    template = plan.template
    if template is None:
        return []
    tree = parse(template.texts[template.path], template.path)
    blocks = [block for block in tree.body if isinstance(block, nodes.Block)]
    ours = our_blocks()
    notes = []
    if lost := [it.name for it in blocks if _has_lines(ours.get(it.name)) and not _keeps_ours(it)]:
        notes.append(
            f"{template.path} replaces {', '.join(lost)}: what is there without it, in later"
            " releases too, is left out; `{{ super() }}` takes it in."
        )
    if plan.application is None and any(it.name == "application" for it in blocks):
        notes.append(
            f"The block `application` of {template.path} is not used: no wheel of the project is"
            " built."
        )
    return notes


def _ours() -> nodes.Template:
    return dockerfile_environment().parse(built_in_text(), DOCKERFILE)


def _chain(template: Template, trees: Mapping[str, nodes.Template]) -> list[str]:
    """The files from the template up to the one that extends ours."""
    chain: list[str] = []
    path = template.path
    while path in trees and path not in chain:
        chain.append(path)
        extended = [it.template for it in trees[path].body if isinstance(it, nodes.Extends)]
        if len(extended) != 1 or not isinstance(extended[0], nodes.Const):
            break
        if extended[0].value == DOCKERFILE:
            return chain
        path = path_of(extended[0].value, template.path)
    missing = f", since there is no file {path}" if path not in trees else ""
    raise DockerCacheError(
        f"{chain[-1]} does not extend the built-in template{missing}: it would be the whole"
        " Dockerfile.",
        fix=f"Begin it with {_EXTENDS}; a whole Dockerfile is for `poetry docker build --file`.",
    )


def _check_outside(path: str, tree: nodes.Template) -> None:
    for node in tree.body:
        line = _text_line(node) if isinstance(node, nodes.Output) else node.lineno
        if line and not isinstance(node, _OUTSIDE):
            raise DockerCacheError(
                f"{path}, line {line}: this stands outside of a block, so it would not be in the"
                " Dockerfile.",
                fix=f"Move it into a block: {', '.join(our_blocks())}.",
            )


def _text_line(output: nodes.Output) -> int | None:
    """The first line on which there is more than white space."""
    for part in output.nodes:
        if not isinstance(part, nodes.TemplateData):
            return part.lineno
        if part.data.strip():
            blank = len(part.data) - len(part.data.lstrip())
            return part.lineno + part.data[:blank].count("\n")
    return None


def _check_blocks(path: str, tree: nodes.Template, known: list[str]) -> None:
    for block in tree.body:
        if isinstance(block, nodes.Block) and block.name not in known:
            near = difflib.get_close_matches(block.name, known, n=1)
            hint = f"Did you mean {near[0]}? " if near else ""
            raise DockerCacheError(
                f"{path}, line {block.lineno}: this release's template has no block"
                f" {block.name!r}, so its lines would not be in the Dockerfile.",
                fix=f"{hint}The blocks are {', '.join(known)}.",
            )


def _names(tree: nodes.Template) -> Iterator[str]:
    """What a template sets for all blocks: variables, macros, imports."""
    for node in tree.body:
        if isinstance(node, nodes.Macro):
            yield node.name
        elif isinstance(node, nodes.Import):
            yield node.target
        elif isinstance(node, nodes.FromImport):
            yield from (name if isinstance(name, str) else name[1] for name in node.names)
        elif isinstance(node, nodes.Assign | nodes.AssignBlock):
            targets = [node.target, *node.target.find_all(nodes.Name)]
            yield from (target.name for target in targets if isinstance(target, nodes.Name))


def _has_lines(block: nodes.Block | None) -> bool:
    return block is not None and any(
        not isinstance(node, nodes.Output) or _text_line(node) for node in block.body
    )


def _keeps_ours(block: nodes.Block) -> bool:
    return any(name.name == "super" for name in block.find_all(nodes.Name))
