"""What pip is told by its environment."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.inside import pip_install

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://host.example:8443/simple/"
WORDS = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), min_size=1)


@given(WORDS, WORDS)
def test_credentials_in_the_url(
    tmp_path_factory: pytest.TempPathFactory, user: str, word: str
) -> None:
    """Every user name and password arrives as it is, and the address is the same as before."""
    known = {"username": user, "password": word}
    found = pip_install.settings(URL, known, tmp_path_factory.getbasetemp())
    parts = urlsplit(found["PIP_INDEX_URL"])
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, word)
    assert (parts.hostname, parts.port, parts.path) == ("host.example", 8443, "/simple/")
    sent = requests.Request("GET", found["PIP_INDEX_URL"]).prepare().headers["Authorization"]
    assert base64.b64decode(sent.split()[1]).decode("latin1") == f"{user}:{word}"


def test_certificates(tmp_path: Path) -> None:
    """They become files for this user only; a public source needs none."""
    found = pip_install.settings(URL, {"ca": "CA", "client-cert": "CLIENT"}, tmp_path)
    assert found["PIP_INDEX_URL"] == URL
    for variable, text in (("PIP_CERT", "CA"), ("PIP_CLIENT_CERT", "CLIENT")):
        path = tmp_path / found[variable]
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
    assert pip_install.settings(URL, {}, tmp_path) == {"PIP_INDEX_URL": URL}
    trusted = pip_install.settings(URL, {"verify": False}, tmp_path)
    assert trusted["PIP_TRUSTED_HOST"] == "host.example:8443"


def test_the_secret_of_one_source(tmp_path: Path) -> None:
    """Only the named source's table is read; no secret is no error."""
    secret = tmp_path / "auth.toml"
    assert pip_install.read_secret(secret, "a.b") == {}
    secret.write_text(
        '[http-basic.a.b]\nusername = "x"\n'
        '[poetry-docker-cache.sources."a.b"]\nusername = "u"\npassword = "{p}"\n'
    )
    assert pip_install.read_secret(secret, "a.b") == {"username": "u", "password": "{p}"}
    assert pip_install.read_secret(secret, "other") == {}


@pytest.mark.parametrize("known", [True, False])
def test_refusal(known: bool) -> None:
    """It says which source, and what to type."""
    said = pip_install.refusal("my.repo-x", URL, known=known)
    assert "'my.repo-x' (host.example:8443)" in said
    assert ("does not accept" in said) == known
    assert ("no credentials" in said) != known
    assert "poetry config http-basic.my.repo-x USER PASSWORD" in said
    assert "POETRY_HTTP_BASIC_MY_REPO_X_PASSWORD" in said
