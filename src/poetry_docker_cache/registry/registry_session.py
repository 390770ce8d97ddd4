"""Requests to a registry: logins, tokens, certificates, proxies, retries.

`oras` would add jsonschema to Poetry's environment, reads a whole layer into memory and has no
timeouts; `python-dxf` has no retries, no Docker logins and adds two packages. Neither mounts blobs
with a fallback or refreshes tokens within an upload, so that most of this code would stay.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import functools
import ipaddress
import os
import re
import threading
import time
from dataclasses import KW_ONLY, dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.ssl_ import create_urllib3_context

from poetry_docker_cache.registry.registry_errors import (
    RegistryError,
    not_a_registry,
    parse_json,
    read_answer,
    refusal,
    unreachable,
)
from poetry_docker_cache.registry.registry_login import HUB, HUB_API, Login, Logins, home_folder

_Result = TypeVar("_Result")
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterable, Mapping

    from requests import PreparedRequest, Response

_ATTEMPTS = 5
_REDIRECTS = 5
_LONGEST_WAIT = 60.0
"""The longest wait, in seconds, that a server may ask for."""
_TOKEN_LIFE = 60.0
"""How long a token is valid, in seconds, if the server does not say so."""
_AT_ONCE = 32
"""How many connections are kept for further requests."""
_TRANSIENT = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_CLIENT = "poetry-docker-cache"
_CHALLENGE = re.compile(r'[\s,]*(?:(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))|([^\s,=]+))')


@dataclass(frozen=True)
class Request:
    """A request, and what it needs to be allowed."""

    method: str
    url: str
    """A URL, or a path of the registry's API."""
    repository: str
    _: KW_ONLY
    push: bool = False
    mount: str = ""
    """Another repository, to pull from."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    """Iterables are iterated again if the request is repeated."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes of the token."""
        own = f"repository:{self.repository}:{'pull,push' if self.push else 'pull'}"
        return (own, f"repository:{self.mount}:pull") if self.mount else (own,)


class _Token(NamedTuple):
    header: str
    expires: float


class RegistrySession:
    """Connections to one registry; several threads may use it."""

    def __init__(  # noqa: PLR0913  # the last three are for tests
        self,
        host: str,
        *,
        insecure_hosts: Collection[str] = (),
        ca: Path | None = None,
        timeout: tuple[float, float] = (30, 60),
        pause: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self._insecure_hosts = {name.lower() for name in insecure_hosts}
        self._logins = Logins(host)
        self._timeout = timeout
        self._pause, self._clock = pause, clock
        self._challenge: dict[str, dict[str, str]] = {}
        self._tokens: dict[tuple[str, ...], _Token] = {}
        self._lock = threading.RLock()
        self._session = requests.Session()
        self._session.mount("https://", _Adapter(_tls(host, ca)))
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_AT_ONCE))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @functools.cached_property
    def base(self) -> str:
        """The URL of the registry.

        It is http for hosts that allow it, unless they want TLS.
        """
        address = HUB_API if self.host == HUB else self.host
        if not self._allows_http(f"http://{address}"):
            return f"https://{address}"
        return self.repeat(functools.partial(self._probe, address))

    def _probe(self, address: str) -> str:
        for base in (f"http://{address}", f"https://{address}"):
            try:
                response = self._send_once(Request("HEAD", f"{base}/v2/", ""))
                response.close()
            except RegistryError as error:  # noqa: PERF203  # two attempts
                if error.status:  # an answer that is not one of TLS
                    return base
                failure = error
            else:
                wants_tls = response.is_redirect or response.status_code == HTTPStatus.BAD_REQUEST
                if base.startswith("https:") or not wants_tls:
                    return base
        raise failure

    def send(self, request: Request) -> Response:
        """Send a request to the registry until it answers, and follow redirects."""
        request = replace(request, url=f"{self.base}/v2/{request.url}")
        for _ in range(_REDIRECTS):
            response = self.repeat(functools.partial(self.exchange, request))
            if not (response.is_redirect and request.method in ("GET", "HEAD")):
                return response
            request = replace(request, url=self.location(response))
            read_answer(response)
        raise RegistryError(f"{self.host} redirects too often.", fix="Check the name.")

    def exchange(self, request: Request) -> Response:
        """Send a request once, or twice if the registry wants another token.

        Other hosts, which redirects and upload locations may name, get no credentials.
        """
        own = _origin(request.url) == _origin(self.base)
        sent = self._authorization(request) if own else ""
        response = self._send_once(request, sent)
        if not own or response.status_code != HTTPStatus.UNAUTHORIZED:
            return response
        with self._lock:
            self._challenge = _challenges(response.headers.get("WWW-Authenticate", ""))
            if (known := self._tokens.get(request.scopes)) and known.header == sent:
                del self._tokens[request.scopes]
        try:
            other = self._authorization(request)
        except RegistryError:
            response.close()
            raise
        if other in ("", sent):
            return response
        read_answer(response)
        return self._send_once(request, other)

    def repeat(self, act: Callable[[], _Result]) -> _Result:
        """Act until nothing interrupts it, a few times with longer and longer waits."""
        for attempt in range(_ATTEMPTS):
            try:
                return act()
            except RegistryError as error:
                failure = error
            if failure.retry_after is None:
                break
            wait = max(failure.retry_after, 0.5 * 2**attempt)
            if attempt + 1 == _ATTEMPTS or wait > _LONGEST_WAIT:
                break
            self._pause(wait)
        failure.retry_after = None  # for a caller that repeats more than this
        # Raised outside the handler, so that no exception with a secret is chained.
        raise failure

    def location(self, response: Response) -> str:
        """Return the absolute URL that an answer refers to."""
        url = self._absolute(response.url, response.headers.get("Location", ""))
        parts, own = urlsplit(url), urlsplit(self.base)
        if (parts.scheme, own.scheme, parts.hostname) == ("http", "https", own.hostname):
            # A registry behind a proxy that ends TLS may not know its own scheme and port.
            parts = parts._replace(scheme=own.scheme, netloc=own.netloc)
        return parts.geturl()

    def _absolute(self, base: str, reference: str) -> str:
        with contextlib.suppress(ValueError):
            url = urljoin(base, reference)
            if reference and all(_origin(url)):
                return url
        raise not_a_registry(self.host)

    def refusal(self, response: Response, request: Request) -> RegistryError:
        """Explain an answer that is not the expected one, and close it."""
        login = self._logins.find(request.repository)
        with self._lock:
            headers = [_basic(login), *(token.header for token in self._tokens.values())]
        error = refusal(
            response,
            host=self.host,
            repository=request.repository,
            push=request.push,
            logged_in=bool(login.secrets),
            note=login.problem,
            secrets=[*login.secrets, *(header.partition(" ")[2] for header in headers)],
        )
        response.close()
        return error

    def _authorization(self, request: Request) -> str:
        """Return the header for what the registry asked for; empty if it did not ask yet."""
        login = self._logins.find(request.repository)
        with self._lock:
            if login.registry_token:
                return f"Bearer {login.registry_token}"
            if (bearer := self._challenge.get("bearer")) and "realm" in bearer:
                known = self._tokens.get(request.scopes)
                if known is None or known.expires < self._clock():
                    known = self.repeat(lambda: self._fetch_token(bearer, request, login))
                    self._tokens[request.scopes] = known
                return known.header
            return _basic(login) if "basic" in self._challenge else ""

    def _fetch_token(self, challenge: dict[str, str], request: Request, login: Login) -> _Token:
        """Exchange a login for a token, or get an anonymous one."""
        realm = self._absolute(self.base, challenge["realm"])
        values = [("service", challenge.get("service", "")), ("client_id", _CLIENT)]
        if login.identity_token:
            values += [
                ("grant_type", "refresh_token"),
                ("refresh_token", login.identity_token),
                ("scope", " ".join(request.scopes)),
            ]
            asking = replace(request, method="POST", url=realm, body=urlencode(values).encode())
            asking = replace(asking, headers={"Content-Type": "application/x-www-form-urlencoded"})
            response = self._send_once(asking)
        else:
            values += [("scope", scope) for scope in request.scopes]
            url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(values)}"
            asking = replace(request, method="GET", url=url, headers={}, body=b"")
            response = self._send_once(asking, _basic(login))
        if not response.ok:
            raise self.refusal(response, request)
        answer = parse_json(read_answer(response))
        if not isinstance(answer, dict):  # perhaps only a part of it
            raise not_a_registry(self.host, response.status_code, retry_after=0)
        token, life = answer.get("token") or answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str):
            raise not_a_registry(self.host, response.status_code)
        life = life if isinstance(life, (int, float)) and life > 0 else _TOKEN_LIFE
        # Before the token expires, since a clock may differ and a request takes time.
        return _Token(f"Bearer {token}", self._clock() + 0.8 * life)

    def _send_once(self, request: Request, authorization: str = "") -> Response:
        """Send a request to any host, without redirects.

        Raises RegistryError without an answer, or for one that may be another one soon.
        """
        parts = urlsplit(request.url)
        host, is_upload = parts.hostname or "", not isinstance(request.body, bytes)
        # The base is not known yet while it is probed.
        is_safe = self.__dict__.get("base", "").startswith("https:")
        if parts.scheme != "https" and (is_safe or not self._allows_http(request.url)):
            raise RegistryError(
                f"{self.host} refers to {host} without TLS.",
                fix="Ask the registry's operator to use https there.",
            )
        connect, read = self._timeout
        failure: RegistryError
        try:
            response = self._session.request(
                request.method,
                request.url,
                headers={"User-Agent": _CLIENT, "Accept-Encoding": "identity", **request.headers},
                data=request.body,
                auth=_Authorization(authorization),
                # As Docker's, a proxy is not for loopback.
                proxies={"no_proxy": host} if _is_loopback(host) else None,
                # The registry hashes and moves what was uploaded before it answers.
                timeout=(connect, 5 * read if is_upload else read),
                allow_redirects=False,
                stream=True,
            )
        except OSError as error:  # as all exceptions of requests are
            failure = unreachable(parts.netloc.rpartition("@")[2], error)
        else:
            status = response.status_code
            if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _TRANSIENT:
                return response
            failure = self.refusal(response, request)
            failure.retry_after = _retry_after(response)
        # Raised outside the handler, so that no exception with a secret is chained.
        raise failure

    def _allows_http(self, url: str) -> bool:
        parts = urlsplit(url)
        names = {parts.netloc.lower(), parts.hostname or ""}
        return _is_loopback(parts.hostname or "") or bool(names & self._insecure_hosts)


class _Authorization(AuthBase):
    """The header; without one, requests would take a password from ~/.netrc."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers.pop("Authorization", None)
        if self._header:
            request.headers["Authorization"] = self._header
        return request


class _Adapter(HTTPAdapter):
    """Connections that share one context; requests would load its authorities for each of them."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_maxsize=_AT_ONCE)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # overridden
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401  # overridden
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]  # noqa: ANN401
        return super().send(request, **{**options, "verify": True})

    def cert_verify(self, conn: Any, *_: object) -> None:  # noqa: ANN401  # overridden
        conn.cert_reqs = "CERT_REQUIRED"


def _tls(host: str, ca: Path | None) -> ssl.SSLContext:
    """Trust the authorities of the machine, of requests, and Docker's for a host."""
    context = create_urllib3_context()
    context.load_default_certs()  # which uses SSL_CERT_FILE and SSL_CERT_DIR
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    home = home_folder()
    folders = [home / ".docker"] if home else []
    folders = [folder / "certs.d" / host for folder in [*folders, Path("/etc/docker")]]
    path = Path(bundle or DEFAULT_CA_BUNDLE_PATH)
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(path)
        for path in [*_files(folders, "*.crt"), *([ca] if ca else [])]:
            context.load_verify_locations(path)
        for path in _files(folders, "*.cert"):
            context.load_cert_chain(path, path.with_suffix(".key"))
    except OSError as error:
        raise RegistryError(
            f"The certificate {path} cannot be used: {error.strerror or error}.",
            fix="Correct or remove the file.",
        ) from error
    return context


def _files(folders: Iterable[Path], pattern: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for folder in folders for path in sorted(folder.glob(pattern))]
    return []


def _challenges(header: str) -> dict[str, dict[str, str]]:
    """Parse WWW-Authenticate into the parameters of each scheme.

    >>> _challenges('Bearer realm="https://auth.test",scope="a:pull,push", Basic realm=x')
    {'bearer': {'realm': 'https://auth.test', 'scope': 'a:pull,push'}, 'basic': {'realm': 'x'}}
    """
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for key, quoted, plain, scheme in _CHALLENGE.findall(header):
        if scheme:
            current = found.setdefault(scheme.lower(), {})
        else:
            current[key.lower()] = re.sub(r"\\(.)", r"\1", quoted) or plain
    return found


def _basic(login: Login) -> str:
    if not login.password:
        return ""
    pair = f"{login.username}:{login.password}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _retry_after(response: Response) -> float:
    """Return the seconds that the server asks to wait; 0 if it does not ask."""
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    return 0.0


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")
