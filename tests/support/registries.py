"""Registries for single tests, in addition to the registry that the engines share."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

from engine import default_state
from engines import PATIENCE, unavailable
from processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BINARY = default_state() / "root/usr/bin/docker-registry"
"""Determined at import, before a test replaces the home folder."""
CRANE = BINARY.with_name("crane")
_READY = (
    http.HTTPStatus.OK,
    http.HTTPStatus.UNAUTHORIZED,
    http.HTTPStatus.BAD_REQUEST,  # with TLS
)


@contextlib.contextmanager
def own_registry(  # noqa: PLR0913  # all that differs between registries
    folder: Path,
    *,
    read_only: bool = False,
    users: str | None = None,
    auth: dict[str, object] | None = None,
    tls: dict[str, str] | None = None,
    disk: str | None = None,
) -> Iterator[str]:
    """Run a registry with its data in a folder; yield its host and port.

    `users` is the text of a htpasswd file with bcrypt hashes; without it no login is needed. `auth`
    is the configuration of another kind of login, `tls` that of a certificate. `disk` is the size
    of its disk, which only the registry sees.
    """
    if not BINARY.exists():
        unavailable("only a private engine brings a registry along that a test can start")
    address = f"127.0.0.1:{free_port()}"
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "maintenance": {"readonly": {"enabled": read_only}},
        },
        "http": {"addr": address, **({"tls": tls} if tls else {})},
        **({"auth": auth} if auth else {}),
    }
    if users is not None:
        passwords = folder / "htpasswd"
        passwords.write_text(users, encoding="utf-8")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(passwords)}}
    file = folder / f"{'read-only' if read_only else 'registry'}.yml"
    file.write_text(json.dumps(config), encoding="utf-8")  # JSON is valid YAML
    command = [str(BINARY), "serve", str(file)]
    if disk:
        (folder / "data").mkdir()
        mount = f'mount -t tmpfs -o size={disk} small "$0"; exec "$@"'
        command = ["unshare", "--mount", "sh", "-ec", mount, str(folder / "data"), *command]
    with _running(command, address, file.with_suffix(".log")):
        yield address


@contextlib.contextmanager
def crane_registry(folder: Path) -> Iterator[str]:
    """Run another implementation, with its data in memory; yield its host and port."""
    if not CRANE.exists():
        unavailable("only a private engine brings crane along")
    address = f"127.0.0.1:{free_port()}"
    command = [str(CRANE), "registry", "serve", "--address", address]
    with _running(command, address, folder / "crane.log"):
        yield address


@contextlib.contextmanager
def _running(command: list[str], address: str, output: Path) -> Iterator[None]:
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE
        while not _answers(address):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < end, "the registry does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in _READY
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
