"""Tests of reusing packages from an earlier image."""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from poetry_docker_cache.inside.install import wheel_tree
from poetry_docker_cache.inside.install.earlier_image import (
    NO_TABLE,
    TABLES,
    digests,
    find_records,
    install,
    is_intact,
    main,
    recorded_files,
    reuse,
    take,
)

SITE = Path("lib", "python3.13", "site-packages")
ENTRY: dict[str, Any] = {
    "name": "a",
    "version": "1.0",
    "files": [{"file": "a-1.0-py3-none-any.whl", "hash": "sha256:00"}],
    "source": {"type": "legacy", "url": "https://index.example/simple", "reference": "x"},
}


def digest_of(
    made_by: str = "", constraints: object = None, machine: str = "x86_64", **changes: object
) -> str:
    """Return the digest of the entry with changes."""
    manifest: dict[str, Any] = {"packages": [{**ENTRY, **changes}]}
    if constraints is not None:
        manifest["build-constraints"] = {"a": constraints, "b": ["z"]}
    return digests(manifest, machine, made_by)["a"]


def test_digest_depends_on_all_inputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """These are version, hash, source, builder, installer, Python, machine and system."""
    found = [
        digest_of(),
        digest_of(version="1.1"),
        digest_of(files=[{"file": "a-1.0-py3-none-any.whl", "hash": "sha256:01"}]),
        digest_of(source={**ENTRY["source"], "url": "https://other.example/simple"}),
        digest_of(made_by="poetry 2.4.1"),
        digest_of(constraints=["setuptools<80"]),
        digest_of(machine="aarch64"),
    ]
    assert digest_of() == found[0]
    release = tmp_path / "os-release"
    for text in ('VERSION_ID="12"', 'VERSION_ID="13"'):
        release.write_text(text)
        found.append(digests({"packages": [ENTRY]}, "x86_64", "", release)["a"])
    monkeypatch.setattr("sys.abiflags", "t")
    found.append(digest_of())
    monkeypatch.setattr(wheel_tree, "FORMAT", 99)
    found.append(digest_of())
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("changed", [0, 1])
def test_digest_covers_versions_for_other_machines(changed: int) -> None:
    """If markers choose between two versions, a change of either changes the digest."""
    markers = [f'platform_machine == "{machine}"' for machine in ("aarch64", "x86_64")]
    packages: list[dict[str, Any]] = [{**ENTRY, "marker": marker} for marker in markers]
    before = digests({"packages": packages}, "x86_64", "")
    packages[changed] = {**packages[changed], "version": "1.1"}
    after = digests({"packages": packages}, "x86_64", "")
    assert before.keys() == after.keys() == {"a"}
    assert before != after


def put(venv: Path, name: str, files: dict[str, str], *, more: str = "") -> Path:
    """Write a package with a RECORD; return the path of RECORD."""
    info = SITE / f"{name}-1.0.dist-info"
    (venv / info).mkdir(parents=True)
    rows = []
    for file, text in {**files, f"{info.name}/METADATA": name}.items():
        path = venv / SITE / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        value = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        rows.append(f"{file},sha256={value.rstrip('=')},{len(text)}\n")
    rows.append(f"{info.name}/RECORD,,\n{more}")
    (venv / info / "RECORD").write_text("".join(rows))
    return venv / info / "RECORD"


def table(venv: Path, **packages: str) -> None:
    """Write a layer's table."""
    (venv / TABLES).mkdir(parents=True, exist_ok=True)
    (venv / TABLES / "pure-1.json").write_text(json.dumps(packages))


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Return each file's mode and content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode, path.read_text())
        for path in files
    }


def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return an image's environment, the store and a new environment."""
    for name in ("image", "store", "venv"):
        (tmp_path / name).mkdir()
    return tmp_path / "image", tmp_path / "store", tmp_path / "venv"


def test_package_is_copied_from_image_to_layer(tmp_path: Path) -> None:
    """Files keep their modes; compiled files and packages that are not in a table are left out."""
    image, store, venv = places(tmp_path)
    put(
        image, "A_b", {"a_b/__init__.py": "A", "../../../bin/a": "#!"}, more="a_b/__pycache__/x,,\n"
    )
    put(image, "other", {"other.py": "O"})
    (image / "bin" / "a").chmod(0o755)
    wanted = snapshot(image)
    table(image, **{"a-b": "1" * 64, "gone": "2" * 64, "other": "../../else"})
    (image / SITE / "a_b" / "__pycache__").mkdir()
    (image / SITE / "a_b" / "__pycache__" / "x").touch()
    assert take(image, store) == 1
    (store / "unused").mkdir()
    (store / ".gone").symlink_to("nowhere")  # like a package that another build removes
    for path in store.iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    assert take(image, store) == 0
    assert {path.name for path in store.iterdir()} == {"1" * 64, ".gone"}
    files = reuse(store, venv, "1" * 64)
    assert files
    found = snapshot(venv)
    assert found == {name: file for name, file in wanted.items() if "other" not in name}
    assert is_intact(venv, files)
    assert reuse(store, venv, "2" * 64) is None


def test_table_lists_installed_packages(tmp_path: Path) -> None:
    """Packages for other machines are left out: another layer may have one of the same name."""
    _, store, venv = places(tmp_path)
    manifest = {"packages": [ENTRY, {**ENTRY, "name": "b", "marker": 'os_name == "none"'}]}
    options = argparse.Namespace(
        venv=venv, installed=store, machine="x86_64", made_by="", from_source=True
    )

    def otherwise(_: argparse.Namespace, rest: dict[str, Any]) -> tuple[int, str]:
        assert rest == manifest
        put(venv, "a", {"a.py": "A"})
        return 0, ""

    assert install(options, manifest, otherwise) == (0, "")
    (left,) = (venv / TABLES).iterdir()
    assert json.loads(left.read_text()).keys() == {"a"}


@pytest.mark.parametrize(
    "damage", ["other bytes", "gone", "no RECORD", "outside path", "zeros", "no CSV"]
)
def test_damaged_package_is_not_reused(tmp_path: Path, damage: str) -> None:
    """It is removed from the store, so that the next import can store it again."""
    image, store, venv = places(tmp_path)
    put(image, "a", {"a.py": "A"})
    table(image, a="1" * 64)
    take(image, store)
    kept = store / ("1" * 64) / SITE
    if damage == "other bytes":
        (kept / "a.py").write_text("B")
    elif damage == "gone":
        (kept / "a.py").unlink()
    elif damage == "no RECORD":
        (kept / "a-1.0.dist-info" / "RECORD").unlink()
    else:
        rows = {
            "outside path": "../../../../x,sha256=0,1\n",
            "zeros": "\0" * 100,
            "no CSV": f"{'x' * 200_000},sha256=0,1\n",
        }
        (kept / "a-1.0.dist-info" / "RECORD").write_text(rows[damage])
    assert reuse(store, venv, "1" * 64) is None
    assert snapshot(venv) == {}
    assert take(image, store) == 1
    assert reuse(store, venv, "1" * 64)


@pytest.mark.parametrize("setting", [False, True])
def test_image_without_tables(setting: bool, tmp_path: Path) -> None:
    """A file in the output says that nothing can be reused."""
    (tmp_path / "installed").mkdir()
    venv = tmp_path / "image" / "venv"
    put(venv, "a", {"a.py": "A"})
    if setting:
        table(venv, a="1" * 64)
    assert main(tmp_path) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NO_TABLE] * (not setting)


@pytest.mark.parametrize("row", ["/etc/passwd,sha256=0,1\n", "a.txt,,\n", "a.txt,md5=0,1\n"])
def test_record_without_proof_is_refused(tmp_path: Path, row: str) -> None:
    """A package with a file outside of the environment, or without a hash, is not imported."""
    image, store, _ = places(tmp_path)
    record = put(image, "a", {"a.py": "A"}, more=row)
    with pytest.raises(ValueError, match="lists"):
        recorded_files(image, record)
    table(image, a="1" * 64)
    assert take(image, store) == 0
    assert find_records(image) == {"a": record}


def test_packages_that_share_a_file(tmp_path: Path) -> None:
    """If they have different contents for it, neither is imported."""
    image, store, _ = places(tmp_path)
    for name, text in (("a", "A"), ("b", "B")):
        put(image, name, {"shared.py": text})
    put(image, "c", {"c.py": "C"})
    put(image, "d", {"c.py": "C"})  # the same file
    table(image, a="1" * 64, b="2" * 64, c="3" * 64, d="4" * 64)
    assert take(image, store) == 2
    assert {path.name for path in store.iterdir()} == {"3" * 64, "4" * 64}
