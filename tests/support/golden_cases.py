"""Runs the real `poetry docker export` on copies of the cases; also by itself, as a process."""

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
"""How the names of those cases begin that tests/shapes writes, all but the lock."""
NAMES = tuple(
    sorted({*(path.name for path in CASES.iterdir()), *(f"{_SHAPE}{it}" for it in SHAPES)})
)
NOTES = "notes.txt"
SCRIPTS = "scripts.txt"
"""The names of the exported scripts."""
_DIGEST = re.compile(r"(?<=^# )(?P<what>[^\n]*)sha256:[0-9a-f]{64}$", re.MULTILINE)
OPTIONS = {"images": ("--bake",)}
"""What is asked for besides, by the name of the case."""
PLACES = {"monorepo": "services/api"}
"""Where the project lies, in the cases that have more around it."""
URLS = {name: f"https://acme.example/{name}/simple/" for name in INDEXES}
"""The indexes of the shapes."""


def shape_of(name: str) -> Shape | None:
    """Give the shape that a case is of, if it is of one."""
    return SHAPES[name.removeprefix(_SHAPE)] if name.startswith(_SHAPE) else None


def lock_of(name: str) -> Path:
    """Give the path of a case's lock."""
    return CASES / name / "project" / PLACES.get(name, ".") / "poetry.lock"


def copy_case(name: str, folder: Path) -> Path:
    """Copy a case to this folder, which is made, and give it."""
    shutil.copytree(CASES / name / "project", folder)
    if shape := shape_of(name):
        shape.write(folder, URLS)
    return folder


def project_in(case: Path) -> Path:
    """Give the project's folder in the copy of a case, which has the case's name."""
    return case / PLACES.get(case.name, ".")


def export(case: Path) -> dict[str, bytes]:
    """Call the command in a case's project; give what it wrote and what it said, by file name."""
    folder = project_in(case)
    Config.create(reload=True)  # Poetry reads one poetry.toml per process
    before = set(folder.rglob("*"))
    outcome = poetry(folder, "docker", "export", *OPTIONS.get(case.name, ()))
    assert outcome.status == 0, outcome.err
    new = sorted(path for path in {*folder.rglob("*")} - before if path.is_file())
    written = {path.relative_to(folder).as_posix(): path.read_bytes() for path in new}
    return {**written, NOTES: outcome.err.encode()}


def without_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Give the files as they are kept: zeros for digests, and a list of names for the scripts."""
    scripts = [name for name in files if name.startswith(f"{SCRIPTS_FOLDER}/")]
    kept = {name: content.decode() for name, content in files.items() if name not in scripts}
    kept = {name: _DIGEST.sub(rf"\g<what>sha256:{'0' * 64}", text) for name, text in kept.items()}
    names = (f"{name.removeprefix(f'{SCRIPTS_FOLDER}/')}\n" for name in scripts)
    return {**kept, SCRIPTS: "".join(names)}


def expected(name: str) -> dict[str, str]:
    """Give the files that a case's export is to write, as they are kept here: without digests."""
    files = sorted((CASES / name / "expected").iterdir())
    return {path.name: path.read_bytes().decode() for path in files}


def is_dockerfile(name: str) -> bool:
    """Tell a Dockerfile, the only one or that of an image, from the other files."""
    return name == "Dockerfile" or name.endswith(".Dockerfile")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        place = project_in(Path(name))
        for file, text in without_digests(export(Path(name))).items():
            (place.parent / f"{place.name}.found" / file).parent.mkdir(exist_ok=True)
            (place.parent / f"{place.name}.found" / file).write_bytes(text.encode())
