"""What is wrong around a process: its home, clock, output and limits; and how it is killed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engines import PATIENCE
from fault_rows import ENGINE, PROCESSES, Row, fault, rows
from fault_sandbox import BUILD, EXPORT, EXPORTED, Sandbox, changed

from poetry_docker_cache.system.folder_locks import waiting

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = "The output cannot be written: No space left on device."


def exported(paths: set[str]) -> set[str]:
    """Return the paths without those that `export` writes."""
    return {path for path in paths if path.split("/")[0] not in EXPORTED}


@dataclass(frozen=True, kw_only=True)
class Home(Row):
    """A home folder with a fault."""

    script: str = ":"
    env: tuple[tuple[str, str | None], ...] = ()
    status: int = 0


HOMES = (
    Home(fault="HOME is not set", env=(("HOME", None),)),
    Home(fault="HOME is empty", env=(("HOME", ""),)),
    Home(fault="HOME does not exist", env=(("HOME", "/nonexistent/home"),)),
    Home(fault="HOME is read-only", script="mount -t tmpfs -o ro small $HOME"),
    Home(fault="HOME has no inodes", script="mount -t tmpfs -o nr_inodes=1 small $HOME"),
)


@rows(PROCESSES, HOMES)
def test_faulty_home(mounted: Sandbox, row: Home) -> None:
    """Build and export work, and write nothing else."""
    assert mounted.mounts
    mounted.mounts.shell(row.script, at=mounted.project, env=mounted.environment)
    before = mounted.files()
    outcome = mounted.run(*BUILD, env=dict(row.env), fresh=True)
    assert outcome.status == 0, outcome.err
    assert changed(before, mounted.files()) == set()
    outcome = mounted.run(*EXPORT, env=dict(row.env))
    assert outcome.status == 0, outcome.err
    assert exported(changed(before, mounted.files())) == set()


@dataclass(frozen=True, kw_only=True)
class Output(Row):
    """A standard output with a fault."""

    command: tuple[str, ...]
    fix: str = "or choose another path."
    says: str = FULL


OUTPUTS = (
    Output(fault="the disk of `export -o - > FILE` is full", command=(*EXPORT, "-o", "-")),
    Output(fault="the disk of `build --dry-run > FILE` is full", command=(*BUILD, "--dry-run")),
    Output(fault="the disk of the output of `export` is full", command=EXPORT),
)


@rows(PROCESSES, OUTPUTS)
def test_full_disk_of_the_output(sandbox: Sandbox, row: Output) -> None:
    """The status says it, so that a script does not use half a file."""
    before = sandbox.files()
    outcome = sandbox.run(*row.command, stdout="/dev/full")
    assert outcome.status == 1
    *_, says, fix = outcome.err.splitlines()
    assert says == row.says
    assert row.fix in fix
    assert exported(changed(before, sandbox.files())) == set()
    assert sandbox.run(*row.command).status == 0


@fault(PROCESSES, Row(fault="the reader of `export -o -` ends early", status=0))
def test_reader_that_ends_early(sandbox: Sandbox) -> None:
    """A closed pipe is no error."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        outcome = sandbox.run(*EXPORT, "-o", "-", stdout=f"/proc/{os.getpid()}/fd/{writer}")
    finally:
        os.close(writer)
    assert outcome.status == 0, outcome.err
    assert "cannot be written" not in outcome.err


CLOCK = """\
import sys, time
wrong = float(sys.argv.pop(1))
right = time.time()
real = time.time
time.time = lambda: real() - right + wrong
time.time_ns = lambda: int(time.time() * 1e9)
from poetry.console.application import main
sys.exit(main())
"""
"""Runs `poetry` with another time, given in seconds."""


@pytest.mark.parametrize(
    "year",
    [
        pytest.param(year, marks=fault(PROCESSES, Row(fault=f"the clock is in {year}", status=0)))
        for year in (1980, 2100)
    ],
)
@pytest.mark.slow
def test_wrong_clock(sandbox: Sandbox, year: int) -> None:
    """Build and export work with files of that time, and write the same Dockerfile."""
    assert sandbox.run(*EXPORT).status == 0
    expected = sandbox.files()
    seconds = (year - 1970) * 365.25 * 24 * 60 * 60
    for path in (sandbox.project, *sandbox.project.rglob("*")):
        os.utime(path, (seconds, seconds))
    for command in (EXPORT, BUILD):
        done = subprocess.run(
            [sys.executable, "-c", CLOCK, str(seconds), *command],
            env=sandbox.environment,
            cwd=sandbox.project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert sandbox.files() == expected
        sandbox.search_secret(done.stdout + done.stderr)


@fault(PROCESSES, Row(fault="few open files are allowed (`ulimit -n 24`)", status=0))
@pytest.mark.slow
def test_few_open_files(sandbox: Sandbox) -> None:
    """Build and export keep few files open."""
    for command in (BUILD, EXPORT):
        limited = ["sh", "-c", 'ulimit -n 24; exec "$@"', "sh", sys.executable, "-m", "poetry"]
        done = subprocess.run(
            [*limited, *command],
            env=sandbox.environment,
            cwd=sandbox.project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        sandbox.search_secret(done.stdout + done.stderr)


@fault(PROCESSES, Row(fault="four exports of one project run at once", status=0))
@pytest.mark.slow
def test_exports_at_once(sandbox: Sandbox) -> None:
    """The files are complete, and no temporary file is left."""
    before = sandbox.files()
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(sandbox.run, *EXPORT, fresh=True) for _ in range(4)]
    assert [run.result().status for run in runs] == [0] * 4, [run.result().err for run in runs]
    assert exported(changed(before, sandbox.files())) == set()
    assert {path.name for path in sandbox.project.glob("Dockerfile*")} == {*EXPORTED}
    assert sandbox.run(*EXPORT, "--check").status == 0


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_export_waits_for_another_one(sandbox: Sandbox, options: tuple[str, ...]) -> None:
    """While another process exports the project, nothing is compared or written."""
    sandbox.run(*EXPORT)
    dockerfile = sandbox.project / "Dockerfile"
    written = dockerfile.read_bytes()
    waiter = re.compile(rf"-> FLOCK .*:{sandbox.project.stat().st_ino} ")
    with ThreadPoolExecutor() as pool:
        with waiting(sandbox.project):
            dockerfile.unlink()
            run = pool.submit(sandbox.run, *EXPORT, *options)
            until(lambda: run.done() or waiter.search(Path("/proc/locks").read_text()))
            assert not run.done()
            assert not dockerfile.exists()
            dockerfile.write_bytes(written)
        assert run.result().status == 0, run.result().err


HANGS = """\
#!/bin/sh
case "$1 $2" in
"buildx build") echo $$ > "$0.pid.new"; mv "$0.pid.new" "$0.pid"; exec sleep 600 ;;
*) exec "$0.real" "$@" ;;
esac
"""


@pytest.fixture
def hanging(sandbox: Sandbox) -> Sandbox:
    """Return a sandbox whose builds never end."""
    docker = sandbox.client.folder / "docker"
    docker.rename(docker.with_name("docker.real"))
    docker.write_text(HANGS)
    docker.chmod(0o755)
    return sandbox


def until(happens: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def start(sandbox: Sandbox, *before: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a build; return it and the id of its docker."""
    command = [*before, sys.executable, "-m", "poetry", *BUILD]
    with (sandbox.folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            env=sandbox.environment,
            cwd=sandbox.project,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    mark = sandbox.client.folder / "docker.pid"
    until(mark.exists)
    return process, int(mark.read_text())


def repaired(sandbox: Sandbox) -> Sandbox:
    """Let builds end again."""
    docker = sandbox.client.folder / "docker.real"
    docker.rename(docker.with_name("docker"))
    return sandbox


@fault(
    ENGINE,
    Row(
        fault="docker is killed with SIGKILL during the build",
        status=137,
        happens="the command ends with docker's status; the secret is removed",
    ),
)
def test_docker_is_killed(hanging: Sandbox) -> None:
    """The status is that of docker, and nothing is left."""
    before = hanging.files()
    process, docker = start(hanging)
    os.kill(docker, signal.SIGKILL)
    assert process.wait(PATIENCE) == 137
    assert changed(before, hanging.files()) == set()
    hanging.search_secret((hanging.folder / "output").read_text())
    assert repaired(hanging).run(*BUILD).status == 0


@fault(
    PROCESSES,
    Row(
        fault="the plugin is killed with SIGKILL during a build",
        status=137,
        happens="the next command, whatever it is, removes the secret",
    ),
)
@pytest.mark.parametrize("command", [BUILD, EXPORT, (*BUILD, "--dry-run")])
def test_plugin_is_killed(hanging: Sandbox, command: tuple[str, ...]) -> None:
    """Every command removes what a killed build has left."""
    process, docker = start(hanging)
    process.kill()
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert [*hanging.temporary.glob("poetry-docker-cache-*/secret/auth.toml")]
    os.kill(docker, signal.SIGKILL)
    outcome = repaired(hanging).run(*command)  # also searches for the secret
    assert outcome.status == 0, outcome.err


@fault(
    PROCESSES,
    Row(
        fault="the shell that started the build is killed",
        status=0,
        happens="the build goes on and removes its secret at the end",
    ),
)
def test_parent_shell_is_killed(hanging: Sandbox) -> None:
    """The build does not depend on the shell."""
    process, docker = start(hanging, "sh", "-c", '"$@" & echo $! > "$TMPDIR/plugin"; wait', "sh")
    mark = hanging.temporary / "plugin"
    until(lambda: mark.exists() and mark.read_text().endswith("\n"))
    plugin = int(mark.read_text())
    process.kill()
    process.wait()
    time.sleep(0.2)
    assert Path(f"/proc/{plugin}").exists()
    assert Path(f"/proc/{docker}").exists()
    os.kill(docker, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError):
        until(lambda: not Path(f"/proc/{plugin}").exists())
    hanging.search_secret((hanging.folder / "output").read_text())
    assert repaired(hanging).run(*BUILD).status == 0


@dataclass(frozen=True, kw_only=True)
class Client(Row):
    """A docker with a fault; its script gets the arguments of docker."""

    script: str
    fix: str = ""


CLIENTS = (
    Client(
        fault="docker prints text instead of JSON",
        script="echo '<html>proxy error</html>'",
        says="does not answer as Docker's client does: <html>proxy error</html>",
        fix="Install Docker's client, or put it first on the PATH. Check with: docker info",
    ),
    Client(
        fault="docker is a program for another platform",
        script="\x7fELF",
        says="docker cannot be run: Exec format error.",
        fix="Reinstall Docker's client, then check with: docker version",
    ),
    Client(
        fault="docker crashes at once",
        script="kill -SEGV $$",
        says="The Docker engine cannot be reached: docker printed no error",
        fix="`docker info` shows what is used.",
    ),
)


@rows(ENGINE, CLIENTS)
def test_broken_docker(sandbox: Sandbox, row: Client) -> None:
    """One error says that docker does not work; an export needs no docker."""
    docker = sandbox.client.folder / "docker"
    script = docker.read_text()
    start = "" if row.script.startswith("\x7f") else "#!/bin/sh\n"
    docker.write_text(f"{start}{row.script}\n")
    before = sandbox.files()
    outcome = sandbox.run(*BUILD)
    assert outcome.status == 1
    *_, says, fix = outcome.err.splitlines()
    assert row.says in says
    assert row.fix in fix
    assert changed(before, sandbox.files()) == set()
    assert sandbox.run(*EXPORT).status == 0
    docker.write_text(script)
    assert sandbox.run(*BUILD).status == 0


STOPS = """\
#!/bin/sh
case "$1 $2" in
"buildx build") touch "$0.stopped"; echo "ERROR: failed to build: EOF" >&2; exit 1 ;;
esac
test ! -e "$0.stopped" || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
exec "$0.real" "$@"
"""


@fault(
    ENGINE,
    Row(fault="the engine stops during the build", says="The Docker engine cannot be reached:"),
)
def test_engine_stops(sandbox: Sandbox) -> None:
    """The last lines say so: BuildKit's own message is only that the connection ended."""
    docker = sandbox.client.folder / "docker"
    docker.rename(docker.with_name("docker.real"))
    docker.write_text(STOPS)
    docker.chmod(0o755)
    before = sandbox.files()
    outcome = sandbox.run(*BUILD)
    assert outcome.status == 1
    *_, says, fix = outcome.err.splitlines()
    assert "The Docker engine cannot be reached: Cannot connect" in says
    assert "sudo systemctl start docker" in fix
    assert changed(before, sandbox.files()) == set()
    assert repaired(sandbox).run(*BUILD).status == 0
