"""The project's own template: reading it, and checking that none of its lines is lost silently.

Jinja ignores what has no effect: a block that the extended template does not have, and text outside
of blocks. In a Dockerfile that would be a missing step, so here it is an error or a note.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import TYPE_CHECKING

from jinja2 import TemplateSyntaxError, nodes

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.model import Template
from poetry_docker_cache.render.dockerfile import dockerfile_environment
from poetry_docker_cache.render.templates import CORRECT_IT, DOCKERFILE, built_in_text, path_of
from poetry_docker_cache.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from poetry_docker_cache.plan.model import ImagePlan

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
                    f"{path} sets {name!r}, which the built-in template has a use for: its lines"
                    " would say something else.",
                    fix="Give it another name.",
                )
        known += [block.name for block in trees[path].find_all(nodes.Block)]
    _check_contents(chain, trees)
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
    trees = {path: parse(text, path) for path, text in template.texts.items()}
    chain = _chain(template, trees)
    lost: dict[str, list[str]] = {}
    for name, ours in our_blocks().items():
        if path := _replacing(name, chain, trees):
            above = chain[chain.index(path) + 1 :]
            if any(map(_has_lines, [ours, *(_block(trees[it], name) for it in above)])):
                lost.setdefault(path, []).append(name)
    notes = [
        f"{path} replaces {', '.join(names)}: what is there without it, in later"
        " releases too, is left out; `{{ super() }}` takes it in."
        for path, names in lost.items()
    ]
    owners = [path for path in chain if _block(trees[path], "application")]
    if plan.application is None and owners:
        notes.append(
            f"The block `application` of {owners[0]} is not used: no wheel of the project is built."
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
    for block in tree.find_all(nodes.Block):
        is_nested = block not in tree.body
        if is_nested and block.name in known:
            raise DockerCacheError(
                f"{path}, line {block.lineno}: {block.name!r} stands inside of something else, but"
                " it would replace the block of this name wherever that one is.",
                fix="Move it out, to the top; or give it a name of its own.",
            )
        if not is_nested and block.name not in known:
            raise DockerCacheError(
                f"{path}, line {block.lineno}: this release's template has no block"
                f" {block.name!r}, so its lines would not be in the Dockerfile.",
                fix=f"{did_you_mean(block.name, known)}The blocks are {', '.join(known)}.",
            )


def _check_contents(chain: Sequence[str], trees: Mapping[str, nodes.Template]) -> None:
    """It is a part of our `final`: lines for the one are lost with the other."""
    owners = [path for path in chain if _block(trees[path], "contents")]
    path = _replacing("final", chain, trees)
    if owners and path and not any(map(_takes_contents, trees.values())):
        raise DockerCacheError(
            f"The block `final` of {path} leaves ours out, and with it `contents`: that block of"
            f" {owners[0]} would not be in the Dockerfile.",
            fix="Write `{{ super() -}}` or `{{ self.contents() -}}` in `final`.",
        )


def _replacing(name: str, chain: Sequence[str], trees: Mapping[str, nodes.Template]) -> str | None:
    """The file whose block of this name leaves out what those above it have."""
    blocks = ((path, _block(trees[path], name)) for path in chain)
    return next((path for path, block in blocks if block and not _keeps_ours(block)), None)


def _block(tree: nodes.Template, name: str) -> nodes.Block | None:
    return next((block for block in tree.find_all(nodes.Block) if block.name == name), None)


def _takes_contents(tree: nodes.Template) -> bool:
    taken = [it for it in tree.find_all(nodes.Getattr) if it.attr == "contents"]
    return any(isinstance(it.node, nodes.Name) and it.node.name == "self" for it in taken)


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


def read_template(folder: Path, path: str | None) -> Template | None:
    """The template that the setting names, as seen from the project's folder.

    Raises DockerCacheError for one that cannot be read, and for what it could not mean.
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
                fix="Correct the path; it starts at the project's root.",
            )
        if text is not None:  # what else is missing may be meant to be, or Jinja says so
            texts[current] = text
            for name, line in named_files(parse(text, current), current).items():
                found = path_of(name, path)
                _refuse_elsewhere(folder, found, path, f"{current}, line {line}")
                waiting += [found] if found not in texts else []
    template = Template(path=path, texts=texts)
    check_template(template)
    return template


def _refuse_elsewhere(folder: Path, path: str, template: str, place: str) -> None:
    """What is included ends up in the Dockerfile: so it is not read from all over the machine."""
    home = os.path.realpath((folder / template).parent)
    try:
        with contextlib.suppress(OSError):  # it may be missing
            (folder / path).stat()
        real = os.path.realpath(folder / path)
    except ValueError as error:
        raise DockerCacheError(
            f"{place}: no file can have the name {path!r}.", fix="Correct the name."
        ) from error
    if os.path.commonpath([home, real]) != home:
        raise DockerCacheError(
            f"{place}: {path} lies outside of the template's folder: files are read from there"
            " only.",
            fix="Move it into that folder.",
        )


def _text(folder: Path, path: str) -> str | None:
    try:
        return (folder / path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except OSError as error:
        why = str(error.strerror)
    except UnicodeDecodeError:
        why = "it is not UTF-8"
    raise DockerCacheError(
        f"The template {path} cannot be read: {why}.", fix="Mend the file, or its permissions."
    )
