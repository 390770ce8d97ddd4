"""The credentials and certificates that Poetry would use for a source, collected for the build.

Only Poetry's own code decides which credentials belong to a source.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from poetry.config import config_source
from poetry.repositories.http_repository import HTTPRepository
from poetry.repositories.legacy_repository import LegacyRepository
from poetry.repositories.pypi_repository import PyPiRepository
from poetry.utils.authenticator import Authenticator, RepositoryCertificateConfig
from poetry.utils.password_manager import PasswordManager, PoetryKeyringError
from requests.utils import get_netrc_auth

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.auth_secret import (
    SourceAuth,
    auth_file,
    certificates_in,
    client_certificate_in,
)
from poetry_docker_cache.project.destinations import Destination, unconfirmed
from poetry_docker_cache.project.project_settings import refuse_untrusted_settings
from poetry_docker_cache.project.sources import login_variables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from poetry.config.config import Config
    from poetry.poetry import Poetry

    from poetry_docker_cache.project.model import Address

# Before Poetry 2.4, every dot in a name is one table deeper.
_DOTS_ARE_TABLES = not hasattr(config_source, "split_key")


@dataclass(frozen=True, kw_only=True)
class AuthSecret:
    """The content of the `auth` secret."""

    text: str = field(repr=False)
    unconfirmed: tuple[Destination, ...] = ()
    """Servers that get credentials and that the user's configuration does not name."""


class _Login(NamedTuple):
    username: str
    password: str
    stored_for: str
    """The name that it was found by; empty if it was found by the server's address."""


def collect(
    poetry: Poetry, names: Collection[str], addresses: Sequence[Address] = ()
) -> AuthSecret:
    """Collect the secret for these sources and addresses.

    A name that is not an HTTP source of the project is ignored. Raises DockerCacheError for
    credentials that are in a URL, incomplete, unreadable or impossible to pass on, for credentials
    that the project itself provides or that would go to another host than the user stored them for,
    for an unusable certificate file, and for a secret that is too large for BuildKit.
    """
    refuse_untrusted_settings(poetry)
    wanted = {name.lower() for name in names}  # as Poetry's pool compares them
    repositories = sorted(
        (
            repository
            for repository in poetry.pool.all_repositories
            if isinstance(repository, HTTPRepository) and repository.name.lower() in wanted
        ),
        key=lambda repository: repository.name,
    )
    refuse_credentials_in_urls({repository.name: repository.url for repository in repositories})
    sources = [_read(repository, poetry.config) for repository in repositories]
    sources += _address_credentials(addresses, poetry.config)
    destinations = unconfirmed(place for source in sources for place in source.destinations)
    return AuthSecret(text=auth_file(sources), unconfirmed=destinations)


def use_login_variables(poetry: Poetry) -> None:
    """Let Poetry itself send the logins in variables that replace its own.

    See `_login_in_variables`. Before Poetry 2.4, each dot in a name is a table.
    """
    for repository in poetry.pool.all_repositories:
        name = repository.name
        if login := _login_in_variables(name):
            known = zip(("username", "password"), login, strict=True)
            table: dict[str, Any] = {key: value for key, value in known if value is not None}
            for key in reversed(name.split(".") if _DOTS_ARE_TABLES else [name]):
                table = {key: table}
            poetry.config.merge({"http-basic": table})


def refuse_credentials_in_urls(urls: Mapping[str, str]) -> None:
    """Raise DockerCacheError for the first source whose URL has a user name, password or token.

    Poetry would use them, and copy the URL into poetry.lock and every export.
    """
    for name, url in sorted(urls.items()):
        # Not urlsplit, which fails for some passwords with a message that shows them.
        scheme, netloc, path = re.findall(r"(?s)\A((?:[\w+.-]*:)?//|)([^/?#]*)([^?#]*)", url)[0]
        userinfo, at, host = ("", "", netloc)
        if found := re.fullmatch(r"(?s)(.*)(@|%40)(.*)", netloc):
            userinfo, at, host = found.groups()
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not port.isdecimal():  # https://user:pass/word@host
            scheme, host, path = "https://", "HOST", "/PATH"
        elif not (at and userinfo.strip(":")):
            continue
        raise DockerCacheError(
            f"The URL of the source {name!r} contains credentials. Poetry copies it into"
            " poetry.lock and into exports, where everyone can read them.",
            fix="Remove them from pyproject.toml:\n\n"
            f"    [[tool.poetry.source]]\n    name = {json.dumps(name, ensure_ascii=False)}\n"
            f"    url = {json.dumps(scheme + host + path, ensure_ascii=False)}\n\n"
            f"and run\n\n{_how_to_configure(name)}\n    poetry lock\n\n"
            "If they were ever committed or published, replace the password as well.",
        )


def _address_credentials(addresses: Iterable[Address], config: Config) -> list[SourceAuth]:
    """Collect the credentials for these addresses, one entry per configured repository or host.

    Poetry finds a repository by `repositories.NAME.url` in its settings: for git by the exact URL,
    else by the host. In the build it does the same with the entries of the secret, which have names
    without dots, since a name with dots has two spellings. Credentials for PyPI are for publishing.
    """
    authenticator = Authenticator(config, disable_cache=True)
    found: dict[str, SourceAuth] = {}
    for url, is_git in addresses:
        known = authenticator.get_repository_config_for_url(url, is_git)
        if known is not None and known.name.lower() == "pypi":
            continue
        if known is None and is_git:
            found[url] = SourceAuth(name=url, login=_unknown_git_login(authenticator, url), url=url)
            continue
        name, place = (known.name, str(known.url)) if known else (urlsplit(url).netloc, url)
        if name not in found:
            repository = LegacyRepository(name, place, config=config, disable_cache=True)
            found[name] = replace(_read(repository, config), url=place)
    return [
        replace(auth, name=f"poetry-docker-cache-{number}")
        for number, (_, auth) in enumerate(sorted(found.items()), start=1)
        if auth.has_content
    ]


def _unknown_git_login(authenticator: Authenticator, url: str) -> tuple[str, str] | None:
    """Return the login in the keyring, as Poetry asks for it, else in ~/.netrc, as git does.

    A public repository needs neither, so a failing keyring is not an error.
    """
    username = password = None
    with contextlib.suppress(Exception):  # keyring backends raise any exception
        credential = authenticator.get_credentials_for_git_url(url)
        username, password = credential.username, credential.password
    login = (username, password) if username and password else get_netrc_auth(url)
    if login:
        _check_login(urlsplit(url).netloc, *login)
    return login


def _is_public(repository: HTTPRepository) -> bool:
    # PyPI needs no login to install; credentials for it are for publishing.
    return isinstance(repository, PyPiRepository)


def _read(repository: HTTPRepository, config: Config) -> SourceAuth:
    name, url = repository.name, repository.url
    login = None if _is_public(repository) else _login(repository, config)
    if login:
        _check_login(name, login.username, login.password)
    certified = name
    certificates = repository.session.get_certs_for_repository(name)
    if certificates == RepositoryCertificateConfig():  # not configured: Poetry looks for the host
        certified, certificates = _name_by_url(repository), repository.certificates
    names = [login.stored_for if login else "", certified if certificates.client_cert else ""]
    return SourceAuth(
        name=name,
        login=login and (login.username, login.password),
        ca=certificates_in(certificates.cert, f"certificates.{name}.cert"),
        client_cert=client_certificate_in(
            certificates.client_cert, f"certificates.{name}.client-cert"
        ),
        verify=certificates.verify,
        # The project cannot choose the URL of PyPI.
        destinations=tuple(
            Destination(name, url) for name in names if name and not _is_public(repository)
        ),
    )


def _name_by_url(repository: HTTPRepository) -> str:
    known = repository.session.get_repository_config_for_url(repository.url)
    return known.name if known else ""


def _login(repository: HTTPRepository, config: Config) -> _Login | None:
    name = repository.name
    failure = stored_for = ""
    username = password = None
    try:
        if login := _login_in_variables(name):
            username, password, stored_for = *login, name
        else:
            username, password, stored_for = _ask_poetry(repository, config)
    except PoetryKeyringError as error:
        failure = str(error)
    except Exception as error:  # noqa: BLE001  # keyring backends raise any exception
        failure = type(error).__name__
    if failure:  # raised outside the handler, so that no exception with a secret is chained
        raise DockerCacheError(
            f"The credentials of the source {name!r} cannot be read: {failure}",
            fix="Unlock the keyring, or disable it:\n\n"
            f"    poetry config keyring.enabled false\n{_how_to_configure(name)}",
        )
    if not username and not password:  # CI sets the variable of a missing secret to an empty text
        found = get_netrc_auth(repository.url)
        return found and _Login(*found, stored_for="")
    if password is None:
        raise DockerCacheError(
            f"The source {name!r} has a user name but no password. The password may be in a keyring"
            " that is locked or disabled.",
            fix=f"Run\n\n{_how_to_configure(name)}",
        )
    return _Login(str(username or ""), str(password), stored_for)


def _login_in_variables(name: str) -> tuple[str | None, str | None] | None:
    """Read the variables that replace Poetry's own for a name that no shell can set them for."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return None
    username, password = map(os.environ.get, login_variables(name))
    return None if username is None and password is None else (username, password)


def _ask_poetry(repository: HTTPRepository, config: Config) -> tuple[str | None, str | None, str]:
    """Return user name and password, and the name that Poetry found the password by."""
    # By name first: by URL, Poetry before 2.5 may find another source on the same host.
    name = repository.name
    own = repository.session.get_http_auth(name)
    if own is None or (own.username is None and own.password is None):
        repository.session.reset_credentials_cache()  # its key is the URL, not the name
        own = repository.session.get_credentials_for_url(repository.url)
        name = _name_by_url(repository)
        if own.password is None:
            return None, None, ""
    username, password = own.username, own.password
    stored = _password_by_name(name, username, config) if name else None
    if password is None:
        # Poetry returns the same for a missing password as for an empty one, which is valid if the
        # user name is a token.
        return username, "" if stored == "" else None, name
    return username, password, name if stored == password else ""


def _password_by_name(name: str, username: str | None, config: Config) -> str | None:
    keys = ["http-basic", name, "password"]
    stored: str | None = config.get(".".join(keys) if _DOTS_ARE_TABLES else keys)
    manager = PasswordManager(config)
    if stored is None and manager.use_keyring:
        stored = manager.keyring.get_password(name, username or "")
    return stored


def _check_login(name: str, username: str, password: str) -> None:
    for what, value in (("user name", username), ("password", password)):
        wrong = ""
        if re.search(r"[\n\r\0]", value):
            wrong = "a line break or a NUL character"
        elif re.search(r"[\ud800-\udfff]", value):  # how Python represents other bytes
            wrong = "bytes that are not valid UTF-8"
        if wrong:
            raise DockerCacheError(
                f"The {what} of the source {name!r} contains {wrong}, which cannot be sent. Often a"
                " line break was copied with it.",
                fix=f"Store it again:\n\n{_how_to_configure(name)}",
            )


def _how_to_configure(name: str) -> str:
    username, password = login_variables(name)
    return (
        f"    poetry config {shlex.quote(f'http-basic.{name}')} USERNAME"
        "    (asks for the password)\n"
        f"    (or set {username} and {password})"
    )
