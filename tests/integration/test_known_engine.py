"""When the engine is queried, and when facts of an earlier build are enough."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.known_engine import SECONDS, known_or_probing
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from pathlib import Path

    from poetry_docker_cache.buildx.engine_info import EngineInfo

INFO = {
    "ServerVersion": "28.5.2",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "ClientInfo": {"Context": "default", "Plugins": [{"Name": "buildx", "Version": "0.29.1"}]},
}
INSPECT = "Name: default\nDriver: docker\n\nNodes:\nName: default\nEndpoint: default\n"


class Client:
    """A `docker` on the PATH that logs its commands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        self.answer("28.5.2")

    def answer(self, version: str) -> None:
        """Answer with this version of the engine, without changing the client's own file."""
        (self._folder / "info").write_text(json.dumps({**INFO, "ServerVersion": version}))
        (self._folder / "inspect").write_text(INSPECT)
        script = self._folder / "docker"
        if not script.exists():
            script.write_text(f'#!/bin/sh\ncd {self._folder}\necho "$@" >> log\n{_ANSWERS}')
            script.chmod(0o755)

    @property
    def queries(self) -> int:
        """The number of times that the engine was queried."""
        text = self._log.read_text() if self._log.exists() else ""
        return text.count("info --format")


_ANSWERS = 'case $1 in info) cat info;; buildx) cat inspect;; esac; test -z "$DOWN"\n'


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Put the client first on the PATH, with a settings folder and a cache of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return Client(folder)


def find_out(builder: str | None = None, *, fresh: bool = False) -> EngineInfo:
    """Return the facts as a build gets them."""
    with known_or_probing(builder, fresh=fresh) as probe:
        return probe()


def kept(tmp_path: Path) -> list[Path]:
    """Return the files with facts."""
    return list((tmp_path / "cache" / "poetry-docker-cache" / "engines").iterdir())


def test_second_build_does_not_query_the_engine(client: Client) -> None:
    """All facts come back unchanged, and only the first build runs docker."""
    first = find_out()
    assert (find_out(), client.queries) == (first, 1)
    assert (first.engine, first.store) == ((28, 5, 2), "containerd")


def test_facts_are_private(client: Client, tmp_path: Path) -> None:
    """Only the user can read the facts; no temporary file remains."""
    find_out()
    (file,) = kept(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert client.queries == 1


@pytest.mark.parametrize(
    "variable", ["DOCKER_HOST", "DOCKER_CONTEXT", "BUILDX_BUILDER", "DOCKER_CERT_PATH"]
)
def test_another_engine_is_queried(
    client: Client, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A variable that chooses the engine chooses the facts, too."""
    find_out()
    monkeypatch.setenv(variable, "default")
    find_out()
    assert client.queries == 2


def test_another_builder_is_queried(client: Client) -> None:
    """`--builder` chooses the facts."""
    find_out()
    find_out("default")
    assert client.queries == 2


@pytest.mark.parametrize(
    "name",
    ["config.json", "contexts/meta/1/meta.json", "buildx/current", "buildx/instances/mine"],
)
def test_changed_configuration_is_noticed(client: Client, tmp_path: Path, name: str) -> None:
    """`docker context use`, `buildx use` and `buildx create` make the next build query."""
    find_out()
    path = tmp_path / "config" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    find_out()
    assert client.queries == 2


def test_unchanged_configuration_may_be_written_again(client: Client, tmp_path: Path) -> None:
    """Each command of buildx writes the name of the current builder."""
    current = tmp_path / "config" / "buildx" / "current"
    current.parent.mkdir(parents=True)
    for second in (1, 2):
        current.write_text('{"Name": "mine"}')
        os.utime(current, (second, second))
        find_out()
    assert client.queries == 1


def test_replaced_client_is_noticed(client: Client, tmp_path: Path) -> None:
    """A new client may have another buildx."""
    find_out()
    os.utime(tmp_path / "bin" / "docker", (1, 1))
    find_out()
    assert client.queries == 2


@pytest.mark.parametrize("age", [SECONDS + 1, -60])
def test_old_facts_are_not_used(client: Client, tmp_path: Path, age: int) -> None:
    """Facts live for ten minutes; a time in the future does not prolong that."""
    find_out()
    (file,) = kept(tmp_path)
    os.utime(file, (time.time() - age, time.time() - age))
    client.answer("29.1.0")
    assert find_out().engine == (29, 1, 0)


def test_failed_build_queries_the_engine_again(client: Client) -> None:
    """The facts of an engine that was replaced are replaced after a failure."""
    find_out()
    client.answer("29.1.0")
    assert find_out().engine == (28, 5, 2)
    assert find_out(fresh=True).engine == (29, 1, 0)
    assert find_out().engine == (29, 1, 0)


def test_error_forgets_the_facts(client: Client, tmp_path: Path) -> None:
    """An error may be due to old facts, so the next build queries the engine."""
    find_out()
    with contextlib.suppress(DockerCacheError), known_or_probing():
        raise DockerCacheError("This engine cannot do that.", fix="")
    assert (kept(tmp_path), client.queries) == ([], 1)


def test_lost_engine_is_forgotten(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that no longer answers leaves no facts."""
    find_out()
    monkeypatch.setenv("DOWN", "1")
    with pytest.raises(DockerCacheError):
        find_out(fresh=True)
    assert (kept(tmp_path), client.queries) == ([], 2)


@pytest.mark.parametrize("text", ["", "[]", '{"docker": 1}', "{"])
def test_damaged_facts_are_not_used(client: Client, tmp_path: Path, text: str) -> None:
    """A file that this release cannot read is replaced."""
    find_out()
    (file,) = kept(tmp_path)
    file.write_text(text)
    assert (find_out().engine, client.queries) == ((28, 5, 2), 2)


def test_unusable_cache_folder_is_ignored(client: Client, tmp_path: Path) -> None:
    """Without a place for the facts, each build queries the engine."""
    (tmp_path / "cache").write_text("a file")
    find_out()
    find_out()
    assert client.queries == 2
