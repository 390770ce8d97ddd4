"""A password reaches the build but is stored nowhere; the search is proven to find leaks."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import shlex
import signal
import subprocess
import tarfile
import tempfile
import time
import urllib.parse
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomlkit
from acme import CANARY, PASSWORD, USER, AcmeIndex, Project, make_shop
from builds import NETWORK
from engines import PATIENCE
from fault_rows import PROCESSES, Row, fault
from leaks import Processes, Search, history, search_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

SHARED_TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))

# Everything that a careless Dockerfile does with a password.
CARELESS = """\
FROM python:3.13-slim
ENV INDEX="https://ci:{canary}@acme.example"
RUN echo {hexadecimal} > /etc/leak.hex
RUN python3 -c "import time; time.sleep(3)" {canary}
RUN python3 -c "import gzip; gzip.open('/leak.gz', 'w').write(b'x{canary}')" && echo done
"""
WHERE = {
    "image",
    "image: config",
    "image: layer",
    "image: attestation: layer",
    "cache: layer",
    "local cache",
}
"""Where BuildKit stores the data of a build."""


def tarred(data: bytes) -> bytes:
    """Return a compressed archive with compressed data, like a layer."""
    content = gzip.compress(data)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("folder/name")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def zipped(data: bytes) -> bytes:
    """Return a wheel that contains the data."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/name", data)
    return file.getvalue()


SPELLINGS = {
    "raw": PASSWORD.encode(),
    "latin-1": PASSWORD.encode("latin-1"),
    "URL": urllib.parse.quote(PASSWORD, safe="").encode(),
    "form": urllib.parse.quote_plus(PASSWORD).encode(),
    "base64 of user:password": base64.b64encode(f"{USER}:{PASSWORD}".encode()),
    "the same in latin-1": base64.b64encode(f"{USER}:{PASSWORD}".encode("latin-1")),
    "base64, one byte on": base64.b64encode(f"{USER}1:{PASSWORD}".encode()),
    "base64, two bytes on": base64.b64encode(f"{USER}12:{PASSWORD}".encode()),
    "hex": PASSWORD.encode().hex().encode(),
    "HEX": PASSWORD.encode().hex().upper().encode(),
    "JSON": json.dumps(PASSWORD).encode(),
    "TOML": tomlkit.string(PASSWORD).as_string().encode(),
    "shell": shlex.quote(PASSWORD).encode(),
    "Python": repr(PASSWORD).encode(),
}


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("packed", [bytes, gzip.compress, tarred, zipped])
def test_search_knows_every_spelling(name: str, packed: Callable[[bytes], bytes]) -> None:
    """Neither quoting nor packing hides a password."""
    search = Search(CANARY)
    search.data("here", packed(b"{some " + SPELLINGS[name] + b" text}"))
    assert search.places == {"here"}
    other = Search(CANARY[::-1])
    other.data("here", packed(b"{some " + SPELLINGS[name] + b" text}"))
    assert not other.found


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Results and caches of a build."""

    image: str
    cache: str
    local: Path

    @property
    def options(self) -> list[str]:
        """Return options of `docker buildx build` for all of them at once."""
        return [
            "--push",
            f"--tag={self.image}",
            f"--cache-to=type=registry,ref={self.cache},mode=max",
            f"--cache-to=type=local,dest={self.local},mode=max",
            "--no-cache",
        ]

    def search(self, search: Search) -> None:
        """Search all of them."""
        search.image("image", self.image)
        search.image("cache", self.cache)
        search.folder("local cache", self.local)


@pytest.fixture(scope="module")
def project(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a project whose password is the canary, and a source distribution to be built."""
    folder = tmp_path_factory.mktemp("leaks")
    project = make_shop(folder / "shop", poetry_home(engine), index)
    project.replace("pyproject.toml", '"acme-native"]', '"acme-native", "acme-old"]')
    project.lock()
    return project


def outputs(registry: str, folder: Path) -> Outputs:
    """Choose unused names."""
    name = f"{registry}/leaks-{os.urandom(4).hex()}"
    return Outputs(image=f"{name}:image", cache=f"{name}:cache", local=folder / "local-cache")


def search_disk(search: Search, project: Project) -> None:
    """Search what a build may leave on this machine, except Poetry's own auth.toml."""
    poetry = project.poetry
    own = poetry.home / "poetry" / "CONFIG" / "auth.toml"
    assert CANARY in own.read_text(encoding="utf-8")
    search.folder("disk", poetry.home, without=(own,))
    search.folder("disk", project.folder)
    assert not list(poetry.temporary.iterdir()), "temporary files are left"
    for folder in {*SHARED_TEMPORARY, Path(tempfile.gettempdir())}:
        # Other tests may be building at the same time.
        for secret in folder.glob("poetry-docker-cache-*/secret/auth.toml"):
            with contextlib.suppress(OSError):  # their build has ended meanwhile
                search.data("disk", secret.read_bytes())


LOOK = """\
FROM python:3.13-slim AS look
RUN --mount=type=cache,id={project}-pip,target=/root/.cache/pip \
    --mount=type=cache,id={project}-pypoetry,target=/root/.cache/pypoetry \
    mkdir /found && cp -a /root/.cache/pip /root/.cache/pypoetry /found # {unique}
FROM scratch
COPY --from=look /found /
"""


def search_cache_mounts(search: Search, engine: DockerEngine, folder: Path) -> None:
    """Search the cache mounts, which stay on the builder after a build."""
    options = ["--output", f"type=local,dest={folder}", "-f", "-", "."]
    look = LOOK.format(project="acme-shop", unique=os.urandom(4).hex())
    engine.docker("buildx", "build", *options, text=look)
    assert list(folder.rglob("acme_old-*")), "these are not the cache mounts of the builds"
    search.folder("cache mounts", folder)


def test_search_finds_leaks(engine: DockerEngine, registry: str, tmp_path: Path) -> None:
    """A careless Dockerfile leaks everywhere, and the search finds all leaks."""
    found = outputs(registry, tmp_path)
    text = CARELESS.format(canary=CANARY, hexadecimal=CANARY.encode().hex())
    command = ["docker", "buildx", "build", "--progress=plain", "--provenance=mode=max"]
    command += [*found.options, "-f", "-", str(tmp_path)]
    before = history(engine)
    with Processes() as processes:
        done = subprocess.run(
            command, env=engine.env, input=text, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    search = Search(CANARY)
    search.text("log", done.stderr)
    search.data("processes", b"\n".join(processes.seen))
    found.search(search)
    search_history(search, engine, before)
    (tmp_path / "left").write_text(f"https://me:{CANARY}@acme.example")
    search.folder("disk", tmp_path)
    assert search.places >= {*WHERE, "log", "processes", "disk", "history"} - {"image"}
    spellings = {how for place, how in search.found if place == "image: layer"}
    assert spellings == {"plain", "hex"}


def test_successful_build_leaks_nothing(
    engine: DockerEngine, registry: str, project: Project, tmp_path: Path
) -> None:
    """No leak in layers, configuration, history, attestation, caches, log, processes or on disk."""
    found = outputs(registry, tmp_path)
    options = ["docker", "build", "--progress=plain", "-vvv", *found.options, *NETWORK]
    before = history(engine)
    with Processes() as processes:
        done = project.poetry.run(project.folder, *options, "--provenance=mode=max", "--sbom=false")
    search = Search(CANARY)
    search.text("log", done.stdout + done.stderr)
    search.data("processes", b"\n".join(processes.seen))
    found.search(search)
    search_disk(search, project)
    search_history(search, engine, before)
    search_cache_mounts(search, engine, tmp_path / "mounts")
    assert search.found == set()
    assert {*WHERE, "log", "processes", "disk", "history", "cache mounts"} <= search.looked_at
    everything = b"\n".join(processes.seen)
    assert b"install.tool" in everything, "processes inside of containers were not seen"
    assert b"--from-source" in everything
    assert "Installed acme-old (1.0)" in done.stderr
    dry = project.poetry.run(project.folder, "docker", "build", "--dry-run", "-vvv")
    exported = project.poetry.run(project.folder, "docker", "export", "-o", "-", "-vvv")
    search.text("commands", dry.stdout + dry.stderr + exported.stdout + exported.stderr)
    assert search.found == set()


@pytest.fixture
def other_password(index: AcmeIndex) -> Iterator[None]:
    """Make the index refuse the canary."""
    index.set_password("another one")
    yield
    index.set_password(PASSWORD)


@pytest.mark.usefixtures("other_password")
@pytest.mark.parametrize(
    ("options", "more"),  # other tests may have built the layer with the group
    [(("--no-cache",), ()), (("--with=docs",), ("--no-cache-filter=dependencies",))],
)
def test_failed_build_leaks_nothing(
    engine: DockerEngine, project: Project, options: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """The error names the source of a refused password, with pip and with Poetry."""
    command = ["docker", "build", "--progress=plain", "-vvv", *options, *NETWORK, *more]
    before = history(engine)
    with Processes() as processes:
        done = project.poetry.run(project.folder, *command, check=False)
    assert done.returncode == 1
    assert "The package source 'acme'" in done.stderr
    search = Search(CANARY)
    search.text("log", done.stdout + done.stderr)
    search.data("processes", b"\n".join(processes.seen))
    search_disk(search, project)
    search_history(search, engine, before)
    assert search.found == set()


@fault(
    PROCESSES,
    Row(
        fault="a signal ends the build (Ctrl-C, SIGINT, SIGTERM, SIGHUP)",
        status=130,
        happens="the build stops; the status is that of the signal",
    ),
)
@pytest.mark.parametrize(
    ("number", "group", "status"),
    [
        (signal.SIGINT, True, 130),  # Ctrl-C: the terminal signals the whole group
        (signal.SIGINT, False, 130),
        (signal.SIGTERM, False, 143),
        (signal.SIGHUP, False, 129),  # buildx does not handle it
    ],
    ids=["Ctrl-C", "SIGINT", "SIGTERM", "SIGHUP"],
)
def test_interrupted_build_leaks_nothing(
    engine: DockerEngine, project: Project, number: signal.Signals, group: bool, status: int
) -> None:
    """The secret is removed, the build has stopped, and the status is that of an interruption."""
    mark = f"busy-{os.urandom(4).hex()}"
    project.configure(instructions={"build": [f"RUN echo {mark} && sleep 600; : {mark}"]})
    before = history(engine)
    process = project.poetry.start(
        project.folder, "docker", "build", "--progress=plain", "-vvv", *NETWORK
    )
    lines = []
    with process, Processes() as processes:
        assert process.stderr
        for line in process.stderr:
            lines.append(line)
            if line.rstrip().endswith(f" {mark}") and "RUN" not in line:
                break
        secrets = list(project.poetry.temporary.rglob("auth.toml"))
        modes = [secret.stat().st_mode & 0o777 for secret in secrets]
        busy = running(mark)
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert modes == [0o600], "".join(lines) + err
    assert process.returncode == status
    assert busy, "the build was not seen"
    end = time.monotonic() + PATIENCE  # the engine stops it once the client is gone
    while left := running(mark):
        assert time.monotonic() < end, f"the build goes on: {left}"
        time.sleep(0.1)
    search = Search(CANARY)
    search.text("log", "".join(lines) + out + err)
    search.data("processes", b"\n".join(processes.seen))
    search_disk(search, project)
    search_history(search, engine, before)
    assert search.found == set()


def running(mark: str) -> list[str]:
    """List the command lines with this mark, also of processes inside containers."""
    return [line for path in Path("/proc").glob("[0-9]*/cmdline") if mark in (line := _read(path))]


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
