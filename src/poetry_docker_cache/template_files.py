"""Reads the project's own template, and the files that it names."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.own_template import check_template
from poetry_docker_cache.plan import Template
from poetry_docker_cache.template_parsing import named_files, parse
from poetry_docker_cache.templating import path_of

if TYPE_CHECKING:
    from pathlib import Path


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
