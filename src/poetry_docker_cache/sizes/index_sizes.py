"""Sizes from the package index: those of the files that would be downloaded.

Requests are made by Poetry, with its credentials and certificates.
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
_FILE = {"Accept-Encoding": "identity"}  # else the length is the compressed one
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
# Names on macOS and Windows, and in Docker's Linux there.
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


def index_sizes(poetry: Poetry, packages: Sequence[LockedPackage]) -> Sizes:
    """Return the bytes of the files that an installation would download, if the index has them.

    Raises DockerCacheError for an index that does not answer or rejects the credentials.
    """
    repositories = {package.key: _repository(poetry, package.source) for package in packages}
    for repository in dict.fromkeys(repositories.values()):
        if repository is not None:  # before the threads: each would ask the keyring
            _credentials(repository)

    def ask(package: LockedPackage) -> int | None:
        repository, file = repositories[package.key], best_file(package.files)
        return None if repository is None or file is None else _size(repository, package.name, file)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = zip(packages, pool.map(ask, packages), strict=True)
        return {package.key: size for package, size in found if size is not None}


def best_file(names: Iterable[str], machine: str | None = None) -> str | None:
    """Return the file that a Linux image of this machine's architecture would get.

    If several fit, their sizes hardly differ, and the same one is chosen each time.
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
    wanted = (name or "PyPI").lower()
    named = (found for found in poetry.pool.all_repositories if found.name.lower() == wanted)
    return next((found for found in named if isinstance(found, HTTPRepository)), None)


def _credentials(repository: HTTPRepository) -> None:
    failure = ""
    try:
        repository.session.get_credentials_for_url(repository.url)
    except Exception as error:  # noqa: BLE001  # keyring backends raise any exception
        failure = type(error).__name__
    if failure:  # raised outside the handler, so that no exception with a secret is chained
        raise DockerCacheError(
            f"The credentials of the source {repository.name!r} cannot be read ({failure}).",
            fix="Unlock the keyring, or run `poetry config keyring.enabled false`.",
        )


def _size(repository: HTTPRepository, package: str, file: str) -> int | None:
    page = _answer(repository, "get", f"{repository.url.rstrip('/')}/{package}/", _PAGE)
    if page is None:
        return None
    links = _listed(page)
    url, size = links.get(file, (None, None))
    if url is None or size is not None:
        return size
    for method in ("head", "get"):  # some servers do not support HEAD
        answer = _answer(repository, method, url, _FILE)
        if answer is None:
            continue
        answer.close()  # the file itself is not read
        length = answer.headers.get("Content-Length", "")
        if length.isdecimal():
            return int(length)
    return None


def _listed(page: Response) -> dict[str, tuple[str, int | None]]:
    """Map file names to URL and size; the size is None if the page does not have it."""
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
    hrefs = [href for anchor in parser.anchors if (href := anchor.get("href"))]
    links = [urllib.parse.urljoin(base, href) for href in hrefs]
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
    """Return the index's answer; None for what it does not have or support."""
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
    if failure:  # raised outside the handler, as above
        raise DockerCacheError(
            f"The source {name!r} does not answer ({failure}).",
            fix="Check the network, or use `--from environment` or `--from image`.",
        )
    if answer.ok:
        return answer
    if answer.status_code in _REFUSED and headers is _PAGE:
        raise DockerCacheError(
            f"The source {name!r} rejects the credentials, or needs some (HTTP"
            f" {answer.status_code}).",
            fix=f"Run `poetry config {shlex.quote(f'http-basic.{name}')} USERNAME`.",
        )
    if answer.status_code not in _GONE and headers is _PAGE:
        raise DockerCacheError(
            f"The source {name!r} answers with HTTP {answer.status_code}.",
            fix="Try again later, or use `--from environment` or `--from image`.",
        )
    return None
