"""The plugin's cost for other commands, and what an export never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from projects import make_project, package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIST_MODULES = """
import json, sys
from poetry.console.application import main
try:
    main()
except SystemExit:
    pass
print("MODULES", json.dumps(sorted(sys.modules)))
"""

# An audit hook sees every connection and cannot be removed.
NO_SOCKETS = """
import sys
def refuse(event, arguments):
    # urllib3 makes a socket when it is imported, to see whether there is IPv6.
    asked = ("connect", "getaddrinfo", "gethostby", "send")
    if event.startswith(tuple("socket." + name for name in asked)):
        sys.stderr.write(f"SOCKET {event} {arguments}\\n")
        raise SystemExit(99)
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def without_plugin(clean_poetry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for PYTHONPATH that hides the plugin's entry point from Poetry."""
    folder = tmp_path_factory.mktemp("without")
    (info,) = clean_poetry.parents[1].glob("lib/*/site-packages/poetry_docker_cache-*.dist-info")
    hidden = folder / info.name
    hidden.mkdir()
    (hidden / "METADATA").write_bytes((info / "METADATA").read_bytes())
    return folder


def modules(python: Path, command: Sequence[str], path: Path | None = None) -> set[str]:
    """Return the modules that a command imports."""
    env = dict(os.environ) | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(
        [python, "-c", LIST_MODULES, *command], env=env, capture_output=True, text=True, check=True
    )
    out, _, names = done.stdout.partition("MODULES ")
    assert out
    return set(json.loads(names))


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        (["--version"], []),
        (["config", "--list"], []),
        (
            ["list"],
            [
                *(f"commands.{name}" for name in ("build", "docker_command", "doctor", "export")),
                *(f"commands.{name}" for name in ("init", "layers", "run_tests")),
                "commands",
                *(f"commands.{name}" for name in ("diff", "sbom", "verify")),
                "errors",
            ],
        ),
    ],
    ids=" ".join,
)
def test_other_commands_import_almost_nothing(
    clean_poetry: Path, without_plugin: Path, command: list[str], ours: list[str]
) -> None:
    """Only the plugin module is imported; to list commands, also the modules that declare them."""
    python = clean_poetry.with_name("python")
    more = modules(python, command) - modules(python, command, without_plugin)
    package_name = "poetry_docker_cache"
    assert more == {package_name, *(f"{package_name}.{name}" for name in ["plugin", *ours])}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a source that has credentials."""
    source = {"type": "legacy", "url": "https://acme.test/simple", "reference": "acme"}
    text = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.10"
dependencies = ["rich"]
[[tool.poetry.source]]
name = "acme"
url = "https://acme.test/simple"
"""
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", "me")
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", "c4nary")
    folder = make_project(tmp_path / "shop", text, [package("rich", source=source)])
    (folder / "shop.py").touch()
    return folder


@pytest.mark.parametrize(
    ("arguments", "status"),
    [([], 0), (["--check"], 1), (["-o", "-"], 0), (["--auth-file", "../auth.toml"], 0)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_export_connects_to_nothing(
    shop: Path, tmp_path: Path, arguments: list[str], status: int
) -> None:
    """Neither the network nor an engine is used, with or without credentials."""
    (tmp_path / "sitecustomize.py").write_text(NO_SOCKETS)
    env = dict(os.environ) | {"PYTHONPATH": str(tmp_path), "PATH": "/nonexistent"}
    poetry = [sys.executable, "-m", "poetry"]
    export = [*poetry, "docker", "export", *arguments]
    done = subprocess.run(export, cwd=shop, env=env, capture_output=True, text=True, check=False)
    assert "SOCKET" not in done.stderr
    assert done.returncode == status, done.stderr
    if "--auth-file" in arguments:
        assert "c4nary" in (tmp_path / "auth.toml").read_text()
    if not arguments:  # a connection would be detected
        lock = [*poetry, "lock", "--regenerate"]
        done = subprocess.run(lock, cwd=shop, env=env, capture_output=True, text=True, check=False)
        assert "SOCKET" in done.stderr
