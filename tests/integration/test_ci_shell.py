"""Run the script of `export --ci=shell` as CI does, on machines that have only Docker.

Registry and package index require a password. The first machine does not have Poetry either; the
second one has Poetry with the plugin.
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
    """A CI machine: an engine, a home, and the installed programs."""

    env: dict[str, str]
    engine: DockerEngine

    @classmethod
    def new(cls, engine: DockerEngine, home: Path, *tools: Path) -> Machine:
        """Return a machine with the programs in some folders, and no other Poetry."""
        (home / "bin").mkdir(parents=True)
        python = home / "bin" / "python3"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        # Keep `docker login` credentials on this machine.
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
        kept = {
            name: value for name, value in engine.env.items() if not name.startswith(others_own)
        }
        return cls(env={**kept, **own}, engine=engine)

    def empty(self) -> None:
        """Remove everything that was built."""
        self.engine.forget()

    def run(self, script: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script, with any result; its output must not contain a password."""
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
        """Run the script successfully."""
        done = self.run(script, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return read_progress(done.stderr)


@pytest.fixture(scope="module")
def address(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a registry that requires a password."""
    assert engine.env
    with own_registry(tmp_path_factory.mktemp("registry"), users=USERS) as address:
        yield address


@pytest.fixture(scope="module")
def secrets(address: str) -> dict[str, str]:
    """Return the variables that CI sets for the script."""
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
    """Return a project in git, with the script."""
    project = make_shop(tmp_path_factory.mktemp("ci") / "shop", poetry_home(engine), index)
    # Keep layers of other test modules from matching.
    project.configure(layers=4, instructions={"build": ["ENV BUILT_BY=test_ci_shell"]})
    project.poetry.run(project.folder, "docker", "export", "--ci", "shell")
    git(project, "init", "--quiet", "--initial-branch=main")
    commit(project)
    return project


def git(project: Project, *arguments: str) -> None:
    """Run git with a fixed author."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=project.folder, check=True)


def commit(project: Project) -> None:
    """Commit everything."""
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message=x")


def tags(address: str, repository: str = "team/shop") -> set[str]:
    """List the tags of images in the registry."""
    login = base64.b64encode(f"{REGISTRY_USER}:{REGISTRY_PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        f"http://{address}/v2/{repository}/tags/list", headers={"Authorization": f"Basic {login}"}
    )
    with urllib.request.urlopen(request) as answer:
        found = set(json.load(answer)["tags"])
    return {tag for tag in found if not tag.startswith("sha256-")}  # these have the SBOMs


@pytest.fixture(scope="module")
def first(
    engine: DockerEngine, plugin_wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """Return a machine without Poetry that can install the plugin as if it were released."""
    machine = Machine.new(engine, tmp_path_factory.mktemp("machine") / "home")
    machine.env["PIP_FIND_LINKS"] = str(plugin_wheel.parent)
    return machine


@pytest.fixture(scope="module")
def second(
    second_engine: DockerEngine, clean_poetry: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """Return another machine, which has Poetry and the plugin."""
    home = tmp_path_factory.mktemp("machine") / "home"
    return Machine.new(second_engine, home, clean_poetry.parent)


def test_empty_machine_installs_nothing(
    first: Machine, second: Machine, shop: Project, address: str, secrets: dict[str, str]
) -> None:
    """The first run creates the cache; the next, on an empty machine, installs nothing.

    A branch starts from main's cache, and so does a version; a pull request writes nothing.
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
    branch = {"feature-till-4651f1d3", "buildcache-feature-till-4651f1d3"}
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


def test_several_images_share_the_cache(
    second: Machine, shop: Project, secrets: dict[str, str], tmp_path: Path
) -> None:
    """Common packages are installed once; on an empty machine nothing is installed."""
    shutil.copytree(shop.folder, tmp_path / "shop")
    several = Project(tmp_path / "shop", shop.poetry)
    images = {"api": {"extras": ["more"]}, "worker": {"groups": ["main", "docs"]}}
    mark = {"build": ["ENV BUILT_BY=test_ci_shell_images"]}
    several.configure(instructions=mark, images=images)
    several.poetry.run(several.folder, "docker", "export", "--ci", "shell")
    script = several.folder / "docker-build.sh"
    main = {**secrets, "BRANCH": "main", "DEFAULT_BRANCH": "main"}
    steps = second.build(script, **main)
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


def test_wrong_registry_password_is_reported_first(
    second: Machine, shop: Project, secrets: dict[str, str]
) -> None:
    """A wrong registry password is reported before anything is built."""
    wrong = {**secrets, "REGISTRY_PASSWORD": "wrong", "BRANCH": "main"}
    done = second.run(shop.folder / "docker-build.sh", **wrong)
    assert done.returncode != 0
    assert "unauthorized" in done.stderr.lower()
    assert '"vertexes"' not in done.stderr
