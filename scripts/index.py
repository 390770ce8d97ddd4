"""Run a private package index with passwords for tests and the demo: pypiserver on loopback.

    with PrivateIndex(wheels, {"me": "s3cret"}) as index:
        ...  # index.url

pypiserver runs in a small server of this module, for four reasons. The library requests, which
Poetry and pip use, sends passwords in Latin-1, but pypiserver expects UTF-8. Its own server answers
one request at a time. Tests count downloads in a log with one line per answer. And a metadata file
beside a wheel is served (PEP 658), which pypiserver does not do.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http
import importlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from typing_extensions import Self

    Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


METADATA = ".metadata"
"""The end of the name of a metadata file, after that of its wheel."""
_WHEEL = re.compile(r'<a href="[^"]*/([^"/#]+\.whl)[#"]')


class PrivateIndex:
    """A running index that serves a folder of wheels and sdists to its users.

    Without users, no password is needed. The folder is read for every request, so files can be
    added later.
    """

    def __init__(self, packages: Path, users: Mapping[str, str], port: int = 0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="index-")
        self.log = Path(self._folder.name) / "access.log"
        self.log.touch()
        self._passwords = Path(self._folder.name) / "htpasswd"
        self._users = dict(users)
        self._write()
        command = [sys.executable, "-W", "ignore", __file__, str(packages), "--port", str(port)]
        command += ["--log", str(self.log)]
        if users:
            command += ["--passwords", str(self._passwords)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C does not reach it; it ends when stdin is closed
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self.stop()
            raise RuntimeError("the index did not start; see the message above")
        self.port = int(line)
        self.url = f"http://127.0.0.1:{self.port}/simple/"

    def set_password(self, user: str, password: str) -> None:
        """Change or add the password of a user, from the next request on."""
        before = self._passwords.stat().st_mtime_ns
        self._users[user] = password
        self._write()
        if self._passwords.stat().st_mtime_ns == before:  # pypiserver checks only the time
            os.utime(self._passwords, ns=(before, before + 1_000_000_000))

    def requests(self) -> list[tuple[str, str, int]]:
        """Return method, path and status of all requests so far."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        words = [line.split(" ") for line in lines]
        return [(method, path, int(status)) for method, path, status, *_ in words]

    def downloads(self) -> list[str]:
        """Return the names of the files that were downloaded so far, including repetitions.

        Range requests (status 206), with which Poetry reads the metadata of a wheel, do not count,
        and metadata files neither.
        """
        return [
            urllib.parse.unquote(path.rpartition("/")[2])
            for method, path, status in self.requests()
            if method == "GET" and status == http.HTTPStatus.OK and path.startswith("/packages/")
            if not path.endswith(METADATA)
        ]

    def stop(self) -> None:
        """Stop the server and remove its files."""
        self._process.terminate()
        self._process.communicate()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """Return the index itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the index."""
        self.stop()

    def _write(self) -> None:
        # Unlike plain text, {SHA} supports any password; unlike bcrypt, it is fast. The passwords
        # are only for tests.
        lines = []
        for user, password in self._users.items():
            digest = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
            lines.append(f"{user}:{{SHA}}{base64.b64encode(digest).decode()}\n")
        partial = self._passwords.with_suffix(".new")
        partial.write_text("".join(lines), encoding="utf-8")
        partial.replace(self._passwords)  # a request never reads an incomplete file


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing, because `_application` writes the log."""


def _utf8_credentials(header: str) -> str:
    """Convert Basic credentials from Latin-1 to UTF-8, unless they are valid UTF-8."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return header
    try:
        raw = base64.b64decode(encoded)
        raw.decode()
    except UnicodeDecodeError:
        raw = raw.decode("latin-1").encode()
    except ValueError:
        return header
    return f"{scheme} {base64.b64encode(raw).decode()}"


def _application(pypiserver: Application, log: Path) -> Application:
    """Wrap pypiserver to accept credentials in both encodings and to log each answer."""
    lock = threading.Lock()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if header := environ.get("HTTP_AUTHORIZATION"):
            environ["HTTP_AUTHORIZATION"] = _utf8_credentials(header)
        path = urllib.parse.quote(environ["PATH_INFO"].encode("latin-1"))
        method = environ["REQUEST_METHOD"]

        def start(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
            with lock, log.open("a", encoding="utf-8") as file:
                file.write(f"{method} {path} {status[:3]}\n")
            return start_response(status, headers, *rest)

        return pypiserver(environ, start)

    return application


def _with_metadata(pypiserver: Application, packages: Path) -> Application:
    """Wrap pypiserver to serve the metadata files beside wheels to the users of the wheels."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/packages/") and not path.endswith(METADATA):
            return pypiserver(environ, start_response)
        answers: list[tuple[str, list[tuple[str, str]]]] = []
        own = {**environ, "PATH_INFO": path.removesuffix(METADATA)}
        content = b"".join(pypiserver(own, lambda *answer: answers.append(answer[:2])))
        status, headers = answers[0]
        if path.endswith(METADATA) and status.startswith("200"):
            file = packages / path.rpartition("/")[2]
            status = status if file.exists() else "404 Not Found"
            content, headers = file.read_bytes() if file.exists() else b"", []
        elif path.startswith("/simple/"):
            text = _WHEEL.sub(lambda link: _marked(link, packages), content.decode())
            content = text.encode()
        kept = [pair for pair in headers if pair[0].lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(content)))])
        return [content]

    return application


def _marked(link: re.Match[str], packages: Path) -> str:
    """Return the start of a link, with the attribute that a metadata file exists, if it does."""
    has_metadata = (packages / f"{link[1]}{METADATA}").exists()
    return link[0].replace("<a ", '<a data-core-metadata="true" ') if has_metadata else link[0]


def _end_with_parent() -> None:
    sys.stdin.read()  # the pipe is closed when the parent ends, even if it is killed
    os._exit(0)


def main() -> None:
    """Print the port, and serve until stdin is closed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("packages", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--passwords", type=Path, help="htpasswd file (default: no passwords)")
    parser.add_argument("--log", type=Path, required=True, help="file to log each answer in")
    options = parser.parse_args()

    # Hide bcrypt: passlib fails with bcrypt >= 5, and pypiserver could not be imported.
    sys.modules["bcrypt"] = cast("ModuleType", None)
    pypiserver = importlib.import_module("pypiserver")

    actions = ["list", "download", "update"] if options.passwords else []
    served = pypiserver.app(
        roots=[options.packages],
        password_file=str(options.passwords or "."),
        authenticate=actions,
        disable_fallback=True,
        backend_arg="simple-dir",
    )
    application = _application(_with_metadata(served, options.packages), options.log)
    server = make_server("127.0.0.1", options.port, application, _Server, _Quiet)
    print(server.server_port, flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
