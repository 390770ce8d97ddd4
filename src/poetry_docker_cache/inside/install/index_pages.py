"""Download wheels by the pages of a package index, in a fraction of the time that pip needs.

A file comes from where its package's page says, and is used only with a hash of poetry.lock. What
is unusual or fails is left to pip: it knows more settings, repeats requests and explains errors.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import re
import ssl
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from . import wheelhouse
from .architecture import packaging
from .pip_settings import INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Package = dict[str, Any]

JSON = "application/vnd.pypi.simple.v1+json"
PAGES = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
AT_ONCE = 4
TIMEOUT = 15.0
"""As pip's, in seconds."""
BLOCK = 1 << 18
LARGEST_PAGE = 1 << 27
KNOWN = (
    INDEX,
    "PIP_CACHE_DIR",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
)
"""The settings of pip that are followed here, or do not matter."""
AUTHORITIES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
FAILURES = (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError)
"""The errors of networks and disks, and of data from others."""


def fetch(
    folder: Path,
    packages: Sequence[Package],
    environment: Mapping[str, str],
    supported_tags: Callable[[], Sequence[str]],
) -> list[Package]:
    """Download the wheels of packages; return the packages that pip has to download.

    `environment` is that of pip, and `supported_tags` returns the best tag first.
    """
    try:
        ranks = {tag: rank for rank, tag in enumerate(supported_tags())}
        index = Index(environment)
    except (ImportError, *FAILURES):
        return [*packages]
    kept = kept_wheels(environment)
    failed = threading.Event()

    def get(package: Package) -> bool:
        with contextlib.suppress(*FAILURES):
            if not failed.is_set():
                index.download(package, ranks, folder, kept)
                return True
        failed.set()  # pip tries longer, so nothing else waits here
        return False

    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(get, packages)
        return [package for package in packages if not next(done)]


def kept_wheels(environment: Mapping[str, str]) -> Path | None:
    """Return a folder in pip's cache, which is kept between builds; None without a cache."""
    cache = Path(environment.get("PIP_CACHE_DIR") or Path.home() / ".cache" / "pip")
    with contextlib.suppress(OSError):
        if cache.is_dir():
            kept = cache / "poetry-docker-cache"
            kept.mkdir(exist_ok=True)
            wheelhouse.remove_unused(kept)
            return kept
    return None


class Index:
    """A package index, for several threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read the settings of pip. Raises ValueError for those that only pip knows."""
        unknown = {name for name in environment if name.startswith("PIP_")}.difference(KNOWN)
        if unknown or any(name.lower().endswith("_proxy") for name in environment):
            raise ValueError("settings for pip")
        parts = urlsplit(environment.get(INDEX) or default_index())
        host = parts.netloc.rpartition("@")[2]
        self.origin = (parts.scheme, host)
        self.url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/"
        self.timeout = float(environment.get("PIP_DEFAULT_TIMEOUT") or TIMEOUT)
        self.login = ""
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.login = f"Basic {base64.b64encode(login.encode('latin-1')).decode()}"
        if parts.query or not is_safe(self.url):
            raise ValueError("an unusual URL")
        ca = next(filter(None, map(environment.get, AUTHORITIES)), None)
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
            Redirects(self.log_in),
        )

    def log_in(self, request: urllib.request.Request) -> None:
        """Add the login to a request to the index's own host; redirects do not take it along."""
        if self.login and tuple(urlsplit(request.full_url)[:2]) == self.origin:
            request.add_unredirected_header("Authorization", self.login)

    def open(self, url: str, accept: str) -> Any:  # noqa: ANN401  # http.client.HTTPResponse
        """Request a URL. Raises OSError for a refusal, and ValueError without TLS."""
        if not is_safe(url):
            raise ValueError(url)
        headers = {"Accept": accept, "User-Agent": "poetry-docker-cache"}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  # checked above
        self.log_in(request)
        return self.opener.open(request, timeout=self.timeout)

    def links(self, name: str) -> dict[str, str]:
        """Return the URLs of a package's files, by file name."""
        with self.open(f"{self.url}{name}/", PAGES) as answer:
            body = answer.read(LARGEST_PAGE)
            headers, url = answer.headers, answer.url
        if headers.get_content_type() == JSON:
            files = json.loads(body)["files"]
            return {file["filename"]: urljoin(url, file["url"]) for file in files}
        page = Page(url)
        page.feed(body.decode(headers.get_content_charset() or "utf-8"))
        return page.links

    def download(
        self, package: Package, ranks: dict[str, int], folder: Path, kept: Path | None
    ) -> None:
        """Put the best wheel that the index has into a folder. Raises any of FAILURES."""
        links = self.links(package["name"])
        own = (package["name"], package["version"])
        listed = [
            file
            for file in package["files"]
            if file["file"] in links and name_and_version(file["file"]) == own
        ]
        wheel = wheelhouse.choose_wheel({**package, "files": listed}, ranks)
        if wheel is None:
            raise LookupError(package["name"])
        path = folder / wheel["file"]
        if kept and wheelhouse.take_one(kept, folder, wheel):
            return
        try:
            self.receive(links[path.name], path, wheel["hash"])
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if kept:
            with contextlib.suppress(OSError):  # the next build downloads it again
                wheelhouse.copy(path, kept)

    def receive(self, url: str, path: Path, digest: str) -> None:
        """Download a file. Raises ValueError if its hash differs."""
        kind, _, expected = digest.partition(":")
        found = hashlib.new(kind if kind in wheelhouse.STRONG else "")
        with self.open(url, "*/*") as answer, path.open("wb") as file:
            if size := answer.headers["Content-Length"]:  # as pip says it
                print(f"  Downloading {path.name} ({shown(int(size))})", flush=True)
            while block := answer.read(BLOCK):
                found.update(block)
                file.write(block)
        if found.hexdigest() != expected:
            raise ValueError("another hash")


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from TLS to plain HTTP."""

    def __init__(self, log_in: Callable[[urllib.request.Request], None]) -> None:
        self.log_in = log_in

    def redirect_request(self, *arguments: Any) -> urllib.request.Request | None:  # noqa: ANN401  # overridden
        """Return the next request; None ends with an error."""
        request = super().redirect_request(*arguments)
        if request is None or not is_safe(request.full_url):
            return None
        self.log_in(request)
        return request


class Page(HTMLParser):
    """The links of a page in HTML."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.links: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the links, relative to the page or its `base`."""
        href = dict(attrs).get("href")
        if href and tag == "base":
            self.url = urljoin(self.url, href)
        elif href and tag == "a":
            url = urldefrag(urljoin(self.url, href)).url
            self.links[unquote(urlsplit(url).path.rpartition("/")[2])] = url


def shown(size: int) -> str:
    """Return a size in bytes in the units that pip prints."""
    return f"{size / 1e6:.1f} MB" if size > 1e6 else f"{size / 1e3:.1f} kB"  # noqa: PLR2004


def name_and_version(wheel: str) -> tuple[str, str]:
    """Return those of a file name in normal form; empty for another kind of file."""
    with contextlib.suppress(ValueError):
        name, version, _, _ = packaging("utils").parse_wheel_filename(wheel)
        return str(name), str(version)
    return "", ""


def default_index() -> str:
    """Return the index that pip uses without any setting."""
    from pip._internal.models.index import PyPI  # noqa: PLC0415  # few images lack it

    return str(PyPI.simple_url)


def is_safe(url: str) -> bool:
    """Return whether a URL has TLS or is of this machine: the rule of pip for indexes."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host)
    return parts.scheme == "https" or (parts.scheme == "http" and bool(local))
