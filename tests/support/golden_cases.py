"""Run the real `poetry docker export` on copies of the cases; also usable as a script."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import poetry
from poetry.config.config import Config
from shapes import SHAPES
from shapes.indexes import INDEXES

from poetry_docker_cache.render.build_scripts import SCRIPTS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shapes.shape import Shape

CASES = Path(__file__).parents[1] / "golden" / "cases"
_SHAPE = "shape_"
"""Prefix of the cases that tests/support/shapes writes; only their lock is stored here."""
NAMES = tuple(
    sorted({*(path.name for path in CASES.iterdir()), *(f"{_SHAPE}{name}" for name in SHAPES)})
)
NOTES = "notes.txt"
SCRIPTS = "scripts.txt"
"""File with the names of the exported scripts."""
_DIGEST = re.compile(r"(?<=^# )(?P<what>[^\n]*)sha256:[0-9a-f]{64}$", re.MULTILINE)
OPTIONS = {"images": ("--bake",), "dev_and_test": ("--compose",)}
"""Additional options, by case."""
PLACES = {"monorepo": "services/api", "readme_outside": "backend"}
"""Path of the project in cases that contain more than the project."""
URLS = {name: f"https://acme.example/{name}/simple/" for name in INDEXES}
"""Index URLs of the shapes."""


def shape_of(name: str) -> Shape | None:
    """Return the shape of a case, or None."""
    return SHAPES[name.removeprefix(_SHAPE)] if name.startswith(_SHAPE) else None


def lock_of(name: str) -> Path:
    """Return the path of a case's lock."""
    return CASES / name / "project" / PLACES.get(name, ".") / "poetry.lock"


def copy_case(name: str, folder: Path) -> Path:
    """Copy a case to a new folder and return the folder."""
    shutil.copytree(CASES / name / "project", folder)
    if shape := shape_of(name):
        shape.write(folder, URLS)
    return folder


def project_in(case: Path) -> Path:
    """Return the project's folder in a copy of a case; the copy has the case's name."""
    return case / PLACES.get(case.name, ".")


def export(case: Path) -> dict[str, bytes]:
    """Run the command in a case's project; return what it wrote and printed, by file name."""
    folder = project_in(case)
    Config.create(reload=True)  # Poetry reads poetry.toml only once in a process
    before = set(folder.rglob("*"))
    outcome = poetry(folder, "docker", "export", *OPTIONS.get(case.name, ()))
    assert outcome.status == 0, outcome.err
    new = sorted(path for path in {*folder.rglob("*")} - before if path.is_file())
    written = {path.relative_to(folder).as_posix(): path.read_bytes() for path in new}
    return {**written, NOTES: outcome.err.encode()}


def without_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the files as they are stored: zeros for digests, and only the names of the scripts."""
    scripts = [name for name in files if name.startswith(f"{SCRIPTS_FOLDER}/")]
    kept = {name: content.decode() for name, content in files.items() if name not in scripts}
    kept = {name: _DIGEST.sub(rf"\g<what>sha256:{'0' * 64}", text) for name, text in kept.items()}
    names = (f"{name.removeprefix(f'{SCRIPTS_FOLDER}/')}\n" for name in scripts)
    return {**kept, SCRIPTS: "".join(names)}


def expected(name: str) -> dict[str, str]:
    """Return the expected files of a case, without digests."""
    files = sorted((CASES / name / "expected").iterdir())
    return {path.name: path.read_bytes().decode() for path in files}


def is_dockerfile(name: str) -> bool:
    """Return whether a file is a Dockerfile: the only one, or that of an image."""
    return name == "Dockerfile" or name.endswith(".Dockerfile")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        place = project_in(Path(name))
        for file, text in without_digests(export(Path(name))).items():
            (place.parent / f"{place.name}.found" / file).parent.mkdir(exist_ok=True)
            (place.parent / f"{place.name}.found" / file).write_bytes(text.encode())
