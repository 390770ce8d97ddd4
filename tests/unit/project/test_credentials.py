"""The secret file contains exactly the credentials that Poetry would send."""

from __future__ import annotations

import logging
import os
import re
import shlex
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keyring.errors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyrings import FakeKeyring
from poetry.config.config import Config
from poetry.factory import Factory
from poetry.utils.password_manager import PasswordManager

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.failures import explain_refusal
from poetry_docker_cache.project import credentials
from poetry_docker_cache.project.auth_secret import MAX_SIZE, SourceAuth, auth_file
from poetry_docker_cache.project.credentials import (
    AuthSecret,
    collect,
    refuse_credentials_in_urls,
)
from poetry_docker_cache.project.sources import login_variables
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "s3cr3t-canary"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBnzCCAUmg\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----\n"

# Any character that a password may have: all but the three rejected ones and lone surrogates.
passwords = st.text(
    st.one_of(
        st.sampled_from(list("{}{}'\"\\%$#@:/ \t\x01\x1b\x7f\x85\u2028é漢😀")),
        st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=40,
)
names = st.text(
    st.one_of(
        st.sampled_from(list("ab.-_A ")),
        st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]),
    ),
    min_size=1,
    max_size=12,
).filter(lambda name: name.lower() != "pypi")


@pytest.fixture
def config_dir() -> Path:
    """Return the folder with the settings of the isolated Poetry."""
    return Path(os.environ["POETRY_CONFIG_DIR"])


@pytest.fixture
def gather(tmp_path: Path) -> Callable[..., AuthSecret]:
    """Return a function that collects credentials for a project with these sources.

    All sources are used unless `names` lists some of them.
    """

    def gather(urls: dict[str, str], names: list[str] | None = None) -> AuthSecret:
        lines = ['[project]\nname = "demo"\nversion = "1"\n']
        lines += [
            f'[[tool.poetry.source]]\nname = "{name}"\nurl = "{url}"\n'
            if url
            else f'[[tool.poetry.source]]\nname = "{name}"\n'
            for name, url in urls.items()
        ]
        (tmp_path / "pyproject.toml").write_text("".join(lines))
        Config.create(reload=True)
        poetry = Factory().create_poetry(tmp_path)
        return collect(poetry, list(urls) if names is None else names)

    return gather


def read(secret: AuthSecret) -> dict[str, Any]:
    """Parse the secret with a strict TOML 1.0 reader."""
    document: dict[str, Any] = tomllib.loads(secret.text)
    return document


def by_source(secret: AuthSecret) -> Any:  # noqa: ANN401  # parsed TOML
    """Return the exact values of each source from the plugin's own table."""
    return read(secret).get("poetry-docker-cache", {}).get("sources", {})


def poetry_reads(secret: AuthSecret, name: str) -> tuple[str | None, str | None]:
    """Return the login that Poetry reads with the secret as its auth.toml."""
    config = Config(use_environment=False)
    config.merge(tomllib.loads(secret.text))
    config.merge({"keyring": {"enabled": False}})
    credential = PasswordManager(config).get_http_auth(name)
    return credential.username, credential.password


# Where Poetry finds them


def test_environment_wins_over_every_file(
    gather: Callable[..., AuthSecret],
    config_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Poetry's order is environment, auth.toml, netrc."""
    netrc = Path.home() / ".netrc"
    netrc.write_text("machine a.test login netrc password 4\n")
    netrc.chmod(0o600)
    urls = {"corp": "https://a.test/simple/"}
    assert by_source(gather(urls))["corp"] == {"username": "netrc", "password": "4"}

    (config_dir / "auth.toml").write_text('[http-basic.corp]\nusername="auth"\npassword="3"\n')
    assert by_source(gather(urls))["corp"] == {"username": "auth", "password": "3"}

    monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_USERNAME", "env")
    monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_PASSWORD", "1")
    assert by_source(gather(urls))["corp"] == {"username": "env", "password": "1"}


def test_keyring_is_read_by_name_and_by_url(
    gather: Callable[..., AuthSecret],
    config_dir: Path,
    use_keyring: Callable[[FakeKeyring], None],
) -> None:
    """Poetry's own entry name is tried first, then the URL."""
    (config_dir / "auth.toml").write_text('[http-basic.corp]\nusername="me"\n')
    entries = {("poetry-repository-corp", "me"): "by name", ("https://b.test/s", "you"): "by url"}
    use_keyring(FakeKeyring(entries))
    secret = gather({"corp": "https://a.test/s", "other": "https://b.test/s"})
    assert by_source(secret)["corp"] == {"username": "me", "password": "by name"}
    assert by_source(secret)["other"] == {"username": "you", "password": "by url"}


def test_disabled_keyring_is_not_asked(
    gather: Callable[..., AuthSecret],
    use_keyring: Callable[[FakeKeyring], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `keyring.enabled = false`, a failing backend is not called."""
    use_keyring(FakeKeyring({}, OSError("asked")))
    with pytest.raises(DockerCacheError, match="cannot be read: OSError"):
        gather({"corp": "https://a.test/simple"})
    monkeypatch.setenv("POETRY_KEYRING_ENABLED", "false")
    assert by_source(gather({"corp": "https://a.test/simple"})) == {}


@pytest.mark.parametrize(
    "error", [keyring.errors.KeyringLocked("locked"), OSError(CANARY), KeyError(CANARY)]
)
def test_failing_keyring_is_one_clear_error(
    gather: Callable[..., AuthSecret],
    use_keyring: Callable[[FakeKeyring], None],
    error: Exception,
) -> None:
    """Any exception of a backend becomes an error that says what to type, without its secrets."""
    use_keyring(FakeKeyring({}, error))
    with pytest.raises(DockerCacheError, match="source 'corp' cannot be read") as raised:
        gather({"corp": "https://a.test/simple"})
    assert "keyring.enabled false" in raised.value.fix
    assert raised.value.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_two_sources_on_one_host_keep_their_own(
    gather: Callable[..., AuthSecret], config_dir: Path
) -> None:
    """A source gets no credentials of another one whose URL begins with its own."""
    (config_dir / "auth.toml").write_text(
        '[http-basic.ab]\nusername="ab"\npassword="1"\n[http-basic.a]\nusername="a"\npassword="2"\n'
    )
    found = by_source(gather({"ab": "https://h.test/simple/ab", "a": "https://h.test/simple/a"}))
    assert found == {
        "a": {"username": "a", "password": "2"},
        "ab": {"username": "ab", "password": "1"},
    }


def test_repository_with_same_url_provides_credentials(
    gather: Callable[..., AuthSecret], config_dir: Path
) -> None:
    """Poetry also finds them by URL, under the name in the user's settings."""
    (config_dir / "config.toml").write_text('[repositories.mine]\nurl="https://h.test/simple"\n')
    (config_dir / "auth.toml").write_text('[http-basic.mine]\nusername="u"\npassword="p"\n')
    secret = gather({"corp": "https://h.test/simple"})
    assert by_source(secret) == {"corp": {"username": "u", "password": "p"}}


# What is left out


def test_secret_has_only_sources_in_use(
    gather: Callable[..., AuthSecret], config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens for publishing, PyPI's login and unused sources are left out."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_PYPI_USERNAME", "__token__")
    monkeypatch.setenv("POETRY_HTTP_BASIC_PYPI_PASSWORD", CANARY)
    monkeypatch.setenv("POETRY_PYPI_TOKEN_CORP", CANARY)
    (config_dir / "auth.toml").write_text(
        f'[pypi-token]\npypi="{CANARY}"\ncorp="{CANARY}"\n'
        f'[http-basic.unused]\nusername="u"\npassword="{CANARY}"\n'
        '[http-basic.corp]\nusername="u"\npassword="ours"\n'
    )
    urls = {"corp": "https://a.test/s", "unused": "https://b.test/s", "PyPI": ""}
    secret = gather(urls, ["corp", "PyPI", "no such source"])
    assert CANARY not in secret.text
    assert list(by_source(secret)) == ["corp"]
    assert CANARY in gather(urls).text  # the check above can fail


def test_secret_of_public_sources_is_a_comment(gather: Callable[..., AuthSecret]) -> None:
    """It is never empty."""
    secret = gather({"b": "https://b.test/s", "a": "https://a.test/s"})
    assert secret.text.startswith("#")
    assert read(secret) == {}


def test_source_names_compare_as_in_poetry(
    gather: Callable[..., AuthSecret], config_dir: Path
) -> None:
    """The name in the lock file may differ in case."""
    (config_dir / "auth.toml").write_text('[http-basic.Corp]\nusername="u"\npassword="p"\n')
    assert list(by_source(gather({"Corp": "https://a.test/s"}, ["CORP"]))) == ["Corp"]


# Half credentials


def test_user_name_without_password(
    gather: Callable[..., AuthSecret], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the source and both fixes, but not the user name: it may be a token."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_MY_CORP_USERNAME", CANARY)
    with pytest.raises(DockerCacheError, match="'my-corp' has a user name but no pass") as raised:
        gather({"my-corp": "https://a.test/simple"})
    assert "poetry config http-basic.my-corp USERNAME " in raised.value.fix
    assert "POETRY_HTTP_BASIC_MY_CORP_USERNAME and POETRY_HTTP_BASIC_MY_CORP_PASSWORD" in str(
        raised.value
    )
    assert CANARY not in str(raised.value)


def test_fix_quotes_a_name_with_a_space(
    gather: Callable[..., AuthSecret], config_dir: Path
) -> None:
    """The variables that it names can be set in a shell."""
    (config_dir / "auth.toml").write_text('[http-basic."my corp"]\nusername="u"\n')
    with pytest.raises(DockerCacheError) as raised:
        gather({"my corp": "https://a.test/simple"})
    assert "poetry config 'http-basic.my corp' USERNAME" in raised.value.fix
    assert "set POETRY_HTTP_BASIC_MY_CORP_USERNAME and" in raised.value.fix


@pytest.mark.parametrize("name", ["my.corp", "my corp", "my-corp", "My_Corp", "my+corp"])
def test_variables_with_underscores_work(
    gather: Callable[..., AuthSecret],
    monkeypatch: pytest.MonkeyPatch,
    config_dir: Path,
    name: str,
) -> None:
    """Poetry keeps dots and spaces in the names of its variables, which no shell can set."""
    (config_dir / "auth.toml").write_text(
        f'[http-basic."{name}"]\nusername="old"\npassword="old"\n'
    )
    monkeypatch.setenv("POETRY_HTTP_BASIC_MY_CORP_USERNAME", "me")
    monkeypatch.setenv("POETRY_HTTP_BASIC_MY_CORP_PASSWORD", CANARY)
    secret = gather({name: "https://a.test/simple"})
    assert by_source(secret)[name] == {"username": "me", "password": CANARY}


@pytest.mark.parametrize("name", ["corp", "my.corp"])
def test_empty_variable_means_no_login(
    gather: Callable[..., AuthSecret], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A CI sets the variable of a missing secret to an empty text."""
    for variable in login_variables(name):
        monkeypatch.setenv(variable, "")
    assert name not in by_source(gather({name: "https://a.test/simple"}))


@pytest.mark.parametrize(
    ("username", "password", "expected"),
    [("token", "", ("token", None)), ("", "token", (None, "token"))],
)
def test_user_name_or_password_may_be_empty(
    gather: Callable[..., AuthSecret],
    config_dir: Path,
    username: str,
    password: str,
    expected: tuple[str | None, str | None],
) -> None:
    """A token may be in either place, with the other one empty."""
    (config_dir / "auth.toml").write_text(
        f'[http-basic.corp]\nusername="{username}"\npassword="{password}"\n'
    )
    secret = gather({"corp": "https://a.test/simple"})
    assert by_source(secret)["corp"] == {"username": username, "password": password}
    assert poetry_reads(secret, "corp") == expected


def test_empty_password_in_the_keyring(
    gather: Callable[..., AuthSecret],
    config_dir: Path,
    use_keyring: Callable[[FakeKeyring], None],
) -> None:
    """`poetry config http-basic.corp TOKEN ""` may store it in a keyring."""
    (config_dir / "auth.toml").write_text('[http-basic.corp]\nusername="token"\n')
    use_keyring(FakeKeyring({("poetry-repository-corp", "token"): ""}))
    assert by_source(gather({"corp": "https://a.test/s"}))["corp"]["password"] == ""


# Any password


@given(username=passwords, password=passwords)
@settings(max_examples=150)
def test_poetry_reads_back_what_was_written(username: str, password: str) -> None:
    """Braces, quotes and control characters are the same for Poetry and for a strict reader."""
    secret = compose({"corp": (username, password)})
    assert poetry_reads(secret, "corp") == (username, password)
    assert by_source(secret)["corp"] == {"username": username, "password": password}


@given(logins=st.dictionaries(names, st.tuples(passwords, passwords), max_size=5))
@settings(max_examples=150)
def test_any_names_together_are_read_back(logins: dict[str, tuple[str, str]]) -> None:
    """Each name gets its own login, or ambiguous names are an error."""
    try:
        secret = compose(logins)
    except DockerCacheError as error:
        assert "looks like a setting of another source" in error.problem  # noqa: PT017  # one of two outcomes
        return
    config = Config(use_environment=False)
    config.merge(tomllib.loads(secret.text))
    for name, (username, password) in logins.items():
        assert poetry_reads(secret, name) == (username, password)
        # Poetry before 2.4 reads it this way.
        assert config.get(f"http-basic.{name}.username") == username
        assert config.get(f"http-basic.{name}.password") == password
    assert by_source(secret).keys() == logins.keys()


def compose(logins: dict[str, tuple[str, str]]) -> AuthSecret:
    """Write logins as `collect` does."""
    sources = [SourceAuth(name=name, login=login) for name, login in sorted(logins.items())]
    return AuthSecret(text=auth_file(sources))


def test_dotted_name_is_written_in_both_forms() -> None:
    """Poetry 2.4 and later read the quoted form, older versions the nested one."""
    basic = read(compose({"my.repo": ("u", "p{")}))["http-basic"]
    entry = {"username": "u", "password": "p{poetry-docker-cache.brace}"}
    assert basic == {"my.repo": entry, "my": {"repo": entry}}


@pytest.mark.parametrize(
    "pair", [("a", "a.username"), ("a", "a.password.b"), ("x.y", "x.y.username")]
)
def test_ambiguous_dotted_name_is_an_error(pair: tuple[str, str]) -> None:
    """If one name looks like a setting of the other, the error says to rename it."""
    with pytest.raises(DockerCacheError, match="looks like a setting of another source") as raised:
        compose(dict.fromkeys(pair, ("u", "p")))
    assert "poetry lock" in raised.value.fix


@pytest.mark.parametrize("bad", ["\n", "\r", "\0", "\udce9"])
@pytest.mark.parametrize("half", ["username", "password"])
def test_rejects_credentials_that_cannot_be_sent(
    gather: Callable[..., AuthSecret], monkeypatch: pytest.MonkeyPatch, half: str, bad: str
) -> None:
    """The error names the source and never the value."""
    values = {"username": "u", "password": "p", half: f"{CANARY}{bad}"}
    monkeypatch.setattr(credentials, "_ask_poetry", lambda *_: (*values.values(), ""))
    with pytest.raises(DockerCacheError, match="source 'corp' contains") as raised:
        gather({"corp": "https://a.test/simple"})
    assert CANARY not in str(raised.value)


# Certificates


def test_certificates_are_in_the_secret(
    gather: Callable[..., AuthSecret],
    config_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the certificates of a CA file are kept; paths are relative to the current folder."""
    monkeypatch.chdir(tmp_path)
    noise = b"Subject: caf\xe9\n" + KEY.encode()
    (tmp_path / "ca.pem").write_bytes(noise + (CERTIFICATE + CERTIFICATE).encode())
    (tmp_path / "client.pem").write_bytes((CERTIFICATE + KEY).replace("\n", "\r\n").encode())
    (config_dir / "auth.toml").write_text(
        '[certificates.corp]\ncert="ca.pem"\nclient-cert="client.pem"\n'
        "[certificates.lax]\ncert=false\n"
        '[certificates.PyPI]\ncert="ca.pem"\n'
    )
    urls = {"corp": "https://a.test/s", "lax": "https://b.test/s", "PyPI": ""}
    secret = gather(urls)
    assert by_source(secret) == {
        "corp": {"ca": CERTIFICATE + CERTIFICATE, "client-cert": CERTIFICATE + KEY},
        "lax": {"verify": False},
        "PyPI": {"ca": CERTIFICATE + CERTIFICATE},
    }


@pytest.mark.parametrize("setting", ["cert", "client-cert"])
@pytest.mark.parametrize(
    ("path", "why"),
    [("gone.pem", "No such file"), ("folder", "Is a directory"), ("ca.der", "PEM format")],
)
def test_unusable_certificate_file(  # noqa: PLR0913, PLR0917  # fixtures
    gather: Callable[..., AuthSecret],
    config_dir: Path,
    tmp_path: Path,
    setting: str,
    path: str,
    why: str,
) -> None:
    """The error names the setting and the path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "ca.der").write_bytes(b"\x30\x82")
    (config_dir / "auth.toml").write_text(
        f'[certificates.corp]\n{setting}="{(tmp_path / path).as_posix()}"\n'
    )
    with pytest.raises(DockerCacheError, match=why) as raised:
        gather({"corp": "https://a.test/simple"})
    assert f"certificates.corp.{setting} cannot be used: {tmp_path / path}" in raised.value.problem


def test_tilde_is_not_expanded_as_in_poetry(
    gather: Callable[..., AuthSecret], config_dir: Path
) -> None:
    """Poetry passes `~/ca.pem` to requests unchanged, which does not find it."""
    (Path.home() / "ca.pem").write_text(CERTIFICATE)
    (config_dir / "auth.toml").write_text('[certificates.corp]\ncert="~/ca.pem"\n')
    with pytest.raises(DockerCacheError, match="No such file") as raised:
        gather({"corp": "https://a.test/simple"})
    assert "does not expand ~" in raised.value.fix


def test_too_large_for_buildkit(
    gather: Callable[..., AuthSecret], config_dir: Path, tmp_path: Path
) -> None:
    """The error names the large file; a file just below the limit is accepted."""
    bundle = tmp_path / "bundle.pem"
    (config_dir / "auth.toml").write_text(f'[certificates.corp]\ncert="{bundle.as_posix()}"\n')
    bundle.write_text(CERTIFICATE * 7000)
    fitting = gather({"corp": "https://a.test/simple"})
    assert 400 * 1024 < len(fitting.text) < MAX_SIZE
    bundle.write_text(CERTIFICATE * 8000)
    with pytest.raises(DockerCacheError, match=r"certificates\.corp\.cert \(\d+ KiB\)"):
        gather({"corp": "https://a.test/simple"})


# URLs


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        (f"https://u:{CANARY}@h.test/simple", "https://h.test/simple"),
        (f"https://{CANARY}@h.test:8443/simple/", "https://h.test:8443/simple/"),
        (f"https://:{CANARY}@h.test", "https://h.test"),
        (f"https://u%40x:{CANARY}%2F@h.test/a@b/", "https://h.test/a@b/"),
        (f"https://u%3A{CANARY}%40h.test/simple", "https://h.test/simple"),
        (f"https://u:{CANARY}%40h.test/simple", "https://h.test/simple"),
        (f"https://u:{CANARY}@x@h.test/simple", "https://h.test/simple"),
        (f"https://u:{CANARY}]@h.test/simple", "https://h.test/simple"),
        (f"https://u:{CANARY}@[::1]:80/s?token={CANARY}#{CANARY}", "https://[::1]:80/s"),
        (f"https://u:{CANARY}/x@h.test/simple", "https://HOST/PATH"),
        (f"https://u:{CANARY}#x@h.test/simple", "https://HOST/PATH"),
        (f"u:{CANARY}@h.test/simple", "h.test/simple"),
        (f"HTTPS://U:{CANARY}@H.test/s", "HTTPS://H.test/s"),
    ],
)
def test_rejects_credentials_in_url(url: str, clean: str) -> None:
    """The fix shows the URL without them and the command to type."""
    with pytest.raises(DockerCacheError, match="source 'corp' contains credentials") as raised:
        refuse_credentials_in_urls({"fine": "https://h.test", "corp": url})
    assert f'url = "{clean}"' in raised.value.fix
    assert "poetry config http-basic.corp USERNAME" in raised.value.fix
    assert "poetry lock" in raised.value.fix
    assert CANARY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "url",
    [
        "https://h.test/simple",
        "http://h.test:8080/_packaging/feed@Local/pypi/simple/",
        "https://[::1]/simple",
        "https://[::1]:8080/simple",
        "https://@h.test/simple",
        "https://h.test/?q=a@b",
        "file:///srv/wheels",
        "",
    ],
)
def test_accepts_urls_without_credentials(url: str) -> None:
    """An @ in the path, a port and an IPv6 address are not credentials."""
    refuse_credentials_in_urls({"corp": url})


def test_collect_rejects_urls_before_it_reads_the_keyring(
    gather: Callable[..., AuthSecret], use_keyring: Callable[[FakeKeyring], None]
) -> None:
    """The URL must not reach the keyring or its log."""
    use_keyring(FakeKeyring({}, OSError("asked")))
    with pytest.raises(DockerCacheError, match="contains credentials"):
        gather({"corp": f"https://u:{CANARY}@a.test/simple"})


# Leaks


def test_no_secret_in_repr_or_log(
    gather: Callable[..., AuthSecret],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The password is never printed or logged, at any level."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_USERNAME", "me")
    monkeypatch.setenv("POETRY_HTTP_BASIC_CORP_PASSWORD", CANARY)
    secret = gather({"corp": "https://a.test/simple", "b": "https://a.test/other"})
    assert CANARY in secret.text
    printed = capsys.readouterr()
    assert CANARY not in repr(secret) + caplog.text + printed.out + printed.err
    source = SourceAuth(name="a", login=("u", CANARY), ca=CANARY, client_cert=CANARY)
    assert CANARY not in repr(source)


def test_same_input_same_bytes(gather: Callable[..., AuthSecret], config_dir: Path) -> None:
    """The order of sources and of settings does not matter."""
    entries = [f'[http-basic.{n}]\nusername="u"\npassword="{n}"\n' for n in ("b", "a", "c")]
    urls = {n: f"https://{n}.test/s" for n in ("c", "a", "b")}
    (config_dir / "auth.toml").write_text("".join(entries))
    first = gather(urls).text
    (config_dir / "auth.toml").write_text("".join(reversed(entries)))
    assert gather(dict(reversed(urls.items()))).text == first


@pytest.mark.parametrize("name", ["acme", "my.private-repo", "our mirror", "größe"])
def test_build_suggests_the_same_variables(name: str) -> None:
    """A source that rejects the login is reported with the settings that are read here."""
    said = explain_refusal(name, "https://acme.test/simple", known=False)
    assert "or set {} and {},".format(*login_variables(name)) in said
    (command,) = re.findall(r"Run `(.*)`", said)
    assert shlex.split(command) == ["poetry", "config", f"http-basic.{name}", "USERNAME"]
