"""A project, a fake docker and a real `poetry` process, for tests of the machine's faults."""

from __future__ import annotations

import contextlib
import os
import random
import string
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import Client, Outcome, snapshot
from leaks import Search
from projects import make_project, package
from warm_poetry import warm_poetry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mounts import Mounts

CANARY = "".join(random.choices(string.ascii_letters, k=13)) + "z"
"""The password, random in each test run."""
PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.10"
dependencies = ["acme-lib"]
[[tool.poetry.source]]
name = "acme"
url = "https://acme.test/simple"
priority = "explicit"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry-docker-cache]
"""
ACME = {"type": "legacy", "url": "https://acme.test/simple", "reference": "acme"}
EXPORT, BUILD = ("docker", "export"), ("docker", "build")
EXPORTED = ("Dockerfile", "Dockerfile.dockerignore", "Dockerfile.scripts")


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """The folders of one user: project, home, temporary files, and the fake docker."""

    folder: Path
    client: Client
    mounts: Mounts | None = None

    @classmethod
    def create(cls, folder: Path, *, mounts: Mounts | None = None) -> Sandbox:
        """Write the project; its source needs the password."""
        sandbox = cls(folder=folder, client=Client.create(folder / "bin"), mounts=mounts)
        for place in (sandbox.home, sandbox.temporary):
            place.mkdir()
        make_project(sandbox.project, PYPROJECT, [package("acme-lib", source=ACME)])
        (sandbox.project / "shop").mkdir()
        (sandbox.project / "shop" / "__init__.py").touch()
        return sandbox

    @property
    def project(self) -> Path:
        """The folder of the project."""
        return self.folder / "work" / "shop"

    @property
    def home(self) -> Path:
        """The user's home folder."""
        return self.folder / "home"

    @property
    def temporary(self) -> Path:
        """The folder in TMPDIR."""
        return self.folder / "tmp"

    @property
    def auth_file(self) -> Path:
        """The file for `--auth-file`, the only one that may have the password."""
        return self.home / "auth.toml"

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of the command."""
        return {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": f"{self.client.folder}:{os.defpath}",
            "POETRY_CONFIG_DIR": str(self.home / "pypoetry"),
            "POETRY_HTTP_BASIC_ACME_PASSWORD": CANARY,
            "POETRY_HTTP_BASIC_ACME_USERNAME": "me",
            "POETRY_KEYRING_ENABLED": "false",
            "TMPDIR": str(self.temporary),
        }

    def configure(self, settings: str) -> None:
        """Add lines to the settings of the plugin."""
        with (self.project / "pyproject.toml").open("a") as file:
            file.write(settings)

    def run(
        self,
        *words: str,
        env: Mapping[str, str | None] | None = None,
        at: Path | None = None,
        stdout: str | None = None,
        fresh: bool = False,
    ) -> Outcome:
        """Run `poetry`; in `env`, None removes a variable. Its output contains no secret.

        `fresh`: in a process that has imported nothing, because the fault is there when it starts.
        """
        merged = {**self.environment, **(env or {})}
        variables = {name: value for name, value in merged.items() if value is not None}
        place = at or self.project
        if fresh:
            done = self.start(*words, env=variables, at=place)
        else:
            namespace = self.mounts.pid if self.mounts else None
            done = warm_poetry().run(
                words, env=variables, at=place, namespace=namespace, stdout=stdout
            )
        assert "Traceback" not in done.stderr, done.stderr
        assert "bug in poetry-docker-cache" not in done.stderr, done.stderr
        self.search_secret(done.stdout + done.stderr)
        return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)

    def start(
        self, *words: str, env: Mapping[str, str], at: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run `poetry` in a new process."""
        command = [sys.executable, "-m", "poetry", *words]
        return subprocess.run(
            self.mounts.wrap(command, at=at) if self.mounts else command,
            env=env,
            cwd=at,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Return the project's files by path, as the command sees them."""
        found = snapshot(self.seen(self.project))
        return {path.partition("/work/shop")[2].lstrip("/"): file for path, file in found.items()}

    def search_secret(self, output: str = "") -> None:
        """Check that nothing has the password: output, folders of the user, temporary folders."""
        search = Search(CANARY)
        search.text("output", output)
        kept = (self.client.folder, self.auth_file)
        search.folder("disk", self.seen(self.folder), without=tuple(map(self.seen, kept)))
        for base in ("/tmp", "/var/tmp", tempfile.gettempdir()):
            for path in self.seen(Path(base)).glob("poetry-docker-cache-*/secret/auth.toml"):
                with contextlib.suppress(OSError):  # the build of another test has ended meanwhile
                    search.data("temporary files", path.read_bytes())
        assert not search.found, search.found
        left = [path.name for path in self.seen(self.temporary).iterdir()] if self._has_tmp else []
        assert not [name for name in left if name.startswith("poetry-docker-cache-")], left

    @property
    def _has_tmp(self) -> bool:
        return self.seen(self.temporary).is_dir()

    def seen(self, path: Path) -> Path:
        """Return where this process sees a path of the command."""
        return self.mounts.path(path) if self.mounts else path


def changed(
    before: Mapping[str, tuple[int, bytes]], after: Mapping[str, tuple[int, bytes]]
) -> set[str]:
    """Return the paths that differ between two snapshots."""
    names = {*before, *after}
    return {name for name in names if before.get(name) != after.get(name) and name}
