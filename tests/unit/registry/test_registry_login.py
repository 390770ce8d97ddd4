"""Logins for registries in the files of Docker and Podman."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from poetry_docker_cache.registry.registry_login import Login, Logins

HUB = "https://index.docker.io/v1/"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide this machine's logins."""
    for name in ("DOCKER_AUTH_CONFIG", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def entry(login: str) -> dict[str, str]:
    """Return an entry of `auths`."""
    return {"auth": base64.b64encode(login.encode()).decode()}


def write(path: Path, config: object) -> None:
    """Write a file with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config if isinstance(config, str) else json.dumps(config))


def docker(auths: dict[str, Any]) -> None:
    """Write Docker's file."""
    write(Path.home() / ".docker/config.json", {"auths": auths})


def found(host: str, repository: str = "team/app") -> str:
    """Return the user whose login is found."""
    return Logins(host).find(repository).username


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("host.test", "host.test"),
        ("https://host.test", "host.test"),
        ("https://host.test/v1/", "host.test"),
        ("host.test/v2/", "host.test"),
        ("host.test:5000", "host.test:5000"),
        ("HOST.test", "host.test"),
        (HUB, "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
    ],
)
def test_key_names_host(key: str, host: str) -> None:
    """The forms that versions of Docker and Podman have written."""
    docker({key: entry("user:password")})
    assert found(host) == "user"


@pytest.mark.parametrize("host", ["host.test", "host.test:5001", "not-host.test:5000", "docker.io"])
def test_other_hosts_get_no_login(host: str) -> None:
    """A port is a part of the host."""
    docker({"host.test:5000": entry("user:password")})
    assert Logins(host).find("team/app") == Login()


def test_deepest_folder_counts() -> None:
    """Podman keeps logins for folders and repositories."""
    docker(
        {
            "host.test": entry("all:p"),
            "host.test/team": entry("team:p"),
            "host.test/team/app": entry("app:p"),
            "host.test/team/empty": {},
        }
    )
    logins = Logins("host.test")
    repositories = ("team/app", "team/app/web", "team/apple", "team/empty", "other")
    users = [logins.find(repository).username for repository in repositories]
    assert users == ["app", "app", "team", "team", "all"]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (entry("user:pa:ss:wörd"), Login(username="user", password="pa:ss:wörd")),
        (entry("user:password\0\0"), Login(username="user", password="password")),
        ({"username": "user", "password": "pw"}, Login(username="user", password="pw")),
        (
            {**entry("user:"), "identitytoken": "ident"},
            Login(username="user", identity_token="ident"),
        ),
        (entry("<token>:ident"), Login(identity_token="ident")),
        ({"registrytoken": "regis"}, Login(registry_token="regis")),
        ({}, Login()),
        ({"auth": "not base64"}, Login()),
        ({"auth": 1}, Login()),
        ("text", Login()),
    ],
)
def test_forms_of_entry(stored: object, expected: Login) -> None:
    """A password, or a token; whatever else is there is no login."""
    docker({"host.test": stored})
    login = Logins("host.test").find("team/app")
    assert login == expected
    assert not any(secret in repr(login) for secret in login.secrets)


def test_places_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable counts before a file, and Docker's file before Podman's."""

    def config(user: str) -> dict[str, Any]:
        return {"auths": {"host.test": entry(f"{user}:p")}}

    write(Path.home() / ".config/containers/auth.json", config("home"))
    assert found("host.test") == "home"
    write(tmp_path / "run/containers/auth.json", config("run"))
    assert found("host.test") == "run"
    write(Path.home() / ".docker/config.json", config("docker"))
    assert found("host.test") == "docker"
    write(tmp_path / "other/config.json", config("other"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "other"))
    assert found("host.test") == "other"
    write(tmp_path / "auth.json", config("file"))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    assert found("host.test") == "file"
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps(config("variable")))
    assert found("host.test") == "variable"


@pytest.mark.parametrize("text", ["{secret", "[]", '{"auths": []}', '{"credHelpers": 1}'])
def test_unusable_file_is_a_problem_only_if_nothing_else_is_found(
    tmp_path: Path, text: str
) -> None:
    """A public image can be pulled without a login."""
    write(Path.home() / ".docker/config.json", text)
    login = Logins("host.test").find("team/app")
    assert login.secrets == ()
    assert "secret" not in login.problem
    assert ("config.json is not valid JSON" in login.problem) == (
        "auths" not in text and "cred" not in text
    )
    write(tmp_path / "run/containers/auth.json", {"auths": {"host.test": entry("user:p")}})
    assert Logins("host.test").find("team/app") == Login(username="user", password="p")


def test_missing_helper_is_a_problem() -> None:
    """Docker Desktop's, in a file that was copied from another machine."""
    config = {"credsStore": "missing-one", "auths": {"host.test": {}}}
    write(Path.home() / ".docker/config.json", config)
    login = Logins("host.test").find("team/app")
    assert login.problem == "The credential helper docker-credential-missing-one is not installed."
