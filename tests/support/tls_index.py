"""A package index over TLS, with a certificate from a private authority."""

from __future__ import annotations

import contextlib
import functools
import http.server
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TlsIndex:
    """The address of the index, and what its user needs."""

    url: str
    ca: Path
    client: Path


@contextlib.contextmanager
def tls_index(packages: Path, certificates: Path, *, asks: bool = True) -> Iterator[TlsIndex]:
    """Serve a folder with a subfolder for each package; write the certificates to another folder.

    `asks` is whether the index requires a client certificate.
    """
    authority = trustme.CA()
    ca, client = certificates / "ca.pem", certificates / "client.pem"
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("ci@acme.example").private_key_and_cert_chain_pem.write_to_path(
        str(client)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # By name, because some releases of pip refuse every certificate for an IP address.
    authority.issue_cert("localhost").configure_cert(context)
    if asks:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    handler = functools.partial(_Quiet, directory=str(packages))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"https://localhost:{server.server_port}/"
        yield TlsIndex(url=url, ca=ca, client=client)
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """The folder's listing is a simple index (PEP 503)."""

    def log_message(self, *_: object) -> None:
        """Do not log."""
