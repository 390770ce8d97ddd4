"""The workflows of this repository: valid, with the Pythons and commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit
from interpreters import supported_pythons
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent
PYPROJECT = tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8")).unwrap()


def test_workflows_match_the_official_schema(tmp_path: Path) -> None:
    """One with an unknown key does not."""
    check = [str(TOOLS / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows"]
    assert len(WORKFLOWS) >= 2
    run = subprocess.run([*check, *WORKFLOWS], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "runs-at:", 1))
    assert subprocess.run([*check, wrong], capture_output=True, check=False).returncode == 1


def test_scripts_in_workflows_are_clean(tmp_path: Path) -> None:
    """By shellcheck."""
    files: list[Path] = []
    for path in WORKFLOWS:
        jobs = YAML(typ="safe").load(path)["jobs"]
        for text in [
            step["run"] for job in jobs.values() for step in job["steps"] if "run" in step
        ]:
            files.append(tmp_path / str(len(files)))
            files[-1].write_text(text)
    command = [str(TOOLS / "shellcheck"), "--shell=bash", "--norc", *map(str, files)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (len(files) > 5, run.returncode) == (True, 0), run.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_name_the_supported_pythons(path: Path) -> None:
    """The oldest and the newest are the limits of what pyproject.toml and the plugin know."""
    named = {*re.findall(r"(?<![\d.])3\.\d+(?![\d.-])", path.read_text(encoding="utf-8"))}
    assert named == {*supported_pythons(PYPROJECT)}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_make_commands_in_workflows_exist(path: Path) -> None:
    """Each is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"\bmake ([a-z-]+)", path.read_text(encoding="utf-8"))
    assert targets
    for target in targets:
        assert f"\n{target}: " in makefile, target


def test_only_the_publishing_jobs_have_more_than_read_access() -> None:
    """A job that runs code of dependencies cannot publish, and no workflow stores a password."""
    for path in WORKFLOWS:
        workflow = YAML(typ="safe").load(path)
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            runs_code = any("make " in step.get("run", "") for step in job["steps"])
            assert not (runs_code and "permissions" in job), name
        assert "secrets." not in path.read_text(encoding="utf-8")
