"""Tests of the memory that large wheels need."""

from __future__ import annotations

import stat
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, BinaryIO

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.layer import write_layer
from poetry_docker_cache.no_engine.wheel import Place, tree_of_wheels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTE = 1 << 20
SIZE = 24 * MEGABYTE
MOST = 5 * MEGABYTE
INFO = "big-1.0.dist-info"


def write(folder: Path, name: str, method: int, start: bytes = b"") -> Path:
    """Write a wheel with a large file of zeros."""
    path = folder / "big-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compresslevel=1) as archive:
        archive.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\n")
        if name != f"{INFO}/RECORD":
            archive.writestr(f"{INFO}/RECORD", "")
        info = zipfile.ZipInfo(name)
        info.compress_type = method
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        with archive.open(info, "w") as file:
            file.write(start)
            for _ in range(SIZE // MEGABYTE):
                file.write(bytes(MEGABYTE))
    return path


@pytest.fixture
def _small_memory() -> Iterator[None]:
    """Fail if Python objects take more than a few megabytes at any time."""
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MOST


@pytest.fixture
def out(tmp_path: Path) -> Iterator[BinaryIO]:
    """Open a file for a layer."""
    with (tmp_path / "layer").open("wb") as file:
        yield file


@pytest.mark.usefixtures("_small_memory")
@pytest.mark.parametrize(
    ("name", "method", "start"),
    [
        ("big.bin", zipfile.ZIP_DEFLATED, b""),
        ("big.bin", zipfile.ZIP_STORED, b""),
        ("big-1.0.data/scripts/big", zipfile.ZIP_DEFLATED, b"#!python\n"),
    ],
)
def test_large_file(tmp_path: Path, out: BinaryIO, name: str, method: int, start: bytes) -> None:
    """It is read and written in pieces."""
    wheel = write(tmp_path, name, method, start)
    blob = write_layer(tree_of_wheels([wheel], Place(python="3.13")), out)
    is_copied = method == zipfile.ZIP_DEFLATED and not start
    assert (blob.size < MEGABYTE) == is_copied


@pytest.mark.usefixtures("_small_memory")
@pytest.mark.parametrize("stated", [SIZE, 10])
def test_large_text(tmp_path: Path, stated: int) -> None:
    """A file that must be read as a whole is refused, also if it is larger than stated."""
    path = write(tmp_path, f"{INFO}/RECORD", zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", SIZE), struct.pack("<I", stated)))
    with pytest.raises(DockerCacheError, match="cannot be installed"):
        tree_of_wheels([path], Place(python="3.13"))
