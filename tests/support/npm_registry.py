"""An npm registry on this machine that requires a token."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


class NpmRegistry:
    """A running registry with version 1.0.0 of each package."""

    def __init__(self, token: str, packages: Mapping[str, Mapping[str, str]]) -> None:
        self.requests: list[str] = []
        """The paths of the requests with the token."""
        archives = {name: _archive(name, files) for name, files in packages.items()}
        self.archives = archives
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").split("/")[0]
                if self.headers.get("Authorization") != f"Bearer {token}":
                    self.send_error(401)
                elif name not in archives:
                    self.send_error(404)
                else:
                    registry.requests.append(self.path)
                    body = archives[name] if "/-/" in self.path else registry.description(name)
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def entry(self, name: str) -> dict[str, Any]:
        """Return the entry of a package in package-lock.json."""
        digest = base64.b64encode(hashlib.sha512(self.archives[name]).digest()).decode()
        url = f"http://{self.host}/{name}/-/{name}-1.0.0.tgz"
        return {"version": "1.0.0", "resolved": url, "integrity": f"sha512-{digest}"}

    def description(self, name: str) -> bytes:
        """Return the JSON that lists the versions of a package."""
        entry = self.entry(name)
        dist = {"tarball": entry["resolved"], "integrity": entry["integrity"]}
        version = {"name": name, "version": "1.0.0", "dist": dist}
        tags = {"latest": "1.0.0"}
        found = {"name": name, "dist-tags": tags, "versions": {"1.0.0": version}}
        return json.dumps(found).encode()

    def __enter__(self) -> Self:
        """Return the registry itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


def _archive(name: str, files: Mapping[str, str]) -> bytes:
    scripts = {"install": "node install.js"} if "install.js" in files else {}
    manifest = json.dumps({"name": name, "version": "1.0.0", "scripts": scripts})
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as archive:
        for path, text in {"package.json": manifest, **files}.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return output.getvalue()
