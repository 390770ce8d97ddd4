"""Tests of the files of an image that do not come from wheels."""

from __future__ import annotations

import os
import sys
import venv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plans
import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.base_facts import BaseFacts
from poetry_docker_cache.no_engine.image_files import (
    environment_files,
    project_files,
    user_folders,
    workdir_folders,
)
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from poetry_docker_cache.no_engine.tree import Entry

HERE = "{}.{}.{}".format(*sys.version_info[:3])
# The command line sets this default, the class does not.
SCM: Any = {"scm_ignore_files": frozenset({"git"})} if sys.version_info >= (3, 13) else {}
# Python 3.12 and 3.13, before and since their templates rely on quotes in the values.
QUOTED = 'export VIRTUAL_ENV="__VENV_DIR__"\nPS1="__VENV_PROMPT__${PS1:-}"\n'
UNQUOTED = 'export VIRTUAL_ENV=__VENV_DIR__\nPS1=__VENV_PROMPT__"${PS1:-}"\n'


def facts(**keys: Any) -> BaseFacts:  # noqa: ANN401  # any field
    """Describe a base image."""
    defaults: dict[str, Any] = {
        "python": "3.13.5",
        "abi": "cp313",
        "interpreter": "/usr/local/bin/python",
        "executable": "/usr/local/bin/python3.13",
        "libc": "glibc",
        "libc_version": (2, 36),
        "machine": "x86_64",
        "programs": (),
        "search": (),
        "scripts": {},
        "folders": {},
        "links": {},
        "libraries": {},
    }
    return BaseFacts(**{**defaults, **keys})


def described(path: Path) -> tuple[int, bytes | str | None]:
    """Return the mode of a path, and what it contains or links to."""
    mode = path.lstat().st_mode & 0o777
    if path.is_symlink():
        return mode, str(path.readlink())
    return mode, path.read_bytes() if path.is_file() else None


def content(entry: Entry) -> bytes | str | None:
    """Return what an entry contains or links to."""
    return b"".join(entry.content.chunks()) if entry.content else entry.link


def test_environment_is_that_of_this_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the files that the module venv writes for the same interpreter."""
    python = Path(sys.base_prefix, "bin", "python3")
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys, "_base_executable", str(python))
    place = tmp_path / "venv"
    mask = os.umask(0o022)
    try:
        venv.EnvBuilder(with_pip=False, symlinks=True, **SCM).create(place)
    finally:
        os.umask(mask)
    templates = Path(venv.__file__).parent / "scripts"
    scripts = {
        path.name: path.read_bytes().decode()
        for folder in ("common", "posix")
        for path in (templates / folder).iterdir()
    }
    base = facts(
        python=HERE,
        interpreter=str(python),
        executable=os.path.realpath(python),
        scripts=scripts,
    )
    found = {entry.path: (entry.mode, content(entry)) for entry in environment_files(base)}
    expected = {}
    for path in (place, *place.rglob("*")):
        mode, text = described(path)
        text = text.replace(f"{tmp_path}".encode(), b"") if isinstance(text, bytes) else text
        expected[path.relative_to(tmp_path).as_posix()] = (mode, text)
    assert found == expected


@pytest.mark.parametrize(
    ("python", "template", "expected"),
    [
        ("3.12.1", QUOTED, 'export VIRTUAL_ENV="/venv"\nPS1="(venv) ${PS1:-}"\n'),
        ("3.12.8", UNQUOTED, "export VIRTUAL_ENV=/venv\nPS1='(venv) '\"${PS1:-}\"\n"),
        ("3.13.0", QUOTED, 'export VIRTUAL_ENV="/venv"\nPS1="venv${PS1:-}"\n'),
        ("3.13.1", UNQUOTED, 'export VIRTUAL_ENV=/venv\nPS1=venv"${PS1:-}"\n'),
    ],
)
def test_scripts_are_filled_as_their_python_does(python: str, template: str, expected: str) -> None:
    """Versions differ in quotes, and in the parentheses of the prompt."""
    base = facts(python=python, scripts={"activate": template})
    found = {entry.path: content(entry) for entry in environment_files(base)}
    assert found["venv/bin/activate"] == expected.encode()


@pytest.mark.parametrize(
    ("python", "some", "others"),
    [
        ("3.9.2", (), ("venv/.gitignore", "venv/include/python3.9", "venv/bin/𝜋thon")),
        ("3.11.2", ("venv/include/python3.11",), ("venv/.gitignore",)),
        ("3.14.0", ("venv/.gitignore", "venv/bin/𝜋thon"), ("venv/bin/python3.13",)),
    ],
)
def test_versions_of_python_have_other_files(
    python: str, some: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """Each has what its own module venv makes."""
    found = {entry.path for entry in environment_files(facts(python=python))}
    assert {*some} <= found
    assert found.isdisjoint(others)


def test_user_owns_folders_and_existing_ones_above_stay_as_they_are() -> None:
    """Links of the base image are followed; root owns new folders above those of the user."""
    table = {
        "workdir": "/srv/shop",
        "user": "app",
        "directories": ["a", "a/b/c", "/opt/x/y"],
    }
    base = facts(
        folders={"srv": (0o775, 3, 4), "data": (0o700, 0, 0), "opt/x/y": (0o1777, 5, 5)},
        links={"home": "/data"},
        users={"root": (0, 0), "app": (7, 8), "toor": (0, 0)},
    )
    made = make_plan(plans.project(), Settings.parse(table), plans.MAIN)
    found = {
        entry.path: (entry.mode, entry.uid, entry.gid)
        for entry in (*workdir_folders(base, made.runtime), *user_folders(base, made.runtime))
    }
    assert found == {
        "srv": (0o775, 3, 4),
        "srv/shop": (0o755, 0, 0),
        "srv/shop/a": (0o755, 7, 8),
        "srv/shop/a/b": (0o755, 7, 8),
        "srv/shop/a/b/c": (0o755, 7, 8),
        "data": (0o700, 0, 0),
        "data/app": (0o755, 7, 8),
        "opt": (0o755, 0, 0),
        "opt/x": (0o755, 0, 0),
        "opt/x/y": (0o1777, 7, 8),
    }
    for name, words in (("who", "Its users: app."), ("toor", "is root in the base image")):
        with pytest.raises(DockerCacheError) as caught:
            [*user_folders(base, replace(made.runtime, user=name))]
        assert words in str(caught.value)
        assert caught.value.fix


def copied(context: Path, ignore: str, *files: str) -> dict[str, Entry]:
    """List the project's files that an image gets."""
    made = make_plan(plans.project(), Settings.parse({"files": [*files]}), plans.MAIN)
    entries = project_files(context, made, ignore, ["Dockerfile.scripts"])
    return {entry.path: entry for entry in entries}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a project with some files."""
    for path in (
        "static/a.css",
        "static/deep/b.css",
        "static/c.log",
        "run.sh",
        "Dockerfile.scripts/x",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
        (tmp_path / path).chmod(0o600)
    (tmp_path / "run.sh").chmod(0o4700)
    (tmp_path / "static" / "link").symlink_to("a.css")
    (tmp_path / "linked").symlink_to("static")
    return tmp_path


def test_named_files_are_copied(context: Path) -> None:
    """Modes on this machine do not matter, except that programs stay executable."""
    found = copied(context, "**/*.log\n", "static", "run.sh")
    assert {path: (entry.mode, content(entry)) for path, entry in found.items()} == {
        "app": (0o755, None),
        "app/run.sh": (0o755, b"run.sh"),
        "app/static": (0o755, None),
        "app/static/a.css": (0o644, b"static/a.css"),
        "app/static/deep": (0o755, None),
        "app/static/deep/b.css": (0o644, b"static/deep/b.css"),
        "app/static/link": (0o777, "a.css"),
    }


def test_all_files_but_ignored_ones_are_copied(context: Path) -> None:
    """A later line includes a file of an excluded folder; the build's own scripts are left out."""
    found = copied(context, "static\n!static/deep/*\nlinked\n", ".")
    assert [*found] == [
        "app",
        "app/run.sh",
        "app/static",
        "app/static/deep",
        "app/static/deep/b.css",
    ]


def test_time_of_a_file_depends_on_its_content(context: Path) -> None:
    """Servers compare static files by time and size; the time on this machine does not matter."""
    first = copied(context, "", "static")["app/static/a.css"]
    os.utime(context / "static" / "a.css", (1, 1))
    assert copied(context, "", "static")["app/static/a.css"].mtime == first.mtime
    (context / "static" / "a.css").write_text("other words!")
    assert copied(context, "", "static")["app/static/a.css"].mtime != first.mtime


def test_special_files_are_an_error(context: Path) -> None:
    """An image cannot contain a pipe of this machine."""
    os.mkfifo(context / "static" / "pipe")
    with pytest.raises(DockerCacheError, match="pipe is not a file"):
        copied(context, "", "static")
