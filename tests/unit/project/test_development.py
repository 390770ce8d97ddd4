"""What an image of the whole source tree leaves out, because only development needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plans import TREE, plan, project
from roots import write

from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.project.root.development import development_files
from poetry_docker_cache.render.dockerfile import render_ignore_file

if TYPE_CHECKING:
    from pathlib import Path

TREE_FILES = (
    *("docs/index.md", "terraform/main.tf", "tests/test_a.py", ".devcontainer/x", "loadtest.csv"),
    *("fixtures/a.json", "web/package.json", "web/src/a.ts", "app/tests/test_b.py", "app/a.py"),
)
ALL = ("**/tests", ".devcontainer", "docs", "fixtures", "loadtest.csv", "terraform", "web")


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ([], ()),
        (["app/main.py=# see docs/ and https://x.example/docs/a\nApp(docs_url='/docs')"], ()),
        (["test.sh=pytest tests # fixtures/\n", "pytest.ini=tests/"], ()),
        (["mkdocs.yml=docs_dir: docs/", "tests/conftest.py=open('docs/a')"], ()),
        (["app/main.py=from app.tests.factories import x"], ("**/tests",)),
        (["app/settings.py=RUNNER = 'app.tests.Runner'"], ("**/tests",)),
        (["app/templates/tests/a.html"], ("**/tests",)),
        (["app/main.py=Path('docs') / 'a'"], ("docs",)),
        (["app/main.py=open('web/dist/index.html')"], ("web",)),
        (["app/main.py=open(f'{BASE}/fixtures/a.json')"], ("fixtures",)),
        (["manage.py"], ("fixtures",)),
        (["entrypoint.sh=load ./loadtest.csv\n"], ("loadtest.csv",)),
        (["config.yaml=folder: docs/x"], ("docs",)),
        (["web/api.py"], ("web",)),
    ],
)
def test_only_unnamed_paths_are_left_out(
    tmp_path: Path, files: list[str], kept: tuple[str, ...]
) -> None:
    """Code and configuration count, but not tests, comments and the files of tools."""
    write(tmp_path, *TREE_FILES, *files)
    found = development_files(tmp_path, ())
    left = [name for name in found if name != "tests"] if "**/tests" in kept else found
    assert {*left} == {*ALL} - {*kept}


def test_needed_path_is_kept(tmp_path: Path) -> None:
    """A start command or an application may be there."""
    write(tmp_path, *TREE_FILES)
    found = development_files(tmp_path, ["docs/serve.py"])
    assert {*found} == {*ALL} - {"docs"}


@pytest.mark.parametrize(
    ("settings", "hidden"),
    [
        ({}, ("docs", "tests", "a/tests")),
        ({"ignore": ("!tests",)}, ("docs",)),
        ({"command": ("python", "docs/serve.py")}, ("tests", "a/tests")),
        ({"files": (".",)}, ()),
    ],
)
def test_settings_decide(settings: dict[str, tuple[str, ...]], hidden: tuple[str, ...]) -> None:
    """What a setting names is included, and a note lists the rest."""
    tree = project(root=TREE, files=None, development=("**/tests", "docs"))
    made = plan(tree, **settings)
    lines = [parse(line) for line in render_ignore_file(made, "Dockerfile").split("\n")]
    paths = ("docs", "tests", "a/tests", "a/b.py")
    assert tuple(path for path in paths if hiding_line(lines, f"{path}/x") >= 0) == hidden
    assert any(note.startswith("Left out") for note in made.notes) == bool(hidden)
