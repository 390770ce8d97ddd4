"""Wheels that are downloaded by the pages of an index, without pip."""

from __future__ import annotations

import base64
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from installing import Indexes, Workshop, serving

from poetry_docker_cache.inside.install.index_pages import Index, Page, is_safe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOWNLOADED = {"first": ["al_pha", "beta"], "kept": [], "damaged": ["beta"]}
PIP = "Looking in indexes"
"""Text that only pip prints."""


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexes]:
    """Serve some packages with a password, and others without one."""
    with serving(tmp_path_factory.mktemp("indexes")) as served:
        yield served


def test_wheel_is_kept_in_the_cache_of_pip(indexes: Indexes, tmp_path: Path) -> None:
    """The second time, only the page is requested; a damaged wheel is downloaded again."""
    (tmp_path / "PIP").mkdir()
    manifest = indexes.manifest(indexes.package("al-pha"), indexes.package("beta"))
    counts = []
    for step in ("first", "kept", "damaged"):
        if step == "damaged":
            (kept,) = (tmp_path / "PIP" / "poetry-docker-cache").glob("beta*")
            kept.write_bytes(b"damaged")
        before = len(indexes.private.downloads())
        workshop = Workshop(tmp_path)
        status, output = workshop.install(manifest)
        assert status == 0, output
        assert PIP not in output
        assert workshop.names() == {"al_pha-1.0+cpu", "beta-1!2.0b1"}
        counts.append(len(indexes.private.downloads()) - before)
        found = re.findall(r"Downloading ([^\W\d]+)-\S+ \(\d\.\d kB\)", output)
        assert sorted(found) == DOWNLOADED[step]
    assert counts == [2, 0, 1]


def test_settings_are_left_to_pip(indexes: Indexes, tmp_path: Path) -> None:
    """It knows how to use them."""
    manifest = indexes.manifest(indexes.package("al-pha"))
    for settings in ({"PIP_TIMEOUT": "30"}, {"no_proxy": "127.0.0.1"}):
        status, output = Workshop(tmp_path).install(manifest, environment=settings)
        assert status == 0, output
        assert PIP in output
    with pytest.raises(ValueError, match="unusual"):
        Index({"PIP_INDEX_URL": "http://index.test/simple"})


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://index.test/simple/", True),
        ("http://127.0.0.1:8000/simple/", True),
        ("http://localhost/simple/", True),
        ("http://index.test/simple/", False),
        ("http://127.index.test/", False),
        ("file:///simple/", False),
    ],
)
def test_only_this_machine_needs_no_tls(url: str, *, safe: bool) -> None:
    """As for pip."""
    assert is_safe(url) == safe


def test_login_stays_with_its_host() -> None:
    """Redirects to another host do not take it along."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["Authorization"]))
            port = server.server_port
            hosts = {
                "/own": f"http://127.0.0.1:{port}/end",
                "/other": f"http://localhost:{port}/end",
            }
            self.send_response(302 if self.path in hosts else 200)
            self.send_header("Location", hosts.get(self.path, ""))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        base = f"127.0.0.1:{server.server_port}"
        index = Index({"PIP_INDEX_URL": f"http://user:p%40ss@{base}/simple"})
        for path in ("own", "other"):
            index.open(f"http://{base}/{path}", "*/*").close()
        server.shutdown()
    login = f"Basic {base64.b64encode(b'user:p@ss').decode()}"
    assert seen == [("/own", login), ("/end", login), ("/other", login), ("/end", None)]


def test_links_of_a_page() -> None:
    """They are relative to the page or its base; hashes in them are not part of the URL."""
    page = Page("https://index.test/simple/a/")
    page.feed(
        '<a href="../../f/a-1%2Bcpu-py3-none-any.whl#sha256=1">x</a><base href="https://b.test/">'
    )
    page.feed('<a href="a-2-py3-none-any.whl?x=1">y</a><a>z</a>')
    assert page.links == {
        "a-1+cpu-py3-none-any.whl": "https://index.test/f/a-1%2Bcpu-py3-none-any.whl",
        "a-2-py3-none-any.whl": "https://b.test/a-2-py3-none-any.whl?x=1",
    }
