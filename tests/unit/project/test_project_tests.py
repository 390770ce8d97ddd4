"""Finding the files of a project's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plans import TREE, wheel_root

from poetry_docker_cache.project.test_files import find_test_files

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, files: str, **texts: str) -> Path:
    """Write empty files, and others with a text."""
    for name in files.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_tests_and_configuration_are_found(tmp_path: Path) -> None:
    """Other folders are not."""
    files = (
        "tests/unit/test_a.py conftest.py tox.ini src/shop/a.py docs/a.md test_b.py data/tests/c"
    )
    found = find_test_files(write(tmp_path, files, pyproject=""), wheel_root(paths=("src/shop",)))
    assert found == ("conftest.py", "pyproject.toml", "test_b.py", "tests", "tox.ini")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["checks/*"]'),
        ("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = "checks/unit"'),
        ("pytest.ini", "[pytest]\ntestpaths =\n  checks/unit\n"),
        ("setup.cfg", "[tool:pytest]\ntestpaths = checks/unit ../outside missing\n"),
    ],
)
def test_testpaths_are_read(tmp_path: Path, name: str, text: str) -> None:
    """Patterns too, but nothing outside the project."""
    write(tmp_path, "checks/unit/test_a.py")
    (tmp_path / name).write_text(text)
    assert find_test_files(tmp_path, TREE) == ("checks/unit", name)


def test_tests_in_a_package_come_with_the_package(tmp_path: Path) -> None:
    """They import its modules relatively."""
    write(tmp_path, "src/shop/tests/test_a.py src/shop/a.py")
    assert find_test_files(tmp_path, wheel_root(paths=("src/shop",))) == ("src/shop",)


def test_link_out_of_the_project_is_left_out(tmp_path: Path) -> None:
    """The build would not have its target."""
    write(tmp_path, "elsewhere/test_a.py shop/conftest.py")
    (tmp_path / "shop/tests").symlink_to(tmp_path / "elsewhere")
    assert find_test_files(tmp_path / "shop", TREE) == ("conftest.py",)
