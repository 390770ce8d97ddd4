"""Logins for git repositories and URLs: Poetry finds the same ones in the secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from keyrings import FakeKeyring
from poetry.config.config import Config
from poetry.factory import Factory
from poetry.utils.authenticator import Authenticator

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.credentials import AuthSecret, collect
from poetry_docker_cache.project.model import Address
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Callable

    Gather = Callable[..., AuthSecret]

CANARY = "s3cr3t-canary"
PASSWORD = f'{{x}} {CANARY} "\\{{brace}}'
GIT = Address("https://git.test/team/a.git", is_git=True)
WHEEL = Address("https://files.test/b/a-1.0-py3-none-any.whl", is_git=False)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBnzCCAUmg\n-----END CERTIFICATE-----\n"


@pytest.fixture
def gather(tmp_path: Path) -> Gather:
    """Return a function that collects credentials for addresses from Poetry's settings."""

    def gather(*addresses: Address, config: str = "", auth: str = "") -> AuthSecret:
        folder = Path(os.environ["POETRY_CONFIG_DIR"])
        (folder / "config.toml").write_text(config)
        (folder / "auth.toml").write_text(auth)
        pyproject = '[project]\nname = "demo"\nversion = "1"\n'
        pyproject += '[[tool.poetry.source]]\nname = "acme"\nurl = "https://files.test/simple/"\n'
        (tmp_path / "pyproject.toml").write_text(pyproject)
        Config.create(reload=True)
        return collect(Factory().create_poetry(tmp_path), [], addresses)

    return gather


def login(name: str, password: str = PASSWORD) -> str:
    """Write a login as `poetry config` does, without placeholders for braces."""
    text = password.replace("\\", "\\\\").replace('"', '\\"')
    return f'[http-basic."{name}"]\nusername = "me"\npassword = "{text}"\n'


def found(secret: AuthSecret, url: str) -> tuple[str | None, str | None]:
    """Return what Poetry finds for an address in the build, with the secret as its auth.toml."""
    config = Config(use_environment=False)
    config.merge(tomllib.loads(secret.text))
    config.merge({"keyring": {"enabled": False}})
    authenticator = Authenticator(config, disable_cache=True)
    git = url.endswith(".git")
    by_url = authenticator.get_credentials_for_url
    credential = authenticator.get_credentials_for_git_url(url) if git else by_url(url)
    return credential.username, credential.password


@pytest.mark.parametrize("name", ["team", "team.git"])
def test_git_login_is_found_by_the_exact_url(gather: Gather, name: str) -> None:
    """The name of the repository in the settings does not matter."""
    config = f'[repositories."{name}"]\nurl = "{GIT.url}"\n'
    secret = gather(GIT, config=config, auth=login(name))
    assert found(secret, GIT.url) == ("me", PASSWORD)
    assert found(secret, "https://git.test/team/other.git") == (None, None)
    for url in ("https://git.test/team", "https://git.test/team/a"):
        config = f'[repositories."{name}"]\nurl = "{url}"\n'
        assert CANARY not in gather(GIT, config=config, auth=login(name)).text


def test_file_login_is_found_by_host(gather: Gather) -> None:
    """A repository or source on the same host provides it, as in Poetry."""
    config = '[repositories.files]\nurl = "https://files.test/b"\n'
    assert found(gather(WHEEL, config=config, auth=login("files")), WHEEL.url) == ("me", PASSWORD)
    assert found(gather(WHEEL, auth=login("acme")), WHEEL.url) == ("me", PASSWORD)


def test_file_login_is_found_in_netrc(gather: Gather) -> None:
    """Poetry's own requests read it, too."""
    netrc = Path.home() / ".netrc"
    netrc.write_text(f"default login me password {CANARY}\n")
    netrc.chmod(0o600)
    assert found(gather(WHEEL), WHEEL.url) == ("me", CANARY)
    other = Address("https://other.test/a.whl", is_git=False)
    assert found(gather(other), other.url) == ("me", CANARY)


@pytest.mark.parametrize("config", ["", f'[repositories.team]\nurl = "{GIT.url}"\n'])
def test_git_login_is_found_in_netrc(gather: Gather, config: str) -> None:
    """Each repository of the host gets the login, and no other."""
    netrc = Path.home() / ".netrc"
    netrc.write_text(f"machine git.test login me password {CANARY}\n")
    netrc.chmod(0o600)
    more = [Address(f"https://{host}/b.git", is_git=True) for host in ("git.test", "public.test")]
    secret = gather(GIT, *more, config=config)
    assert found(secret, GIT.url) == found(secret, more[0].url) == ("me", CANARY)
    assert found(secret, more[1].url) == (None, None)
    assert len(tomllib.loads(secret.text)["repositories"]) == 2


@pytest.mark.parametrize("place", [GIT.url, "git.test"])
def test_git_login_is_found_in_the_keyring(
    gather: Gather, use_keyring: Callable[[FakeKeyring], None], place: str
) -> None:
    """The URL is tried first, then the host."""
    use_keyring(FakeKeyring({(place, "me"): PASSWORD}))
    assert found(gather(GIT), GIT.url) == ("me", PASSWORD)


def test_failing_keyring_is_ignored_for_git(
    gather: Gather, use_keyring: Callable[[FakeKeyring], None]
) -> None:
    """The repository may be public."""
    use_keyring(FakeKeyring({}, OSError(CANARY)))
    assert tomllib.loads(gather(GIT).text) == {}
    with pytest.raises(DockerCacheError, match="cannot be read: OSError"):
        gather(WHEEL)


def test_certificates_of_the_host_are_included(gather: Gather, tmp_path: Path) -> None:
    """The build needs a private CA of the host, too."""
    path = tmp_path / "ca.pem"
    path.write_text(CERTIFICATE)
    config = '[repositories.files]\nurl = "https://files.test"\n'
    config += f'[certificates.files]\ncert = "{path}"\n'
    document = tomllib.loads(gather(WHEEL, config=config).text)
    (own,) = document["poetry-docker-cache"]["sources"].values()
    assert own == {"ca": CERTIFICATE}
    assert [repository["url"] for repository in document["repositories"].values()] == [
        "https://files.test"
    ]


def test_secret_has_only_requested_addresses(gather: Gather) -> None:
    """Other logins are left out, such as those for publishing."""
    config = '[repositories.mine]\nurl = "https://upload.test/"\n'
    config += '[repositories.pypi]\nurl = "https://files.test/legacy/"\n'
    secret = gather(GIT, WHEEL, config=config, auth=login("mine") + login("pypi"))
    assert tomllib.loads(secret.text) == {}


def test_incomplete_login_is_an_error(gather: Gather) -> None:
    """The error names the repository, as for a source."""
    config = f'[repositories.team]\nurl = "{GIT.url}"\n'
    with pytest.raises(DockerCacheError, match="'team' has a user name but no password") as raised:
        gather(GIT, config=config, auth=f'[http-basic.team]\nusername = "{CANARY}"\n')
    assert CANARY not in str(raised.value)
