"""Run every command of the README and its pages as a new user, in order, in one project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from acme import SHOP, USER, AcmeIndex, Project, make_shop
from clean_poetry import POETRY, ROOT, Poetry

if TYPE_CHECKING:
    from engines import DockerEngine

# The heading after the part that fits the project of the test, for each page; "" for all of it.
PAGES = {
    "README": "",
    "docs/getting-started": "",
    "docs/credentials": "## Where credentials come from",
    "docs/ci": "## Tags and caches",
    **{f"docs/{page}": "" for page in ("layers", "caches", "images", "workspaces", "templates")},
}
README = "\n".join(
    (ROOT / f"{page}.md").read_text(encoding="utf-8").partition(end or "\0")[0]
    for page, end in PAGES.items()
)
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
# The index listens on this machine's loopback, which builds only reach on the host's network.
DOCKER = """\
#!/bin/sh
case "$1" in
    build) shift; exec "{docker}" build --network=host "$@" ;;
    buildx)
        case "$2" in
            build) shift 2; exec "{docker}" buildx build --network=host "$@" ;;
            bake)
                shift 2
                case "$*" in *--file*) ;; *) set -- --file docker-bake.hcl "$@" ;; esac
                exec "{docker}" buildx bake --allow network.host --file "{network}" "$@" ;;
        esac ;;
esac
exec "{docker}" "$@"
"""
# Docker Hub may be unreachable, so that Poetry's `docker/dockerfile:1` cannot be pulled.
SETTINGS = 'syntax = false\nimage = "shop"\n'
TABLES = re.findall(r"^```toml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
(IMAGES,) = (text for text in TABLES if "docker-cache.images." in text)

pytestmark = pytest.mark.engine


@pytest.fixture(scope="session")
def pipx(tmp_path_factory: pytest.TempPathFactory, plugin_wheel: Path) -> dict[str, str]:
    """Install Poetry with pipx, as its documentation says; the plugin is available by name."""
    folder = tmp_path_factory.mktemp("pipx")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "pipx"]
    subprocess.run(pip, check=True)
    env = {
        "PIPX_HOME": str(folder / "home"),
        "PIPX_BIN_DIR": str(folder / "bin"),
        "PIPX_MAN_DIR": str(folder / "man"),
        "PATH": f"{folder / 'bin'}:{folder / 'venv' / 'bin'}",
        "PIP_FIND_LINKS": str(plugin_wheel.parent),
    }
    path = f"{env['PATH']}:{os.environ['PATH']}"
    subprocess.run(
        ["pipx", "install", "--quiet", f"poetry=={POETRY}"],
        env={**os.environ, **env, "PATH": path},
        check=True,
    )
    return env


def test_make_knows_the_commands() -> None:
    """`make demo` and `make test` exist; they have their own tests."""
    (block,) = (block for block in BLOCKS if block.startswith("make "))
    for line in block.splitlines():
        subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, stdout=subprocess.PIPE)


def test_every_command_works(
    engine: DockerEngine, index: AcmeIndex, pipx: dict[str, str], tmp_path: Path
) -> None:
    """From the installation to CI, each block of the README succeeds."""
    shims = tmp_path / "bin"
    shims.mkdir()
    real = subprocess.run(
        ["sh", "-c", "command -v docker"],
        env=engine.env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    network = shims / "network.json"  # buildx 0.29 ignores it with `--set`
    targets = {name: {"network": "host"} for name in ("api", "worker")}
    network.write_text(json.dumps({"target": targets}))
    (shims / "docker").write_text(DOCKER.format(docker=real, network=network))
    (shims / "docker").chmod(0o755)
    env = {**engine.env, **pipx, "PATH": f"{shims}:{pipx['PATH']}:{engine.env['PATH']}"}
    env |= {"ACME_USERNAME": USER, "ACME_PASSWORD": index.password}
    env |= {"IMAGE": f"{engine.registry}/readme-shop"}
    poetry = Poetry.isolated(Path(pipx["PIPX_BIN_DIR"], "poetry"), tmp_path / "home", env)
    (install,) = {block for block in BLOCKS if block.startswith("pipx inject ")}
    run(install, ROOT, poetry)
    project = make_shop(tmp_path / "shop", poetry, index, pyproject=pyproject())
    for block in dict.fromkeys(BLOCKS):
        if block == install or block.startswith("make "):
            continue
        folder = project.folder
        if "build api worker" in block:
            folder = with_several_images(project, tmp_path / "several")
        run(block, folder, poetry)


def pyproject() -> str:
    """Return the shop, with the group and the name that the README uses."""
    text = SHOP.replace("[tool.poetry-docker-cache]\n", f"[tool.poetry-docker-cache]\n{SETTINGS}")
    return text.replace("group.docs", "group.server")


def with_several_images(project: Project, folder: Path) -> Path:
    """Return a copy of the project with the README's images."""
    shutil.copytree(project.folder, folder)
    head = "[tool.poetry-docker-cache]\n"
    common, start, images = IMAGES.partition("[tool.poetry-docker-cache.images.")
    copy = Project(folder, project.poetry)
    copy.replace("pyproject.toml", head, common)
    copy.write("pyproject.toml", f"{copy.read('pyproject.toml')}\n{start}{images}".encode())
    return folder


def run(block: str, folder: Path, poetry: Poetry) -> None:
    """Run a block in a shell; a failure shows all output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=poetry.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}"
