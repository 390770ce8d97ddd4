"""Tests of the script that builds the project's wheel."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from poetry_docker_cache.inside.install import build_wheel
from poetry_docker_cache.inside.install.build_wheel import build, main

BACKEND = """
from pathlib import Path

class Hooks:
    def build_wheel(self, folder, settings=None):
        Path(folder, "it-1.0-py3-none-any.whl").touch()
        return "it-1.0-py3-none-any.whl"

hooks = Hooks()
"""


@pytest.fixture(autouse=True)
def in_tree_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a backend into the project, as PEP 517 allows."""
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "our_backend.py").write_text(BACKEND)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "our_backend", raising=False)


def test_backend_is_module_and_object(tmp_path: Path) -> None:
    """`build-backend` may name an object, and `backend-path` the folder of its module."""
    folder = tmp_path / "wheels"
    assert build("our_backend:hooks", ["backend"], folder) == "it-1.0-py3-none-any.whl"
    assert [path.name for path in folder.iterdir()] == ["it-1.0-py3-none-any.whl"]


def test_missing_build_requirements_fail(tmp_path: Path) -> None:
    """Nothing is downloaded during the build: the error says where to add what is missing."""
    backend = tmp_path / "backend" / "our_backend.py"
    hook = "    def get_requires_for_build_wheel(self, settings=None):\n        return {}\n"
    installed = ["pytest>=1", "not-there; python_version < '3'", "puccinialin"]
    backend.write_text(BACKEND.replace("hooks =", hook.format(installed) + "\nhooks ="))
    assert build("our_backend:hooks", ["backend"], tmp_path / "wheels", {"a": "b"})
    del sys.modules["our_backend"]
    backend.write_text(BACKEND.replace("hooks =", hook.format(["not-there>=2"]) + "\nhooks ="))
    with pytest.raises(
        SystemExit, match=r"requires not-there>=2 to build the wheel(?s:.)*`requires`"
    ):
        build("our_backend:hooks", ["backend"], tmp_path / "wheels")


def test_log_names_the_wheel(capsys: pytest.CaptureFixture[str]) -> None:
    """The build log shows what was built."""
    arguments = ["--backend", "our_backend:hooks", "--backend-path", "backend"]
    assert main([*arguments, "--wheel-dir", "wheels"]) == 0
    assert capsys.readouterr().out == "Built it-1.0-py3-none-any.whl\n"


def test_unknown_backend_fails(tmp_path: Path) -> None:
    """A backend that is not installed fails the build."""
    with pytest.raises(ModuleNotFoundError, match="no_such_backend"):
        build("no_such_backend", [], tmp_path)


def test_modules_next_to_the_script_hide_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import in a backend never finds the scripts of the plugin."""
    monkeypatch.syspath_prepend(str(Path(build_wheel.__file__).parent))
    with pytest.raises(ModuleNotFoundError, match="failures"):
        build("failures", [], tmp_path)
