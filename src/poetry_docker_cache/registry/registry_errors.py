"""What a registry's refusals mean, and what to type."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote_plus

import requests

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_Kind = TypeVar("_Kind", bound=Exception)
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # by version of OpenSSL
_NO_SUCH_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_LONGEST = 300
_SMALL = 65536
"""More than any answer has, in bytes, apart from blobs and manifests."""


class RegistryError(DockerCacheError):
    """A registry that cannot be used as wanted.

    `status` is that of its answer, 0 without one. `retry_after` is how many seconds later the
    request may succeed; None if that is not likely.
    """

    def __init__(
        self, problem: str, *, fix: str = "", status: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(problem, fix=fix)
        self.status = status
        self.retry_after = retry_after

    @property
    def denied(self) -> bool:
        """Return whether the registry wants another login."""
        return self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def unreachable(host: str, error: Exception) -> RegistryError:
    """Explain why there is no answer; the exception's own text may show secrets in URLs."""
    if certificate := _cause(error, ssl.SSLCertVerificationError):
        return RegistryError(
            f"The certificate of {host} is not trusted: {certificate.verify_message.rstrip('.')}.",
            fix="Save the certificate of its authority as"
            f" ~/.docker/certs.d/{host}/ca.crt, or set REQUESTS_CA_BUNDLE.",
        )
    problem = f"{host} cannot be reached"
    fix = "Check the name and the network, or try again later."
    if getattr(_cause(error, ssl.SSLError), "reason", "") in _NO_TLS:
        problem = f"{host} does not use TLS"
        fix = "Check the name. Without TLS, only registries on this machine are used (localhost)."
    elif isinstance(error, requests.exceptions.ProxyError):
        problem += " through the proxy"
        fix = "Check HTTPS_PROXY, and NO_PROXY for a registry in your own network."
    elif getattr(_cause(error, socket.gaierror), "errno", 0) in _NO_SUCH_HOST:
        return RegistryError(
            f"The host {host} was not found.", fix="Check the name and the network."
        )
    elif isinstance(error, requests.Timeout):
        problem += ": it does not answer in time"
    else:
        cause = _cause(error, OSError)
        why = (cause.strerror if cause else None) or "the connection was interrupted"
        problem += f": {printable(why).lower()}"
    return RegistryError(f"{problem}.", fix=fix, retry_after=0)


def refusal(  # noqa: PLR0913  # all that the explanation names
    response: requests.Response,
    *,
    host: str,
    repository: str,
    push: bool,
    logged_in: bool,
    note: str = "",
    secrets: Iterable[str] = (),
) -> RegistryError:
    """Explain an answer that is not the expected one.

    `note` is why a stored login was not used. The secrets are removed from the registry's message.
    """
    status = response.status_code
    name, action = f"{host}/{repository}", "push to" if push else "pull"
    login = "docker login" if host == "docker.io" else f"docker login {host}"
    if logged_in:
        denied = f"{host} denies access: your login may not {action} {name}"
        log_in = (
            f"Check the name. If it is right, run `{login}` again, as a user who may {action} it."
        )
    else:
        denied = f"{host} denies access: log in to {action} {name}"
        log_in = f"{note} Then run `{login}`." if note else f"Run `{login}`."
    known = {
        HTTPStatus.UNAUTHORIZED: (denied, log_in),
        HTTPStatus.FORBIDDEN: (denied, log_in),
        HTTPStatus.NOT_FOUND: (
            f"{name} not found",
            "Check the name. Some registries need the repository to be created first.",
        ),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
            f"A layer is too large for {host}",
            "Raise the limit of its proxy (nginx: `client_max_body_size`), or set more `layers`.",
        ),
        HTTPStatus.TOO_MANY_REQUESTS: (
            f"{host} limits the number of requests",
            "Try again later." if logged_in else f"Try again later, or run `{login}`.",
        ),
    }
    if push:
        known[HTTPStatus.METHOD_NOT_ALLOWED] = (
            f"{host} does not accept pushes",
            "Check the name. The registry may be read-only, or a mirror.",
        )
    said = _message(response, secrets)
    if status in known:
        problem, fix = known[HTTPStatus(status)]
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        problem, fix = f"{host} fails", "Try again later."
    elif said:
        problem = f"{host} does not {'accept' if push else 'provide'} {name}"
        fix = "Check the name, or ask the registry's operator."
    else:
        return not_a_registry(host, status)
    answer = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    return RegistryError(f"{problem} ({answer}).", fix=fix, status=status)


def not_a_registry(
    host: str, status: int = 0, *, retry_after: float | None = None
) -> RegistryError:
    """Explain an answer that no registry gives."""
    return RegistryError(
        f"{host} does not answer as a registry{f' (HTTP {status})' if status else ''}.",
        fix="Check the name. A proxy or a login page of the network may have answered instead.",
        status=status,
        retry_after=retry_after,
    )


def read_answer(response: requests.Response, most: int = _SMALL) -> bytes:
    """Read what arrives of an answer, so that its connection can be used again."""
    content = b""
    with contextlib.suppress(requests.RequestException), response:
        for chunk in response.iter_content(_SMALL):
            content += chunk
            if len(content) > most:
                break
    return content


def parse_json(content: bytes) -> Any:  # noqa: ANN401  # any value
    """Parse JSON; None if it is not valid, or nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _message(response: requests.Response, secrets: Iterable[str]) -> str:
    """Return the registry's own words; empty if the answer is not a registry's."""
    try:
        errors = parse_json(read_answer(response))["errors"]
        words = ", ".join(
            str(error.get("message") or error.get("code") or "").strip() for error in errors
        )
    except (LookupError, TypeError, AttributeError):
        return ""
    for secret in filter(None, secrets):
        words = words.replace(secret, "***").replace(quote_plus(secret), "***")
    return " ".join(printable(words).split())[:_LONGEST].rstrip(".")


def _cause(error: BaseException, kind: type[_Kind]) -> _Kind | None:
    """Return the first cause of this kind that is not a wrapper of requests."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, kind) and not isinstance(found, requests.RequestException):
            return found
        inner = [getattr(found, "reason", None), *found.args[:1]]  # as urllib3 wraps them
        inner += [found.__cause__, found.__context__]
        found = next((one for one in inner if isinstance(one, BaseException)), None)
    return None
