"""The shell form of `export --ci`, run as a CI runs it: machines that have nothing but Docker.

Both the registry and the package index ask for a password. The first machine has no Poetry either;
the second one has it, with the plugin.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from acme import CANARY, PASSWORD, USER, Project, make_shop
from builds import read_progress
from edits import INSTALLING, PACKAGES, release
from registries import own_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from acme import AcmeIndex
    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

REGISTRY_USER, REGISTRY_PASSWORD = "ci", "r3gistry $x"
USERS = "ci:$2b$04$bZ3N7LQSm8Gnu4li6rLFVuvXjnjdEm4a/SU59cJdwi8dEc3QHJ/2a\n"
ARGUMENTS = ("--progress=rawjson", "--network=host")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine of a CI: an engine, a home, and what its administrators have installed."""

    env: dict[str, str]
    engine: DockerEngine

    @classmethod
    def new(cls, engine: DockerEngine, home: Path, *tools: Path) -> Machine:
        """Give one with the programs of some folders, and without any other Poetry."""
        (home / "bin").mkdir(parents=True)
        python = home / "bin" / "python3"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        # What `docker login` writes stays on this machine.
        shutil.copytree(engine.env["DOCKER_CONFIG"], home / ".docker", symlinks=True)
        others = [
            folder
            for folder in engine.env["PATH"].split(os.pathsep)
            if not (Path(folder) / "poetry").exists()
        ]
        own = {
            "HOME": str(home),
            "DOCKER_CONFIG": str(home / ".docker"),
            "PATH": os.pathsep.join([*map(str, tools), str(home / "bin"), *others]),
            "POETRY_KEYRING_ENABLED": "false",
        }
        others_own = ("POETRY_", "XDG_")
        kept = {name: it for name, it in engine.env.items() if not name.startswith(others_own)}
        return cls(env={**kept, **own}, engine=engine)

    def empty(self) -> None:
        """Make it one that has never built."""
        self.engine.forget()

    def run(self, script: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script, whatever comes of it; no password may be in what it says."""
        done = subprocess.run(
            [script, *ARGUMENTS],
            cwd="/",
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert CANARY not in said
        assert REGISTRY_PASSWORD not in said
        return done

    def build(self, script: Path, **variables: str) -> Steps:
        """Run the script, successfully."""
        done = self.run(script, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return read_progress(done.stderr)


@pytest.fixture(scope="module")
def address(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a registry that asks for a password."""
    assert engine.env
    with own_registry(tmp_path_factory.mktemp("registry"), users=USERS) as address:
        yield address


@pytest.fixture(scope="module")
def secrets(address: str) -> dict[str, str]:
    """Give the variables that the CI has for the script."""
    return {
        "IMAGE": f"{address}/team/shop",
        "REGISTRY_USER": REGISTRY_USER,
        "REGISTRY_PASSWORD": REGISTRY_PASSWORD,
        "POETRY_HTTP_BASIC_ACME_USERNAME": USER,
        "POETRY_HTTP_BASIC_ACME_PASSWORD": PASSWORD,
    }


@pytest.fixture(scope="module")
def shop(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Give a project in git, with the script."""
    project = make_shop(tmp_path_factory.mktemp("ci") / "shop", poetry_home(engine), index)
    # Nothing fits that other modules have built.
    project.configure(layers=4, instructions={"build": ["ENV BUILT_BY=test_ci_shell"]})
    project.poetry.run(project.folder, "docker", "export", "--ci", "shell")
    git(project, "init", "--quiet", "--initial-branch=main")
    commit(project)
    return project


def git(project: Project, *arguments: str) -> None:
    """Run git as somebody."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=project.folder, check=True)


def commit(project: Project) -> None:
    """Commit everything."""
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=x")


def tags(address: str, repository: str = "team/shop") -> set[str]:
    """List what is in the registry under the image's name."""
    login = base64.b64encode(f"{REGISTRY_USER}:{REGISTRY_PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        f"http://{address}/v2/{repository}/tags/list", headers={"Authorization": f"Basic {login}"}
    )
    with urllib.request.urlopen(request) as answer:
        return set(json.load(answer)["tags"])


@pytest.fixture(scope="module")
def first(
    engine: DockerEngine, plugin_wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """Give a machine without Poetry, that finds the plugin as if it were released."""
    machine = Machine.new(engine, tmp_path_factory.mktemp("machine") / "home")
    machine.env["PIP_FIND_LINKS"] = str(plugin_wheel.parent)
    return machine


@pytest.fixture(scope="module")
def second(
    second_engine: DockerEngine, clean_poetry: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """Give another machine, which has Poetry and the plugin."""
    home = tmp_path_factory.mktemp("machine") / "home"
    return Machine.new(second_engine, home, clean_poetry.parent)


def test_two_machines(
    first: Machine, second: Machine, shop: Project, address: str, secrets: dict[str, str]
) -> None:
    """The first run finds no cache and makes one; the next, on an empty machine, installs nothing.

    A branch begins with main's cache, and a version reads it; a pull request's run writes nothing.
    """
    script = shop.folder / "docker-build.sh"
    steps = first.build(script, **secrets)
    assert steps.installed == PACKAGES
    assert tags(address) == {"main", "latest", "buildcache-main"}

    second.empty()
    git(shop, "switch", "--quiet", "--create", "feature/till")
    release(shop)
    commit(shop)
    steps = second.build(script, DEFAULT_BRANCH="main", **secrets)
    assert {"manifest", "application"} <= steps.ran
    assert not steps.ran & INSTALLING
    assert steps.installed == ()
    branch = {"feature-till", "buildcache-feature-till"}
    assert tags(address) == {"main", "latest", "buildcache-main", *branch}

    git(shop, "tag", "v1.3.0")
    git(shop, "checkout", "--quiet", "--detach")
    steps = second.build(script, DEFAULT_BRANCH="main", **secrets)
    assert steps.cached
    assert not steps.ran & INSTALLING
    after = tags(address)
    assert after == {"main", "latest", "buildcache-main", *branch, "1.3.0", "1.3"}

    second.empty()
    steps = second.build(script, PUSH="no", BRANCH="other", DEFAULT_BRANCH="main", **secrets)
    assert steps.cached
    assert not steps.ran & INSTALLING
    assert tags(address) == after
    assert second.engine.run(f"{secrets['IMAGE']}:other") == "shop 1.1 1.0\n"


def test_several_images(
    first: Machine, second: Machine, shop: Project, secrets: dict[str, str], tmp_path: Path
) -> None:
    """What they have in common is installed once, and on an empty machine nothing is."""
    shutil.copytree(shop.folder, tmp_path / "shop")
    several = Project(tmp_path / "shop", shop.poetry)
    images = {"api": {"extras": ["more"]}, "worker": {"groups": ["main", "docs"]}}
    mark = {"build": ["ENV BUILT_BY=test_ci_shell_images"]}
    several.configure(instructions=mark, images=images)
    several.poetry.run(several.folder, "docker", "export", "--ci", "shell")
    script = several.folder / "docker-build.sh"
    main = {**secrets, "BRANCH": "main", "DEFAULT_BRANCH": "main"}
    steps = first.build(script, **main)
    assert steps.installed == ("acme-docs", "acme-extra", *PACKAGES)
    address = secrets["IMAGE"].partition("/")[0]
    for name in images:
        assert tags(address, f"team/shop-{name}") == {"main", "latest", "buildcache-main"}

    second.empty()
    release(several)
    steps = second.build(script, **main)
    assert "application" in steps.ran
    assert steps.installed == ()
    assert not steps.ran & INSTALLING


def test_a_wrong_password(second: Machine, shop: Project, secrets: dict[str, str]) -> None:
    """The registry's is told before anything is built."""
    wrong = {**secrets, "REGISTRY_PASSWORD": "wrong", "BRANCH": "main"}
    done = second.run(shop.folder / "docker-build.sh", **wrong)
    assert done.returncode != 0
    assert "unauthorized" in done.stderr.lower()
    assert '"vertexes"' not in done.stderr
