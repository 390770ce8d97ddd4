"""The servers of packages: Poetry's sources, and the hosts of URL dependencies.

Poetry decides about credentials, certificates, proxies and retries.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from poetry.core.packages.package import Package
from poetry.core.packages.utils.link import Link
from poetry.repositories.exceptions import PackageNotFoundError
from poetry.repositories.http_repository import HTTPRepository
from poetry.repositories.legacy_repository import LegacyRepository
from poetry.repositories.link_sources.json import SimpleJsonPage
from poetry.utils.authenticator import Authenticator
from requests import HTTPError

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.direct import REFUSED
from poetry_docker_cache.inside.install.failures import (
    UNREACHABLE,
    explain_failure,
    explain_refusal,
)
from poetry_docker_cache.inside.install.secret import Source
from poetry_docker_cache.project.credentials import use_login_variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poetry.poetry import Poetry
    from requests import Response

    from poetry_docker_cache.no_engine.wheel_choice import LockedFile

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_PYPI = "pypi"


@dataclass(frozen=True, kw_only=True)
class PackageServer:
    """A source of the project, or with only a URL the host of a dependency.

    Its own authenticator has listed the sources before a thread uses it: otherwise one thread may
    send no credentials while another lists them. It keeps no answers, since the artifact cache
    keeps the files.
    """

    source: Source
    """Without a name, PyPI or a host."""
    session: Authenticator
    repository: HTTPRepository | None
    has_login: bool
    _pages: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )
    """By package: the requests for the same page wait for each other."""

    @classmethod
    def of_source(cls, poetry: Poetry, name: str) -> PackageServer:
        """Return the source that Poetry would use; without a name, the project's default one.

        Raises DockerCacheError for an unknown source, and for credentials that cannot be read.
        """
        pool = poetry.pool
        default = _PYPI if pool.has_repository(_PYPI) else pool.repositories[0].name
        if name and not pool.has_repository(name):
            raise DockerCacheError(
                f"pyproject.toml does not define the source {name!r} of poetry.lock.",
                fix="Add it as a [[tool.poetry.source]], or run `poetry lock`.",
            )
        repository = pool.repository(name or default)
        if not isinstance(repository, HTTPRepository):
            raise DockerCacheError(
                f"The source {repository.name!r} is not a package index.", fix="Run `poetry lock`."
            )
        own = Source(repository.name, repository.url)
        session = Authenticator(poetry.config, disable_cache=True)
        session.add_repository(*own)
        # Both keep the answer: a keyring is asked here, and not by several threads.
        has_login = _log_in(repository.session, own) & _log_in(session, own)
        is_pypi = repository.name.lower() == _PYPI
        return cls(
            source=Source() if is_pypi else own,
            session=session,
            repository=repository,
            has_login=has_login,
        )

    @classmethod
    def of_url(cls, poetry: Poetry, url: str) -> PackageServer:
        """Return the host of a URL dependency. Raises DockerCacheError as above."""
        session = Authenticator(poetry.config, disable_cache=True)
        known = _log_in(session, Source(urlsplit(url).netloc, url))
        return cls(source=Source("", url), session=session, repository=None, has_login=known)

    @property
    def title(self) -> str:
        """Its name at the start of a sentence."""
        if self.source.name:
            return f"The package source {self.source.name!r}"
        host = urlsplit(self.source.url).netloc
        return f"The server {host}" if host else "The package index"

    def find_link(self, file: LockedFile) -> Link:
        """Return the link of a file. Raises DockerCacheError if the server does not list it."""
        link = Link(self.source.url) if self.repository is None else self.listed_link(file)
        if link is None:
            raise DockerCacheError(
                f"{self.title} does not have {file.file}, which poetry.lock names.",
                fix=f"It may have been deleted. Run `poetry update {file.name}` to lock another"
                " version.",
            )
        return link

    def listed_link(self, file: LockedFile) -> Link | None:
        """Return the link of a file; None if the source does not list it.

        Raises DockerCacheError for a source that cannot be reached, or refuses access.
        """
        assert self.repository is not None  # noqa: S101  # it is a source
        failure = None
        try:
            package = Package(file.name, file.version)
            with self._pages[file.name]:  # the repository keeps the page for the next thread
                links = [*_links(self.repository, package, file.file)]
            for link in links:
                if link.filename == file.file:
                    return link
            # For Poetry, a refusal is an empty list, and on PyPI any error.
            page = f"{self.repository.url.rstrip('/')}/{file.name}/"
            status = self.repository.session.get(page, raise_for_status=False).status_code
        except Exception as error:  # noqa: BLE001  # of Poetry, requests, urllib3 or a keyring
            failure = self.explain(error, file.file)
        if failure is None and status in _REFUSED and self.source.name:
            failure = _error(explain_refusal(*self.source, known=self.has_login))
        elif failure is None and status >= HTTPStatus.BAD_REQUEST and status not in _GONE:
            failure = self._unexpected(status, file.file)
        if failure:
            raise failure
        return None

    def metadata(self, file: LockedFile) -> bytes | None:
        """Return the metadata file of a wheel (PEP 658); None for a wheel without one.

        Raises LookupError if the source does not list the wheel, and DockerCacheError as above.
        """
        assert self.repository is not None  # noqa: S101  # as above
        link = self.listed_link(file)
        if link is None:
            raise LookupError(file.file)
        # Many sources have them without saying so: mirrors, and PyPI in the API that Poetry uses.
        url = link.metadata_url or f"{link.url_without_fragment.partition('?')[0]}.metadata"
        missing = _GONE if link.has_metadata else (*_GONE, *_REFUSED)
        failure = None
        try:
            # On the connection of the page, if the host is the same: a new one costs much more.
            return self.repository.session.get(url).content
        except Exception as error:  # noqa: BLE001  # as above
            failure = self.explain(error, file.file)
            if isinstance(error, HTTPError) and error.response.status_code in missing:
                return None
        raise failure

    def get(self, url: str, file: LockedFile) -> Response:
        """Request a file. Raises DockerCacheError for a server that cannot be reached."""
        failure = None
        try:
            headers = {"Accept-Encoding": "identity"}
            response = self.session.get(url, stream=True, headers=headers)
        except HTTPError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            failure = self.explain(error, file.file)
        if failure:
            raise failure
        return response

    def page_status(self, name: str) -> int:
        """Request the page of a package, and return the HTTP status of the answer.

        Raises DockerCacheError for a server that cannot be reached.
        """
        place = self.source.url if self.repository is None else self.repository.url
        page = f"{place.rstrip('/')}/{name}/"
        failure = None
        try:
            with self.session.get(page, raise_for_status=False, stream=True) as response:
                return int(response.status_code)
        except Exception as error:  # noqa: BLE001  # of Poetry, requests, urllib3 or a keyring
            failure = self.explain(error, name)
        raise failure

    def explain(self, error: BaseException, name: str) -> DockerCacheError:
        """Explain a failed request for a file, or for the page of a package, by its name.

        It has the words of a failed build, and shows no URL: a query may be secret. Of Poetry's
        errors, only what they came from has the reason.
        """
        text = " ".join(map(str, _chain(error)))
        status = error.response.status_code if isinstance(error, HTTPError) else 0
        if self.repository is None and status in _REFUSED:
            return _error(REFUSED.format(url=self.source.url))
        explained = explain_failure(text, self.source, known=self.has_login)
        if explained and not UNREACHABLE.search(text):
            return _error(explained.replace("The package index", self.title))
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return _error(explained)
        if status:
            return self._unexpected(status, name)
        return DockerCacheError(
            f"{self.title} cannot be reached ({_reason(error)}).",
            fix="Check that it runs, and your network. If it needs a proxy, set HTTPS_PROXY.",
        )

    def _unexpected(self, status: int, name: str) -> DockerCacheError:
        return DockerCacheError(
            f"{self.title} answered with the error {status} for {name}.", fix="Try again later."
        )


class PackageServers:
    """The servers of a project. All parts of a build share them: each has its login looked up once.

    `project.credentials.collect` must have checked the sources before: it refuses credentials that
    the user has stored for another host.
    """

    def __init__(self, poetry: Poetry) -> None:
        use_login_variables(poetry)
        self._poetry = poetry
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], PackageServer] = {}

    def of(self, file: LockedFile) -> PackageServer | None:
        """Return the server of a file; None for a file of the project.

        Raises DockerCacheError for an unknown source, and for credentials that cannot be read.
        """
        kind = str(file.source.get("type", "legacy"))
        if kind == "file":
            return None
        name = str(file.source["url" if kind == "url" else "reference"] if file.source else "")
        with self._lock:
            if (kind, name) not in self._known:
                make = PackageServer.of_url if kind == "url" else PackageServer.of_source
                self._known[kind, name] = make(self._poetry, name)
            return self._known[kind, name]


def _links(repository: HTTPRepository, package: Package, file: str) -> Iterable[Link]:
    """Return the links of a version as Poetry does; of a page in JSON, only that of the file.

    Poetry would parse the names of all files, and a page may have thousands.
    """
    if isinstance(repository, LegacyRepository):
        try:
            page = repository.get_page(package.name)
        except PackageNotFoundError:
            return []
        if isinstance(page, SimpleJsonPage):
            files = [entry for entry in page.content["files"] if entry["filename"] == file]
            page = SimpleJsonPage(page.url, {"files": files})
        return page.links_for_version(package.name, package.version)
    return repository.find_links_for_package(package)


def _log_in(session: Authenticator, source: Source) -> bool:
    """Look up the login for a source or an address once; return whether there is one.

    A login of the source itself is the only one for its host: for a file, Poetry takes that of any
    source on the host.
    """
    failure, known = "", session.configured_repositories
    try:
        own = session.get_http_auth(source.name) if source.name in known else None
        if own and (own.username or own.password):
            host = known[source.name].netloc
            for name in [name for name, other in known.items() if other.netloc == host]:
                if name != source.name:
                    del known[name]
            session.reset_credentials_cache()
        login = session.get_credentials_for_url(source.url)
    except Exception as error:  # noqa: BLE001  # keyring backends raise any exception
        failure = type(error).__name__
    if failure:  # raised outside the handler, so that no exception with a secret is chained
        raise DockerCacheError(
            f"The credentials of the source {source.name!r} cannot be read ({failure}).",
            fix="Unlock the keyring, or run `poetry config keyring.enabled false`.",
        )
    return login.password is not None


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _reason(error: BaseException) -> str:
    """Return the system's words for the first error, or its kind: the later ones only wrap it."""
    first = _chain(error)[-1]
    return getattr(first, "strerror", None) or type(first).__name__


def _error(text: str) -> DockerCacheError:
    problem, _, fix = text.partition("\n")
    return DockerCacheError(problem, fix=fix)
