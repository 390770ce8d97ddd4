"""Tests of kept wheels: choosing, checking, importing and exporting them."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from wheels import make_wheel

from poetry_docker_cache.inside.install.wheelhouse import (
    NAMED,
    choose_wheel,
    fill,
    has_hash,
    main,
)

if TYPE_CHECKING:
    from pathlib import Path

TAGS = {
    "cp312-cp312-manylinux_2_28_x86_64": 0,
    "cp312-cp312-manylinux_2_17_x86_64": 1,
    "cp312-abi3-manylinux_2_17_x86_64": 2,
    "py3-none-any": 3,
}


def package(*names: str) -> dict[str, Any]:
    """Return an entry of a manifest."""
    return {"name": "a", "version": "1", "files": [{"file": name, "hash": ""} for name in names]}


def digest(path: Path) -> str:
    """Return a file's hash in the form of poetry.lock."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a-1-py3-none-any.whl", "a-1-cp312-abi3-manylinux_2_17_x86_64.whl"], 1),
        (
            [
                "a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "a-1-cp312-cp312-manylinux_2_28_x86_64.whl",
                "a-1-cp312-cp312-manylinux_2_28_aarch64.whl",
            ],
            1,
        ),
        (["a-1-py2.py3-none-any.whl", "a-1-cp311-cp311-manylinux_2_28_x86_64.whl"], 0),
        (["a-1-9-py3-none-any.whl", "a-1-10-py3-none-any.whl", "a-1-py3-none-any.whl"], 1),
        (["a-1-cp312-cp312-musllinux_1_2_x86_64.whl", "a-1.tar.gz", "../a-1-py3-none-any.whl"], -1),
    ],
)
def test_chosen_wheel_is_that_of_pip(names: list[str], chosen: int) -> None:
    """The best tag has priority, then the highest build number; other files are ignored."""
    found = choose_wheel(package(*names), TAGS)
    assert (found or {}).get("file") == (names[chosen] if chosen >= 0 else None)


def test_hash_of_a_wheel_is_checked(tmp_path: Path) -> None:
    """Weak hashes and missing files are refused."""
    wheel = make_wheel(tmp_path, "a")
    content = wheel.read_bytes()
    assert has_hash(wheel, digest(wheel))
    assert has_hash(wheel, f"sha512:{hashlib.sha512(content).hexdigest()}")
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert not has_hash(wheel, f"md5:{md5}")
    assert not has_hash(wheel, f"sha256:{'0' * 64}")
    assert not has_hash(wheel, "")
    assert not has_hash(tmp_path, digest(wheel))
    assert not has_hash(tmp_path / "gone.whl", digest(wheel))


def test_fill_copies_wheels_with_their_hashes(tmp_path: Path) -> None:
    """Packages without a fitting and intact wheel in the cache are returned."""
    folder, wheels = tmp_path / "folder", tmp_path / "wheels"
    for place in (folder, wheels):
        place.mkdir()
    good, bad = make_wheel(wheels, "good"), make_wheel(wheels, "bad")
    foreign = make_wheel(wheels, "foreign", tag="cp312-abi3-manylinux_2_17_s390x")
    os.utime(good, (0, 0))
    gone = make_wheel(tmp_path, "gone")
    packages = [
        {"name": path.name, "files": [{"file": path.name, "hash": digest(path)}]}
        for path in (good, bad, foreign, gone)
    ]
    bad.write_bytes(b"tampered with")
    assert fill(folder, {"packages": packages}, wheels, list(TAGS)) == packages[1:]
    assert [path.name for path in folder.iterdir()] == [good.name]
    assert (folder / good.name).read_bytes() == good.read_bytes()
    assert good.stat().st_mtime > 0, "it was used"


def test_take_imports_wheels(tmp_path: Path) -> None:
    """A wheel that exists in the cache is kept, and unused ones are removed."""
    kept, wheels = tmp_path / "kept", tmp_path / "wheels"
    for folder in (kept, wheels):
        folder.mkdir()
    new, old = make_wheel(kept, "new"), make_wheel(kept, "old")
    (kept / "other.txt").touch()
    (wheels / old.name).write_bytes(b"there before")
    (wheels / ".left").mkdir()
    (wheels / ".gone").symlink_to("nowhere")  # like a file that another build removes
    (wheels / "unused.whl").touch()
    for path in wheels.iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    options = [f"--kept={kept}", f"--wheels={wheels}", f"--output={tmp_path / 'out'}"]
    assert main(["take", *options]) == 0
    assert (wheels / new.name).read_bytes() == new.read_bytes()
    assert (wheels / old.name).read_bytes() == b"there before"
    assert {path.name for path in wheels.iterdir()} == {new.name, old.name, ".gone"}


def test_give_exports_wheels(tmp_path: Path) -> None:
    """Wheels in the manifests are exported if the host lacks them or has other bytes."""
    kept, wheels, manifests = (tmp_path / name for name in ("kept", "wheels", "manifests"))
    for folder in (kept, wheels, manifests):
        folder.mkdir()
    made = {name: make_wheel(wheels, name) for name in ("new", "same", "bad", "worse", "unnamed")}
    files = {
        name: {"file": path.name, "hash": digest(path)}
        for name, path in made.items()
        if name != "unnamed"
    }
    (kept / made["same"].name).write_bytes(made["same"].read_bytes())
    (kept / made["bad"].name).write_bytes(b"tampered with")
    made["worse"].write_bytes(b"tampered with")
    gone = {"file": "gone-1-py3-none-any.whl", "hash": f"sha256:{'0' * 64}"}
    outside = {"file": "../x-1-py3-none-any.whl", "hash": ""}
    for number, content in enumerate(([*files.values()], [gone, outside])):
        manifest = {"packages": [{"name": "x", "files": content}]}
        (manifests / f"{number}.json").write_text(json.dumps(manifest))
    out = tmp_path / "out"
    options = [f"--kept={kept}", f"--wheels={wheels}", f"--manifests={manifests}"]
    assert main(["give", *options, f"--output={out}"]) == 0
    assert {path.name for path in out.iterdir()} == {NAMED, made["new"].name, made["bad"].name}
    assert (out / made["bad"].name).read_bytes() == made["bad"].read_bytes()
    named = {file["file"] for file in (*files.values(), gone)}
    assert (out / NAMED).read_text() == "".join(f"{name}\n" for name in sorted(named))
