"""The example project in a temporary folder, with its private index and a Poetry of its own."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import demo_log
import requests
from index import PrivateIndex
from poetry.repositories.pypi_repository import PyPiRepository
from processes import logged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo_log import Row
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
OUTPUT = ROOT / ".cache" / "demo"
"""What stays: the Dockerfile and BuildKit's log."""
LOG = OUTPUT / "build.log"
_SHOWN_LINES = 40
"""Of a build that failed."""
TAG = "poetry-docker-cache-demo"
BEFORE = f"{TAG}:before"
"""The image that was built before."""
USER = "demo"
# The old password and the new one, both with what likes to be lost on its way.
PASSWORDS = ('c0rrect "horse" \\ $tap/le%41#?&é', "r0tated 'pässword' @:;$(x)`<")


class DemoError(Exception):
    """Something that ends the demo, for a person to read."""


def run(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path = ROOT) -> str:
    """Run a command quietly and give all that it said; DemoError when it fails."""
    words = [str(word) for word in command]
    status, output = logged(words, cwd, env)
    if status:
        raise DemoError(f"{shlex.join(words)}\nfailed ({status}):\n{output.strip()}")
    return output


class Project:
    """A copy of examples/web-api that can be built, edited and built again."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder / "web-api"
        self._library = folder / "acme-greetings"
        for copy in (self.folder, self._library):
            shutil.copytree(
                EXAMPLES / copy.name, copy, ignore=shutil.ignore_patterns("__pycache__")
            )
        # Nothing of the user's Poetry counts, and nothing of it is touched.
        private = {f"POETRY_{name}_DIR": str(folder / name) for name in ("CONFIG", "CACHE", "DATA")}
        self._env = {
            **{name: value for name, value in env.items() if not name.startswith("POETRY_")},
            **private,
            "POETRY_KEYRING_ENABLED": "false",
            "POETRY_VIRTUALENVS_CREATE": "false",
        }
        self._env.pop("VIRTUAL_ENV", None)
        packages = folder / "packages"
        packages.mkdir()
        self._packages = packages
        self._publish()
        self._index = PrivateIndex(packages, {USER: PASSWORDS[0]})

    def __enter__(self) -> Self:
        """Give the project itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the index."""
        self._index.stop()

    def poetry(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run this checkout's Poetry in the project."""
        command = [sys.executable, "-m", "poetry", "--no-interaction", "--no-ansi", *arguments]
        return run(command, self._env, cwd or self.folder)

    def lock(self) -> int:
        """Add what depends on this machine, lock, and count the packages."""
        self.poetry("source", "add", "--priority=explicit", "acme", self._index.url)
        self.poetry("config", "http-basic.acme", USER, PASSWORDS[0])
        if mirror := _mirror():
            url = urllib.parse.urlsplit(mirror)
            plain = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
            self.poetry("source", "add", "--priority=primary", "mirror", plain)
            if url.username and url.password:
                words = [urllib.parse.unquote(word) for word in (url.username, url.password)]
                self.poetry("config", "http-basic.mirror", *words)
        self.poetry("lock")
        return (self.folder / "poetry.lock").read_text(encoding="utf-8").count("[[package]]")

    def export(self) -> Path:
        """Write the Dockerfile to where it stays."""
        self.poetry("docker", "export")
        OUTPUT.mkdir(parents=True, exist_ok=True)
        for name in ("Dockerfile", "Dockerfile.dockerignore"):
            shutil.move(self.folder / name, OUTPUT / name)
        return OUTPUT / "Dockerfile"

    def build(self, edit: str) -> Row:
        """Build the image, and read in BuildKit's log what that took."""
        command = ["docker", "build", "--progress=plain", "--tag", TAG]
        started = time.monotonic()
        try:
            # The index listens on this machine's loopback: builds see it on the host's network.
            log = self.poetry(*command, "--", "--network=host")
        except DemoError as error:
            _keep(edit, str(error))
            end = "\n".join(str(error).splitlines()[-_SHOWN_LINES:])
            raise DemoError(f"{end}\n{edit}: the build failed, see {LOG}") from error
        _keep(edit, log)
        try:
            return demo_log.read(log, edit=edit, seconds=time.monotonic() - started)
        except ValueError as error:
            raise DemoError(f"{error}: {LOG}") from error

    def keep_image(self) -> None:
        """Keep the image when the next one takes its name.

        Else the engine throws its layers away while it unpacks the next one on them, and the build
        fails now and then: moby/buildkit#6521.
        """
        run(["docker", "tag", TAG, BEFORE], self._env)

    def bump_version(self) -> None:
        """As before each release."""
        self.poetry("version", "patch")

    def change_linter(self) -> None:
        """A setting that no installation reads."""
        _replace(self.folder / "pyproject.toml", "line-length = 100", "line-length = 88")

    def rotate_password(self) -> None:
        """A new password, in the index and in Poetry's configuration: the old one is refused."""
        self._index.set_password(USER, PASSWORDS[1])
        self.poetry("config", "http-basic.acme", USER, PASSWORDS[1])

    def add_dev_dependency(self) -> None:
        """Something for developers, and a new lock."""
        self.poetry("add", "--lock", "--group", "dev", "pytest-timeout")

    def edit_source(self) -> None:
        """What is edited most."""
        _replace(self.folder / "src/web_api/main.py", '"status": "ok"', '"status": "very well"')

    def bump_dependency(self) -> None:
        """A release of the private library, and the lock that takes it."""
        self.poetry("version", "minor", cwd=self._library)
        self._publish()
        self.poetry("update", "--lock", "acme-greetings")

    def _publish(self) -> None:
        self.poetry("build", "--format=wheel", f"--output={self._packages}", cwd=self._library)


def _mirror() -> str | None:
    """Give pip's index, where Poetry's own PyPI does not work: a proxy may serve pip only."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if configured := os.environ.get("PIP_INDEX_URL") or done.stdout.strip():
        return configured
    pypi = PyPiRepository()
    with contextlib.suppress(requests.RequestException):
        asked = urllib.parse.urljoin(pypi.url, "/pypi/pip/24.0/json")  # as Poetry asks for each
        if requests.get(asked, timeout=30).ok:
            return None
    return pypi.url


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise DemoError(f"{path.name} does not have {old!r} once: the demo needs an update")
    path.write_text(text.replace(old, new), encoding="utf-8")


def _keep(title: str, log: str) -> None:
    with LOG.open("a", encoding="utf-8") as file:
        file.write(f"===== {title}\n{log}\n")
