"""action.yml: its form, and its steps, run with the plugin and a fake Docker client."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clean_poetry import ROOT
from projects import make_project, package
from ruamel.yaml import YAML

from poetry_docker_cache.plan.poetry_version import NEWEST_POETRY

if TYPE_CHECKING:
    from command_line import Client

FILE = ROOT / "action.yml"
ACTION: Any = YAML(typ="safe").load(FILE.read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "name" in step}
TOOLS = Path(sys.executable).parent
PYPROJECT = """\
[project]
name = "shop"
version = "1.2"
requires-python = ">=3.10"
dependencies = ["rich"]

[dependency-groups]
server = ["uvicorn"]

[tool.poetry-docker-cache]
python = "3.13"
platforms = []
"""
PIPX = '#!/bin/sh\necho "$*" >>"$PIPX_HOME/calls"\n'
TOKEN = {"ACTIONS_RUNTIME_TOKEN": "x", "ACTIONS_RESULTS_URL": "https://results.example/"}
GHA = ("--cache-from=type=gha", "--cache-to=type=gha,mode=max,ignore-error=true")


def run_step(name: str, folder: Path, **env: str) -> dict[str, str]:
    """Run the script of a step as GitHub does; return its outputs."""
    output = folder.parent / "output"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]],
        cwd=folder,
        env={**os.environ, "GITHUB_OUTPUT": str(output), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = output.read_text()
    lines = re.findall(r"^(\w+)=(.*)\n", text, re.MULTILINE)
    blocks = re.findall(r"^(\w+)<<(.*)\n((?s:.*?))\n\2\n", text, re.MULTILINE)
    return {**dict(lines), **{key: value for key, _, value in blocks}}


def defaults(**inputs: str) -> dict[str, str]:
    """Return the environment of the build step, with the defaults of other inputs."""
    given = {name: str(described["default"]) for name, described in ACTION["inputs"].items()}
    variables = ("image", "tags", "push", "cache", "platforms", "args")
    return {name.upper(): inputs.get(name, given[name]) for name in variables}


def test_form_is_that_of_a_composite_action(tmp_path: Path) -> None:
    """The official schema accepts it, but not with an unknown key."""
    check: list[str | Path] = [
        TOOLS / "check-jsonschema",
        "--builtin-schema",
        "vendor.github-actions",
    ]
    wrong = tmp_path / "action.yml"
    wrong.write_text(FILE.read_text().replace("  using: composite", "  use: composite"))
    assert subprocess.run([*check, FILE], capture_output=True, check=False).returncode == 0
    assert subprocess.run([*check, wrong], capture_output=True, check=False).returncode == 1


def test_scripts_are_clean_and_contain_no_expressions(tmp_path: Path) -> None:
    """Inputs reach a script as variables, so that none of them can be a command."""
    for number, step in enumerate(STEPS.values()):
        assert "${{" not in step["run"]
        script = tmp_path / f"{number}.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            [TOOLS / "shellcheck", "--shell=bash", "--norc", "--exclude=SC2154", script],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_newest_poetry_and_own_plugin_are_installed(tmp_path: Path) -> None:
    """They are in a folder of their own."""
    assert ACTION["inputs"]["poetry-version"]["default"] == str(NEWEST_POETRY)
    folder, pipx = tmp_path / "work", tmp_path / "bin" / "pipx"
    for each in (folder, pipx.parent):
        each.mkdir()
    pipx.write_text(PIPX)
    pipx.chmod(0o755)
    outputs = run_step(
        "Install Poetry and its plugin",
        folder,
        PATH=f"{pipx.parent}:{os.environ['PATH']}",
        RUNNER_TEMP=str(tmp_path),
        PYTHON="/usr/bin/python3",
        VERSION="2.5.1",
        PLUGIN="/actions/poetry-docker-cache",
    )
    home = Path(outputs["poetry"]).parents[1]
    assert home.parent == tmp_path
    assert (home / "calls").read_text().splitlines() == [
        "install --python /usr/bin/python3 poetry==2.5.1",
        "inject poetry /actions/poetry-docker-cache",
    ]


@pytest.mark.parametrize(
    ("inputs", "expected", "name"),
    [
        ({}, {"--tag=shop:1.2", "--load", *GHA}, "shop:1.2"),
        (
            {
                "image": "ghcr.io/acme/shop",
                "tags": "1.2\n  latest\n",
                "push": "true",
                "cache": "ghcr.io/acme/shop:cache",
                "platforms": "linux/amd64,linux/arm64",
                "args": "--with server\n--build-arg A=*",
            },
            {
                *("--tag=ghcr.io/acme/shop:1.2", "--tag=ghcr.io/acme/shop:latest"),
                *("--cache-from=ghcr.io/acme/shop:cache", "--platform=linux/amd64,linux/arm64"),
                *("--output=type=image,push=true,store=false", "--build-arg=A=*"),
            },
            "ghcr.io/acme/shop:1.2",
        ),
        (
            {"tags": "pr-1", "cache": "ghcr.io/acme/shop:cache"},
            {"--tag=shop:pr-1", "--load", "--cache-from=ghcr.io/acme/shop:cache"},
            "shop:pr-1",
        ),
    ],
    ids=["defaults", "push", "pull request"],
)
def test_inputs_become_options_of_the_build(
    client: Client, tmp_path: Path, inputs: dict[str, str], expected: set[str], name: str
) -> None:
    """The plugin passes them to Docker; the outputs are its name and digest."""
    client.answer(containerd=True)
    client.remember({"containerimage.digest": "sha256:" + "0" * 64})
    packages = [package("rich"), package("uvicorn", groups=["server"])]
    shop = make_project(tmp_path / "shop", PYPROJECT, packages)
    poetry = str(TOOLS / "poetry")
    outputs = run_step("Build", shop, POETRY=poetry, **TOKEN, **defaults(**inputs))
    argv = " ".join(client.argv)
    words = set(re.sub(r" (?!-)", "=", argv).split(" "))
    assert expected <= words, argv
    writes = [word for word in words if word.startswith("--cache-to")]
    assert bool(writes) == (inputs.get("push") == "true" or "cache" not in inputs)
    assert outputs["image"] == name
    assert '"containerimage.digest"' in outputs["metadata"]
