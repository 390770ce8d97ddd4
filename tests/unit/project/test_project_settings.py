"""The project's own poetry.toml gives a build no secret of the user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from poetry.config.config import Config
from poetry.factory import Factory

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.credentials import AuthSecret, collect
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Callable

    Gather = Callable[..., AuthSecret]

CANARY = "s3cr3t-canary"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBnzCCAUmg\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def gather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gather:
    """Return a function that collects credentials for a project with this poetry.toml."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)

    def gather(settings: str, *, auth: str = "", url: str = "https://a.test/simple") -> AuthSecret:
        (project / "pyproject.toml").write_text(
            '[project]\nname = "demo"\nversion = "1"\n'
            f'[[tool.poetry.source]]\nname = "corp"\nurl = "{url}"\n'
        )
        (project / "poetry.toml").write_text(settings)
        Path(os.environ["POETRY_CONFIG_DIR"], "auth.toml").write_text(auth)
        Config.create(reload=True)
        return collect(Factory().create_poetry(project), ["corp"])

    return gather


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ('[certificates.corp]\nclient-cert = "../key"\n', "certificates.corp.client-cert PATH"),
        ('[certificates.corp]\nclient-cert = "client.pem"\n', "certificates.corp.client-cert PATH"),
        ('[certificates.corp]\ncert = "../ca.pem"\n', "certificates.corp.cert PATH"),
        ('[certificates.corp]\ncert = "linked.pem"\n', "certificates.corp.cert PATH"),
        ('[certificates.corp]\ncert = "{x}.pem"\n', "certificates.corp.cert PATH"),
        ('[certificates.my.corp]\ncert = "../ca.pem"\n', "certificates.my.corp.cert PATH"),
        ("[certificates.corp]\ncert = false\n", "certificates.corp.cert false"),
        ("[certificates.corp]\nverify = false\n", "certificates.corp.cert false"),
        (f'[http-basic.corp]\nusername = "{CANARY}"\n', "http-basic.corp USERNAME "),
        (f'[http-basic.corp]\npassword = "{CANARY}"\n', "http-basic.corp USERNAME "),
        (f'[pypi-token]\n"my corp" = "{CANARY}"\n', "'pypi-token.my corp' TOKEN"),
        (
            '[repositories.corp]\nurl = "https://b.test/{http-basic.corp.password}"\n',
            "repositories.corp URL",
        ),
    ],
)
def test_secrets_of_the_project_are_refused(
    gather: Gather, tmp_path: Path, settings: str, command: str
) -> None:
    """The error says how to store the setting in the user's configuration, without its value."""
    for name in ("key", "project/client.pem"):
        (tmp_path / name).write_text(CERTIFICATE + KEY)
    for name in ("ca.pem", "project/{x}.pem"):
        (tmp_path / name).write_text(CERTIFICATE)
    (tmp_path / "project" / "linked.pem").symlink_to("../ca.pem")
    with pytest.raises(DockerCacheError, match=r"poetry.toml of the project sets") as raised:
        gather(settings)
    assert f"\n    poetry config {command}" in raised.value.fix
    assert CANARY not in str(raised.value)


def test_each_refused_setting_is_named_once(gather: Gather) -> None:
    """A login has two keys and one command."""
    with pytest.raises(DockerCacheError) as raised:
        gather('[http-basic]\na = {username = "u", password = "p"}\nb = {username = "u"}\n')
    assert "sets http-basic.a, http-basic.b." in raised.value.problem
    assert raised.value.fix.count("poetry config") == 2


def test_ca_file_in_the_project_counts(gather: Gather, tmp_path: Path) -> None:
    """So do the settings that are not about credentials; only certificates are taken from it."""
    (tmp_path / "project" / "ca.pem").write_text(KEY + CERTIFICATE)
    settings = '[certificates.corp]\ncert = "ca.pem"\n'
    secret = gather(settings + "[virtualenvs]\nin-project = true\n[keyring]\nenabled = false\n")
    sources = tomllib.loads(secret.text)["poetry-docker-cache"]["sources"]
    assert sources == {"corp": {"ca": CERTIFICATE}}
    (tmp_path / "project" / "ca.pem").write_text(KEY)
    with pytest.raises(DockerCacheError, match="it has no certificate in PEM format"):
        gather(settings)


def test_placeholder_in_url_of_source_is_refused(gather: Gather) -> None:
    """Poetry would replace it by the password when it looks for a server's credentials."""
    login = f'[http-basic.corp]\nusername = "u"\npassword = "{CANARY}"\n'
    with pytest.raises(DockerCacheError, match="URL of the source 'corp' contains") as raised:
        gather("", auth=login, url="https://a.test/{http-basic.corp.password}")
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (KEY, "no certificate"),
        (KEY.replace("PRIVATE", "OPENSSH PRIVATE"), "no certificate and no private key"),
        (CERTIFICATE + KEY.replace("PRIVATE", "OPENSSH PRIVATE"), "no private key"),
        (CERTIFICATE, "no private key"),
    ],
)
def test_client_certificate_needs_certificate_and_key(
    gather: Gather, tmp_path: Path, text: str, missing: str
) -> None:
    """Requests, which Poetry uses, reads both from one file. A lone key may be one for SSH."""
    (tmp_path / "client.pem").write_text(text)
    with pytest.raises(DockerCacheError, match=f"it has {missing} in PEM format") as raised:
        gather("", auth='[certificates.corp]\nclient-cert = "../client.pem"\n')
    assert "a PEM file with certificate and private key" in raised.value.fix
