"""The memory of licences."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.commands import package_licences
from poetry_docker_cache.commands.package_licences import KnownLicences, PackageLicences
from poetry_docker_cache.sbom.licences import Licences

if TYPE_CHECKING:
    from pathlib import Path

DIGESTS = [f"sha256:{number:064}" for number in range(4)]


def test_licences_are_remembered(tmp_path: Path) -> None:
    """By another process, too, and also that a wheel has none."""
    KnownLicences(tmp_path).keep({DIGESTS[0]: ("A", "B"), DIGESTS[1]: ()})
    known = KnownLicences(tmp_path)
    assert [known.find(digest) for digest in DIGESTS[:3]] == [("A", "B"), (), None]
    nowhere = KnownLicences(None)
    nowhere.keep({DIGESTS[0]: ("A",)})
    assert nowhere.find(DIGESTS[0]) is None


@pytest.mark.parametrize(
    "damage", [b"", b"\xff", b"{", b"{}", b"null", b"[1]", b'"MIT"', b"[" * 100_000]
)
def test_damaged_file_is_ignored(tmp_path: Path, damage: bytes) -> None:
    """And replaced by the next answer."""
    known = KnownLicences(tmp_path)
    known.keep({DIGESTS[0]: ("MIT",)})
    (file,) = (tmp_path / "licences").iterdir()
    file.write_bytes(damage)
    assert known.find(DIGESTS[0]) is None
    known.keep({DIGESTS[0]: ("MIT",)})
    assert known.find(DIGESTS[0]) == ("MIT",)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten. A folder that cannot be written costs only requests."""
    monkeypatch.setattr(package_licences, "_MOST", 2)
    known = KnownLicences(tmp_path)
    for number, digest in enumerate(DIGESTS):
        known.keep({digest: ("MIT",)})
        os.utime(tmp_path / "licences" / f"{digest.replace(':', '-')}.json", (number, number))
    known.keep({DIGESTS[0]: ("MIT",)})
    assert [known.find(digest) for digest in DIGESTS] == [("MIT",), None, None, ("MIT",)]
    (tmp_path / "file").touch()
    KnownLicences(tmp_path / "file").keep({DIGESTS[0]: ("MIT",)})


def test_path_dependency_states_its_own_licence(tmp_path: Path) -> None:
    """A folder that cannot be read has none."""
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "pyproject.toml"
    (tmp_path / "shop").mkdir()
    licences = PackageLicences(folder=tmp_path / "shop")
    package = {"name": "own", "source": {"type": "directory", "url": "../own"}}
    assert licences.of(package) == Licences()
    for text, expected in {
        b'[project]\nlicense = "MIT"': ("MIT",),
        b"project = 1": (),
        b"tool = \xff": (),
    }.items():
        file.write_bytes(text)
        assert licences.of(package) == Licences(expected)


def test_wheel_without_licence_differs_from_an_unknown_one(tmp_path: Path) -> None:
    """The next machine asks only for the second."""
    file, digest = "a-1-py3-none-any.whl", f"sha256:{'1' * 64}"
    package = {"name": "a", "files": [{"file": file, "hash": digest}]}
    assert PackageLicences(folder=tmp_path).of(package) == Licences()
    known = PackageLicences(folder=tmp_path, by_wheel={digest: ()})
    assert known.of(package) == Licences((), wheel=digest)
