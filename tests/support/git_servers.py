"""Git servers for a test: over http with a password, and over ssh with a key."""

from __future__ import annotations

import base64
import contextlib
import functools
import http
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines import PATIENCE, unavailable
from processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from engines import DockerEngine

_SSHD = """\
FROM python:3.13
RUN apt-get update && apt-get install --yes --no-install-recommends openssh-server \
    && mkdir -p /run/sshd
"""


def make_repository(bare: Path, files: Mapping[str, str]) -> str:
    """Create a bare repository whose branch main has these files; return its commit."""
    work = bare.with_suffix(".work")
    work.mkdir(parents=True)
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text, encoding="utf-8")
    _git(work, "init", "--quiet", "--initial-branch=main")
    _git(work, "add", ".")
    _git(work, "commit", "--quiet", "--message=x")
    _git(work, "clone", "--quiet", "--bare", ".", str(bare))
    return _git(work, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def git_over_http(root: Path, user: str, password: str) -> Iterator[str]:
    """Serve the repositories below a folder to one user with git's own CGI; yield the URL."""
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    handler = functools.partial(_Handler, root, f"Basic {login}")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, root: Path, login: str, *arguments: object) -> None:
        self._root, self._login = root, login
        super().__init__(*arguments)  # type: ignore[arg-type]  # of the server

    def log_message(self, *_: object) -> None:
        """Do not log."""

    def do_GET(self) -> None:
        """Pass the request to git if the login is right."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != self._login:
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            return
        path, _, query = self.path.partition("?")
        env = {
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH": os.environ["PATH"],
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, env=env, input=body, check=True, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._answer(int(headers.pop("Status", "200").split()[0]), headers, content)

    do_POST = do_GET  # noqa: N815  # the name that the server looks for

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@dataclass(frozen=True, kw_only=True)
class SshServer:
    """A running sshd, and the agent that has the key for it."""

    url: str
    """The prefix of a repository's path."""
    known_host: str
    """The line for known_hosts."""
    agent: str
    """The SSH_AUTH_SOCK."""


@contextlib.contextmanager
def git_over_ssh(engine: DockerEngine, folder: Path) -> Iterator[SshServer]:
    """Run Debian's sshd in a container, for the repositories in a folder.

    It listens on the host's loopback, which builds on the host's network can reach.
    """
    if not shutil.which("ssh-agent"):
        unavailable("there is no ssh-agent here: install openssh-client")
    for name in ("host", "user"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
    port = free_port()
    build = ["buildx", "build", "--quiet", "--load", "--network=host", "--tag=acme-sshd", "-"]
    engine.docker(*build, text=_SSHD)
    settings = {
        "AuthorizedKeysFile": "/srv/user.pub",
        "HostKey": "/srv/host",
        "ListenAddress": f"127.0.0.1:{port}",
        "PasswordAuthentication": "no",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    run = ["run", "--detach", "--network=host", f"--volume={folder}:/srv", "acme-sshd"]
    container = engine.docker(*run, "/usr/sbin/sshd", "-D", "-e", *options).stdout.strip()
    agent = str(folder / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)
    try:
        _wait_for_ssh(engine, container, port)
        _wait_for_agent(process, agent)
        add = ["ssh-add", "-q", str(folder / "user")]
        subprocess.run(add, check=True, env={**os.environ, "SSH_AUTH_SOCK": agent})
        kind, key, *_ = (folder / "host.pub").read_text(encoding="utf-8").split()
        yield SshServer(
            url=f"ssh://root@127.0.0.1:{port}/srv",
            known_host=f"[127.0.0.1]:{port} {kind} {key}",
            agent=agent,
        )
    finally:
        process.terminate()
        process.wait()
        engine.docker("rm", "--force", container)


def _wait_for_agent(process: subprocess.Popen[bytes], agent: str) -> None:
    """Wait until the agent answers: its socket appears earlier."""
    end = time.monotonic() + PATIENCE
    with socket.socket(socket.AF_UNIX) as connection:
        while connection.connect_ex(agent):
            assert process.poll() is None, "the agent did not start"
            assert time.monotonic() < end, "the agent does not answer"
            time.sleep(0.02)


def _wait_for_ssh(engine: DockerEngine, container: str, port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as found:
            if found.recv(4) == b"SSH-":
                return
        time.sleep(0.1)
    logs = engine.docker("logs", container)
    raise AssertionError(f"sshd does not answer: {logs.stdout}{logs.stderr}")
