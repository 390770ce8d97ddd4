"""What a registry's refusals mean, and what to type."""

from __future__ import annotations

import contextlib
import json
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import requests

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 300
_SMALL = 65536
"""More than any answer has, in bytes, apart from blobs and manifests."""


class RegistryError(DockerCacheError):
    """A registry that cannot be used as wanted, with its HTTP status; 0 without an answer."""

    def __init__(self, problem: str, *, fix: str = "", status: int = 0) -> None:
        super().__init__(problem, fix=fix)
        self.status = status

    @property
    def denied(self) -> bool:
        """Return whether the registry wants another login."""
        return self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class InterruptedRequestError(RegistryError):
    """A request that may succeed if it is repeated, after as many seconds as the server asks."""

    def __init__(self, problem: str, *, fix: str = "", status: int = 0, wait: float = 0) -> None:
        super().__init__(problem, fix=fix, status=status)
        self.wait = wait


def repeatable(error: RegistryError, wait: float = 0) -> InterruptedRequestError:
    """Turn an error into one after which the request is repeated."""
    return InterruptedRequestError(error.problem, fix=error.fix, status=error.status, wait=wait)


def unreachable(host: str, error: Exception) -> RegistryError:
    """Explain why there is no answer; the exception's own text may show secrets in URLs."""
    certificate = _cause(error, ssl.SSLCertVerificationError)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return RegistryError(
            f"The certificate of {host} is not trusted ({certificate.verify_message}).",
            fix="Save the certificate of its authority as"
            f" ~/.docker/certs.d/{host}/ca.crt, or set REQUESTS_CA_BUNDLE.",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return InterruptedRequestError(
            f"{host} cannot be reached through the proxy.",
            fix="Check HTTPS_PROXY, and NO_PROXY for a registry in your own network.",
        )
    if isinstance(error, requests.Timeout):
        why = "it does not answer in time"
    else:
        cause = _cause(error, OSError)
        why = (getattr(cause, "strerror", None) or "the connection was interrupted").lower()
    return InterruptedRequestError(
        f"{host} cannot be reached: {printable(why)}.",
        fix="Check the name and the network, or try again later.",
    )


def refusal(  # noqa: PLR0911, PLR0913  # one result for each status, which names all
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
    said = _message(response, secrets)
    answer = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    login = "docker login" if host == "docker.io" else f"docker login {host}"

    def error(problem: str, fix: str) -> RegistryError:
        return RegistryError(problem, fix=fix, status=status)

    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        if logged_in:
            return error(
                f"{host} denies access: your login may not {action} {name} ({answer}).",
                f"Check the name, or run `{login}` as a user who may {action} it.",
            )
        return error(
            f"{host} denies access: log in to {action} {name} ({answer}).",
            f"{note} Then run `{login}`." if note else f"Run `{login}`.",
        )
    if status == HTTPStatus.NOT_FOUND:
        return error(
            f"{name} not found ({answer}).",
            "Check the name. Some registries need the repository to be created first."
            if push
            else "Check the name.",
        )
    if status == HTTPStatus.METHOD_NOT_ALLOWED and push:
        return error(
            f"{host} does not accept pushes ({answer}).",
            "Check the name. The registry may be read-only, or a mirror.",
        )
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return error(
            f"A layer is too large for {host} ({answer}).",
            "Raise the limit of the registry or its proxy (nginx: `client_max_body_size`), or set"
            " more `layers`.",
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return error(
            f"{host} limits the number of requests ({answer}).",
            "Try again later." if logged_in else f"Try again later, or run `{login}`.",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return error(f"{host} fails ({answer}).", "Try again later.")
    if status >= HTTPStatus.BAD_REQUEST and said:
        return error(
            f"{host} cannot {'take' if push else 'give'} {name} ({answer}).",
            "Check the name, or ask the registry's operator.",
        )
    return not_a_registry(host, status)


def not_a_registry(host: str, status: int = 0) -> RegistryError:
    """Explain an answer that no registry gives."""
    return RegistryError(
        f"{host} does not answer as a registry{f' (HTTP {status})' if status else ''}.",
        fix="Check the name. A proxy or a login page of the network may have answered instead.",
        status=status,
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


def _message(response: requests.Response, secrets: Iterable[str]) -> str:
    """Return the registry's own words; empty if the answer is not a registry's."""
    try:
        errors = json.loads(read_answer(response))["errors"]
        words = ", ".join(
            str(error.get("message") or error.get("code") or "").strip() for error in errors
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    for secret in filter(None, secrets):
        words = words.replace(secret, "***").replace(quote_plus(secret), "***")
    return " ".join(printable(words).split())[:_LONGEST].rstrip(".")


def _cause(error: BaseException, kind: type[Exception]) -> BaseException | None:
    """Return the first cause of this kind that is not a wrapper of requests."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, kind) and not isinstance(found, requests.RequestException):
            return found
        reason = getattr(found, "reason", None)
        found = reason if isinstance(reason, Exception) else found.__cause__ or found.__context__
    return None
