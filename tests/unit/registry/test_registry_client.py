"""Names of images for the registry client, and what a registry's answers mean."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
import requests

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry.registry_client import Reference
from poetry_docker_cache.registry.registry_errors import read_answer, refusal
from poetry_docker_cache.registry.registry_session import (
    RegistrySession,
    Request,
    _challenges,
    _is_loopback,
    _retry_after,
)

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "host", "repository", "target"),
    [
        ("python", "docker.io", "library/python", "latest"),
        ("team/app:1", "docker.io", "team/app", "1"),
        ("index.docker.io/python:3.13", "docker.io", "library/python", "3.13"),
        ("localhost/app", "localhost", "app", "latest"),
        ("host.test:5000/team/app", "host.test:5000", "team/app", "latest"),
        (f"host.test/app:1@{DIGEST}", "host.test", "app", DIGEST),
        (f"[::1]:5000/app@{DIGEST}", "[::1]:5000", "app", DIGEST),
    ],
)
def test_reference_is_complete(text: str, host: str, repository: str, target: str) -> None:
    """Host, folder and tag are those that Docker implies."""
    reference = Reference.parse(text)
    assert (reference.host, reference.repository, reference.target) == (host, repository, target)


@pytest.mark.parametrize("text", ["", "Shop", "a:b:c", "host.test/../app", f"app@{DIGEST}0"])
def test_invalid_reference_is_an_error(text: str) -> None:
    """Nothing else gets into a URL."""
    with pytest.raises(DockerCacheError, match="is not the name of an image"):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("Basic", {"basic": {}}),
        ('Basic realm="a, b"', {"basic": {"realm": "a, b"}}),
        (
            'Bearer realm="https://auth.test/t?a=b",service="s",scope="repository:a:pull,push"',
            {
                "bearer": {
                    "realm": "https://auth.test/t?a=b",
                    "service": "s",
                    "scope": "repository:a:pull,push",
                }
            },
        ),
        (
            r'BEARER Realm = "a\"b" , basic realm=c, Negotiate',
            {"bearer": {"realm": 'a"b'}, "basic": {"realm": "c"}, "negotiate": {}},
        ),
    ],
)
def test_challenges(header: str, expected: dict[str, dict[str, str]]) -> None:
    """A registry may offer several."""
    assert _challenges(header) == expected


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.test", False),
        ("10.0.0.1", False),
        ("127.0.0.1.test", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    """Only there, http is allowed without a setting."""
    assert _is_loopback(host) == loopback


def answer(status: int, text: str = "", **headers: str) -> requests.Response:
    """Return an answer of a registry."""
    response = requests.Response()
    response.status_code = status
    response.raw = BytesIO(text.encode())
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def test_retry_after_is_seconds_or_date() -> None:
    """Another value counts as none."""
    values = ("7", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "-1")
    waits = [_retry_after(answer(503, Retry_After=value)) for value in values]
    assert waits[0] == 7
    assert max(waits[1:]) <= 0


@pytest.mark.parametrize(
    ("status", "push", "logged_in", "problem", "fix"),
    [
        (401, True, False, "log in to push to host.test/team/app", "Run `docker login host.test`."),
        (401, True, True, "your login may not push to host.test/team/app", "as a user who may"),
        (403, False, True, "your login may not pull host.test/team/app", "as a user who may"),
        (404, True, True, "host.test/team/app not found", "to be created first"),
        (405, True, True, "does not accept pushes", "read-only"),
        (413, True, True, "too large", "`client_max_body_size`"),
        (429, False, False, "limits the number of requests", "or run `docker login host.test`"),
        (500, True, True, "host.test fails", "Try again later"),
        (400, True, True, "does not accept host.test/team/app", "Check the name"),
    ],
)
def test_refusal_says_what_to_do(
    status: int, push: bool, logged_in: bool, problem: str, fix: str
) -> None:
    """The registry's own words are added, without secrets, control characters or length."""
    said = "denied: \x1b[31mpassw0rd\n" + 1000 * "x"
    text = json.dumps({"errors": [{"code": "DENIED", "message": said}]})
    error = refusal(
        answer(status, text),
        host="host.test",
        repository="team/app",
        push=push,
        logged_in=logged_in,
        secrets=("", "passw0rd"),
    )
    assert problem in error.problem
    assert f"(HTTP {status}: denied: *** xxx" in error.problem
    assert len(error.problem) < 500
    assert fix in error.fix
    assert error.denied == (status in (401, 403))


def test_secret_is_removed_in_both_encodings() -> None:
    """A server may show the form that it got."""
    text = json.dumps({"errors": [{"message": "no a/b c= and a%2Fb+c%3D"}]})
    error = refusal(
        answer(403, text),
        host="host.test",
        repository="a",
        push=True,
        logged_in=True,
        secrets=["a/b c="],
    )
    assert "no *** and ***" in error.problem


def test_endless_answer_is_not_read_to_its_end() -> None:
    """Only layers may be large."""
    assert len(read_answer(answer(500, "x" * 1_000_000))) < 200_000


@pytest.mark.parametrize(
    "text", ["", "<html>", 9999 * "[", "[]", '{"errors": 1}', '{"errors": ["a"]}', "\xff"]
)
@pytest.mark.parametrize("status", [200, 302, 400, 418])
def test_page_of_another_server_is_not_a_registry(status: int, text: str) -> None:
    """Whatever it contains."""
    error = refusal(
        answer(status, text), host="host.test", repository="a", push=True, logged_in=True
    )
    assert error.problem == f"host.test does not answer as a registry (HTTP {status})."


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/1?b=c", "https://host.test:5000/v2/a/1?b=c"),
        ("1", "https://host.test:5000/v2/a/blobs/uploads/1"),
        ("http://host.test/v2/a/1?b=c", "https://host.test:5000/v2/a/1?b=c"),
        ("https://other.test/1?b=c", "https://other.test/1?b=c"),
        ("http://other.test/1", "http://other.test/1"),  # which is refused later
    ],
)
def test_location_is_absolute(location: str, expected: str) -> None:
    """A registry behind a proxy may not know that it is reached with TLS."""
    response = answer(202, Location=location)
    response.url = "https://host.test:5000/v2/a/blobs/uploads/"
    assert RegistrySession("host.test:5000").location(response) == expected


@pytest.mark.parametrize(
    ("status", "scheme"),
    [(200, "http"), (401, "http"), (404, "http"), (301, "https"), (400, "https")],
)
def test_loopback_may_want_tls(monkeypatch: pytest.MonkeyPatch, status: int, scheme: str) -> None:
    """Servers answer http at a port for https with 400; others redirect to it."""
    session = RegistrySession("localhost:5000")
    asked: list[str] = []

    def send_once(request: Request) -> requests.Response:
        asked.append(request.url)
        return answer(status, Location="https://localhost:5000/v2/")

    monkeypatch.setattr(session, "_send_once", send_once)
    assert session.base == f"{scheme}://localhost:5000"
    assert asked[0].startswith("http:")
