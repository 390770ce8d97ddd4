"""Wheels from indexes that need a password, and from indexes that fail: without an engine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faulty_index import HALF, OTHER, PAGE, FaultyIndex, faulty_index
from index import PrivateIndex
from poetry.config.config import Config
from poetry.core.packages.package import Package
from poetry.factory import Factory
from poetry.repositories.legacy_repository import LegacyRepository
from poetry.repositories.link_sources.json import SimpleJsonPage
from poetry.repositories.pypi_repository import PyPiRepository
from poetry.utils.authenticator import Authenticator
from poetry_versions import POETRY_VERSIONS, poetry_python
from tls_index import tls_index
from wheels import make_wheel

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.secret import Source
from poetry_docker_cache.no_engine import package_servers, wheel_downloads
from poetry_docker_cache.no_engine.wheel_choice import LockedFile
from poetry_docker_cache.no_engine.wheel_downloads import WheelDownloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poetry.poetry import Poetry

SOURCE = Path(wheel_downloads.__file__).parents[2]
USER, PASSWORD = "user", "s3cr3t-é-canary"
NAMES = [f"acme-{letter}" for letter in "abcdefghijkl"]
CLOSED = "http://127.0.0.1:9/simple"
"""An address where nothing listens."""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Make a folder of wheels."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in NAMES:
        make_wheel(folder, name)
    return folder


@pytest.fixture
def faulty(packages: Path) -> Iterator[FaultyIndex]:
    """Serve them to one user, with a fault to set."""
    with faulty_index(packages, PASSWORD) as served:
        yield served


@pytest.fixture
def make_poetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Poetry]:
    """Return a function that makes a project whose only source is an index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Authenticator, "_get_backoff", lambda *_: 0)

    def make(
        url: str, password: str | None = PASSWORD, name: str = "acme", before: str = ""
    ) -> Poetry:
        if password:
            monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", USER)
            monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", password)
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        source = f'[[tool.poetry.source]]\nname = "{name}"\nurl = "{url}"\n'
        text = f'[project]\nname = "shop"\nversion = "1"\n{before}{source}'
        (folder / "pyproject.toml").write_text(text)
        Config.create(reload=True)
        return Factory().create_poetry(folder)

    return make


def locked(packages: Path, name: str, **source: Any) -> LockedFile:  # noqa: ANN401  # values of TOML
    """Describe a wheel of the folder as poetry.lock does."""
    file = f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    digest = hashlib.sha256((packages / file).read_bytes()).hexdigest()
    origin = source or {"type": "legacy", "reference": "acme", "url": "https://old.test"}
    return LockedFile(name=name, version="1.0", file=file, hash=f"sha256:{digest}", source=origin)


def fetch(poetry: Poetry, *files: LockedFile, **more: Any) -> list[Path]:  # noqa: ANN401  # as above
    """Download files."""
    with WheelDownloads(poetry, **more) as downloads:
        downloads.start(files)
        return [downloads.path(file) for file in files]


def test_private_index_is_asked_once(
    packages: Path, make_poetry: Callable[..., Poetry], tmp_path: Path
) -> None:
    """All threads send the password; the second time, nothing is requested at all."""
    files = [locked(packages, name) for name in NAMES]
    seen: dict[str, int] = {}
    lock = threading.Lock()

    def progress(file: str, done: int, total: int | None) -> None:
        assert total is None or done <= total
        with lock:
            seen[file] = done

    with PrivateIndex(packages, {USER: PASSWORD}) as index:
        poetry = make_poetry(index.url)
        found = fetch(poetry, *files, progress=progress)
        assert seen == {file.file: (packages / file.file).stat().st_size for file in files}
        assert {status for *_, status in index.requests()} <= {200, 303}
        before = index.requests()
        assert fetch(make_poetry(index.url), *files) == found
        assert index.requests() == before
        # Where Poetry keeps it: `poetry install` downloads it no more, and the other way round.
        assert found[0].is_relative_to(poetry.config.artifacts_cache_directory)
        found[0].write_bytes(b"damaged")
        (tmp_path / "cache" / "poetry-docker-cache").rename(tmp_path / "gone")
        assert fetch(make_poetry(index.url), *files) == found
        assert index.downloads().count(files[0].file) == 2
        assert index.downloads().count(files[1].file) == 1


def test_page_in_json_has_the_same_link_as_for_poetry() -> None:
    """Only that of the file is parsed; Poetry's cache depends on its URL and hash."""
    repository = LegacyRepository("acme", "https://index.test/simple")
    files = [
        {"filename": name, "url": f"../files/{name}", "hashes": {"sha256": "1" * 64}}
        for name in ("a-1.0-py3-none-any.whl", "a-1.0.tar.gz", "a-2.0-py3-none-any.whl")
    ]
    page = SimpleJsonPage("https://index.test/simple/a/", {"files": files})
    vars(repository)["get_page"] = lambda _: page
    known, wanted = Package("a", "1.0"), "a-1.0-py3-none-any.whl"
    (found,) = package_servers._links(repository, known, wanted)
    (same,) = (link for link in repository.find_links_for_package(known) if link.filename == wanted)
    assert (found.url, found.hashes) == (same.url, same.hashes)
    assert [*package_servers._links(repository, known, "a-1.0.zip")] == []


REFUSED = "refused access: it does not accept the credentials"


@pytest.mark.parametrize(
    ("fault", "says", "fix"),
    [
        ("401", REFUSED, "poetry config http-basic.acme"),
        ("403", REFUSED, "poetry config http-basic.acme"),
        ("-403", REFUSED, "poetry config http-basic.acme"),
        ("404", "does not have acme_a-1.0-py3-none-any.whl", "poetry update acme-a"),
        ("-404", "lists acme_a-1.0-py3-none-any.whl, but does not have it", "poetry update"),
        ("-500", "answered with the error 500", "Try again later"),
        (HALF, "stopped during a download", ""),
        (OTHER, "has a hash that does not match poetry.lock", "poetry lock --no-cache"),
        (PAGE, "has a hash that does not match poetry.lock", "poetry lock --no-cache"),
    ],
)
def test_fault_of_index_is_explained(  # noqa: PLR0913  # fixtures and the case
    packages: Path,
    make_poetry: Callable[..., Poetry],
    faulty: FaultyIndex,
    *,
    fault: str,
    says: str,
    fix: str,
) -> None:
    """The error has the cause and what to type, no secret, and the next download works."""
    file = locked(packages, "acme-a")
    faulty.fault = fault
    with pytest.raises(DockerCacheError, match=says) as caught:
        fetch(make_poetry(faulty.url), file)
    assert "source 'acme'" in caught.value.problem
    assert fix in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    faulty.fault = ""
    assert fetch(make_poetry(faulty.url), file)[0].name == file.file


def test_index_without_login_and_index_that_is_down(
    packages: Path, make_poetry: Callable[..., Poetry], faulty: FaultyIndex
) -> None:
    """The advice is about this machine, and not about a build in a container."""
    file = locked(packages, "acme-a")
    with pytest.raises(DockerCacheError, match="no credentials were given"):
        fetch(make_poetry(faulty.url, password=None), file)
    with pytest.raises(DockerCacheError, match="source 'acme' cannot be reached") as caught:
        fetch(make_poetry(CLOSED), file)
    assert "HTTPS_PROXY" in caught.value.fix
    assert "--" not in caught.value.fix


def test_error_of_pypi_is_not_a_missing_file(
    packages: Path, make_poetry: Callable[..., Poetry], faulty: FaultyIndex
) -> None:
    """For Poetry, any error of PyPI's API is an empty list of files."""
    server = package_servers.PackageServer.of_source(make_poetry(faulty.url), "acme")
    pypi = replace(server, source=Source(), repository=PyPiRepository(faulty.url))
    faulty.password, faulty.fault = "", "503"
    with pytest.raises(DockerCacheError, match="The package index answered with the error 503"):
        pypi.find_link(locked(packages, "acme-a"))


def test_login_for_a_name_with_a_dot(
    packages: Path,
    make_poetry: Callable[..., Poetry],
    faulty: FaultyIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No shell can set Poetry's own variable for it, so another one replaces it."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_MY_ACME_USERNAME", USER)
    monkeypatch.setenv("POETRY_HTTP_BASIC_MY_ACME_PASSWORD", PASSWORD)
    poetry = make_poetry(faulty.url, password=None, name="my.acme")
    file = locked(packages, "acme-a", type="legacy", reference="my.acme", url=faulty.url)
    assert fetch(poetry, file)[0].name == file.file


def test_two_sources_on_one_host(
    packages: Path,
    make_poetry: Callable[..., Poetry],
    faulty: FaultyIndex,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has its own login, although Poetry decides by the host for files."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_FIRST_USERNAME", USER)
    monkeypatch.setenv("POETRY_HTTP_BASIC_FIRST_PASSWORD", "wrong")
    first = faulty.url.replace("simple", "other")
    poetry = make_poetry(
        faulty.url, before=f'[[tool.poetry.source]]\nname="first"\nurl="{first}"\n'
    )
    assert fetch(poetry, locked(packages, "acme-a"))
    assert len(set(faulty.told)) == 1


def test_certificate_of_private_authority(
    packages: Path,
    make_poetry: Callable[..., Poetry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Poetry's setting for the source's certificate counts; without it, the error names it."""
    file = locked(packages, "acme-a")
    (packages / "acme-a").mkdir()
    (packages / file.file).rename(packages / "acme-a" / file.file)
    with tls_index(packages, tmp_path, asks=False) as index:
        with pytest.raises(DockerCacheError, match="certificate") as caught:
            fetch(make_poetry(index.url), file)
        assert "certificates.acme.cert" in caught.value.fix
        monkeypatch.setenv("POETRY_CERTIFICATES_ACME_CERT", str(index.ca))
        assert fetch(make_poetry(index.url), file)[0].name == file.file


def test_url_and_file_dependencies(
    packages: Path, make_poetry: Callable[..., Poetry], faulty: FaultyIndex
) -> None:
    """A URL is requested as it is, with the login for its host; a file is used where it is."""
    url = faulty.url.replace("/simple/", "/files/acme_a-1.0-py3-none-any.whl")
    by_url = locked(packages, "acme-a", type="url", url=url)
    by_path = locked(packages, "acme-b", type="file", url="../packages/acme_b-1.0-py3-none-any.whl")
    poetry = make_poetry(faulty.url)
    found = fetch(poetry, by_url, by_path)
    assert found[0].read_bytes() == (packages / by_url.file).read_bytes()
    assert found[1].resolve() == packages / by_path.file
    (packages / by_path.file).write_bytes(b"other")
    with pytest.raises(DockerCacheError, match=r"does not match poetry\.lock"):
        fetch(poetry, by_path)


def test_failure_stops_other_downloads(
    packages: Path, make_poetry: Callable[..., Poetry], faulty: FaultyIndex
) -> None:
    """The command does not wait for a slow file after another one has failed."""
    faulty.fault = "slow"
    poetry = make_poetry(faulty.url)
    slow = locked(packages, "acme-a")
    downloads = WheelDownloads(poetry)
    downloads.start([slow])
    downloads.__exit__(KeyboardInterrupt)
    assert not list(poetry.config.artifacts_cache_directory.rglob("*.part"))
    assert not list(poetry.config.artifacts_cache_directory.rglob("*.whl"))


# Runs with another Poetry: files on stdin, their paths on stdout.
DOWNLOAD = """
import json, sys
from pathlib import Path
from poetry.factory import Factory
from poetry_docker_cache.no_engine.wheel_choice import LockedFile
from poetry_docker_cache.no_engine.wheel_downloads import WheelDownloads
files = [LockedFile(**each) for each in json.load(sys.stdin)]
with WheelDownloads(Factory().create_poetry(Path.cwd())) as downloads:
    downloads.start(files)
    print(json.dumps([str(downloads.path(file)) for file in files]))
"""


def test_oldest_poetry_downloads_the_same(
    packages: Path, make_poetry: Callable[..., Poetry], faulty: FaultyIndex
) -> None:
    """All requests have the login, and files are where that Poetry looks for them."""
    files = [locked(packages, name) for name in NAMES]
    folder = make_poetry(faulty.url).file.path.parent
    done = subprocess.run(
        [poetry_python(POETRY_VERSIONS[0]), "-c", DOWNLOAD],
        input=json.dumps([asdict(file) for file in files]),
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = [Path(path) for path in json.loads(done.stdout)]
    assert [path.name for path in found] == [file.file for file in files]
    assert len(set(faulty.told)) == 1
    before = len(faulty.told)
    # The newest Poetry finds them without a request.
    assert fetch(make_poetry(faulty.url), *files) == found
    assert len(faulty.told) == before
