"""Logins for registries, from the files and credential helpers of Docker and Podman."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HUB = "docker.io"
HUB_API = f"registry-1.{HUB}"
_HUB_NAMES = (HUB, f"index.{HUB}", HUB_API)
_HUB_KEY = f"https://index.{HUB}/v1/"
_IDENTITY = "<token>"
"""The user name of a secret that is an identity token."""
_PATIENCE = 60
"""How long a helper may take, in seconds; it may ask the user or a server."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """What proves to a registry who the user is; all empty for an anonymous one."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    """A token that the registry's token server exchanges for another one."""
    registry_token: str = field(default="", repr=False)
    """A token for the registry itself."""
    problem: str = ""
    """Why a stored login cannot be read; the registry may need none."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return all that must not be shown."""
        return tuple(filter(None, (self.password, self.identity_token, self.registry_token)))


class Logins:
    """The logins for one registry.

    Unlike an error, an unreadable file or a failing helper does not keep from pulling a public
    image: it is a login's `problem`.
    """

    def __init__(self, host: str) -> None:
        self._host = HUB if host in _HUB_NAMES else host
        self._found: dict[str, Login] = {}
        self._asked: dict[tuple[str, str], Login | str | None] = {}
        self._lock = threading.Lock()

    def find(self, repository: str) -> Login:
        """Return the login for a repository; Podman may have one for each folder."""
        with self._lock:
            if repository not in self._found:
                self._found[repository] = self._search(f"{self._host}/{repository}")
            return self._found[repository]

    def _search(self, wanted: str) -> Login:
        problem = ""
        for config in _configurations():
            found = config if isinstance(config, str) else self._search_in(config, wanted)
            if isinstance(found, Login):
                return found
            problem = problem or found or ""
        return Login(problem=problem)

    def _search_in(self, config: dict[str, Any], wanted: str) -> Login | str | None:
        """Return a login, or a problem, or None."""
        helpers = {_place(key): name for key, name in _table(config, "credHelpers").items()}
        helper = helpers.get(self._host) or config.get("credsStore")
        found: Login | str | None = None
        if isinstance(helper, str) and helper:
            for server in (_HUB_KEY, HUB) if self._host == HUB else (self._host,):
                found = self._ask(helper, server)
                if isinstance(found, Login):
                    return found
        # The entry for the deepest folder first. Docker Desktop's entries are empty.
        entries = {_place(key): entry for key, entry in _table(config, "auths").items()}
        for place in sorted(entries, key=len, reverse=True):
            if f"{wanted}/".startswith(f"{place}/") and (login := _login(entries[place])):
                return login
        return found

    def _ask(self, helper: str, server: str) -> Login | str | None:
        key = (helper, server)
        if key not in self._asked:
            self._asked[key] = _ask_helper(helper, server)
        return self._asked[key]


def _configurations() -> Iterator[dict[str, Any] | str]:
    """Yield the contents of all places, the first one first, or why one cannot be read."""
    variable = "DOCKER_AUTH_CONFIG"  # GitLab's, and Docker's since 28.3
    if text := os.environ.get(variable):
        yield _parsed(text, variable)
    for path in _files():
        if content := _read(path):
            yield content


def _files() -> Iterator[Path]:
    if file := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(file)
    home = home_folder()
    if docker := os.environ.get("DOCKER_CONFIG") or (home and home / ".docker"):
        yield Path(docker, "config.json")
    podman = Path("containers", "auth.json")
    if run := os.environ.get("XDG_RUNTIME_DIR"):
        yield run / podman
    elif hasattr(os, "getuid"):
        yield Path("/run/containers", str(os.getuid()), "auth.json")
    if config := os.environ.get("XDG_CONFIG_HOME") or (home and home / ".config"):
        yield config / podman


def home_folder() -> Path | None:
    """Return the user's home; None for a user without one."""
    with contextlib.suppress(RuntimeError):
        return Path.home()
    return None


def _read(path: Path) -> dict[str, Any] | str | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    return _parsed(text, str(path))


def _parsed(text: str, source: str) -> dict[str, Any] | str:
    try:
        config = json.loads(text)
    except ValueError:  # its message shows the text
        config = None
    return config if isinstance(config, dict) else f"{source} is not valid JSON."


def _table(config: dict[str, Any], key: str) -> dict[str, Any]:
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def _place(key: str) -> str:
    """Return the host and the folder that a key is for.

    >>> _place("https://index.docker.io/v1/"), _place("host.test:5000/team")
    ('docker.io', 'host.test:5000/team')
    """
    _, url, rest = key.rpartition("://")
    host, _, folder = rest.strip("/").partition("/")
    host = HUB if host.lower() in _HUB_NAMES else host.lower()
    return host if url or folder in ("", "v1", "v2") else f"{host}/{folder}"


def _login(entry: object) -> Login | None:
    """Read an entry of `auths`; None if it has no credentials."""
    if not isinstance(entry, dict):
        return None

    def value(key: str) -> str:
        return text if isinstance(text := entry.get(key), str) else ""

    username, password = value("username"), value("password")
    if auth := value("auth"):
        with contextlib.suppress(binascii.Error, UnicodeError):
            username, _, password = base64.b64decode(auth).decode().partition(":")
    login = _with_secret(username, password.strip("\0"))
    identity, token = value("identitytoken") or login.identity_token, value("registrytoken")
    if not (identity or token or login.password):
        return None
    return Login(
        username=login.username,
        password=login.password,
        identity_token=identity,
        registry_token=token,
    )


def _with_secret(username: str, secret: str) -> Login:
    if username == _IDENTITY:
        return Login(identity_token=secret)
    return Login(username=username, password=secret)


def _ask_helper(name: str, server: str) -> Login | str | None:
    """Run a credential helper; return a login, or a problem, or None if it has no login."""
    command = f"docker-credential-{name}"
    program = shutil.which(command)
    if program is None:
        return f"The credential helper {command} is not installed."
    # The output is not shown, because it may contain a secret.
    failed = f"The credential helper fails. See why: `echo {server} | {command} get`."
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
        if done.returncode:
            return None if b"credentials not found" in done.stdout.lower() else failed
        answer = json.loads(done.stdout)
        return _with_secret(str(answer["Username"]), str(answer["Secret"]))
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return failed
