"""Credentials go to the hosts that the user stored them for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from keyrings import FakeKeyring
from poetry.config.config import Config
from poetry.factory import Factory

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.credentials import AuthSecret, collect
from poetry_docker_cache.project.destinations import Destination
from poetry_docker_cache.project.model import Address

if TYPE_CHECKING:
    from collections.abc import Callable

    Gather = Callable[..., AuthSecret]

CANARY = "s3cr3t-canary"
LOGIN = f'[http-basic.corp]\nusername = "u"\npassword = "{CANARY}"\n'
URL = "https://evil.test/simple"
PEM = "".join(
    f"-----BEGIN {kind}-----\nMIIB\n-----END {kind}-----\n"
    for kind in ("CERTIFICATE", "PRIVATE KEY")
)


@pytest.fixture
def gather(tmp_path: Path) -> Gather:
    """Return a function that collects credentials for a project with the source `corp`."""

    def gather(  # noqa: PLR0913  # all have defaults
        *,
        auth: str = LOGIN,
        config: str = "",
        local: str = "",
        url: str = URL,
        names: tuple[str, ...] = ("corp",),
        addresses: tuple[Address, ...] = (),
        more: str = "",
    ) -> AuthSecret:
        source = f'[[tool.poetry.source]]\nname = "corp"\nurl = "{url}"\n'
        project = f'[project]\nname = "demo"\nversion = "1"\n{source}{more}'
        (tmp_path / "pyproject.toml").write_text(project)
        (tmp_path / "poetry.toml").write_text(local)
        folder = Path(os.environ["POETRY_CONFIG_DIR"])
        (folder / "config.toml").write_text(config)
        (folder / "auth.toml").write_text(auth)
        Config.create(reload=True)
        return collect(Factory().create_poetry(tmp_path), names, addresses)

    return gather


def repository(url: str, name: str = "corp") -> str:
    """Write a repository as `poetry config repositories.NAME URL` does."""
    return f'[repositories.{name}]\nurl = "{url}"\n'


@pytest.mark.parametrize(
    "url",
    [
        "https://corp.test/simple",
        "https://evil.test:8443/simple",
        "https://evil.test.corp.test/",
        "http://evil.test/simple",
    ],
)
@pytest.mark.parametrize("local", ["", repository(URL)])
def test_another_host_than_the_configured_one_is_an_error(
    gather: Gather, url: str, local: str
) -> None:
    """The project cannot replace the user's URL; the scheme and the port count."""
    with pytest.raises(DockerCacheError, match=r"uses 'corp' for evil.test, but") as raised:
        gather(config=repository(url), local=local)
    assert f"    poetry config repositories.corp {URL}\n" in raised.value.fix
    assert CANARY not in str(raised.value)


def test_variable_with_another_host_is_an_error(
    gather: Gather, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wins over the files, as in Poetry, for each name that Poetry reads it for."""
    monkeypatch.setenv("POETRY_REPOSITORIES_CORP_URL", "https://corp.test")
    with pytest.raises(DockerCacheError, match=r"uses it for corp.test"):
        gather(config=repository(URL))
    monkeypatch.setenv("POETRY_REPOSITORIES_CORP_URL", "https://evil.test")
    assert gather(config=repository("https://corp.test")).unconfirmed == ()


@pytest.mark.parametrize("url", ["https://EVIL.test:443/other", URL, f"{URL}/"])
def test_configured_host_is_confirmed(gather: Gather, url: str) -> None:
    """The path does not matter: packages are often published to another one."""
    assert gather(config=repository(url)).unconfirmed == ()


def test_host_of_dotted_name_is_confirmed(gather: Gather) -> None:
    """Poetry before 2.4 reads the login from nested tables."""
    source = '[[tool.poetry.source]]\nname = "my.corp"\nurl = "https://my.test"\n'
    login = '[http-basic."my.corp"]\nusername = "u"\npassword = "p"\n'
    login += '[http-basic.my.corp]\nusername = "u"\npassword = "p"\n'
    config = repository("https://my.test", '"my.corp"')
    secret = gather(auth=login, config=config, names=("my.corp",), more=source)
    assert ("password" in secret.text, secret.unconfirmed) == (True, ())


@pytest.mark.parametrize("kind", ["file", "variable", "keyring", "client certificate"])
def test_unknown_host_is_unconfirmed(
    gather: Gather,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    use_keyring: Callable[[FakeKeyring], None],
) -> None:
    """All credentials that are stored for a name count."""
    auth = {"file": LOGIN, "keyring": '[http-basic.corp]\nusername = "u"\n'}.get(kind, "")
    if kind == "variable":
        monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_USERNAME", "u")
        monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_PASSWORD", CANARY)
    elif kind == "keyring":
        use_keyring(FakeKeyring({("poetry-repository-corp", "u"): CANARY}))
    elif kind == "client certificate":
        (tmp_path / "client.pem").write_text(PEM)
        auth = f'[certificates.corp]\nclient-cert = "{tmp_path / "client.pem"}"\n'
    assert gather(auth=auth).unconfirmed == (Destination("corp", URL),)


def test_credentials_stored_for_the_server_are_confirmed(
    gather: Gather, use_keyring: Callable[[FakeKeyring], None]
) -> None:
    """Entries of netrc and of the keyring under a URL or host are for that server."""
    netrc = Path.home() / ".netrc"
    netrc.write_text(f"machine evil.test login u password {CANARY}\n")
    netrc.chmod(0o600)
    secret = gather(auth="")
    assert (CANARY in secret.text, secret.unconfirmed) == (True, ())
    netrc.unlink()
    for place in ("evil.test", URL):
        use_keyring(FakeKeyring({(place, "u"): CANARY}))
        for auth in ("", '[http-basic.corp]\nusername = "u"\n'):
            secret = gather(auth=auth)
            assert (CANARY in secret.text, secret.unconfirmed) == (True, ())


def test_login_of_another_source_on_the_host_is_checked(gather: Gather) -> None:
    """A source without credentials gets those of another name with the same URL."""
    more = '[[tool.poetry.source]]\nname = "bait"\nurl = "https://evil.test/simple"\n'
    secret = gather(names=("bait",), more=more)
    assert CANARY in secret.text
    assert secret.unconfirmed == (Destination("corp", URL),)
    secret = gather(names=("bait",), more=more, config=repository("https://corp.test"))
    assert CANARY not in secret.text


@pytest.mark.parametrize("is_git", [True, False])
def test_login_for_an_address_is_checked(gather: Gather, is_git: bool) -> None:
    """The project can name a repository in poetry.toml, which Poetry finds by its URL."""
    address = Address("https://git.evil.test/a.git", is_git=is_git)
    local = repository(address.url)
    secret = gather(names=(), addresses=(address,), local=local)
    assert CANARY in secret.text
    assert secret.unconfirmed == (Destination("corp", address.url),)
    config = repository("https://corp.test")
    with pytest.raises(DockerCacheError, match=r"uses 'corp' for git.evil.test"):
        gather(names=(), addresses=(address,), local=local, config=config)
    confirmed = gather(names=(), addresses=(address,), config=local)
    assert (CANARY in confirmed.text, confirmed.unconfirmed) == (True, ())
