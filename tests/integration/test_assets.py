"""A front end is built in a stage of its own, with a token that only the download gets."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from acme import Project
from builds import build, failed_build
from containers import get, run_container
from node_image import make_node_image
from npm_registry import NpmRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

TOKEN = "token-of-the-npm-registry"  # of a made-up registry
# What an install script of a package sees.
INSTALL = """\
const fs = require("fs");
const up = fs.readdirSync("/sys/class/net").filter(name => name !== "lo");
const seen = {secret: fs.existsSync("/root/.npmrc"), networks: up};
fs.writeFileSync("seen.json", JSON.stringify(seen));
"""
BUILD = """\
const fs = require("fs");
fs.mkdirSync("dist", {recursive: true});
fs.copyFileSync("node_modules/left/seen.json", "dist/seen.json");
fs.writeFileSync("dist/main.js", fs.readFileSync("main.js"), {mode: 0o600});
"""
PYPROJECT = """\
[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = "^3.9"

[tool.poetry-docker-cache]
image = "shop-with-front-end"
python = "3.13"
syntax = false
command = ["find", "/app", "-type", "f", "-readable"]
assets = { folder = "web", image = "node-of-this-machine", output = "dist", to = "static" }
"""


@pytest.fixture(scope="module", autouse=True)
def _node_image(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make the default image of front ends."""
    make_node_image(engine, tmp_path_factory.mktemp("node") / "image", "node:22-slim")


def test_recipe(engine: DockerEngine, example: Callable[[str], Project]) -> None:
    """The API of the example serves the page that the front end's build wrote."""
    project = example("front-end")
    done = subprocess.run(
        ["npm", "config", "get", "registry"], capture_output=True, text=True, check=True
    )
    (project.poetry.home / ".npmrc").write_text(f"registry={done.stdout}", encoding="utf-8")
    project.poetry.run(project.folder, "docker", "build")
    with run_container(engine, "board:1.0.0") as board:
        assert "<title>Board</title>" in get(engine, board)
        assert get(engine, board, "/api/notes") == '["Water the plants"]'


def test_private_registry(
    engine: DockerEngine, poetry_home: Callable[[DockerEngine], Poetry], tmp_path: Path
) -> None:
    """Install scripts see neither token nor network, and an edit downloads nothing again."""
    engine.docker("tag", "node:22-slim", "node-of-this-machine")
    poetry = poetry_home(engine)
    project = Project(tmp_path / "shop", poetry)
    with NpmRegistry(TOKEN, {"left": {"install.js": INSTALL}}) as registry:
        login = f"registry=http://{registry.host}/\n//{registry.host}/:_authToken={TOKEN}\n"
        manifest = {"name": "web", "scripts": {"build": "node build.js"}}
        manifest |= {"dependencies": {"left": "1.0.0"}}
        packages = {"": manifest, "node_modules/left": registry.entry("left")}
        packages["node_modules/left"]["hasInstallScript"] = True
        project.write("pyproject.toml", PYPROJECT)
        project.write("app.py", "")
        project.write("web/package.json", json.dumps(manifest))
        project.write(
            "web/package-lock.json",
            json.dumps({"name": "web", "lockfileVersion": 3, "packages": packages}),
        )
        project.write("web/build.js", BUILD)
        project.write("web/main.js", "first")
        project.write("web/node_modules/left/package.json", "of this machine")
        poetry.run(project.folder, "lock")

        refused = failed_build(project)
        assert "the npm registry refused access" in refused
        assert "--secret id=npmrc,src=$HOME/.npmrc" in refused

        (poetry.home / ".npmrc").write_text(login, encoding="utf-8")
        first = build(project)
        assert TOKEN not in first.messages + first.said
        files = engine.run("shop-with-front-end").split()
        assert {name for name in files if "/app/static/" in name} == {
            "/app/static/main.js",
            "/app/static/seen.json",
        }
        assert not [name for name in files if "/web/" in name]
        look = "find / -xdev '(' -name node_modules -o -name .npmrc ')' 2> /dev/null || true"
        assert engine.run("shop-with-front-end", "sh", "-c", look) == ""
        read = ("shop-with-front-end", "cat", "/app/static/seen.json")
        assert json.loads(engine.run(*read)) == {"secret": False, "networks": []}

        seen = len(registry.requests)
        project.write("web/main.js", "second")
        build(project)
        assert engine.run("shop-with-front-end", "cat", "/app/static/main.js") == "second"
        assert len(registry.requests) == seen > 0
