"""Tests of reading ELF files: generated, real and damaged ones."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest
from elf_files import make_elf, own_machine
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.inside.install import elf


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_fields(tmp_path: Path, order: str, bits: int) -> None:
    """Both word lengths and byte orders are read."""
    path = make_elf(
        tmp_path / "x.so",
        needed=["libpq.so.5", "libc.so.6"],
        versions={"libc.so.6": ["GLIBC_2.34", "GLIBC_2.38"], "libssl.so.3": ["OPENSSL_3.0.0"]},
        paths="$ORIGIN/x.libs:/opt/lib",
        order=order,
        machine=22,
        bits=bits,
    )
    assert elf.read(path) == elf.Elf(
        machine=22,
        needed=("libpq.so.5", "libc.so.6"),
        versions=(
            ("libc.so.6", "GLIBC_2.34"),
            ("libc.so.6", "GLIBC_2.38"),
            ("libssl.so.3", "OPENSSL_3.0.0"),
        ),
        paths=("$ORIGIN/x.libs", "/opt/lib"),
    )


def test_nothing_needed(tmp_path: Path) -> None:
    """A file may need no library."""
    assert elf.read(make_elf(tmp_path / "x.so")) == elf.Elf(own_machine(), (), (), ())


def test_real_module() -> None:
    """Python's `_ssl` needs certain versions of OpenSSL and the C library."""
    (path,) = Path(sysconfig.get_path("stdlib")).glob("lib-dynload/_ssl.*.so")
    found = elf.read(path)
    assert found is not None
    assert found.machine == own_machine()
    assert any(name.startswith("libssl.so.") for name in found.needed)
    versions = {library.partition(".")[0]: version for library, version in found.versions}
    assert versions["libc"].startswith("GLIBC_2.")
    assert versions["libssl"].startswith("OPENSSL_")


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x03\x01" + bytes(60), b"\x7fELF\x02"]
)
def test_other_kinds_of_files(tmp_path: Path, content: bytes) -> None:
    """Scripts, empty files and ELF files of an unknown kind give None."""
    path = tmp_path / "x.so"
    path.write_bytes(content)
    assert elf.read(path) is None


def test_folder_or_missing_file(tmp_path: Path) -> None:
    """Both give None."""
    assert elf.read(tmp_path) is None
    assert elf.read(tmp_path / "x.so") is None


@given(
    cut=st.integers(min_value=6, max_value=600),
    damage=st.lists(st.tuples(st.integers(16, 599), st.integers(0, 255)), max_size=20),
    bits=st.sampled_from([32, 64]),
)
def test_damaged_file(
    tmp_path_factory: pytest.TempPathFactory, cut: int, damage: list[tuple[int, int]], bits: int
) -> None:
    """With any wrong or missing bytes, the reader stops without an exception."""
    versions = {"libc.so.6": ["GLIBC_2.34"], "libm.so.6": ["GLIBC_2.29"]}
    path = tmp_path_factory.getbasetemp() / "damaged.so"
    needed = ["libc.so.6", "libm.so.6"]
    make_elf(path, needed=needed, versions=versions, paths="/opt/lib", bits=bits)
    data = bytearray(path.read_bytes())
    for place, value in damage:
        if place < len(data):
            data[place] = value
    path.write_bytes(data[:cut])
    found = elf.read(path)
    assert found is None or isinstance(found, elf.Elf)


def test_the_interpreter() -> None:
    """The running Python is an ELF file."""
    found = elf.read(Path(sys.executable).resolve())
    assert found is not None
    assert found.needed
