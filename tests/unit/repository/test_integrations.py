"""What docs/integrations.md shows: Renovate's expressions, hooks, inputs and files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for
from ruamel.yaml import YAML

from poetry_docker_cache.settings.setting_errors import NAME

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
RENOVATE, TASKS, CONTAINER = (
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
)
HOOKS, WORKFLOW, COMPOSE = (
    YAML(typ="safe").load(text)
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
)
PROJECTS = sorted(
    path
    for place in ("examples", "tests/golden/cases")
    for path in (ROOT / place).rglob("pyproject.toml")
)
DIGEST = f"sha256:{'0' * 64}"
PYPROJECT = f"""\
[project]
requires-python = ">=3.10"

[tool.poetry.dependencies]
python = "3.11"

[tool.poetry-docker-cache]
image = "registry.example.com:5000/team/app"
reuse-image = "registry.example.com/team/app:latest"
base-image = "registry.example.com:5000/team/python:3.12-slim@{DIGEST}"
python = "3.12"
files = [
  "a",
]

build-image="python:3.12"

[tool.poetry-docker-cache.images.api]
base-image = "python:{{python}}-slim"
python = '3.13'

[tool.other]
base-image = "debian:12"
"""


def find(text: str) -> list[tuple[str, str, str | None]]:
    """Return the names, values and digests that Renovate's recursive strategy finds."""
    found = []
    for manager in RENOVATE["customManagers"]:
        outer, inner = (re.sub(r"\(\?<(\w)", r"(?P<\1", each) for each in manager["matchStrings"])
        for part in re.finditer(outer, text):
            for match in re.finditer(inner, part[0]):
                groups = {"depName": manager.get("depNameTemplate"), **match.groupdict()}
                digest = groups.get("currentDigest")
                found.append((groups["depName"], groups["currentValue"], digest))
    return found


def test_renovate_finds_images_and_python_of_the_settings_only() -> None:
    """Other tables and keys have similar lines."""
    assert find(PYPROJECT) == [
        ("registry.example.com:5000/team/python", "3.12-slim", DIGEST),
        ("python", "3.12", None),
        ("python", "3.12", None),
        ("python", "3.13", None),
    ]


@pytest.mark.parametrize(
    "path", PROJECTS, ids=lambda path: path.parent.relative_to(ROOT).as_posix()
)
def test_renovate_finds_what_projects_set(path: Path) -> None:
    """Each version that a project names, and no other."""
    text = path.read_text(encoding="utf-8")
    settings: dict[str, Any] = tomlkit.parse(text).unwrap().get("tool", {}).get(NAME, {})
    tables = [settings, *settings.get("images", {}).values()]
    pythons = [str(table["python"]) for table in tables if "python" in table]
    images = [
        image
        for table in tables
        for key in ("base-image", "build-image")
        if (image := table.get(key)) and "{python}" not in image
    ]
    written = [
        f"{name}:{value}" + (f"@{digest}" if digest else "") for name, value, digest in find(text)
    ]
    assert sorted(written) == sorted([*images, *(f"python:{python}" for python in pythons)])


def test_renovate_configuration_is_valid() -> None:
    """The official schema accepts it. The exported Dockerfile stays as it is."""
    schema = get_builtin_schema("vendor.renovate")
    validator = validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(RENOVATE)] == []
    assert not validator.is_valid({**RENOVATE, "packageRules": "none"})
    (rule,) = (each for each in RENOVATE["packageRules"] if each.get("enabled") is False)
    assert "Dockerfile" in rule["matchFileNames"]
    assert "dockerfile" in rule["matchManagers"]


def test_hooks_and_inputs_exist() -> None:
    """They are in .pre-commit-hooks.yaml and action.yml; pins are those of the pipelines."""
    yaml = YAML(typ="safe")
    ids = {hook["id"] for hook in yaml.load(ROOT / ".pre-commit-hooks.yaml")}
    inputs = yaml.load(ROOT / "action.yml")["inputs"]
    assert {hook["id"] for hook in HOOKS["repos"][0]["hooks"]} <= ids
    assert all(f"`{name}`" in PAGE for name in ids)
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == {*ids, *inputs}
    steps = WORKFLOW["jobs"]["image"]["steps"]
    assert set(steps[-1]["with"]) <= set(inputs)
    templates = "".join(path.read_text() for path in (ROOT / "templates" / "ci").glob("*.j2"))
    for step in steps[:-1]:
        assert step["uses"] in templates


def test_container_is_the_service_that_sees_the_working_copy() -> None:
    """Its two files name the same service and folder."""
    assert COMPOSE["services"][CONTAINER["service"]]["volumes"] == [
        f".:{CONTAINER['workspaceFolder']}"
    ]
    assert {task["command"] for task in TASKS["tasks"]} >= {"poetry docker build"}
