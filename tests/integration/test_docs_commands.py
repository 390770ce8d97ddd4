"""Type the commands of the README and of all pages as a new user, in one project."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from acme import SHOP, USER, AcmeIndex, Project, make_shop
from clean_poetry import POETRY, ROOT, Poetry, copy_environment
from environments import fill_environment
from warm_poetry import warm_poetry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines import DockerEngine

INSTALL = "pipx inject poetry ."
NOT_TYPED = {
    "jq": "may not be installed",
    "make": "each target has a test or a CI job of its own",
    "docker buildx imagetools inspect docker:29.8.2-cli": "needs Docker Hub",
    "docker compose up": "runs until it is stopped",
    r"docker run .*:1\.0\.0": "runs a recipe; test_examples.py builds and runs each",
    "cosign sign": "needs Sigstore's log; test_no_engine.py signs with a key",
    "cosign tree": "needs cosign; test_referrers.py reads the same",
    "cosign verify": "needs an image that was signed on GitHub",
    "oras discover": "needs oras; test_referrers.py reads the same",
}
"""Patterns of commands that the test does not type, and why. The rest of a block is typed."""
REGISTRY = "registry.example.com"
"""Readers replace it by their registry, as the test does."""
SEVERAL = "docs/workspaces.md"
HANDWRITTEN = ("docs/migrating.md", "docs/replaced-dockerfiles.md")
DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
COPY . .
RUN pip install poetry && poetry install --only main
EXPOSE 8000
CMD ["acme-shop"]
"""

# The index listens on this machine's loopback, which builds only reach on the host's network.
# Another program may use port 8000.
DOCKER = """\
#!/bin/sh
case "$1" in
    build) shift; exec "{docker}" build --network=host "$@" ;;
    run) test "$4" != 8000:8000 || {{ shift 4; set -- run --rm -p 8000 "$@"; }} ;;
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


def read_pages() -> dict[str, str]:
    """Return the text of each page: the README, the site in its order, then all others."""
    site = re.findall(r"([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    places = [ROOT / "README.md", *(ROOT / "docs" / name for name in site if name != "index.md")]
    for pattern in ("docs/*.md", "*.md", "examples/*/*.md"):
        places += sorted(ROOT.glob(pattern))
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in dict.fromkeys(places)
    }


def read_blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block."""
    return re.findall(r"^ *```(\S*)\n(.*?)^ *```$", page, re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[str]:
    """Return the commands of a block, each on one line."""
    return re.sub(r"\\\n\s*", "", block).splitlines()


def pattern_of(command: str) -> str | None:
    """Return the pattern in NOT_TYPED that matches a command."""
    return next((one for one in NOT_TYPED if re.match(rf"{one}(?!\S)", command)), None)


PAGES = read_pages()
BLOCKS = {
    page: [commands(block) for language, block in read_blocks(text) if language == "sh"]
    for page, text in PAGES.items()
}
SKIPPED = [
    line for blocks in BLOCKS.values() for block in blocks for line in block if pattern_of(line)
]
(IMAGES,) = (
    text
    for language, text in read_blocks(PAGES[SEVERAL])
    if language == "toml" and "docker-cache.images." in text
)


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_in_shell_blocks(page: str) -> None:
    """They have one form: ```sh, without a prompt and apart from their output."""
    assert "\n~~~" not in PAGES[page]
    for language, block in read_blocks(PAGES[page]):
        assert language not in ("bash", "console", "shell", "text", "zsh"), block
        start = r"^\$ " if language == "sh" else r"^(\$|poetry|docker|pipx|make) "
        assert not re.search(start, block, re.MULTILINE), block


def test_exceptions_are_used() -> None:
    """Each matches a command of a page, and commands of the plugin are always typed."""
    assert {pattern_of(line) for line in SKIPPED} == {*NOT_TYPED}
    assert not [line for line in SKIPPED if "poetry" in line.split()]


@pytest.mark.engine
def test_commands_that_are_not_typed_exist(engine: DockerEngine) -> None:
    """`make` has the targets, and docker accepts the options."""
    for line in SKIPPED:
        words = shlex.split(line)
        if words[0] == "make":
            words.append("--dry-run")
        elif words[:2] in (["docker", "buildx"], ["docker", "run"]):
            options = (at for at, word in enumerate(words) if word.startswith("-"))
            words.insert(next(options, len(words)), "--help")
        else:
            continue
        done = subprocess.run(
            words, cwd=ROOT, env=engine.env, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def pipx(tmp_path_factory: pytest.TempPathFactory, plugin_wheel: Path) -> dict[str, str]:
    """Install Poetry with pipx, as its documentation says; the plugin is available by name.

    pipx finds Poetry installed in a copy of the environment that other tests use.
    """
    folder = tmp_path_factory.mktemp("pipx")
    fill_environment(folder / "venv", "pipx")
    copy_environment(folder / "home" / "venvs" / "poetry")
    fill_environment(folder / "home" / "shared", "pip")  # pipx would take four times as long
    env = {
        "PIPX_HOME": str(folder / "home"),
        "PIPX_BIN_DIR": str(folder / "bin"),
        "PIPX_MAN_DIR": str(folder / "man"),
        "PATH": f"{folder / 'bin'}:{folder / 'venv' / 'bin'}",
        "PIP_FIND_LINKS": str(plugin_wheel.parent),
    }
    path = f"{env['PATH']}:{os.environ['PATH']}"
    install = ["pipx", "install", "--quiet", "--force", "--pip-args=--no-deps"]
    subprocess.run(
        [*install, f"poetry=={POETRY}"], env={**os.environ, **env, "PATH": path}, check=True
    )
    return env


@pytest.mark.engine
def test_every_command_works(
    engine: DockerEngine, index: AcmeIndex, pipx: dict[str, str], tmp_path: Path
) -> None:
    """Each block succeeds; a page starts with Poetry's settings as they were."""
    shims = with_docker(tmp_path / "bin", engine.env)
    env = {**engine.env, **pipx, "PATH": f"{shims}:{pipx['PATH']}:{engine.env['PATH']}"}
    env |= {"ACME_USERNAME": USER, "ACME_PASSWORD": index.password}
    env |= {"IMAGE": f"{engine.registry}/readme-shop"}
    poetry = Poetry.isolated(Path(pipx["PIPX_BIN_DIR"], "poetry"), tmp_path / "home", env)
    run(INSTALL, ROOT, poetry)
    add_pytest(index.packages)
    project = make_shop(tmp_path / "shop", poetry, index, pyproject=pyproject())
    project.write("tests/test_cart.py", "def test_cart(): ...\n")
    project.configure(base_image=f"{engine.registry}/library/python:{{python}}-slim")
    (poetry.home / ".npmrc").touch()
    folders = {SEVERAL: with_several_images(project, tmp_path / "several")}
    folders |= {page: with_dockerfile(project, tmp_path / Path(page).stem) for page in HANDWRITTEN}
    migrated = folders[HANDWRITTEN[0]] / "pyproject.toml"
    settings, saved = Path(poetry.env["POETRY_CONFIG_DIR"]), tmp_path / "settings"
    shutil.copytree(settings, saved)
    typed = {(project.folder, INSTALL)}
    for page, blocks in BLOCKS.items():
        shutil.rmtree(settings)
        shutil.copytree(saved, settings)
        folder = folders.get(page, project.folder)
        for lines in blocks:
            text = "\n".join(line for line in lines if not pattern_of(line))
            if text and (folder, text) not in typed:
                typed.add((folder, text))
                run(text.replace(REGISTRY, str(engine.registry)), folder, poetry)
        # The README's commands start Poetry as a user does. This saves two seconds for each other.
        warm_poetry(pipx_python(pipx)).write_program(shims / "poetry")
    assert "ports = [8000]" in migrated.read_text(encoding="utf-8")


def pipx_python(pipx: Mapping[str, str]) -> Path:
    """Return the Python of the environment that pipx has for Poetry."""
    return Path(pipx["PIPX_HOME"], "venvs", "poetry", "bin", "python")


def with_docker(folder: Path, env: Mapping[str, str]) -> Path:
    """Write a `docker` into a new folder whose builds and containers use the host's network."""
    folder.mkdir()
    docker = shutil.which("docker", path=env["PATH"])
    network = folder / "network.json"  # buildx 0.29 ignores it with `--set`
    targets = {name: {"network": "host"} for name in ("api", "worker")}
    network.write_text(json.dumps({"target": targets}))
    (folder / "docker").write_text(DOCKER.format(docker=docker, network=network))
    (folder / "docker").chmod(0o755)
    return folder


def add_pytest(packages: Path) -> None:
    """Add pytest to the index; a lock file also names what it needs on Windows."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(packages)]
    subprocess.run([*pip, "--only-binary=:all:", "pytest", "colorama"], check=True)


def pyproject() -> str:
    """Return the shop, with the group and the name that the README uses, and with pytest."""
    text = SHOP.replace("[tool.poetry-docker-cache]\n", f"[tool.poetry-docker-cache]\n{SETTINGS}")
    text = text.replace('dev = ["acme-lint"]', 'dev = ["acme-lint", "pytest"]')
    return text.replace("group.docs", "group.server")


def with_several_images(project: Project, folder: Path) -> Path:
    """Return a copy of the project with the images of the page."""
    shutil.copytree(project.folder, folder)
    head = "[tool.poetry-docker-cache]\n"
    common, start, images = IMAGES.partition("[tool.poetry-docker-cache.images.")
    copy = Project(folder, project.poetry)
    copy.replace("pyproject.toml", head, common)
    copy.write("pyproject.toml", f"{copy.read('pyproject.toml')}\n{start}{images}".encode())
    return folder


def with_dockerfile(project: Project, folder: Path) -> Path:
    """Return a copy of the project with a Dockerfile of its own."""
    shutil.copytree(project.folder, folder)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


def run(block: str, folder: Path, poetry: Poetry) -> None:
    """Run a block in a shell, with an answer for a question; a failure shows all output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=poetry.env,
        input="yes\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}"
