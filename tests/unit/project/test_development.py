"""What an image of the whole source tree leaves out, because only development needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plans import MAIN, TREE, plan, project
from roots import write

from poetry_docker_cache.docker.ignore_patterns import hiding_line, parse
from poetry_docker_cache.plan.image_plan import TEST
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.root.development import development_files
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from pathlib import Path

TREE_FILES = (
    *("docs/index.md", "terraform/main.tf", "tests/test_a.py", ".devcontainer/x", "loadtest.csv"),
    *("fixtures/a.json", "web/package.json", "web/src/a.ts", "app/tests/test_b.py", "app/a.py"),
)
ALL = (
    "app/tests",
    "tests",
    ".devcontainer",
    "docs",
    "fixtures",
    "loadtest.csv",
    "terraform",
    "web",
)


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ([], ()),
        (["app/main.py=# see docs/ and https://x.example/docs/a\nApp(docs_url='/docs')"], ()),
        (["test.sh=pytest tests # fixtures/\n", "pytest.ini=tests/"], ()),
        (["mkdocs.yml=docs_dir: docs/", "tests/conftest.py=open('docs/a')"], ()),
        (["app/main.py=from app.tests.factories import x"], ("app/tests", "tests")),
        (["app/settings.py=RUNNER = 'app.tests.Runner'"], ("app/tests", "tests")),
        (["app/templates/tests/a.html"], ("app/tests",)),
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
    assert {*development_files(tmp_path, ())} == {*ALL} - {*kept}


def test_needed_path_is_kept(tmp_path: Path) -> None:
    """A start command or an application may be there."""
    write(tmp_path, *TREE_FILES)
    (tmp_path / "app" / "gone.py").symlink_to("nowhere.py")
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
    tree = project(root=TREE, files=None, development=("a/tests", "docs", "tests"))
    made = plan(tree, **settings)
    lines = [parse(line) for line in render_ignore_file(made, "Dockerfile").split("\n")]
    paths = ("docs", "tests", "a/tests", "a/b.py")
    assert tuple(path for path in paths if hiding_line(lines, f"{path}/x") >= 0) == hidden
    assert any(note.startswith("Left out") for note in made.notes) == bool(hidden)


def test_image_for_tests_gets_what_is_left_out() -> None:
    """The final image is the same with and without it."""
    tree = project(root=TREE, files=None, development=(".github", "a/tests", "docs"))
    made = make_plan(tree, Settings(), MAIN, variants={TEST: MAIN})
    lines = [parse(line) for line in render_ignore_file(made, "Dockerfile").split("\n")]
    assert hiding_line(lines, "a/tests/x.py") < 0 <= hiding_line(lines, ".github/x")
    (variant,) = made.variants
    assert variant.paths == ("a/tests", "docs")
    assert "rm -rf Dockerfile.scripts a/tests docs" in render_dockerfile(made)
