"""Tests of the project that Poetry installs, and of explaining its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from poetry.config.config import Config
from poetry.packages.locker import Locker
from poetry.utils._compat import tomllib
from poetry.utils.authenticator import RepositoryCertificateConfig

from poetry_docker_cache.inside.install import poetry_install
from poetry_docker_cache.inside.install.process import Outcome

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST: dict[str, Any] = {
    "packages": [
        {
            "name": "a",
            "version": "1.0",
            "files": [{"file": "a-1.0.tar.gz", "hash": "sha256:0"}],
            "marker": 'platform_machine == "x86_64"',
        },
        {"name": "a", "version": "2.0", "files": [], "marker": 'platform_machine != "x86_64"'},
        {
            "name": "b",
            "version": "1!1.0+local",
            "files": [],
            "source": {"type": "legacy", "url": "https://b.example/simple", "reference": "b"},
        },
    ],
    "sources": [
        {
            "name": "a.b-c",
            "url": "https://host.example/repository/one/simple/",
            "priority": "primary",
        },
        {
            "name": "two",
            "url": "https://host.example/repository/two/simple/",
            "priority": "primary",
        },
        {"name": "PyPI", "priority": "supplemental"},
    ],
}

VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**60), 2**60),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_toml_round_trip(tables: dict[str, Any]) -> None:
    """Any value is read back unchanged."""
    assert tomllib.loads(poetry_install.document(tables)) == tables


def test_poetry_reads_the_written_lock(tmp_path: Path) -> None:
    """Poetry's Locker accepts the lock, and finds each package with its marker and source."""
    pyproject = poetry_install.project(MANIFEST)
    content_hash = Locker(tmp_path / "poetry.lock", pyproject)._content_hash
    text = poetry_install.document(poetry_install.lock(MANIFEST, content_hash))
    (tmp_path / "poetry.lock").write_text(text)
    locker = Locker(tmp_path / "poetry.lock", pyproject)
    assert locker.is_fresh()
    found = {
        f"{package.name} {package.pretty_version}": (package, info)
        for package, info in locker.locked_packages().items()
    }
    assert set(found) == {"a 1.0", "a 2.0", "b 1!1.0+local"}
    package, info = found["a 1.0"]
    assert package.files == MANIFEST["packages"][0]["files"]
    assert {str(marker) for marker in info.markers.values()} == {'platform_machine == "x86_64"'}
    assert info.groups == {"main"}
    assert found["b 1!1.0+local"][0].source_reference == "b"


def test_build_constraints_reach_poetry() -> None:
    """They are in the table that Poetry reads, and only if there are any."""
    constraints = {"a": {"setuptools": "<75"}}
    written = poetry_install.project({**MANIFEST, "build-constraints": constraints})
    assert written["tool"]["poetry"]["build-constraints"] == constraints
    # Poetry before 2.3 refuses this table, even if it is empty.
    assert "build-constraints" not in poetry_install.project(MANIFEST)["tool"]["poetry"]


def test_sources_without_a_priority_are_explicit() -> None:
    """Each serves only the packages that name it."""
    manifest = {"packages": [], "sources": [{"name": "b", "url": "u"}, {"name": "PyPI"}]}
    written = poetry_install.project(manifest)["tool"]["poetry"]["source"]
    assert [source["priority"] for source in written] == ["explicit", "explicit"]
    kept = poetry_install.project(MANIFEST)["tool"]["poetry"]["source"]
    assert [source["priority"] for source in kept] == ["primary", "primary", "supplemental"]


def test_poetry_finds_certificates(tmp_path: Path) -> None:
    """Poetry reads the certificates of a source, even if its name has dots."""
    secret = {
        "poetry-docker-cache": {
            "sources": {
                "a.b-c": {"username": "u", "password": "p", "ca": "CA PEM"},
                "two": {"client-cert": "CLIENT PEM"},
                "three": {"username": "u"},
            }
        }
    }
    config = Config()
    config.merge({"certificates": poetry_install.certificates(secret, tmp_path)})
    first = RepositoryCertificateConfig.create("a.b-c", config)
    assert first.cert is not None
    assert first.cert.read_text() == "CA PEM"
    assert first.cert.stat().st_mode & 0o777 == 0o600
    second = RepositoryCertificateConfig.create("two", config)
    assert second.cert is None
    assert second.client_cert is not None
    assert second.client_cert.read_text() == "CLIENT PEM"
    assert len(list(tmp_path.iterdir())) == 2
    nested = config.raw()["certificates"]["a"]["b-c"]
    assert nested == {"cert": str(first.cert)}


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (
            "Source (two): Authorization error accessing https://host.example/repository/two/a/",
            "two",
        ),
        (
            "401 Client Error: Unauthorized for url: https://host.example/repository/one/a.whl#x=0",
            "a.b-c",
        ),
        (
            "403 Client Error: Forbidden by policy for url: https://host.example/repository/two/x",
            "two",
        ),
    ],
)
def test_refusal_names_the_source(line: str, source: str) -> None:
    """It is the source of that server with the longest common path."""
    said = poetry_install.explain(f"before\n  | {line}\nafter", MANIFEST, {})
    assert repr(source) in said
    assert "no credentials were given" in said
    assert f"poetry config http-basic.{source} USERNAME` (asks" in said
    tables = {"sources": {source: {"username": "u", "password": "canary"}}}
    said = poetry_install.explain(line, MANIFEST, {"poetry-docker-cache": tables})
    assert "does not accept" in said
    assert "canary" not in said
    basic = {"http-basic": {source: {"username": "u", "password": "canary"}}}
    assert "does not accept" in poetry_install.explain(line, MANIFEST, basic)


def test_other_failures_do_not_mention_credentials() -> None:
    """A server that is not a source of the project is named as such."""
    for line in ("404 Client Error: Not Found for url: https://host.example/x", "Version 401"):
        assert poetry_install.explain(line, MANIFEST, {}) == ""
    foreign = "403 Client Error: Forbidden for url: https://other.example/a.whl"
    assert "other.example" in poetry_install.explain(foreign, MANIFEST, {})
    assert "not a source of this project" in poetry_install.explain(foreign, MANIFEST, {})


def test_race_in_poetry_is_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a build requirement is not found, Poetry runs again with one package at a time."""
    parallel: list[str | None] = []

    def run(_: list[str], environment: dict[str, str], folder: Path) -> Outcome:
        assert folder == tmp_path
        parallel.append(environment.get("POETRY_INSTALLER_PARALLEL"))
        said = "Cannot resolve build-system.requires for a.\n"
        return Outcome(1, said) if len(parallel) == 1 else Outcome(0, "")

    monkeypatch.delenv("POETRY_INSTALLER_PARALLEL", raising=False)
    monkeypatch.setattr(poetry_install, "run", run)
    program, venv, secret = poetry_install.PROGRAM, tmp_path / "venv", tmp_path / "auth.toml"
    done = poetry_install.run_poetry(program, tmp_path, venv, secret)
    assert (done.status, parallel) == (0, [None, "false"])
    assert "one package at a time" in capsys.readouterr().out


def test_credentials_reach_every_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With credentials, Poetry uses one thread: a second one may see an empty list of sources."""
    environments: list[dict[str, str]] = []

    def run(_: list[str], environment: dict[str, str], __: Path) -> Outcome:
        environments.append(environment)
        return Outcome(0, "")

    monkeypatch.setattr(poetry_install, "run", run)
    secret = tmp_path / "auth.toml"
    secret.touch()
    poetry_install.run_poetry(poetry_install.PROGRAM, tmp_path, tmp_path / "venv", secret)
    assert [found["POETRY_INSTALLER_PARALLEL"] for found in environments] == ["false"]
