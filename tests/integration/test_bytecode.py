"""Tests of bytecode that is made on this machine."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import plans
import pytest
from wheels import make_wheel

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside import compile as compile_script
from poetry_docker_cache.inside.install import installed_files, wheel_tree
from poetry_docker_cache.no_engine.bytecode import Compiler, host_python
from poetry_docker_cache.no_engine.image_layers import files_layer, wheel_layer
from poetry_docker_cache.no_engine.tree import Bytes, Entry, Tree
from poetry_docker_cache.no_engine.wheel_choice import ImageTarget, LayerFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULES: Mapping[str, str | bytes] = {
    **{
        f"shape/{name}.py": Path(str(importlib.util.find_spec(name).origin)).read_bytes()  # type: ignore[union-attr]
        for name in ("argparse", "ast", "inspect", "typing")
    },
    "shape/__init__.py": "NAMES = {'a', 'b', 'c'} & {'d', 'e'}\nX = 'x' in {'a', 'b', 'c', 'x'}\n",
    "shape/deep/below/__init__.py": "",
    "shape/template.py": "import {{ name }}\n",
    "shape/nul.py": "a\0b",
    "shape/latin.py": b"# coding: latin-1\nX = '\xe9'\n",
    "shape/old.py": "print 'Python 2'\n",
    "shape/warns.py": "X = 1 is 1\n",
    "shape/data.txt": "x",
    "shape-1.0.data/scripts/run.py": "#!python\nX = 1\n",
}
TARGET = ImageTarget(
    python="{}.{}.0".format(*sys.version_info),
    abi="cp{}{}".format(*sys.version_info),
    libc="glibc",
    libc_version=(2, 36),
    machine="x86_64",
)


def described(top: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time and content of what is below a folder, by path."""
    return {
        str(path): (
            path.stat().st_mode & 0o7777,
            int(path.stat().st_mtime),
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in sorted(top.rglob("*"))
        if not path.is_symlink()
    }


def entries(tree: Tree, top: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return the same for a tree."""
    return {
        f"/{entry.path}": (
            entry.mode,
            entry.mtime,
            b"".join(entry.content.chunks()) if entry.content else b"",
        )
        for entry in tree
        if f"/{entry.path}".startswith(f"{top}/")
    }


def compiler(folder: Path) -> Compiler:
    """Return a compiler with a folder of its own."""
    place = folder / "private"
    place.mkdir()
    return Compiler(folder=place)


def test_packages_equal_to_an_ordinary_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes, modes and times are, whatever the variables of this process."""
    wheels = [make_wheel(tmp_path, "shape", files=MODULES), make_wheel(tmp_path, "other")]
    venv = tmp_path / "venv"
    (venv / "lib" / f"python{host_python()}" / "site-packages").mkdir(parents=True)
    (venv / "bin").mkdir()
    for path in wheels:
        wheel_tree.install(path, venv)
    installed_files.compile_all(venv)
    installed_files.set_times(venv)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "elsewhere"))
    planned = wheel_layer(
        LayerFiles(name="pure-1", files=()),
        replace(TARGET, prefix=str(venv)),
        history="",
        has_libraries=False,
        paths=lambda: wheels,
        compiler=compiler(tmp_path),
    )
    expected = described(venv)
    assert entries(planned.make().tree, venv) == expected
    names = {Path(path).name.partition(".")[0] for path in expected if path.endswith(".pyc")}
    assert {"argparse", "latin", "warns"} <= names
    assert names.isdisjoint({"template", "nul", "old", "run"})
    assert planned.make().tree.get(f"{venv}/bin/run.py"[1:])  # another image has the same layer


def test_files_equal_to_an_ordinary_build(tmp_path: Path) -> None:
    """The working directory is compiled, too."""
    context, copy = tmp_path / "context", tmp_path / "app"
    for folder in (context, copy):
        for name, text in {"main.py": "X = 1\n", "a/b.py": "def f(): pass\n", "x.txt": ""}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    script = str(compile_script.__file__)
    subprocess.run([sys.executable, script, "."], cwd=copy, check=True)
    plan = plans.plan(
        plans.project(), python="3.13", files=("main.py", "a", "x.txt"), workdir=str(copy)
    )
    compiled = files_layer(context, plan, "", (), compiler(tmp_path))
    plain = files_layer(context, plan, "", (), None)
    assert compiled
    assert plain
    found = entries(compiled.make().tree, copy)
    cached = {path: file for path, file in described(copy).items() if "__pycache__" in path}
    assert {path: file for path, file in found.items() if "__pycache__" in path} == cached
    assert len(cached) == 4
    assert compiled.key != plain.key
    assert entries(plain.make().tree, copy).keys() == found.keys() - cached.keys()


def test_no_module(tmp_path: Path) -> None:
    """Such a layer stays as it is."""
    tree = Tree([Entry(path="a/x.txt", mode=0o644, mtime=1, content=Bytes(b""))], mtime=1)
    assert [*compiler(tmp_path).add_bytecode(tree, "a", named="/a")] == [*tree]


def test_compiler_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer with part of the bytecode must not get the key of a complete one."""
    tree = Tree([Entry(path="a/x.py", mode=0o644, mtime=1, content=Bytes(b""))], mtime=1)
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nkill -9 $$\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(DockerCacheError, match="ended with status -9"):
        compiler(tmp_path).add_bytecode(tree, "a", named="/a")


def test_only_final_versions_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytecode of a pre-release may have another format."""

    class Version(tuple[int, ...]):
        __slots__ = ()
        releaselevel = "candidate"

    monkeypatch.setattr(platform, "python_version", lambda: "3.15.0rc1")
    assert host_python() != "3.15.0rc1"
    monkeypatch.setattr(sys, "version_info", Version((3, 15, 0)))
    assert host_python() == "3.15.0rc1"
