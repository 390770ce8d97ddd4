"""Write projects to disk and read only their root package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poetry.factory import Factory

from poetry_docker_cache.project.root.root_package import read_root

if TYPE_CHECKING:
    from pathlib import Path

    from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot

PROJECT = '[project]\nname = "my-app"\nversion = "1"\n'
POETRY = '[tool.poetry]\nname = "my-app"\nversion = "1"\ndescription = ""\nauthors = []\n'
CORE = (
    '[build-system]\nrequires = ["poetry-core>=2.0"]\nbuild-backend = "poetry.core.masonry.api"\n'
)


def read(folder: Path, toml: str, *files: str) -> WheelRoot | SourceTreeRoot:
    """Write a project and read its root."""
    write(folder, *files)
    (folder / "pyproject.toml").write_text(toml, encoding="utf-8")
    return read_root(Factory().create_poetry(folder))


def write(folder: Path, *files: str) -> None:
    """Write files; a name may be followed by `=` and the content."""
    for file in files:
        name, _, text = file.partition("=")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
