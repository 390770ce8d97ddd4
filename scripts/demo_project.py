"""The demo's copy of the example project, with a private index and a separate Poetry."""

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
from processes import run_logged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo_log import Row
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
OUTPUT = ROOT / ".cache" / "demo"
"""A folder for the Dockerfile and BuildKit's log, which are kept."""
LOG = OUTPUT / "build.log"
_SHOWN_LINES = 40
"""The number of lines to show of a failed build."""
TAG = "poetry-docker-cache-demo"
BEFORE = f"{TAG}:before"
"""The previous image."""
USER = "demo"
# The old and the new password have characters that are often quoted or encoded wrongly.
PASSWORDS = ('c0rrect "horse" \\ $tap/le%41#?&é', "r0tated 'pässword' @:;$(x)`<")


class DemoError(Exception):
    """An error that ends the demo, with its message."""


def run(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path = ROOT) -> str:
    """Run a command without showing its output, and return it; raise DemoError if it fails."""
    words = [str(word) for word in command]
    status, output = run_logged(words, cwd, env)
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
        # The settings of the user's Poetry are neither used nor changed.
        private = {f"POETRY_{name}_DIR": str(folder / name) for name in ("CONFIG", "CACHE", "DATA")}
        self.env = {
            **{name: value for name, value in env.items() if not name.startswith("POETRY_")},
            **private,
            "POETRY_KEYRING_ENABLED": "false",
            "POETRY_VIRTUALENVS_CREATE": "false",
        }
        self.env.pop("VIRTUAL_ENV", None)
        packages = folder / "packages"
        packages.mkdir()
        self._packages = packages
        self._publish()
        self._index = PrivateIndex(packages, {USER: PASSWORDS[0]})

    def __enter__(self) -> Self:
        """Return the project itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the index."""
        self._index.stop()

    @property
    def command(self) -> list[str]:
        """The command line of a Poetry that has this plugin."""
        return [sys.executable, "-m", "poetry", "--no-interaction"]

    def poetry(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run Poetry with this plugin in the project."""
        return run([*self.command, "--no-ansi", *arguments], self.env, cwd or self.folder)

    def lock(self) -> int:
        """Configure the indexes, lock, and return the number of packages."""
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
        """Export the Dockerfile, and move it to the output folder."""
        self.poetry("docker", "export")
        OUTPUT.mkdir(parents=True, exist_ok=True)
        for name in ("Dockerfile", "Dockerfile.dockerignore"):
            shutil.move(self.folder / name, OUTPUT / name)
        return OUTPUT / "Dockerfile"

    def build(self, edit: str) -> Row:
        """Build the image, and read its row of the table from BuildKit's log."""
        command = ["docker", "build", "--progress=plain", "--tag", TAG]
        started = time.monotonic()
        try:
            # The index listens on loopback, so builds reach it only on the host's network.
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
        """Keep the current image under another name.

        The next image takes its name. The engine would remove its layers while it unpacks the next
        image on them, and the build sometimes fails (moby/buildkit#6521).
        """
        run(["docker", "tag", TAG, BEFORE], self.env)

    def bump_version(self) -> None:
        """Change the project's version, as before a release."""
        self.poetry("version", "patch")

    def change_linter(self) -> None:
        """Change a setting that does not affect the installation."""
        _replace(self.folder / "pyproject.toml", "line-length = 100", "line-length = 88")

    def rotate_password(self) -> None:
        """Change the password in the index and in Poetry's configuration."""
        self._index.set_password(USER, PASSWORDS[1])
        self.poetry("config", "http-basic.acme", USER, PASSWORDS[1])

    def add_dev_dependency(self) -> None:
        """Add a development dependency, which changes the lock file."""
        self.poetry("add", "--lock", "--group", "dev", "pytest-timeout")

    def edit_source(self) -> None:
        """Change a line of the application."""
        _replace(self.folder / "src/web_api/main.py", '"status": "ok"', '"status": "very well"')

    def bump_dependency(self) -> None:
        """Release a new version of the private library, and update the lock file."""
        self.poetry("version", "minor", cwd=self._library)
        self._publish()
        self.poetry("update", "--lock", "acme-greetings")

    def _publish(self) -> None:
        self.poetry("build", "--format=wheel", f"--output={self._packages}", cwd=self._library)


def _mirror() -> str | None:
    """Return pip's index if Poetry cannot use PyPI, because a proxy may support only pip."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if configured := os.environ.get("PIP_INDEX_URL") or done.stdout.strip():
        return configured
    pypi = PyPiRepository()
    with contextlib.suppress(requests.RequestException):
        url = urllib.parse.urljoin(pypi.url, "/pypi/pip/24.0/json")  # Poetry uses the JSON API
        if requests.get(url, timeout=30).ok:
            return None
    return pypi.url


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise DemoError(f"{path.name} must contain {old!r} once. Update the demo.")
    path.write_text(text.replace(old, new), encoding="utf-8")


def _keep(title: str, log: str) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with LOG.open("a", encoding="utf-8") as file:
        file.write(f"===== {title}\n{log}\n")
