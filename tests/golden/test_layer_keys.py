"""A patch release keeps the dependency layers of its minor version (docs/versioning.md)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import tomlkit
from golden_cases import NAMES, expected
from layer_keys import (
    RECORD,
    ROOT,
    Case,
    Record,
    case_keys,
    changed_layers,
    layer_keys,
    read_record,
)

from poetry_docker_cache.render.build_scripts import all_scripts

if TYPE_CHECKING:
    from pathlib import Path

VERSION = str(tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()["project"]["version"])
MANIFESTS = {"dependencies.json": "{}"}
RECORDED: Record = {
    "version": "1.4.0",
    "cases": {"api": {"project": "p1", "layers": {"pure": "k1", "own-numpy": "k2"}}},
}


def keys(dockerfile: str, scripts: dict[str, str], **manifests: str) -> dict[str, str]:
    """Return the keys of the golden Dockerfile with one layer."""
    named = {f"{name}.json": text for name, text in manifests.items()}
    return layer_keys(dockerfile, scripts=scripts, manifests={**MANIFESTS, **named})


def test_dependency_layers_are_those_of_the_recorded_release(
    tmp_path: Path, *, record_keys: bool
) -> None:
    """Fails if a change rebuilds a layer: raise the minor version, or do without the change."""
    found = {name: case_keys(name, tmp_path / name) for name in NAMES}
    assert sum(bool(case["layers"]) for case in found.values()) >= len(NAMES) - 5
    if record_keys:
        text = json.dumps({"version": VERSION, "cases": found}, indent=1) + "\n"
        RECORD.write_text(text, encoding="utf-8")
    assert changed_layers(read_record(), VERSION, found) == []


@pytest.mark.parametrize(
    ("version", "project", "layers", "changed"),
    [
        ("1.4.1", "p1", {"pure": "k1", "own-numpy": "k2", "new": "k3"}, []),
        ("1.4.1", "p1", {"pure": "k9", "own-numpy": "k2"}, ["api: pure"]),
        ("1.4.1", "p1", {"pure": "k1"}, ["api: own-numpy"]),
        ("1.4.1", "p2", {"pure": "k9", "own-numpy": "k9"}, []),
        ("1.5.0", "p1", {"pure": "k9", "own-numpy": "k9"}, []),
        ("2.4.0", "p1", {"pure": "k9", "own-numpy": "k9"}, []),
    ],
)
def test_only_a_new_minor_version_changes_layers(
    version: str, project: str, layers: dict[str, str], changed: list[str]
) -> None:
    """Compared are the cases whose project is the same."""
    case: Case = {"project": project, "layers": layers}
    assert changed_layers(RECORDED, version, {"api": case}) == changed
    assert changed_layers(None, version, {"api": case}) == []


def test_key_covers_what_rebuilds_a_layer() -> None:
    """The base image, the steps, the scripts that they mount and the manifest; nothing else."""
    text, scripts = expected("pep621_src")["Dockerfile"], all_scripts()
    before = keys(text, scripts)
    assert list(before) == ["dependencies"]
    for old, new in (
        ("python:3.14-slim AS venv", "python:3.14-alpine AS venv"),
        ("pip help download", "pip help"),
        ("ARG TARGETPLATFORM", "ARG TARGETARCH"),
    ):
        assert old in text
        assert keys(text.replace(old, new), scripts) != before, old
    assert keys(text, {**scripts, "install/secret.py": ""}) != before
    assert keys(text, scripts, dependencies='{"packages": []}') != before
    for unused in ("check.py", "manifest/markers.py", "pins/poetry-core.txt", "direct.py"):
        assert unused in scripts
        assert keys(text, {**scripts, unused: ""}) == before, unused
    for old in (r"#.*", r"LABEL [^#]*?(?=USER)", r"COPY README.*", r"CMD.*"):
        changed = re.sub(old, "", text)
        assert changed != text
        assert keys(changed, scripts) == before, old


def test_key_covers_the_tools_that_install_a_layer() -> None:
    """Poetry installs packages from git repositories."""
    text, scripts = expected("git_dependency")["Dockerfile"], all_scripts()
    before = keys(text, scripts, direct="{}")
    (pins,) = set(re.findall(r"pins/poetry-[\d.]+\.txt", text))
    after = keys(text, {**scripts, pins: ""}, direct="{}")
    assert {name for name in before if after[name] != before[name]} == {"direct"}
