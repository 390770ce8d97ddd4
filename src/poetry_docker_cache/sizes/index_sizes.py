"""Sizes from the package index: those of the files that would be downloaded.

It is asked as Poetry asks it, with its credentials and certificates.
"""

from __future__ import annotations

import platform
import shlex
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

from poetry.repositories.http_repository import HTTPRepository
from poetry.repositories.parsers.html_page_parser import HTMLPageParser

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from poetry.poetry import Poetry
    from requests import Response

    from poetry_docker_cache.sizes.package_sizes import LockedPackage, Sizes

_AT_ONCE = 4
_JSON = "application/vnd.pypi.simple.v1+json"
_PAGE = {"Accept": f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"}
_FILE = {"Accept-Encoding": "identity"}  # else the length is that of a compressed transfer
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
# As Docker's own Linux has it on a Mac or on Windows.
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


def index_sizes(poetry: Poetry, packages: Sequence[LockedPackage]) -> Sizes:
    """The bytes of the files that an installation would download, as far as the index tells.

    Raises DockerCacheError for an index that does not answer, or that refuses the credentials.
    """
    repositories = {package.key: _repository(poetry, package.source) for package in packages}
    for repository in dict.fromkeys(repositories.values()):
        if repository is not None:  # a keyring is asked once, and not by each thread
            _credentials(repository)

    def ask(package: LockedPackage) -> int | None:
        repository, file = repositories[package.key], best_file(package.files)
        return None if repository is None or file is None else _size(repository, package.name, file)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = zip(packages, pool.map(ask, packages), strict=True)
        return {package.key: size for package, size in found if size is not None}


def best_file(names: Iterable[str], machine: str | None = None) -> str | None:
    """The file that this machine's architecture would get in a Linux image, of those that fit it.

    Several may do, which hardly differ in size: one and the same is taken each time.
    """
    machine = machine or platform.machine().lower()
    wanted = _MACHINES.get(machine, machine)

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        stem = name.removesuffix(".whl")
        return (
            stem.endswith((f"_{wanted}", "-any")),
            stem != name,
            stem.endswith(("_x86_64", "-any")),
            name,
        )

    return max(names, key=rank, default=None)


def _repository(poetry: Poetry, name: str | None) -> HTTPRepository | None:
    repositories = [it for it in poetry.pool.all_repositories if isinstance(it, HTTPRepository)]
    wanted = (name or "PyPI").lower()
    return next((it for it in repositories if it.name.lower() == wanted), None)


def _credentials(repository: HTTPRepository) -> None:
    failure = ""
    try:
        repository.session.get_credentials_for_url(repository.url)
    except Exception as error:  # noqa: BLE001  # keyring backends raise what they like
        failure = type(error).__name__
    if failure:  # raised out here: no exception that may hold a secret is chained to it
        raise DockerCacheError(
            f"The credentials of the source {repository.name!r} cannot be read ({failure}).",
            fix="Unlock the keyring, or do without it: `poetry config keyring.enabled false`.",
        )


def _size(repository: HTTPRepository, package: str, file: str) -> int | None:
    page = _answer(repository, "get", f"{repository.url.rstrip('/')}/{package}/", _PAGE)
    if page is None:
        return None
    links = _listed(page)
    url, size = links.get(file, (None, None))
    if url is None or size is not None:
        return size
    for method in ("head", "get"):  # some stores only answer the latter
        answer = _answer(repository, method, url, _FILE)
        if answer is None:
            continue
        answer.close()  # of the file itself nothing is read
        length = answer.headers.get("Content-Length", "")
        if length.isdecimal():
            return int(length)
    return None


def _listed(page: Response) -> dict[str, tuple[str, int | None]]:
    """URL and, if it is told, size by the name of the file."""
    if _JSON in page.headers.get("Content-Type", ""):
        return {
            str(file["filename"]): (
                urllib.parse.urljoin(page.url, str(file["url"])),
                size if isinstance(size := file.get("size"), int) else None,
            )
            for file in page.json()["files"]
        }
    parser = HTMLPageParser()
    parser.feed(page.text)
    base = urllib.parse.urljoin(page.url, parser.base_url or "")
    links = [urllib.parse.urljoin(base, href) for it in parser.anchors if (href := it.get("href"))]
    return {
        urllib.parse.unquote(urllib.parse.urlsplit(link).path.rpartition("/")[2]): (
            urllib.parse.urldefrag(link).url,
            None,
        )
        for link in links
    }


def _answer(
    repository: HTTPRepository, method: str, url: str, headers: dict[str, str]
) -> Response | None:
    """The answer of the index; None if it does not have that, or does not do that."""
    name = repository.name
    failure = ""
    try:
        answer = repository.session.request(
            method,
            url,
            raise_for_status=False,
            headers=headers,
            stream=headers is _FILE,
            allow_redirects=True,
        )
    except Exception as error:  # noqa: BLE001  # of Poetry, requests, urllib3 or a keyring
        failure = type(error).__name__
    if failure:  # raised out here, as above
        raise DockerCacheError(
            f"The source {name!r} does not answer ({failure}).",
            fix="Check the network, or take the sizes from elsewhere:"
            " `--from environment` or `--from image`.",
        )
    if answer.ok:
        return answer
    if answer.status_code in _REFUSED and headers is _PAGE:
        raise DockerCacheError(
            f"The source {name!r} refuses the credentials that Poetry has for it, or wants some"
            f" (HTTP {answer.status_code}).",
            fix=f"Type `poetry config {shlex.quote(f'http-basic.{name}')} USERNAME`.",
        )
    if answer.status_code not in _GONE and headers is _PAGE:
        raise DockerCacheError(
            f"The source {name!r} answers with HTTP {answer.status_code}.",
            fix="Try again later, or take the sizes from elsewhere: `--from`.",
        )
    return None
