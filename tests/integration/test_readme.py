"""Every command of the README, typed by a stranger: in the README's order, in one project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from acme import SHOP, USER, AcmeIndex, make_shop
from clean_poetry import POETRY, ROOT, Poetry

if TYPE_CHECKING:
    from engines import DockerEngine

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
# The index of the tests listens on this machine's 127.0.0.1, which a build does not see by itself.
DOCKER = """\
#!/bin/sh
case "$1" in
    build) shift; exec "{docker}" build --network=host "$@" ;;
    buildx) [ "$2" = build ] && shift 2 && exec "{docker}" buildx build --network=host "$@" ;;
esac
exec "{docker}" "$@"
"""
# Poetry cannot ask for its `docker/dockerfile:1` here: no image of Docker Hub can be had.
SETTINGS = 'syntax = false\nimage = "shop"\n'

pytestmark = pytest.mark.engine


@pytest.fixture(scope="session")
def pipx(tmp_path_factory: pytest.TempPathFactory, plugin_wheel: Path) -> dict[str, str]:
    """Install Poetry by pipx, as its documentation says; the plugin can be had by its name."""
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
    """`make demo` and `make test` have tests of their own, this being one; they exist."""
    (block,) = (block for block in BLOCKS if block.startswith("make "))
    for line in block.splitlines():
        subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, stdout=subprocess.PIPE)


def test_every_command_works(
    engine: DockerEngine, index: AcmeIndex, pipx: dict[str, str], tmp_path: Path
) -> None:
    """From the installation to CI, each block of the README ends well."""
    shims = tmp_path / "bin"
    shims.mkdir()
    real = subprocess.run(
        ["sh", "-c", "command -v docker"],
        env=engine.env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (shims / "docker").write_text(DOCKER.format(docker=real))
    (shims / "docker").chmod(0o755)
    env = {**engine.env, **pipx, "PATH": f"{shims}:{pipx['PATH']}:{engine.env['PATH']}"}
    env |= {"ACME_USERNAME": USER, "ACME_PASSWORD": index.password}
    env |= {"IMAGE": f"{engine.registry}/readme-shop"}
    poetry = Poetry.isolated(Path(pipx["PIPX_BIN_DIR"], "poetry"), tmp_path / "home", env)
    blocks = [block for block in BLOCKS if not block.startswith("make ")]
    assert blocks[0].startswith("pipx inject poetry")
    run(blocks[0], tmp_path, poetry)
    project = make_shop(tmp_path / "shop", poetry, index, pyproject=pyproject())
    for block in blocks[1:]:
        run(block, project.folder, poetry)


def pyproject() -> str:
    """The shop, with the group and the name that the README's commands speak of."""
    text = SHOP.replace("[tool.poetry-docker-cache]\n", f"[tool.poetry-docker-cache]\n{SETTINGS}")
    return text.replace("group.docs", "group.server")


def run(block: str, folder: Path, poetry: Poetry) -> None:
    """Type a block into a shell; its failure shows all that it said."""
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
