"""The scripts of a build on an index that fails, and again once it works.

Each test asserts the exit status, an explanation at the end of the output, that nothing is
installed, that the password is in no output or cache and reaches no other host, and that the next
installation works.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from fault_rows import INDEX, Row, fault
from faulty_index import HALF, OTHER, PAGE, REDIRECT, SLOW, STALLED, FaultyIndex, faulty_index
from installing import PASSWORD, SCRIPTS, SOURCE, Workshop, shows
from wheels import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOWN, PROXY, WRONG = "down", "proxy", "password"
CLOSED = "http://127.0.0.1:9"
"""An address where nothing listens."""
PATIENT = {"PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "60", "POETRY_REQUESTS_TIMEOUT": "60"}
IMPATIENT = {"PIP_DEFAULT_TIMEOUT": "1", "POETRY_REQUESTS_TIMEOUT": "1"}
"""Too short for a busy machine, so only for a download that never ends."""


@dataclass(frozen=True, kw_only=True)
class Answer(Row):
    """A fault of the index, and what the end of the output says about it."""

    how: str
    never: str = "Traceback"


UNREACHABLE = "cannot be reached from the build."
REFUSED = "refused access: it does not accept the credentials given for this build."
ABSENT = "that is in poetry.lock and fits this Python."
OTHER_HASH = "serves a file whose hash does not match poetry.lock"
EXPLAINED = "The package source 'my.private-repo'"
ANSWERS = (
    Answer(fault="the index is down", how=DOWN, says=UNREACHABLE),
    Answer(
        fault="the proxy is down",
        how=PROXY,
        says=UNREACHABLE,
    ),
    Answer(fault="the password is wrong", how=WRONG, says=REFUSED),
    Answer(fault="the index answers 401", how="401", says=REFUSED),
    Answer(fault="the index answers 403", how="403", says=REFUSED),
    Answer(fault="the index answers 404", how="404", says=ABSENT),
    Answer(
        fault="the index answers 429",
        how="429",
        says=EXPLAINED,
        never="may have been deleted",
    ),
    Answer(fault="the index answers 500", how="500", says=UNREACHABLE),
    Answer(fault="the index answers 403 for the file", how="-403", says=REFUSED),
    Answer(fault="the index answers 404 for the file", how="-404", says=EXPLAINED),
    Answer(fault="the index answers 429 for the file", how="-429", says=EXPLAINED),
    Answer(fault="the index answers 500 for the file", how="-500", says=UNREACHABLE, never=""),
    Answer(fault="the file is truncated", how=HALF, says=EXPLAINED),
    Answer(fault="the download stalls", how=STALLED, says=EXPLAINED),
    Answer(
        fault="the download is slow (500 bytes per second)",
        how=SLOW,
        status=0,
        happens="installed, after a while",
    ),
    Answer(fault="the file has another hash", how=OTHER, says=OTHER_HASH),
    Answer(fault="the index sends HTML instead of a wheel", how=PAGE, says=OTHER_HASH),
    Answer(
        fault="the index redirects to another host",
        how=REDIRECT,
        status=0,
        happens="installed; the other host gets no credentials",
    ),
)
BY_POETRY = (
    Answer(fault="the index is down, for an sdist", how=DOWN, says=UNREACHABLE),
    Answer(fault="the password is wrong, for an sdist", how=WRONG, says=REFUSED),
    Answer(fault="the index answers 404, for an sdist", how="404", says=ABSENT),
    Answer(
        fault="the index answers 500, for an sdist",
        how="500",
        says=EXPLAINED,
    ),
    Answer(
        fault="an sdist is truncated",
        how=HALF,
        says=EXPLAINED,
    ),
    Answer(fault="an sdist has another hash", how=OTHER, says=OTHER_HASH),
    Answer(fault="the index sends HTML instead of an sdist", how=PAGE, says=OTHER_HASH),
    Answer(
        fault="the index redirects to another host, for an sdist",
        how=REDIRECT,
        status=0,
        happens="downloaded; the other host gets no credentials",
    ),
)
BY_TOOL = (
    Answer(fault="the index is down, for a build tool", how=DOWN, says=UNREACHABLE),
    Answer(fault="the password is wrong, for a build tool", how=WRONG, says=REFUSED),
    Answer(
        fault="the index redirects to another host, for a build tool",
        how=REDIRECT,
        status=0,
        happens="installed; the other host gets no credentials",
    ),
)


def answers(cases: tuple[Answer, ...], fast: frozenset[str]) -> pytest.MarkDecorator:
    """Parametrize a test with answers; those that are not fast run only by `make faults`."""
    params = []
    for case in cases:
        marks = [fault(INDEX, case), *[pytest.mark.slow] * (case.how not in fast)]
        params.append(pytest.param(case, marks=marks, id=case.fault))
    return pytest.mark.parametrize("row", params)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a wheel and an sdist without build requirements."""
    folder = tmp_path_factory.mktemp("packages")
    make_wheel(folder, "alpha")
    make_sdist(folder, "omega")
    return folder


@pytest.fixture
def index(packages: Path) -> Iterator[FaultyIndex]:
    """Serve the packages with the password, and on another host without one."""
    with faulty_index(packages, PASSWORD) as found, faulty_index(packages) as other:
        found.other = other.url.removesuffix("/simple/").replace("127.0.0.1", "localhost")
        yield found
        assert set(other.told) <= {""}, "the other host got credentials"


def manifest(packages: Path, name: str, url: str) -> dict[str, Any]:
    """Return the manifest of one package."""
    (path,) = packages.glob(f"{name}-*")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = {
        "name": name,
        "version": "1.0",
        "files": [{"file": path.name, "hash": f"sha256:{digest}"}],
        "source": {"type": "legacy", "url": url, "reference": SOURCE},
    }
    return {"packages": [entry], "sources": [{"name": SOURCE, "url": url}]}


def broken(index: FaultyIndex, row: Answer) -> tuple[str, str, dict[str, str]]:
    """Make the fault; return the URL, the password and the environment of the installation."""
    index.fault = "" if row.how in (DOWN, PROXY, WRONG) else row.how
    url = f"{CLOSED}/simple/" if row.how == DOWN else index.url
    proxy = {"HTTP_PROXY": CLOSED, "http_proxy": CLOSED, "NO_PROXY": "", "no_proxy": ""}
    environment = {PROXY: proxy, STALLED: IMPATIENT}.get(row.how, {})
    return url, "hunter-canary" if row.how == WRONG else PASSWORD, {**environment}


def check(row: Answer, status: int, output: str) -> None:
    """Check the status, and that the end of the output explains a failure."""
    assert bool(status) == bool(row.status), output
    end = output[output.rindex("\n\n") if "\n\n" in output else 0 :]
    assert row.says in (end if row.status else output)
    assert not row.never or row.never not in end


@answers(ANSWERS, frozenset({DOWN, WRONG, "404", "-500", STALLED, OTHER, REDIRECT}))
def test_wheels(index: FaultyIndex, packages: Path, tmp_path: Path, row: Answer) -> None:
    """The pip of the image downloads the wheels."""
    workshop = Workshop(tmp_path)
    url, password, environment = broken(index, row)
    environment = {**PATIENT, **environment}
    status, output = workshop.install(
        manifest(packages, "alpha", url), password=password, environment=environment
    )
    installed = workshop.names()
    index.fault = ""
    again = workshop.install(manifest(packages, "alpha", index.url), environment=PATIENT)
    assert again[0] == 0, again[1]
    assert workshop.names() == {"alpha-1.0"}
    assert installed == (set() if status else {"alpha-1.0"})
    check(row, status, output)


def run(workshop: Workshop, password: str, environment: dict[str, str], *words: str) -> Any:  # noqa: ANN401  # a process
    """Run a script of the build; its output and caches have no secret."""
    caches = {f"{tool}_CACHE_DIR": str(workshop.folder / tool) for tool in ("PIP", "POETRY")}
    done = subprocess.run(
        [sys.executable, "-m", *words, f"--secret={workshop.secret(password)}"],
        cwd=SCRIPTS,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, **caches, **PATIENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert not shows(done.stdout, password)
    for path in workshop.folder.rglob("*"):
        if path.is_file() and path.name != "auth.toml":
            assert not shows(path.read_bytes().decode(errors="replace"), password), path
    return done


@answers(BY_POETRY, frozenset())
def test_sdists(index: FaultyIndex, packages: Path, tmp_path: Path, row: Answer) -> None:
    """Poetry downloads what must be built."""
    workshop = Workshop(tmp_path)
    url, password, environment = broken(index, row)

    def fetch(url: str, password: str, target: str) -> Any:  # noqa: ANN401  # a process
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps(manifest(packages, "omega", url)))
        words = (f"--manifest={path}", f"--sources={tmp_path / target}")
        return run(workshop, password, environment, "install.source_files", *words)

    done = fetch(url, password, "sources")
    index.fault = ""
    environment.clear()
    assert (again := fetch(index.url, PASSWORD, "again")).returncode == 0, again.stdout
    check(row, done.returncode, done.stdout)


@answers(BY_TOOL, frozenset())
def test_build_tools(index: FaultyIndex, tmp_path: Path, row: Answer) -> None:
    """The pip of the image installs a tool of the build, such as a build backend."""
    workshop = Workshop(tmp_path)
    url, password, environment = broken(index, row)

    def install(url: str, password: str, target: str) -> Any:  # noqa: ANN401  # a process
        words = ("--venv", str(tmp_path / target), "--source", SOURCE, url, "alpha==1.0")
        return run(workshop, password, environment, "install.tool", *words)

    done = install(url, password, "tool")
    index.fault = ""
    assert (again := install(index.url, PASSWORD, "again")).returncode == 0, again.stdout
    check(row, done.returncode, done.stdout)
