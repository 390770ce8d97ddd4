"""Tests of layers; test_wheel_layers makes them from wheels."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.layer import deflate_zeros, tar_header, write_layer
from poetry_docker_cache.no_engine.tree import Bytes, Entry, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = "long/" + "n" * 200


@dataclass(frozen=True)
class Chunks:
    """A content in chunks of some size."""

    data: bytes
    step: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        for start in range(0, len(self.data), self.step):
            yield self.data[start : start + self.step]

    def deflated(self) -> None:
        """Return None: there is no stream."""


def sample(step: int = 1000) -> Tree:
    """Return a tree with entries of all kinds."""
    small = Chunks(bytes(range(100)) * 655, step)
    large = Chunks(bytes(range(256)) * 1000, step)
    return Tree(
        [
            Entry(path="app/run", mode=0o4755, mtime=3, uid=10001, gid=10001, content=Bytes(b"#!")),
            Entry(path="app/large", mode=0o644, mtime=3, content=large),
            Entry(path="app/small", mode=0o644, mtime=3, content=small),
            Entry(path="app/empty", mode=0o600, mtime=3, content=Bytes(b"")),
            Entry(path="app/link", mode=0o777, mtime=3, link="/tmp/☃"),
            Entry(path="app/folder", mode=0o1777, mtime=3, uid=1 << 30),
            Entry(path="app/ä " + "n" * 99, mode=0o644, mtime=3, content=Bytes(b"x" * 512)),
            Entry(path=LONG, mode=0o644, mtime=1 << 40, content=Bytes(bytes(700))),
        ],
        mtime=2,
    )


def test_tarfile_reads_what_was_written() -> None:
    """With all modes, owners, times, links and contents."""
    out = io.BytesIO()
    blob = write_layer(sample(), out)
    assert blob.size == len(out.getvalue())
    assert blob.digest == f"sha256:{hashlib.sha256(out.getvalue()).hexdigest()}"
    archive = gzip.decompress(out.getvalue())
    assert blob.diff_id == f"sha256:{hashlib.sha256(archive).hexdigest()}"
    out.seek(0)
    with tarfile.open(fileobj=out) as read:
        found = {member.name: member for member in read}
        assert [*found] == [entry.path for entry in sample()]
        for entry in sample():
            member = found[entry.path]
            own = (member.mode, member.mtime, member.uid, member.gid, member.linkname)
            assert own == (entry.mode, entry.mtime, entry.uid, entry.gid, entry.link or "")
            assert member.isdir() == entry.is_folder
            if entry.content:
                file = read.extractfile(member)
                assert file
                assert file.read() == b"".join(entry.content.chunks())


def test_digest_stays() -> None:
    """Neither chunks nor the machine change it. Increase VERSION in `layer` with this digest."""
    digests = {write_layer(sample(step), io.BytesIO()).digest for step in (99, 9999, 1 << 20)}
    assert digests == {"sha256:c4ba64450fd50b08bba9de5a62d34c621dd24c063091ca8468ae5832a6c0b1e5"}


@pytest.mark.parametrize("size", [10, 1 << 17])
def test_file_that_changes(size: int) -> None:
    """Its size is written first, so the rest of the archive would be unreadable."""

    class Grown(Chunks):
        @property
        def size(self) -> int:
            return len(self.data) - 1

    entry = Entry(path="a", mode=0o644, mtime=1, content=Grown(bytes(size), 10))
    with pytest.raises(DockerCacheError, match="changed while the image was built"):
        write_layer(Tree([entry], mtime=1), io.BytesIO())


def test_file_of_many_gigabytes() -> None:
    """Its size is in the second header."""
    content = Chunks(b"", 1)
    object.__setattr__(content, "data", range(1 << 34))  # only its length is asked
    header = tar_header(Entry(path="a", mode=0o644, mtime=1, content=content))
    with tarfile.open(fileobj=io.BytesIO(header)) as read:
        member = read.next()
        assert member
        assert member.size == 1 << 34


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 1200))))
def test_encoded_data_inflates_to_itself(parts: list[tuple[bytes, int]]) -> None:
    """With runs of zeros of any length."""
    data = b"".join(part + bytes(zeros) for part, zeros in parts)
    assert zlib.decompress(deflate_zeros(data), -15) == data


def test_every_run_of_zeros() -> None:
    """Each length has a code of its own."""
    for length in range(1, 1200):
        stream = deflate_zeros(b"x" + bytes(length))
        assert zlib.decompress(stream, -15) == b"x" + bytes(length)
    assert len(deflate_zeros(bytes(1 << 16))) < 500
