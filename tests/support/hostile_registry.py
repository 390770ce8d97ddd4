"""A registry in memory that fails in a chosen way at a chosen request."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

HTML = "text/html"
PASSWORD = "password-of-user"
RESET, LOST, HALF, SHORT, WRONG, EXPIRED, STALL, PAGE = (
    *("reset", "answer lost", "truncated", "short length", "wrong content", "expired", "stall"),
    "page",
)
"""Faults; a number is the status of the answer."""


@dataclass
class HostileRegistry:
    """The registry's contents, its fault and what it was asked."""

    asks_for_login: bool = False
    fault: str = ""
    stalled: str = ""
    """The method of requests that are never answered."""
    faulty: range = range(0)
    """The requests that fail, counted from 1."""
    retry_after: str = ""
    denied: str = ""
    """A repository that no user gets a token for."""
    realm: str = ""
    """The URL of another token server."""
    uploads_at: str = ""
    """The URL of another host for uploads."""
    blobs_at: str = ""
    """The URL of another host for downloads."""
    pages: int = 0
    """How many referrers an answer lists; 0 without the API for them."""
    ranges: bool = True
    """Whether a part of a blob can be requested."""
    host: str = ""
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    tokens: dict[str, bool] = field(default_factory=dict)
    """The valid tokens, and whether they were used."""
    log: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Authorization of each request."""
    starts: list[int] = field(default_factory=list)
    """Where the parts of blobs that were sent begin."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def hostile_registry(**options: object) -> Iterator[HostileRegistry]:
    """Serve on loopback."""
    registry = HostileRegistry(**options)  # type: ignore[arg-type]

    class Handler(_Handler):
        served = registry

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    registry.host = f"127.0.0.1:{server.server_port}"
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    served: HostileRegistry
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 2

    def _answer(self) -> None:
        registry = self.served
        given = self.headers.get("Authorization", "")
        with registry.lock:
            registry.log.append((self.command, self.path, given))
            fault = registry.fault if len(registry.log) in registry.faulty else ""
        if fault == RESET:
            self._reset()
            return
        if fault == STALL:
            self.rfile.read()
            return
        if self.command == registry.stalled:
            threading.Event().wait()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path, token = urlsplit(self.path), given.removeprefix("Bearer ")
        if fault == EXPIRED:
            registry.tokens = {token: used for token, used in registry.tokens.items() if not used}
        if fault == PAGE:
            self._send(200, b"<html>Log in to the network</html>", {"Content-Type": HTML}, "")
        elif fault.isdecimal():
            echo = {"errors": [{"code": "X", "message": f"fault with {given}"}]}
            headers = {"Retry-After": registry.retry_after} if registry.retry_after else {}
            self._send(int(fault), json.dumps(echo).encode(), headers, "")
        elif path.path == "/token":
            self._send_token(given, fault)
        elif registry.asks_for_login and token not in registry.tokens:
            realm = registry.realm or f"http://{registry.host}/token"
            challenge = f'Bearer realm="{realm}",service="hostile"'
            self._send(401, b"", {"WWW-Authenticate": challenge}, fault)
        else:
            registry.tokens[token] = True
            self._send(*self._serve(path.path, parse_qs(path.query), body), fault)

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815  # the names that the server calls

    def _send_token(self, given: str, fault: str) -> None:
        expected = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        if given != f"Basic {expected}":
            self._send(401, b"", {}, fault)
            return
        if self.served.denied and f"%3A{self.served.denied}%3A" in self.path:
            self._send(403, b"", {}, fault)
            return
        with self.served.lock:
            token = f"token-{len(self.served.log)}"
            self.served.tokens[token] = False
        self._send(200, json.dumps({"token": token, "expires_in": 300}).encode(), {}, fault)

    def _serve(  # noqa: C901, PLR0911  # all endpoints
        self, path: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        registry = self.served
        if path == "/v2/":
            return 200, b"{}", {}
        parts = re.fullmatch(r"/v2/(.+)/(blobs|manifests|referrers)/(.+)", path)
        assert parts, path
        name, kind, last = parts.groups()
        if kind == "referrers":
            return self._serve_referrers(name, last, int(query.get("start", ["0"])[0]))
        if kind == "manifests" and self.command == "PUT":
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            missing = [
                layer["digest"]
                for layer in json.loads(body).get("layers", [])
                if (name, layer["digest"]) not in registry.blobs
            ]
            if missing:
                return 400, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}', {}
            stored = (self.headers["Content-Type"], body)
            registry.manifests[name, last] = registry.manifests[name, digest] = stored
            return 201, b"", {"Docker-Content-Digest": digest}
        if kind == "manifests":
            media_type, content = registry.manifests.get((name, last), ("", b""))
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
            return (200, content, headers) if content else (404, b"", {})
        if self.command == "POST":
            source = (query.get("from", [""])[0], query.get("mount", [""])[0])
            if source in registry.blobs:
                registry.blobs[name, source[1]] = registry.blobs[source]
                return 201, b"", {}
            return 202, b"", {"Location": f"{registry.uploads_at}/v2/{name}/blobs/uploads/1?_s=a"}
        if self.command == "PUT":
            digest = query["digest"][0]
            if digest != f"sha256:{hashlib.sha256(body).hexdigest()}":
                return 400, b'{"errors": [{"code": "DIGEST_INVALID"}]}', {}
            registry.blobs[name, digest] = body
            return 201, b"", {}
        found = registry.blobs.get((name, last))
        if found is None:
            return 404, b"", {}
        if registry.blobs_at:
            return 307, b"", {"Location": f"{registry.blobs_at}{path}"}
        part = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(part[1]) if part and registry.ranges else 0
        registry.starts.append(start)
        return (206 if start else 200), found[start:], {}

    def _serve_referrers(
        self, name: str, subject: str, start: int
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return a page of all referrers: this registry ignores the filter."""
        registry = self.served
        if not registry.pages:
            return 404, b"404 page not found", {"Content-Type": "text/plain"}
        found = [
            {
                "mediaType": media_type,
                "digest": target,
                "size": len(body),
                "artifactType": json.loads(body).get("artifactType"),
            }
            for (repository, target), (media_type, body) in registry.manifests.items()
            if repository == name and target.startswith("sha256:")
            if json.loads(body).get("subject", {}).get("digest") == subject
        ]
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        end = start + registry.pages
        if found[end:]:
            headers["Link"] = f'</v2/{name}/referrers/{subject}?start={end}>; rel="next"'
        index = {"schemaVersion": 2, "manifests": found[start:end]}
        return 200, json.dumps(index).encode(), headers

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: str) -> None:
        if fault == LOST:
            self._reset()
            return
        if fault == WRONG and body and status == 200:
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault == WRONG and "Docker-Content-Digest" in headers:
            headers = {"Docker-Content-Digest": f"sha256:{'0' * 64}"}
        sent = body[: len(body) // 2] if fault in (HALF, SHORT) else body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent if fault == SHORT else body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
        if fault == HALF:
            self.close_connection = True

    def _reset(self) -> None:
        """Close the connection so that the client gets an error, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Do not log."""
