"""Tests of the list of shared libraries that a layer needs and provides."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING, Any

import pytest
from elf_files import make_elf, own_machine

from poetry_docker_cache.inside.install import architecture, shared_libraries

if TYPE_CHECKING:
    from pathlib import Path

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
MACHINE = architecture.machine_of("")
MODULE = EXTENSION_SUFFIXES[0]
"""For example `.cpython-313-x86_64-linux-gnu.so`."""


class Layer:
    """A virtual environment that a test fills."""

    def __init__(self, folder: Path) -> None:
        self.venv = folder / "venv"
        self.site = self.venv / "lib" / f"python{HERE}" / "site-packages"
        self.target = folder / "libraries.json"
        (self.venv / "bin").mkdir(parents=True)
        self.site.mkdir(parents=True)

    def add(self, distribution: str, *files: str) -> None:
        """Record the files of a distribution, by their paths from site-packages."""
        info = self.site / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "RECORD").write_text("".join(f'"{file}",sha256=x,1\n' for file in files) + "\n")

    def write(self, *, built: bool = False, machine: str = MACHINE) -> dict[str, Any]:
        """Write the layer's list and read it."""
        shared_libraries.write(self.venv, self.target, machine, built=built)
        return dict(json.loads(self.target.read_bytes()))

    def needs(self) -> dict[str, Any]:
        """Return what a layer of wheels needs."""
        return dict(self.write()["needs"])


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    """Return an empty layer."""
    return Layer(tmp_path)


@pytest.fixture
def dpkg(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Fake dpkg, with common and odd lines of output; return the list of its calls."""
    asked = []
    answer = (
        "diversion by other-package from: /usr/lib/x/libdiverted.so.1\n"
        "libpq5-cross: /usr/other/lib/libpq.so.5\n"
        f"libpq5:amd64: /usr/lib/{sysconfig.get_config_var('MULTIARCH')}/libpq.so.5\n"
        "liba:amd64, liba:i386: /lib/liba.so.1\n"
    )

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1, stdout=answer, stderr="")

    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/dpkg-query")
    monkeypatch.setattr("subprocess.run", run)
    return asked


def test_empty_layer(layer: Layer) -> None:
    """Its list has the same form, and a mode that does not depend on the umask."""
    number = own_machine()
    assert layer.write() == {"machine": number, "needs": {}, "provides": [], "python": HERE}
    lines = f' "machine": {number},\n "needs": {{}},\n "provides": [],\n "python": "{HERE}"\n'
    assert layer.target.read_text() == f"{{\n{lines}}}\n"
    assert layer.target.stat().st_mode & 0o777 == 0o644


def test_libraries_are_listed_for_wheels(layer: Layer) -> None:
    """They are listed with the packages that need them: the check knows what the image has."""
    make_elf(layer.site / f"a/_a{MODULE}", needed=["libc.so.6", "libxxl.so.5", "libcuda.so.1"])
    make_elf(layer.site / "b.so", needed=["libm.so.6", "libxxl.so.5"])
    layer.add("Some_Package", f"a/_a{MODULE}", "a/__init__.py")
    layer.add("other", "b.so")
    assert layer.needs() == {
        "libc.so.6": {"by": ["some-package"]},
        "libm.so.6": {"by": ["other"]},
        "libxxl.so.5": {"by": ["other", "some-package"]},
    }


def test_libraries_in_the_layer_are_followed(layer: Layer) -> None:
    """Libraries that nothing in the layer links to are ignored."""
    make_elf(layer.site / f"x/x{MODULE}", needed=["libfirst-0a1b2c3d.so.1"])
    make_elf(layer.site / "x.libs/libfirst-0a1b2c3d.so.1", needed=["libsecond.so.2"])
    make_elf(layer.site / "x/lib/libsecond.so.2", needed=["libfirst-0a1b2c3d.so.1", "libgl.so.9"])
    make_elf(layer.site / "x/lib/libbackend.so", needed=["librocm.so.9"])
    layer.add("x", f"x/x{MODULE}", "x.libs/libfirst-0a1b2c3d.so.1", "x/lib/libsecond.so.2")
    found = layer.write()
    assert found["needs"] == {"libgl.so.9": {"by": ["x"]}}
    assert found["provides"] == ["libbackend.so", "libsecond.so.2"]


def test_optional_modules_are_ignored(layer: Layer) -> None:
    """Numba can do without some of its thread pools."""
    for name in ("omppool", "tbbpool", "workqueue"):
        make_elf(layer.site / f"numba/np/ufunc/{name}{MODULE}", needed=[f"lib{name}.so.1"])
    assert set(layer.needs()) == {"libworkqueue.so.1"}


def test_programs_are_read(layer: Layer) -> None:
    """In bin/, symbolic links and scripts are ignored."""
    make_elf(layer.venv / "bin" / "uwsgi", needed=["libxxl.so.5"])
    (layer.venv / "bin" / "python").symlink_to(
        make_elf(layer.venv.parent / "python", needed=["libyyl.so.5"])
    )
    (layer.venv / "bin" / "flask").write_text("#!/venv/bin/python\n")
    layer.add("uwsgi", "../../../bin/uwsgi")
    assert layer.needs() == {"libxxl.so.5": {"by": ["uwsgi"]}}


def test_files_for_other_machines_are_ignored(layer: Layer) -> None:
    """These are files for another processor or C library, and damaged ones."""
    make_elf(layer.site / "a.so", needed=["libxxl.so.5"], machine=22)
    make_elf(layer.site / "b.so", needed=["libc.musl-x86_64.so.1"])
    (layer.site / "c.so").write_bytes(b"\x7fELF\x02\x01 damaged")
    assert layer.needs() == {}


def test_layer_for_another_machine(layer: Layer) -> None:
    """Its list has that machine, and what the files for it need."""
    make_elf(layer.site / "a.so", needed=["libxxl.so.5"], machine=22, order=">")
    make_elf(layer.site / "b.so", needed=["libyyl.so.5"])
    found = layer.write(machine="s390x")
    assert (found["machine"], set(found["needs"])) == (22, {"libxxl.so.5"})
    assert layer.write(machine="unknown")["needs"] == {}


def test_linked_modules_are_ignored(layer: Layer) -> None:
    """A module that is linked with another Python module does not need it in the image."""
    make_elf(layer.site / "a.so", needed=[f"other{MODULE}"])
    assert layer.needs() == {}


def test_file_without_an_owner(layer: Layer) -> None:
    """A file that is not in any RECORD is listed by its own name."""
    make_elf(layer.site / "a.so", needed=["libxxl.so.5"])
    assert layer.needs() == {"libxxl.so.5": {"by": ["a.so"]}}


def test_packages_from_source_list_all_libraries(layer: Layer, dpkg: list[list[str]]) -> None:
    """Each has its versions and Debian package."""
    make_elf(
        layer.site / f"psycopg2/_psycopg{MODULE}",
        needed=["libpq.so.5", "liba.so.1", "libdiverted.so.1", "libc.so.6"],
        versions={"libc.so.6": ["GLIBC_2.38", "GLIBC_2.14"], "libown.so.1": ["OWN_1"]},
    )
    layer.add("psycopg2", f"psycopg2/_psycopg{MODULE}")
    by = ["psycopg2"]
    assert layer.write(built=True)["needs"] == {
        "liba.so.1": {"by": by, "package": "liba"},
        "libc.so.6": {"by": by, "versions": ["GLIBC_2.14", "GLIBC_2.38"]},
        "libdiverted.so.1": {"by": by},
        "libpq.so.5": {"by": by, "package": "libpq5"},
    }
    names = ("liba.so.1", "libc.so.6", "libdiverted.so.1", "libpq.so.5")
    assert dpkg == [["dpkg-query", "--search", *(f"*/{name}" for name in names)]]


def test_image_without_dpkg(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other distributions, no package is listed."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    make_elf(layer.site / "a.so", needed=["libxxl.so.5"])
    assert layer.write(built=True)["needs"] == {"libxxl.so.5": {"by": ["a.so"]}}


@pytest.mark.usefixtures("dpkg")
def test_library_in_a_folder_named_by_a_module(layer: Layer, tmp_path: Path) -> None:
    """The check looks there too."""
    own = tmp_path / "opt" / "libxxl.so.5"
    make_elf(own)
    paths = f"/build/elsewhere:{own.parent}:$ORIGIN/../x.libs"
    make_elf(layer.site / "a.so", needed=["libxxl.so.5"], paths=paths)
    expected = {"libxxl.so.5": {"by": ["a.so"], "paths": [str(own.parent)]}}
    assert layer.needs() == expected
    assert layer.write(built=True)["needs"] == expected


def test_origin_is_the_folder_of_the_module(layer: Layer) -> None:
    """`${ORIGIN}` is replaced like `$ORIGIN`."""
    make_elf(layer.venv.parent / "beside" / "libxxl.so.5")
    up = "/.." * 4
    make_elf(layer.site / "a.so", needed=["libxxl.so.5"], paths=f"${{ORIGIN}}{up}/beside")
    assert layer.needs()["libxxl.so.5"]["paths"] == [str(layer.venv.parent / "beside")]
