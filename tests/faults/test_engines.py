"""Builds on a real engine that is killed or full, and with registries and caches that fail."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engines import PATIENCE, docker_engine
from fault_rows import CACHES, ENGINE, Row, fault
from fault_sandbox import CANARY, Sandbox, changed
from faulty_index import STALLED, faulty_index
from forwarding import Gate
from real_sandbox import RealSandbox, Stopped, engine_of, until
from registries import own_registry
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from command_line import Outcome
    from engines import DockerEngine
    from faulty_index import FaultyIndex

pytestmark = [pytest.mark.engine, pytest.mark.slow]

LOST = "The Docker engine cannot be reached"
FULL = "no space left on device"


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    """Start an engine that the tests may kill."""
    with docker_engine("test-faults", own=True) as found:
        yield found


@pytest.fixture(scope="module")
def registry(engine: DockerEngine) -> str:
    """Return host and port of a registry that accepts pushes."""
    assert engine.registry
    return engine.registry


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyIndex]:
    """Serve the project's only package, with a content that no cache has."""
    folder = tmp_path_factory.mktemp("packages")
    make_wheel(folder, "alpha", files={"alpha.py": f"# {os.urandom(4).hex()}\n"})
    with faulty_index(folder, CANARY) as found:
        yield found


@pytest.fixture
def real(tmp_path: Path, engine: DockerEngine, index: FaultyIndex) -> RealSandbox:
    """Write a project that no other test has built."""
    found = RealSandbox(sandbox=Sandbox.create(tmp_path), engine=engine, index=index)
    found.write()
    return found


def ended(real: RealSandbox, process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of a started build; return its status and output."""
    status = process.wait(PATIENCE)
    output = real.log.read_text()
    assert "Traceback" not in output
    real.sandbox.search_secret(output)
    return status, output


def installing(real: RealSandbox, *options: str) -> subprocess.Popen[str]:
    """Start a build, and wait until its installation is downloading a file."""
    real.index.fault = STALLED
    before = len(real.index.told)
    process = real.start(*options)
    until(lambda: len(real.index.told) > before + 1 or process.poll() is not None)
    assert process.poll() is None, real.log.read_text()
    return process


@fault(ENGINE, Row(fault="the engine is killed while packages are installed", says=LOST))
def test_engine_is_killed_during_an_installation(real: RealSandbox) -> None:
    """The build fails, the secret is removed, and the restarted engine builds."""
    before = real.sandbox.files()
    process = installing(real)
    daemons = engine_of(real.engine).daemons
    dockerd = Stopped(daemons.dockerd)
    status, output = ended(real, process)
    assert status == 1
    assert LOST in output.splitlines()[-2]
    assert changed(before, real.sandbox.files()) == set()
    real.index.fault = ""
    outcome = real.build()
    assert outcome.status == 1
    assert "The Docker engine cannot be reached" in outcome.err
    dockerd.start(lambda: daemons.running)
    real.works()


@fault(ENGINE, Row(fault="the engine is killed while the image is pushed", says=LOST))
def test_engine_is_killed_during_a_push(real: RealSandbox) -> None:
    """The build fails, the secret is removed, and the restarted engine builds."""
    daemons = engine_of(real.engine).daemons
    with silent_registry() as (address, asked):
        process = real.start("--push", f"--tag={address}/shop:1")
        until(lambda: asked() or process.poll() is not None)
        assert process.poll() is None, real.log.read_text()
        dockerd = Stopped(daemons.dockerd)
        status, output = ended(real, process)
    assert status == 1
    assert LOST in output.splitlines()[-2]
    dockerd.start(lambda: daemons.running)
    real.works()


@contextlib.contextmanager
def silent_registry() -> Iterator[tuple[str, Callable[[], bool]]]:
    """Listen without an answer; yield the address, and whether there was a connection."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        def asked() -> bool:
            with contextlib.suppress(BlockingIOError):
                connections.append(listener.accept()[0])
            return bool(connections)

        yield f"127.0.0.1:{listener.getsockname()[1]}", asked
    for connection in connections:
        connection.close()


@fault(
    ENGINE,
    Row(
        fault="buildx is killed while packages are installed",
        status=255,
        happens="the command ends with docker's status; the secret is removed",
    ),
)
def test_buildx_is_killed(real: RealSandbox) -> None:
    """The build fails and the secret is removed."""
    process = installing(real)
    found = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if CANARY not in (words := read(path))
        and "docker-buildx" in words
        and str(real.sandbox.temporary) in words
    ]
    assert found
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    status, output = ended(real, process)
    assert status == 255, output
    real.index.fault = ""
    real.works()


def read(path: Path) -> str:
    """Return the words of a command line; "" if the process has ended."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""


@fault(CACHES, Row(fault="two builds of one project run at once", status=0))
def test_builds_at_once(real: RealSandbox) -> None:
    """Both succeed."""
    other = real.sandbox.folder / "other"
    process = real.start("--tag=shop:one")
    real.log.rename(other)
    second = real.start("--tag=shop:two")
    assert process.wait(PATIENCE) == 0, other.read_text()
    assert ended(real, second)[0] == 0
    real.sandbox.search_secret(other.read_text())
    real.works()


def refused(real: RealSandbox, outcome: Outcome, says: str) -> None:
    """Check a push that failed: the cause and what to do come last."""
    assert outcome.status == 1, outcome.err
    cause, fix = outcome.err.rstrip().splitlines()[-2:]
    assert says in cause
    assert "the layers are cached" in fix
    assert not list(real.sandbox.project.glob("Dockerfile*"))


@fault(CACHES, Row(fault="the registry of a push is down", says="The connection to the registry"))
def test_registry_is_down(real: RealSandbox, registry: str) -> None:
    """The error names the registry."""
    outcome = real.build("--push", "--tag=127.0.0.1:9/shop:1")
    refused(real, outcome, "The connection to the registry 127.0.0.1:9 failed: connection refused")
    real.works("--push", f"--tag={registry}/faults:down")


@fault(
    CACHES, Row(fault="the registry is killed during a push", says="The connection to the registry")
)
def test_registry_is_killed(real: RealSandbox, registry: str) -> None:
    """The error names the registry, and the next push works."""
    with contextlib.closing(Gate(registry, uploads=1)) as gate:
        outcome = real.build("--push", f"--tag={gate.address}/faults:killed")
        assert gate.shut
    refused(real, outcome, f"The connection to the registry {gate.address} failed")
    real.works("--push", f"--tag={registry}/faults:killed")


@fault(CACHES, Row(fault="the registry refuses a blob of a push", says="cannot store"))
def test_registry_refuses(real: RealSandbox, tmp_path: Path, registry: str) -> None:
    """The error names the registry and its answer."""
    (tmp_path / "registry").mkdir()
    with own_registry(tmp_path / "registry", read_only=True) as address:
        outcome = real.build("--push", f"--tag={address}/faults:1")
    refused(real, outcome, f"{address} cannot store {address}/faults:1: 405 Method Not Allowed")
    real.works("--push", f"--tag={registry}/faults:refused")


@fault(CACHES, Row(fault="the disk of the registry is full", says="cannot store"))
def test_registry_is_full(real: RealSandbox, tmp_path: Path, registry: str) -> None:
    """The error names the registry and its answer."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with own_registry(folder, disk="200k") as address:
        outcome = real.build("--push", f"--tag={address}/faults:1")
    refused(real, outcome, f"{address} cannot store {address}/faults:1")
    real.works("--push", f"--tag={registry}/faults:full")


@dataclass(frozen=True, kw_only=True)
class Harm(Row):
    """A registry cache with a fault."""

    harm: Callable[[Path], object]
    status: int = 0


def blobs(data: Path) -> list[Path]:
    """List the files of the blobs, the largest first."""
    return sorted(data.rglob("blobs/sha256/*/*/data"), key=lambda path: -path.stat().st_size)


def corrupt(data: Path) -> None:
    """Change all layers of the cache, but not their sizes."""
    for path in blobs(data):
        content = path.read_bytes()
        if not content.startswith(b"{"):
            path.write_bytes(content[:-9] + bytes(byte ^ 1 for byte in content[-9:]))


def truncate(data: Path) -> None:
    """Cut all layers of the cache in half."""
    for path in blobs(data):
        if not path.read_bytes().startswith(b"{"):
            os.truncate(path, path.stat().st_size // 2)


def delete_layers(data: Path) -> None:
    """Delete all blobs but the manifest."""
    for path in blobs(data):
        if not path.read_bytes().startswith(b"{"):
            shutil.rmtree(path.parent)


HARMS = (
    Harm(
        fault="layers of the registry cache are corrupt",
        harm=corrupt,
        says="is damaged or was deleted: unexpected commit digest.",
        status=1,
    ),
    Harm(
        fault="layers of the registry cache are truncated",
        harm=truncate,
        says="is damaged or was deleted: 416 Requested Range Not Satisfiable.",
        status=1,
    ),
    Harm(
        fault="layers of the registry cache were deleted",
        harm=delete_layers,
        says="is damaged or was deleted: could not fetch content descriptor.",
        status=1,
    ),
    Harm(
        fault="the registry cache was deleted",
        harm=lambda data: shutil.rmtree(data / "docker/registry/v2/repositories"),
    ),
)


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=fault(CACHES, row), id=row.fault) for row in HARMS],
)
def test_damaged_registry_cache(
    real: RealSandbox, tmp_path_factory: pytest.TempPathFactory, row: Harm
) -> None:
    """The image is complete, or the build fails and works without the cache."""
    folder = tmp_path_factory.mktemp("registry")
    with own_registry(folder) as address:
        real.works(f"--cache={address}/shop:cache")
        row.harm(folder / "data")
    with own_registry(folder) as address:  # it keeps nothing in memory
        real.forget()
        outcome = real.build(f"--cache={address}/shop:cache")
        assert outcome.status == row.status, outcome.err
        assert row.says in outcome.err
    real.works()


@fault(CACHES, Row(fault="the registry cache is that of another project", status=0))
def test_cache_of_another_project(real: RealSandbox, tmp_path: Path) -> None:
    """It is of no use, and the image is complete."""
    (tmp_path / "registry").mkdir()
    with own_registry(tmp_path / "registry") as address:
        cache = f"--cache={address}/shop:cache"
        real.works(cache)
        project = real.sandbox.project / "pyproject.toml"
        project.write_text(project.read_text().replace("ENV FAULTS=", "ENV OTHER="))
        real.forget()
        real.works(cache)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("", marks=fault(ENGINE, Row(fault="the disk of the engine is full"))),
        pytest.param(
            "nr_inodes",
            marks=fault(ENGINE, Row(fault="the disk of the engine has no inodes", status=102)),
        ),
    ],
)
def test_full_disk_of_the_engine(tmp_path: Path, index: FaultyIndex, options: str) -> None:
    """The error says that no space is left; with space, the next build works."""
    with docker_engine("test-full", own=True) as engine:
        real = RealSandbox(sandbox=Sandbox.create(tmp_path), engine=engine, index=index)
        real.write()
        place = engine_of(engine)
        real.works()  # so that the base image is there
        daemons = [Stopped(place.daemons.dockerd), Stopped(place.daemons.containerd)]
        ready = (lambda: place.daemons.running, (place.run_dir / "containerd.sock").exists)
        for name in ("data", "containerd"):
            small(place.folder / name)
        for daemon, test in reversed([*zip(daemons, ready, strict=True)]):
            daemon.start(test)
        disks = [place.folder / name for name in ("data", "containerd")]
        for disk in disks:
            fill(disk, inodes=bool(options))
        outcome = real.build("--no-cache")
        assert outcome.status in (1, 102)  # buildx has 102 if the engine says "resource exhausted"
        assert FULL in outcome.err.lower()
        for disk in disks:
            subprocess.run(["mount", "-o", "remount,size=4g,nr_inodes=900k", disk], check=True)
        real.works()


def small(folder: Path) -> None:
    """Move a folder to a file system of its own."""
    copy = folder.with_name(f"{folder.name}-copy")
    copy.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g", "small", copy], check=True)
    subprocess.run(["cp", "-a", f"{folder}/.", copy], check=True)
    subprocess.run(["mount", "--bind", copy, folder], check=True)


def fill(folder: Path, *, inodes: bool) -> None:
    """Leave no space on a file system."""
    found = os.statvfs(folder)
    if inodes:
        option = f"nr_inodes={found.f_files - found.f_ffree + 8}"
    else:
        option = f"size={(found.f_blocks - found.f_bfree + 16) * found.f_frsize}"
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)
