"""The script that builds the project's wheel inside the build."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.inside.build_wheel import build, main

if TYPE_CHECKING:
    from pathlib import Path

BACKEND = """
from pathlib import Path

class Hooks:
    def build_wheel(self, folder):
        Path(folder, "it-1.0-py3-none-any.whl").touch()
        return "it-1.0-py3-none-any.whl"

hooks = Hooks()
"""


@pytest.fixture(autouse=True)
def in_tree_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that lies in the project, as PEP 517 allows."""
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "our_backend.py").write_text(BACKEND)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "our_backend", raising=False)


def test_a_backend_named_by_module_and_object(tmp_path: Path) -> None:
    """`build-backend` may name an object, and `backend-path` where its module lies."""
    folder = tmp_path / "wheels"
    assert build("our_backend:hooks", ["backend"], folder) == "it-1.0-py3-none-any.whl"
    assert [path.name for path in folder.iterdir()] == ["it-1.0-py3-none-any.whl"]


def test_the_log_names_the_wheel(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader of the build log sees what was built."""
    arguments = ["--backend", "our_backend:hooks", "--backend-path", "backend"]
    assert main([*arguments, "--wheel-dir", "wheels"]) == 0
    assert capsys.readouterr().out == "Built it-1.0-py3-none-any.whl\n"


def test_an_unknown_backend_fails(tmp_path: Path) -> None:
    """A backend that is not installed is an error of the build."""
    with pytest.raises(ModuleNotFoundError, match="no_such_backend"):
        build("no_such_backend", [], tmp_path)
