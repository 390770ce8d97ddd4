"""Tests of wheels that become layers; test_wheel_tree has the places of their files."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wheels import make_wheel

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install import installed_files, wheel_tree
from poetry_docker_cache.no_engine.layer import LayerBlob, write_layer
from poetry_docker_cache.no_engine.wheel import Place, read_wheel, tree_of_wheels

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACE = Place(python="3.13")
SITE = "venv/lib/python3.13/site-packages"
INFO = "shape-1.0.dist-info"
DATA = "shape-1.0.data"
META = {
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/METADATA": "Name: shape\nVersion: 1.0\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\nshape = shape:main\n",
    f"{INFO}/RECORD": "",
}


def write(
    folder: Path,
    files: Mapping[str, str | bytes],
    *,
    method: int = zipfile.ZIP_DEFLATED,
    modes: Mapping[str, int] | None = None,
) -> Path:
    """Write a wheel with any files, and no hashes in its RECORD."""
    path = folder / "shape-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in {**META, **files}.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data, compress_type=method)
    return path


def layer(*wheels: Path, place: Place = PLACE) -> tuple[LayerBlob, bytes]:
    """Return the layer of wheels."""
    out = io.BytesIO()
    return write_layer(tree_of_wheels(wheels, place), out), out.getvalue()


class File(NamedTuple):
    """A file or a folder, in a layer or in the file system."""

    is_folder: bool
    mode: int
    mtime: int
    content: bytes


def files_of(data: bytes) -> dict[str, File]:
    """Read a layer."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            content = file.read() if file else b""
            found[member.name] = File(member.isdir(), member.mode, int(member.mtime), content)
    return found


def test_equal_to_an_ordinary_build(tmp_path: Path) -> None:
    """Files, modes, times, scripts and RECORD are, also where two wheels have the same file."""
    names: dict[str, str | bytes] = {
        "shape/__init__.py": "def main(): pass\n" * 50,
        "shape/__pycache__/x.pyc": "x",
        "shape/ä \\ ☃.txt": "",
        "shape/" + "n" * 120: "x",
        "shape/link": "target",
        "shape/twice.py": "1",
        "shared.py": "of shape",
        f"{DATA}/purelib/shape/twice.py": "2",
        f"{DATA}/headers/shape.h": "h",
        f"{DATA}/data/etc/shape.conf": "x",
        f"{DATA}/data/lib64/shape.so": "x",
        f"{DATA}/scripts/asks": "#!python -s\n" + "print()\n" * 99,
        f"{DATA}/scripts/binary": bytes(range(256)) * 99,
    }
    run = {f"{DATA}/scripts/asks": stat.S_IFREG | 0o755, "shape/link": stat.S_IFLNK | 0o777}
    wheels = [
        write(tmp_path, names, modes=run),
        make_wheel(tmp_path, "zeta", files={"shared.py": "of zeta"}, scripts={"shape": "zeta:x"}),
        make_wheel(tmp_path, "alpha", files={"shared.py": "of alpha"}),
    ]
    venv = tmp_path / "venv"
    (venv / "lib" / "python3.13" / "site-packages").mkdir(parents=True)
    (venv / "lib64").symlink_to("lib")
    (venv / "bin").mkdir()
    for path in sorted(wheels):
        wheel_tree.install(path, venv)
    installed_files.set_times(venv)
    ordinary = {
        str(path)[1:]: File(
            path.is_dir(),
            path.stat().st_mode & 0o7777,
            int(path.stat().st_mtime),
            b"" if path.is_dir() else path.read_bytes(),
        )
        for path in (venv, *venv.rglob("*"))
        if not path.is_symlink()
    }
    found = files_of(layer(*wheels, place=Place(python="3.13", prefix=str(venv)))[1])
    top = str(venv)[1:]
    assert {name: found[name] for name in found if name.startswith(top)} == ordinary
    assert found[f"{top}/lib/python3.13/site-packages/shared.py"].content == b"of zeta"
    assert found[f"{top}/bin/asks"].content.startswith(f"#!{venv}/bin/python\nprint".encode())


def test_digest_depends_on_wheels_and_place_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on zlib's compression, the order of wheels, the folder, the umask or the clock."""
    wheels = [
        write(tmp_path, {"shape.py": "x" * 9000, "stored": b""}),
        make_wheel(tmp_path, "beta", scripts={"beta": "beta:main"}),
    ]
    expected = layer(*wheels)
    other = tmp_path / "other"
    other.mkdir()
    copies = [Path(path.rename(other / path.name)) for path in reversed(wheels)]

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("zlib compresses")

    monkeypatch.setattr(zlib, "compressobj", fail)
    monkeypatch.setattr(zlib, "compress", fail)
    monkeypatch.setattr("time.time", lambda: 4e9)
    old = os.umask(0o077)
    try:
        assert layer(*copies) == expected
    finally:
        os.umask(old)
    assert layer(*copies, place=Place(python="3.12"))[0] != expected[0]


def test_streams_are_those_of_the_wheel(tmp_path: Path) -> None:
    """They are not compressed again."""
    content = bytes(range(256)) * 400
    path = write(tmp_path, {"shape.bin": content})
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("shape.bin")
    start = info.header_offset + 30 + len(info.filename)
    stream = path.read_bytes()[start : start + info.compress_size]
    assert zlib.decompress(stream, -15) == content
    assert stream in layer(path)[1]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("field", "by"),
    [
        ("content", 1),
        ("checksum", 1),
        ("flags", 1),  # encrypted
        ("size", -1),
        ("size", 1),
        ("packed size", -1),
        ("packed size", 1),
        ("name", 1),
        ("end", 0),
    ],
)
def test_damaged_wheel(tmp_path: Path, method: int, field: str, by: int) -> None:
    """The error names the wheel, whichever byte of the table of contents is wrong."""
    path = write(tmp_path, {"shape.bin": bytes(range(1, 256)) * 10}, method=method)
    data = bytearray(path.read_bytes())
    name, row = data.index(b"shape.bin"), data.rindex(b"shape.bin") - 46
    places = {"flags": 8, "checksum": 16, "packed size": 20, "size": 24, "name": 46}
    if field == "end":
        del data[-30:]
    else:
        place = name + 80 if field == "content" else row + places[field]
        data[place] = (data[place] + by) % 256
    path.write_bytes(data)
    with pytest.raises(DockerCacheError, match=r"^shape-1.0-py3-none-any.whl cannot be installed"):
        layer(path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {f"{INFO}/RECORD": f"shape.py,sha256={'A' * 43},1\n"},
            "does not match its hash in RECORD",
        ),
        ({"../../../../x": ""}, "must not contain"),
        ({"/x": ""}, "must not contain"),
        ({f"{DATA}/data/bin/python": ""}, "must not contain ./bin/python"),
        ({"a": "", "a/b": ""}, "already a file in the image, not a folder"),
    ],
)
def test_refused_wheel(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """The error says why, and what to do."""
    path = write(tmp_path, {"shape.py": "x", **files})
    with pytest.raises(DockerCacheError, match=said) as caught:
        layer(path)
    assert "without `--no-engine`" in caught.value.fix


def test_unknown_compression(tmp_path: Path) -> None:
    """Only what a layer can contain is read."""
    path = write(tmp_path, {"shape.py": "x"}, method=zipfile.ZIP_BZIP2)
    with pytest.raises(DockerCacheError, match="unknown method, not stored and deflated"):
        read_wheel(path, PLACE)


def test_wheel_that_changes_after_it_was_read(tmp_path: Path) -> None:
    """RECORD has the old hash, so the layer is not finished."""
    tree = tree_of_wheels([write(tmp_path, {"shape.py": "one"})], PLACE)
    write(tmp_path, {"shape.py": "two"})
    with pytest.raises(DockerCacheError, match="cannot be installed"):
        write_layer(tree, io.BytesIO())


def test_origin_of_a_wheel(tmp_path: Path) -> None:
    """RECORD lists the file, also if the wheel has another one."""
    path = write(tmp_path, {f"{INFO}/direct_url.json": "other"})
    out = io.BytesIO()
    write_layer(tree_of_wheels([path], PLACE, {path.name: '{"url": "x"}'}), out)
    found = files_of(out.getvalue())
    assert found[f"{SITE}/{INFO}/direct_url.json"].content == b'{"url": "x"}'
    record = found[f"{SITE}/{INFO}/RECORD"].content.decode()
    assert [line[-3:] for line in record.splitlines() if "direct_url" in line] == [",12"]


def test_data_around_the_archive(tmp_path: Path) -> None:
    """It is ignored, as by pip."""
    path = write(tmp_path, {"shape.py": "x"})
    expected = files_of(layer(path)[1])
    path.write_bytes(b"before" + path.read_bytes())
    assert files_of(layer(path)[1]) == expected


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_wheel(tmp_path: Path, data: st.DataObject) -> None:
    """It gives a layer below /venv, or the one kind of error."""
    files = {"shape.py": "x" * 300, f"{DATA}/scripts/run": "#!python\n", f"{DATA}/data/etc/x": "x"}
    path = write(tmp_path, files)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        # The table of contents is at the end.
        place = data.draw(st.sampled_from([place, len(content) - 1 - place // 3]))
        size = data.draw(st.sampled_from([0, 1, 4]))
        content[place : place + size] = data.draw(st.binary(max_size=4))
    path.write_bytes(content)
    try:
        found = files_of(layer(path)[1])
    except DockerCacheError as error:
        assert error.problem.startswith(path.name)  # noqa: PT017  # or no error
    else:
        for name, file in found.items():
            assert name == "venv" or name.startswith("venv/")
            assert ".." not in name.split("/")
            assert file.mode in (0o644, 0o755)
        assert found[f"{SITE}/{INFO}/RECORD"].content
