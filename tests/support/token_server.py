"""A token server for docker-registry: it exchanges a login for a signed token."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUER = SERVICE = "acme"
IDENTITY = "identity-token-of-user"
ANONYMOUS = ("pull",)
"""What a user without a login may do."""


@dataclass(kw_only=True)
class TokenServer:
    """The server: who may do what."""

    url: str
    bundle: Path
    """The certificate that the registry checks tokens with."""
    password: str
    life: int = 300
    """How long tokens are valid, in seconds."""
    asked: list[str] = field(default_factory=list)
    """The method and the scopes of each request."""

    @property
    def auth(self) -> dict[str, Any]:
        """Return the registry's configuration."""
        return {
            "token": {
                "realm": self.url,
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self.bundle),
            }
        }


@contextlib.contextmanager
def token_server(folder: Path, password: str) -> Iterator[TokenServer]:
    """Serve on loopback; `user` may push, and others only pull."""
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    issued = authority.issue_cert("token.test", key_type=trustme.KeyType.RSA)
    bundle = folder / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    key: Any = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pem = issued.cert_chain_pems[0].bytes().decode()
    chain = "".join(line for line in pem.splitlines() if "-----" not in line)
    served = TokenServer(url="", bundle=bundle, password=password)
    basic = base64.b64encode(f"user:{password}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            self._answer(parse_qs(urlsplit(self.path).query), given, f"Basic {basic}")

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert form["grant_type"] == ["refresh_token"]
            form["scope"] = form["scope"][0].split()
            self._answer(form, form["refresh_token"][0], IDENTITY)

        def _answer(self, values: dict[str, list[str]], given: str, expected: str) -> None:
            served.asked.append(f"{self.command} {' '.join(values.get('scope', []))}")
            assert values["service"] == [SERVICE]
            if given and given != expected:
                self.send_error(401)
                return
            claims = _claims(values.get("scope", []), may_push=bool(given), life=served.life)
            token = _signed(claims, {"x5c": [chain]}, key)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"token": token, "expires_in": served.life}).encode())

        def log_message(self, *_: object) -> None:
            """Do not log."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_port}/token"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


def _claims(scopes: list[str], *, may_push: bool, life: int) -> dict[str, Any]:
    access = []
    for scope in scopes:
        kind, name, actions = scope.split(":")
        allowed = [action for action in actions.split(",") if may_push or action in ANONYMOUS]
        access.append({"type": kind, "name": name, "actions": allowed})
    now = int(time.time())
    times = {"nbf": now - 10, "iat": now, "exp": now + life}
    return {"iss": ISSUER, "aud": SERVICE, "sub": "user", "jti": str(now), **times} | {
        "access": access
    }


def _signed(claims: dict[str, Any], header: dict[str, Any], key: rsa.RSAPrivateKey) -> str:
    parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", **header}, claims)]
    signature = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, _encoded(signature)])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
