"""Write and lock the benchmark's project in all its states, with its private index."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from typing import TYPE_CHECKING

import bench_project
import tomlkit
from bench_variants import POETRY, UV
from index import PrivateIndex
from poetry.repositories.pypi_repository import PyPiRepository
from processes import EngineError, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench_project import PackageSet, State
    from bench_variants import Variant
    from engine import Engine
    from typing_extensions import Self

USER = "bench"
PASSWORDS = ("f1rst-password", "s3cond-password")
_LOCK = {"poetry": ("poetry", "lock", "--no-interaction"), "uv": ("uv", "lock")}
_LOCK_FILE = {"poetry": "poetry.lock", "uv": "uv.lock"}


def public_index() -> str:
    """Return the URL of the index that pip uses, which must not have credentials."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = os.environ.get("PIP_INDEX_URL") or run(command, check=False).strip()
    url = configured or PyPiRepository().url
    if "@" in url:
        raise EngineError("the benchmark cannot use an index with a password, as pip has it here")
    return url.rstrip("/") + "/"


def poetry_with_plugin(folder: Path, source: Path = bench_project.ROOT) -> Path:
    """Install Poetry and the plugin as a user would; later edits of the plugin have no effect."""
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    # A pip of its own would not be compiled yet, and take three times as long.
    pip = [sys.executable, "-m", "pip", f"--python={folder / 'bin' / 'python'}", "install"]
    run([*pip, "--quiet", f"poetry=={POETRY}", str(source)])
    return folder / "bin" / "poetry"


class Workshop:
    """The writer of locked projects; each build gets its own copy."""

    def __init__(self, folder: Path, engine: Engine, base: str, poetry: Path) -> None:
        self._folder = folder
        self.poetry = poetry
        self._env = {**os.environ, **engine.env}
        self._base = base
        self.secrets = folder / "secrets"
        self.kept = folder / "kept"
        """A folder for what a CI machine keeps on its disk."""
        self.metadata = folder / "metadata.json"
        self._states = folder / "states"
        for path in (self.secrets, self.kept, self._states, folder / "packages", folder / "poetry"):
            path.mkdir()
        self._locker = f"locker-{uuid.uuid4().hex[:8]}"
        self._index = PrivateIndex(folder / "packages", {USER: PASSWORDS[0]})
        self._sources = bench_project.Sources(index=public_index(), private=self._index.url)
        self.environment = self._user_environment()

    def __enter__(self) -> Self:
        """Publish the private package, and start a container with Poetry and uv for locking.

        The container has the Python of the images, which may differ from that of this machine.
        """
        self.set_password(PASSWORDS[0])
        library = self._folder / "library"
        shutil.copytree(bench_project.ROOT / "examples/acme-greetings", library)
        build = [
            str(self.poetry),
            "build",
            "--format=wheel",
            f"--output={self._folder / 'packages'}",
        ]
        run(build, env=self.environment, cwd=library)
        mount = f"{self._states}:/states"
        docker = ["docker", "run", "--detach", "--network=host", f"--name={self._locker}"]
        run([*docker, f"--volume={mount}", self._base, "sleep", "infinity"], env=self._env)
        self._in_container("python", "-m", "venv", "--without-pip", "/opt/lock")
        pip = ("pip", "--python=/opt/lock/bin/python", "install", "--quiet", "--no-compile")
        self._in_container(*pip, f"poetry=={POETRY}", f"uv=={UV}")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the index and the container."""
        self._index.stop()
        self.stop_locking()

    def stop_locking(self) -> None:
        """Remove the container; nothing can be locked after that."""
        run(["docker", "rm", "--force", self._locker], env=self._env, check=False)

    def set_password(self, password: str) -> None:
        """Change the password in the index and in the user's secrets."""
        self._index.set_password(USER, password)
        login = tomlkit.dumps({"http-basic": {"acme": {"username": USER, "password": password}}})
        secrets = {"auth.toml": login, "username": USER, "password": password}
        for name, text in secrets.items():
            (self.secrets / name).write_text(text, encoding="utf-8")
        shutil.copy(self.secrets / "auth.toml", self._folder / "poetry")

    def lock(self, packages: PackageSet, name: str, kind: str) -> None:
        """Write and lock the project after an edit; `none` is the project before any edit."""
        folder = self._state(packages, name, kind)
        if folder.exists():
            return
        first = bench_project.State(packages=packages.packages)
        state = bench_project.EDITS[name](first, packages)
        bench_project.write(folder, state, kind, self._sources)
        before = self._state(packages, "none", kind) / _LOCK_FILE[kind]
        if before.exists():  # `lock` then keeps the versions of all other packages
            shutil.copy(before, folder)
        command, *arguments = _LOCK[kind]
        inside = ["--workdir", f"/states/{folder.name}"]
        self._in_container(f"/opt/lock/bin/{command}", *arguments, options=inside)
        _check(folder / _LOCK_FILE[kind], state)

    def copy(self, packages: PackageSet, name: str, variant: Variant) -> Path:
        """Return a copy of a locked project, prepared for a variant."""
        folder = self._folder / "builds" / f"{packages.name}-{name}-{variant.name}"
        if not folder.exists():
            shutil.copytree(self._state(packages, name, variant.kind), folder)
            variant.prepare(folder, self._base)
        return folder

    def _state(self, packages: PackageSet, name: str, kind: str) -> Path:
        return self._states / f"{packages.name}-{name}-{kind}"

    def _user_environment(self) -> Mapping[str, str]:
        """Return the environment of a build, without the settings of this machine's Poetry."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("POETRY_")}
        kept.pop("VIRTUAL_ENV", None)
        own = {f"POETRY_{name}_DIR": str(self._folder / "poetry") for name in ("CONFIG", "CACHE")}
        return {
            **kept,
            **own,
            "POETRY_DATA_DIR": str(self._folder / "poetry"),
            "XDG_CACHE_HOME": str(self._folder / "cache"),
            "POETRY_KEYRING_ENABLED": "false",
            "POETRY_VIRTUALENVS_CREATE": "false",
        }

    def _in_container(self, *command: str, options: list[str] | None = None) -> None:
        login = {"USERNAME": USER, "PASSWORD": PASSWORDS[0]}
        secrets = {f"POETRY_HTTP_BASIC_ACME_{name}": text for name, text in login.items()}
        secrets |= {f"UV_INDEX_ACME_{name}": text for name, text in login.items()}
        secrets |= {"POETRY_VIRTUALENVS_CREATE": "false", "POETRY_KEYRING_ENABLED": "false"}
        passed = [f"--env={name}" for name in secrets]
        docker = ["docker", "exec", *passed, *(options or ()), self._locker, *command]
        run(docker, env={**self._env, **secrets})


def _check(lock: Path, state: State) -> None:
    """Raise EngineError unless a lock file has exactly the versions of a state."""
    data = tomlkit.parse(lock.read_text(encoding="utf-8")).unwrap()
    locked = {package["name"]: package["version"] for package in data["package"]}
    wanted = {**state.packages, **state.dev}
    if wrong := {name for name, version in wanted.items() if locked.get(name) != version}:
        raise EngineError(f"{lock.name} has other versions of {', '.join(sorted(wrong))}")
