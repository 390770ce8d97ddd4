"""`poetry docker doctor` with a real engine and a private index."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from acme import CANARY, make_shop
from command_line import poetry
from leaks import probes
from projects import make_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from acme import AcmeIndex, Project
    from clean_poetry import Poetry
    from engines import DockerEngine

IMAGES = """\
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"

[tool.poetry]
package-mode = false

[tool.poetry-docker-cache]
python = "3.13"
base-image = "127.0.0.1:9/python:3.13-slim"  # nothing listens there

[tool.poetry-docker-cache.images.api]
command = ["python", "api.py"]

[tool.poetry-docker-cache.images.worker]
"""


@pytest.fixture
def shop(
    poetry_home: Callable[[DockerEngine], Poetry],
    engine: DockerEngine,
    index: AcmeIndex,
    tmp_path: Path,
) -> Project:
    """Return a locked project whose private source replaces PyPI."""
    return make_shop(tmp_path / "shop", poetry_home(engine), index)


def examine(
    shop: Project, *options: str, **env: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, dict[str, Any]]]:
    """Run the command; return what it prints, and the last check of each name."""
    done = shop.poetry.run(
        shop.folder, "docker", "doctor", "--json", *options, check=False, env=env
    )
    assert not any(
        probe in (done.stdout + done.stderr).encode() for probe in probes(CANARY).values()
    )
    data = json.loads(done.stdout)
    assert data["ok"] == (done.returncode == 0)
    return done, {check["name"]: check for check in data["checks"]}


def states(found: dict[str, dict[str, Any]], state: str) -> set[str]:
    """Return the names of the checks with a state."""
    return {name for name, check in found.items() if check["status"] == state}


@pytest.mark.engine
def test_every_problem_has_its_line_and_hides_no_other(shop: Project, tmp_path: Path) -> None:
    """A sound project, then a wrong password, a stale lock file and no engine, one by one."""
    _, sound = examine(shop)
    assert states(sound, "error") == set()
    assert "answers with your credentials" in sound["source"]["message"]
    assert sound["engine"]["message"].startswith("Docker Engine ")
    assert sound["base"]["message"].startswith("python:3.13-slim exists")
    assert sound["wheels"]["message"].startswith("All 3 packages have wheels for Python 3.13 on")

    shop.log_in("wrong")
    _, refused = examine(shop, "-vvv")
    assert states(refused, "error") == {"source"}
    assert "does not accept the credentials" in refused["source"]["message"]
    assert "poetry config http-basic.acme USERNAME" in refused["source"]["fix"]

    shop.replace("pyproject.toml", '"acme-native"]', '"acme-native", "acme-new"]')
    _, stale = examine(shop, PATH=str(tmp_path))
    assert states(stale, "error") == {"engine", "lock", "source"}
    assert stale["lock"]["fix"] == "Run `poetry lock`."
    assert stale["engine"]["message"] == "`docker` not found on the PATH."
    assert stale["wheels"] == sound["wheels"]
    assert states(stale, "warning") >= {"buildx", "cache", "platform"}


@pytest.mark.engine
def test_text_is_for_terminals_of_any_encoding(shop: Project) -> None:
    """With `-q`, the exit status is the answer, as with `poetry check`."""
    env = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ""}  # the latter starts a new process
    shown = shop.poetry.run(shop.folder, "docker", "doctor", env=env)
    assert shown.stdout.startswith("Machine\n + Docker Engine ")
    assert shown.stdout.isascii()
    shop.write("poetry.lock", "")
    quiet = shop.poetry.run(shop.folder, "docker", "doctor", "-q", check=False)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (1, "", "")


@pytest.mark.usefixtures("client")
def test_facts_of_several_images_are_shown_once(tmp_path: Path) -> None:
    """What is about one of them has its name. Files that git ignores are named."""
    shop = make_project(tmp_path / "shop", IMAGES, [])
    (shop / "api.py").touch()
    (shop / "dump.bin").touch()
    (shop / ".gitignore").write_text("*.bin\n")
    subprocess.run(["git", "init", "--quiet", shop], check=True)
    data = json.loads(poetry(shop, "docker", "doctor", "--json").out)
    found = [check for check in data["checks"] if check["name"] in ("base", "start", "files")]
    assert [(check["name"], check["status"]) for check in found] == [
        ("base", "warning"),
        ("start", "ok"),
        ("start", "warning"),
        ("files", "warning"),
        ("files", "ok"),
    ]
    base, api, worker, ignored, _ = (check["message"] for check in found)
    assert base.startswith("Unknown whether 127.0.0.1:9/python:3.13-slim exists: ")
    assert api == "api: The image starts `python api.py`."
    assert worker.startswith("worker: The image starts nothing")
    assert ignored.startswith("The image contains files that git ignores: dump.bin.")
