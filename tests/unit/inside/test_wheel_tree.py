"""Tests of unpacking wheels; tests/integration/test_wheel_pip.py compares the files with pip's."""

from __future__ import annotations

import csv
import runpy
import stat
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.inside.install import wheel_tree
from poetry_docker_cache.inside.install.earlier_image import is_intact, recorded_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
INFO = "evil-1.0.dist-info"
DATA = "evil-1.0.data"
VALID = {f"{INFO}/WHEEL": WHEEL, f"{INFO}/RECORD": ""}
SITE = "lib/python3.13/site-packages"


def make(folder: Path, files: Mapping[str, str | bytes], *, complete: bool = True) -> Path:
    """Write a wheel with any names; `complete` adds its metadata."""
    path = folder / "evil-1.0-py3-none-any.whl"
    names = {f"{INFO}/WHEEL": WHEEL, f"{INFO}/METADATA": "Name: evil\n", f"{INFO}/RECORD": ""}
    content = names if complete else {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**content, **files}.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return what looks like a virtual environment, in a folder of its own."""
    path = tmp_path / "image" / "venv"
    (path / SITE).mkdir(parents=True)
    (path / "bin").mkdir()
    (path / "bin" / "activate").write_text("own")
    (path / "bin" / "python").symlink_to("/usr/local/bin/python")
    (path / "pyvenv.cfg").write_text("own")
    (path / "lib64").symlink_to("lib")
    return path


def outside(venv: Path) -> set[tuple[str, object]]:
    """Describe what is around the environment, and its own files."""
    around = {path for path in venv.parent.parent.rglob("*") if venv not in path.parents}
    own = {venv / name for name in ("bin/activate", "pyvenv.cfg")}
    links = {(str(venv / name), (venv / name).readlink()) for name in ("bin/python", "lib64")}
    files = {path for path in around | own if path.is_file() and path.suffix != ".whl"}
    return (
        {(str(path), path.read_bytes()) for path in files}
        | links
        | {(str(path), None) for path in around}
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc/passwd", "must not contain"),
        ("../../../../../x", "must not contain"),
        ("evil/../../x", "must not contain"),
        ("evil//x", "must not contain"),
        (f"{DATA}/data/../x", "must not contain"),
        (f"{DATA}/data//etc/x", "must not contain"),
        (f"{DATA}/data/pyvenv.cfg", "must not contain"),
        (f"{DATA}/data/./pyvenv.cfg", "must not contain"),
        (f"{DATA}/data/lib64", "must not contain"),
        (f"{DATA}/data/lib", "must not contain"),
        (f"{DATA}/data/bin", "must not contain"),
        (f"{DATA}/data/bin/python", "must not contain"),
        (f"{DATA}/data/include", "must not contain"),
        (f"{DATA}/data/include/python3.13", "must not contain"),
        (f"{DATA}/data/lib64/../pyvenv.cfg", "must not contain"),
        (f"{DATA}/data/lib64/python3.13", "python3.13 is already a folder"),
        (f"{DATA}/data/bin/python/x", "must not contain"),
        (f"{DATA}/data/pyvenv.cfg/x", "must not contain"),
        (f"{DATA}/scripts/python3.13", "must not contain"),
        (f"{DATA}/scripts/activate.fish", "must not contain"),
        (f"{DATA}/scripts/Activate.ps1", "must not contain"),
        (f"{DATA}/data/share/poetry-docker-cache/x.json", "must not contain"),
        (f"{DATA}/data", "unknown place"),
        (f"{DATA}/stdlib/x.py", "unknown place"),
        (".", "site-packages is already a folder"),
        ("other-1.0.dist-info/RECORD", "found evil-1.0.dist-info, other-1.0.dist-info"),
    ],
)
def test_file_in_a_forbidden_place(venv: Path, tmp_path: Path, name: str, said: str) -> None:
    """The error names the wheel, and nothing outside of the environment changes."""
    path = make(tmp_path, {name: "#!python\nevil\n"})
    before = outside(venv)
    with pytest.raises(ValueError, match=said) as caught:
        wheel_tree.install(path, venv)
    assert str(caught.value).startswith("evil-1.0-py3-none-any.whl cannot be installed: ")
    assert str(tmp_path / "evil") not in str(caught.value)
    assert outside(venv) == before


@pytest.mark.parametrize(
    "line",
    [
        *("../x = m:f", "/x = m:f", ". = m:f", ".. = m:f", "a/b = m:f", "= m:f", "x"),
        *("python = m:f", "python3.13 = m:f", "activate = m:f"),
        *("x = m", "x = m:", "x = m:f()", "x = m:f;evil", "x = m:f\\nimport evil", "x = m f:g"),
    ],
)
@pytest.mark.parametrize("section", ["console_scripts", "gui_scripts"])
def test_invalid_entry_point(venv: Path, tmp_path: Path, section: str, line: str) -> None:
    """A script is a name, and a function of a module."""
    path = make(tmp_path, {f"{INFO}/entry_points.txt": f"[{section}]\n{line}\n"})
    before = outside(venv)
    with pytest.raises(ValueError, match=r"invalid entry point|must not contain"):
        wheel_tree.install(path, venv)
    assert outside(venv) == before


def test_scripts_of_entry_points(venv: Path, tmp_path: Path) -> None:
    """Lines may be indented, other sections are ignored, and the last one of a name counts."""
    text = (
        "; comment\n[other]\nbad line\nx = /etc\n [console_scripts]\none = m:old\n"
        "  one = m.n : f.g [extra]\n# two = m:f\n    activate-global-python-argcomplete=m:f\n"
    )
    wheel_tree.install(make(tmp_path, {f"{INFO}/entry_points.txt": text}), venv)
    new = {path.name for path in (venv / "bin").iterdir()} - {"python", "activate"}
    assert new == {"one", "activate-global-python-argcomplete"}
    script = (venv / "bin" / "one").read_text()
    assert script.startswith(f"#!{venv}/bin/python\n")
    assert "from m.n import f\n" in script
    assert "sys.exit(f.g())\n" in script


def test_script_of_a_module_with_a_dash(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No import statement can name it, but it runs, as with `poetry run`."""
    files = {"m/a-b.py": "class f:\n    def g():\n        return 7\n"}
    text = "[console_scripts]\none = m.a-b:f.g\n"
    wheel_tree.install(make(tmp_path, {**files, f"{INFO}/entry_points.txt": text}), venv)
    monkeypatch.syspath_prepend(str(venv / SITE))
    with pytest.raises(SystemExit, match=r"^7$"):
        runpy.run_path(str(venv / "bin" / "one"), run_name="__main__")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"evil.py": ""}, r"expected one folder evil-\*.dist-info, found no folder"),
        ({"other-1.0.dist-info/WHEEL": WHEEL}, "found other-1.0.dist-info"),
        ({"evilish-1.0.dist-info/WHEEL": WHEEL}, "found evilish-1.0.dist-info"),
        ({f"{INFO}/METADATA": ""}, "unknown version"),
        ({f"{INFO}/WHEEL": "Wheel-Version: 2.0\n"}, "unknown version"),
        ({**VALID, f"{INFO}/entry_points.txt": b"\xff"}, "codec"),
        ({f"{INFO}/WHEEL": b"\0" * (1 << 25)}, "WHEEL is too large"),
        ({f"{INFO}/WHEEL": WHEEL}, "evil-1.0.dist-info/RECORD is missing"),
        ({**VALID, "a": "", "a/b": ""}, "cannot be installed"),
        ({**VALID, "a/b": "", "a": ""}, "a is already a folder"),
    ],
)
def test_invalid_wheel(
    venv: Path, tmp_path: Path, files: dict[str, str | bytes], said: str
) -> None:
    """The error says what is wrong."""
    with pytest.raises(ValueError, match=said):
        wheel_tree.install(make(tmp_path, files, complete=False), venv)


@pytest.mark.parametrize("damage", ["not a zip", "cut", "content", "encrypted", "method"])
def test_damaged_wheel(venv: Path, tmp_path: Path, damage: str) -> None:
    """Its checksums are checked."""
    path = make(tmp_path, {"evil.py": bytes(range(256)) * 9})
    content = bytearray(path.read_bytes())
    name = content.rindex(b"evil.py") - 46
    if damage == "content":
        content[content.index(b"evil.py") + 20] ^= 255
    elif damage == "encrypted":
        for header in (name + 8, content.index(b"evil.py") - 30 + 6):
            content[header] |= 1
    elif damage == "method":
        content[name + 10] = 99
    elif damage == "cut":
        del content[-30:]
    elif damage == "not a zip":
        del content[2:]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^evil-1.0-py3-none-any.whl cannot be installed: "):
        wheel_tree.install(path, venv)


def test_links_and_odd_names_are_plain_files(venv: Path, tmp_path: Path) -> None:
    """A link in a wheel becomes a file with its text; a backslash is a character of a name."""
    link = zipfile.ZipInfo("evil_link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = make(tmp_path, {"..\\x": "x"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("evil_dir/", "")
    before = outside(venv)
    wheel_tree.install(path, venv)
    found = venv / SITE / "evil_link"
    assert not found.is_symlink()
    assert (found.read_text(), found.stat().st_mode & 0o777) == ("/etc/passwd", 0o644)
    assert (venv / SITE / "..\\x").read_text() == "x"
    assert outside(venv) == before


def test_link_of_an_earlier_package_is_replaced(venv: Path, tmp_path: Path) -> None:
    """Its target is not written."""
    (tmp_path / "target").write_text("own")
    (venv / SITE / "evil.py").symlink_to(tmp_path / "target")
    wheel_tree.install(make(tmp_path, {"evil.py": "evil"}), venv)
    assert (venv / SITE / "evil.py").read_text() == "evil"
    assert (tmp_path / "target").read_text() == "own"


@pytest.mark.parametrize("name", ["evil.bin", f"{DATA}/scripts/evil"])
def test_large_file_needs_little_memory(venv: Path, tmp_path: Path, name: str) -> None:
    """It is copied in blocks, also as a script."""
    path = make(tmp_path, {name: bytes(1 << 26)})
    tracemalloc.start()
    try:
        wheel_tree.install(path, venv)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 24
    made = venv / SITE / "evil.bin" if name == "evil.bin" else venv / "bin" / "evil"
    assert made.stat().st_size == 1 << 26


def test_record_lists_each_file_once(venv: Path, tmp_path: Path) -> None:
    """It has the hashes of what was written, although the wheel has files twice or its own list."""
    files = {
        'evil/a,b "c".py': "first",
        "evil/ä.py": "",
        f"{DATA}/purelib/evil/ä.py": "second",
        f"{DATA}/scripts/run": "#!python -x\nprint()\n",
        f"{INFO}/RECORD": "gone.py,,\n",
        f"{INFO}/INSTALLER": "other\n",
        f"{INFO}/entry_points.txt": "[console_scripts]\nevil = evil:main\n",
    }
    info = wheel_tree.install(make(tmp_path, files), venv)
    assert info == venv / SITE / INFO
    assert (info / "INSTALLER").read_text() == f"{wheel_tree.INSTALLER}\n"
    with (info / "RECORD").open(newline="") as file:
        names = [row[0] for row in csv.reader(file)]
    listed = {(venv / SITE / name).resolve() for name in names}
    own = {venv / "bin" / "activate", venv / "pyvenv.cfg"}
    written = {path for path in venv.rglob("*") if path.is_file() and not path.is_symlink()} - own
    assert listed == written
    assert len(names) == len(listed)
    assert is_intact(venv, recorded_files(venv, info / "RECORD"))
    assert (venv / "bin" / "run").read_bytes() == f"#!{venv}/bin/python\nprint()\n".encode()


def test_lib64_is_lib(venv: Path, tmp_path: Path) -> None:
    """The environment's `lib64` is a link; RECORD has the real path."""
    info = wheel_tree.install(make(tmp_path, {f"{DATA}/data/lib64/x.so": "x"}), venv)
    assert (venv / "lib64").is_symlink()
    assert (venv / "lib" / "x.so").read_text() == "x"
    assert "../../x.so,sha256=" in (info / "RECORD").read_text()


def test_compiled_modules_are_left_out(venv: Path, tmp_path: Path) -> None:
    """They would be outdated; elsewhere, a folder of this name is data."""
    files = {
        "evil/__pycache__/a.cpython-313.pyc": "x",
        f"{DATA}/data/lib/python3.13/site-packages/__pycache__/b.pyc": "x",
        f"{DATA}/data/share/__pycache__/c": "x",
    }
    info = wheel_tree.install(make(tmp_path, files), venv)
    assert not [*(venv / "lib").rglob("__pycache__")]
    assert (venv / "share" / "__pycache__" / "c").exists()
    assert ".pyc" not in (info / "RECORD").read_text()


@pytest.mark.parametrize("name", [b"evil\0py", b"\0vil_py"])
def test_name_with_nul(venv: Path, tmp_path: Path, name: bytes) -> None:
    """Programs would read different names, or none."""
    path = make(tmp_path, {"evil_py": "x"})
    path.write_bytes(path.read_bytes().replace(b"evil_py", name))
    with pytest.raises(ValueError, match="NUL"):
        wheel_tree.install(path, venv)
