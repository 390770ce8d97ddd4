"""Licences in the SBOM: from an index with a password, and from indexes that fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from command_line import Outcome, poetry
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from faulty_index import HALF, PAGE, REDIRECT, STALLED, faulty_index
from index import PrivateIndex
from poetry.config.config import Config
from poetry.utils.authenticator import Authenticator
from wheels import make_sdist, make_wheel

from poetry_docker_cache.commands import licence_requests

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
USER, PASSWORD = "user", "s3cr3t-é-canary"
PYPROJECT = """\
[project]
name = "shop"
version = "1"
requires-python = ">=3.10"
dependencies = ["acme-lib", "acme-old", "acme-util"]

[[tool.poetry.source]]
name = "acme"
url = "{url}"
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Make packages: one with a metadata file, one without, and one without a wheel."""
    folder = tmp_path / "packages"
    folder.mkdir()
    make_wheel(folder, "acme-lib", licence="MIT OR Apache-2.0")
    make_wheel(folder, "acme-util")
    make_sdist(folder, "acme-old")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder of a project, and log in to its source."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Authenticator, "_get_backoff", lambda *_: 0)
    folder = tmp_path / "project"
    folder.mkdir()
    log_in(monkeypatch, PASSWORD)
    return folder


def log_in(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """Set the password of the source."""
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", USER)
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", password)
    Config.create(reload=True)


def lock(folder: Path, url: str) -> None:
    """Write the project, and lock it."""
    (folder / "pyproject.toml").write_text(PYPROJECT.format(url=url), encoding="utf-8")
    assert poetry(folder, "lock").status == 0


def sbom(folder: Path, *options: str) -> Outcome:
    """Print the document, which must be valid; no output has the password."""
    outcome = poetry(folder, "docker", "sbom", *options)
    assert outcome.status == 0, outcome.err
    assert VALIDATOR.validate_str(outcome.out) is None
    assert PASSWORD not in outcome.out + outcome.err
    return outcome


def licences(outcome: Outcome) -> dict[str, object]:
    """Return the licences of the packages that have any."""
    components = json.loads(outcome.out)["components"]
    return {each["name"]: each["licenses"] for each in components if "licenses" in each}


FOUND = {"acme-lib": [{"expression": "MIT OR Apache-2.0"}]}


def test_licences_are_requested_once(project: Path, packages: Path) -> None:
    """Later, for any platform, and without the index, the document is the same."""
    with PrivateIndex(packages, {USER: PASSWORD}) as index:
        lock(project, index.url)
        downloads = index.downloads()
        first = sbom(project)
        assert licences(first) == FOUND
        assert index.downloads() == downloads
        requests = index.requests()
        assert sbom(project).out == first.out
        assert licences(sbom(project, "--platform=linux/s390x")) == FOUND
        assert index.requests() == requests
    last = sbom(project)
    assert (last.out, last.err) == (first.out, "")


def test_document_is_printed_without_access(
    project: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One note has the cause; with access, the licences are there."""
    with PrivateIndex(packages, {USER: PASSWORD}) as index:
        lock(project, index.url)
        log_in(monkeypatch, "wrong")
        refused = sbom(project)
        assert licences(refused) == {}
        assert refused.err.count("- The SBOM lacks the licences of 2 packages. ") == 1
        assert "it does not accept the credentials" in refused.err
        assert "wrong" not in refused.err
    log_in(monkeypatch, PASSWORD)
    unreachable = sbom(project)
    assert unreachable.out == refused.out
    assert "The package source 'acme' cannot be reached" in unreachable.err
    with PrivateIndex(packages, {USER: PASSWORD}, port=index.port):
        assert licences(sbom(project)) == FOUND


def test_fault_of_index_is_not_remembered(
    project: Path, packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next document has the licences."""
    with faulty_index(packages, PASSWORD) as index:
        lock(project, index.url)
        for fault, says in {
            "500": "error 500",
            "-500": "error 500",
            HALF: "cannot be reached (IncompleteRead)",
            PAGE: "",
        }.items():
            index.fault = fault
            outcome = sbom(project)
            assert licences(outcome) == {}
            assert says in outcome.err
            assert outcome.err.count("The SBOM lacks") == bool(says)
        with monkeypatch.context() as patience:
            index.fault = STALLED
            for limit in ("_SILENCE", "_PATIENCE"):
                patience.setattr(licence_requests, limit, 0.5)
                assert "did not answer in time" in sbom(project).err
                patience.undo()
        index.fault = ""
        found = sbom(project)
        assert (licences(found), found.err) == (FOUND, "")


def test_other_host_gets_no_password(project: Path, packages: Path) -> None:
    """The source may redirect to it."""
    with faulty_index(packages, PASSWORD) as index, faulty_index(packages) as other:
        lock(project, index.url)
        index.other, index.fault = other.url.removesuffix("/simple/"), REDIRECT
        assert licences(sbom(project)) == FOUND
        assert set(other.told) == {""}
