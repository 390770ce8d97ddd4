"""A package index for one user that fails in a chosen way until it is repaired."""

from __future__ import annotations

import base64
import contextlib
import http.server
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from index import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER = "user"
_ANNOUNCED = ' data-core-metadata="true"'
HTML = b"<!doctype html><html><body>Log in to the network</body></html>"
HALF, STALLED, SLOW, OTHER, PAGE, REDIRECT = (
    *("truncated", "stalled", "slow", "wrong hash", "HTML", "redirect"),
)
"""Faults of the file; a number is the status of all answers, and `-` before it of files only."""


@dataclass
class FaultyIndex:
    """The index: its simple API (PEP 503) and the files of a folder, one package each."""

    packages: Path
    password: str
    fault: str = ""
    other: str = ""
    """The URL of another host, to which files are redirected."""
    url: str = ""
    told: list[str] = field(default_factory=list)
    """The credentials that the requests contained."""

    def knows(self, header: str) -> bool:
        """Return whether a request has the user's password; both encodings are in use."""
        return any(header == basic(self.password, code) for code in ("utf-8", "latin-1"))


def basic(password: str, encoding: str = "utf-8") -> str:
    """Return the value of the header with the user's password."""
    return f"Basic {base64.b64encode(f'{USER}:{password}'.encode(encoding)).decode()}"


@contextlib.contextmanager
def faulty_index(packages: Path, password: str = "") -> Iterator[FaultyIndex]:
    """Serve a folder on loopback; without a password for all."""
    index = FaultyIndex(packages, password)

    class Handler(_Handler):
        served = index

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple/"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    served: FaultyIndex

    def do_GET(self) -> None:  # the name that the server calls
        """Answer a request, with the fault."""
        index = self.served
        given = self.headers.get("Authorization", "")
        index.told.append(given)
        if index.password and not index.knows(given):
            self._send(401, b"", ("WWW-Authenticate", 'Basic realm="acme"'))
            return
        name = self.path.rstrip("/").rpartition("/")[2]
        is_file = self.path.startswith("/files/")
        if index.fault.isdecimal() or (is_file and index.fault.startswith("-")):
            self._send(int(index.fault.strip("-")), b"fault")
        elif is_file:
            self._send_file(name)
        else:
            files = [
                path.name
                for path in sorted(index.packages.iterdir())
                if path.name.partition("-")[0].replace("_", "-") == name
            ]
            links = "".join(
                f'<a href="/files/{file}"{_ANNOUNCED * (file + METADATA in files)}>{file}</a>\n'
                for file in files
                if not file.endswith(METADATA)
            )
            self._send(200 if files else 404, links.encode(), ("Content-Type", "text/html"))

    def do_HEAD(self) -> None:  # as above
        """Refuse, as some indexes do."""
        self._send(405, b"")

    def _send_file(self, name: str) -> None:
        if not (self.served.packages / name).exists():
            self._send(404, b"")
            return
        content = (self.served.packages / name).read_bytes()
        fault = self.served.fault
        if fault == REDIRECT:
            self._send(302, b"", ("Location", f"{self.served.other}/files/{name}"))
        elif fault == OTHER:
            self._send(200, content[:-1] + bytes([content[-1] ^ 1]))
        elif fault == PAGE:
            self._send(200, HTML, ("Content-Type", "text/html"))
        elif fault in (HALF, STALLED):
            self._start(len(content))
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            while fault == STALLED and self.served.fault == STALLED:
                time.sleep(0.05)
        elif fault == SLOW:
            self._start(len(content))
            for start in range(0, len(content), 100):
                self.wfile.write(content[start : start + 100])
                self.wfile.flush()
                time.sleep(0.2)
        else:
            self._send(200, content)

    def _start(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:  # noqa: ANN401  # as the overridden method
        """Do not log."""
