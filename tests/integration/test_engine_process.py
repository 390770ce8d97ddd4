"""Real processes and signals: temporary folders are removed, exit status and terminal are kept."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engines import PATIENCE

from poetry_docker_cache.buildx.build_folder import build_folder, sweep
from poetry_docker_cache.buildx.engine import ask, probing, run
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import FRONTEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines import DockerEngine

    from poetry_docker_cache.buildx.engine_info import EngineInfo

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

# What a build does, in a separate process: a folder, a secret in it, a command.
DRIVER = """\
import sys
from pathlib import Path
from types import SimpleNamespace
from poetry_docker_cache.buildx import engine, build_folder as folders
from poetry_docker_cache.system import signals
signals._KILL_SECONDS = 600
{before}
with folders.build_folder(context=Path("/nowhere"), bases=[Path(sys.argv[1])]) as folder:
    folder.write("secret/auth.toml", "canary")
    {inside}
sys.exit(status)
"""
RUN = "status = engine.run(['sh', '-c', sys.argv[2]])"


def until(happens: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Return whether a process is running, and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Build:
    """A build in a separate process, and what it leaves behind."""

    def __init__(self, base: Path, *, inside: str = RUN, before: str = "", child: str = "") -> None:
        self.base = base
        self.marks = base.parent / "marks"
        self.marks.mkdir(exist_ok=True)
        source = DRIVER.format(inside=inside, before=textwrap.dedent(before))
        self.argv = [sys.executable, "-c", source, str(base), child]
        self.env = {**os.environ, "MARKS": str(self.marks)}

    def start(self) -> None:
        """Start it without a terminal, in its own process group as a shell would."""
        self.process = subprocess.Popen(
            self.argv, env=self.env, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def pid_of(self, mark: str) -> int:
        """Wait for a child's mark, which contains its process id."""
        path = self.marks / mark
        until(lambda: path.exists() and path.read_text().strip())
        return int(path.read_text())

    def left(self) -> list[str]:
        """List what is left of the folder."""
        return [path.name for path in self.base.iterdir()]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Return a folder for temporary files."""
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


@pytest.fixture
def started() -> Iterator[Callable[[Build], Build]]:
    """Return a function that starts builds; all of them end with the test."""
    builds: list[Build] = []

    def start(build: Build) -> Build:
        build.start()
        builds.append(build)
        return build

    yield start
    for build in builds:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(build.process.pid, signal.SIGKILL)
        build.process.wait()


# A buildx that stops cleanly, as the real one does.
TIDY = 'trap "exit 130" INT TERM; echo $$ > $MARKS/child; while :; do sleep 0.05; done'
# A docker that ignores signals and waits for its plugin, as the real one does on a terminal.
SWALLOWS = "trap : INT TERM; sh -c 'echo $$ > $MARKS/child; exec sleep 600'; exit 0"
# For tests of what happens before the plugin forwards a signal or kills the command.
SLOWLY = "signals._FORWARD_SECONDS = signals._KILL_SECONDS = 600"


@pytest.mark.parametrize(
    ("child", "number", "status"),
    [
        (TIDY, INT, 130),
        (TIDY, TERM, 143),
        (TIDY, signal.SIGQUIT, 131),
        (TIDY, HUP, 129),
        ("echo $$ > $MARKS/child; exec sleep 600", TERM, 143),
        (SWALLOWS, INT, 130),
        (SWALLOWS, TERM, 143),
        (SWALLOWS, HUP, 129),
    ],
)
def test_signal_while_buildkit_runs(
    base: Path, started: Callable[[Build], Build], child: str, number: int, status: int
) -> None:
    """A signal to the plugin alone ends the command and its children, and the folder is removed."""
    build = started(Build(base, child=child))
    pid = build.pid_of("child")
    assert build.left()
    build.process.send_signal(number)
    assert build.process.wait(PATIENCE) == status
    until(lambda: not is_running(pid))
    assert build.left() == []


@pytest.mark.parametrize("number", [INT, TERM, HUP, signal.SIGQUIT])
def test_signal_between_steps(base: Path, started: Callable[[Build], Build], number: int) -> None:
    """Before and after BuildKit runs, a signal ends the plugin and the folder is removed."""
    inside = "Path(sys.argv[1], 'ready').touch(); import time; time.sleep(600)"
    build = started(Build(base, inside=inside))
    until((base / "ready").exists)
    build.process.send_signal(number)
    assert build.process.wait(PATIENCE) == 128 + number
    assert build.left() == ["ready"]


@pytest.mark.parametrize("number", [INT, TERM, HUP])
def test_signal_while_the_folder_is_removed(
    base: Path, started: Callable[[Build], Build], number: int
) -> None:
    """The signal takes effect once the folder is removed."""
    before = """
        import os, shutil, time
        remove = shutil.rmtree
        def slow(path):
            Path(sys.argv[1], "ready").touch()
            while not Path(os.environ["MARKS"], "sent").exists():
                time.sleep(0.02)
            remove(path)
        shutil.rmtree = slow
    """
    build = started(Build(base, before=before, inside="status = 0"))
    until((base / "ready").exists)
    build.process.send_signal(number)
    (build.marks / "sent").touch()
    assert build.process.wait(PATIENCE) == 128 + number
    assert build.left() == ["ready"]


def test_killed_build_is_cleaned_up_by_the_next(
    base: Path, started: Callable[[Build], Build]
) -> None:
    """After SIGKILL the secret stays until the next build; a running build's folder is kept."""
    dead, live = (Build(base, child=TIDY.replace("child", name)) for name in ("dead", "live"))
    started(dead)
    child = dead.pid_of("dead")
    (killed,) = dead.left()
    started(live)
    live.pid_of("live")
    (other,) = set(live.left()) - {killed}
    dead.process.kill()
    dead.process.wait()
    os.kill(child, signal.SIGKILL)
    assert sorted(dead.left()) == sorted([killed, other])
    sweep([base])
    assert dead.left() == [other]
    live.process.send_signal(TERM)
    assert live.process.wait(PATIENCE) == 143
    assert live.left() == []


def test_many_builds_at_once(base: Path) -> None:
    """Builds that start and end at the same time never remove each other's folder."""
    script = textwrap.dedent("""\
        import sys
        from pathlib import Path
        from poetry_docker_cache.buildx.build_folder import build_folder, sweep
        for _ in range(100):
            sweep([Path(sys.argv[1])])
            with build_folder(context=Path("/nowhere"), bases=[Path(sys.argv[1])]) as folder:
                auth = folder.write("auth", "x")
                assert auth.read_text() == "x"
    """)
    argv = [sys.executable, "-c", script, str(base)]
    builds = [subprocess.Popen(argv) for _ in range(4)]
    assert [build.wait(PATIENCE) for build in builds] == [0] * 4
    assert list(base.iterdir()) == []


def test_command_that_ignores_signals_is_killed(
    base: Path, started: Callable[[Build], Build]
) -> None:
    """A command that ignores every signal is killed after a while."""
    build = started(
        Build(
            base,
            before="signals._KILL_SECONDS = 0.3",
            child='trap "" INT TERM HUP; echo $$ > $MARKS/child; while :; do sleep 0.05; done',
        )
    )
    pid = build.pid_of("child")
    build.process.send_signal(TERM)
    assert build.process.wait(PATIENCE) == 143
    until(lambda: not is_running(pid))
    assert build.left() == []


def test_nohup_is_respected(base: Path, started: Callable[[Build], Build]) -> None:
    """A signal that was ignored at the start stays ignored, by the command too."""
    waiting = "while ! test -e $MARKS/sent; do sleep 0.05; done"
    build = Build(base, child=f"echo $$ > $MARKS/child; {waiting}; exit 7")
    build.argv = ["nohup", *build.argv]
    started(build)
    pid = build.pid_of("child")
    build.process.send_signal(HUP)
    time.sleep(0.2)
    assert is_running(pid)
    (build.marks / "sent").touch()
    assert build.process.wait(PATIENCE) == 7


class Terminal:
    """A build on its own pseudo-terminal."""

    def __init__(self, build: Build) -> None:
        self.output = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(build.argv[0], build.argv, build.env)

    def read(self) -> None:
        """Read the output, so that no writer blocks."""
        with contextlib.suppress(OSError):  # the last process on the terminal has ended
            while select.select([self.master], [], [], 0)[0]:
                self.output += os.read(self.master, 65536)

    def status(self) -> int:
        """Wait for the end and return the exit status."""
        found: list[int] = []

        def ended() -> bool:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                found.append(os.waitstatus_to_exitcode(status))
            return bool(pid)

        until(ended)
        os.close(self.master)
        return found[0]


def test_command_keeps_the_terminal(base: Path) -> None:
    """The command gets the terminal itself, on all three descriptors."""
    build = Build(base, child="test -t 0 && test -t 1 && test -t 2 && exit 42")
    assert Terminal(build).status() == 42


def test_ctrl_c_reaches_the_command_once(base: Path) -> None:
    """Ctrl-C reaches the command once, from the terminal; its own exit status is returned."""
    child = (
        'trap "echo x >> $MARKS/hits; over=yes" INT; echo $$ > $MARKS/child;'
        ' while test -z "$over"; do sleep 0.05; done; sleep 0.3; exit 130'
    )
    build = Build(base, before=SLOWLY, child=child)
    terminal = Terminal(build)
    pid = build.pid_of("child")
    os.write(terminal.master, b"\x03")
    assert terminal.status() == 130
    assert not is_running(pid)
    assert (build.marks / "hits").read_text() == "x\n"
    assert build.left() == []


def test_second_ctrl_c_reaches_the_command(base: Path) -> None:
    """The command ends only after a second Ctrl-C."""
    child = (
        'n=0; trap "n=\\$((n+1)); echo \\$n > $MARKS/hits" INT; echo $$ > $MARKS/child;'
        " while test $n -lt 2; do sleep 0.05; done; exit 9"
    )
    build = Build(base, before=SLOWLY, child=child)
    terminal = Terminal(build)
    build.pid_of("child")
    os.write(terminal.master, b"\x03")
    until((build.marks / "hits").exists)
    os.write(terminal.master, b"\x03")
    assert terminal.status() == 130
    assert build.left() == []


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 1", 1), ("exit 130", 130), ("kill -KILL $$", 137)],
)
def test_exit_status(script: str, status: int) -> None:
    """The command's status is passed on; a signal gives the same status as in a shell."""
    assert run(["sh", "-c", script]) == status


def test_environment() -> None:
    """A given environment replaces the current one."""
    env = {"PATH": os.environ["PATH"], "ANSWER": "5"}
    assert run(["sh", "-c", "exit $ANSWER"], env=env) == 5


def test_missing_command() -> None:
    """A missing client is a user-facing error."""
    with pytest.raises(DockerCacheError, match="cannot be run"):
        run(["/nonexistent/docker"])
    with pytest.raises(DockerCacheError, match="cannot be run"):
        ask([["/nonexistent/docker"]])


def test_signal_handlers_are_restored(base: Path) -> None:
    """After a build the signals have their earlier handlers."""
    before = [signal.getsignal(number) for number in (INT, TERM, HUP)]
    with build_folder(context=Path("/nowhere"), bases=[base]):
        within = [signal.getsignal(number) for number in (INT, TERM, HUP)]
        run(["true"])
        assert [signal.getsignal(number) for number in (INT, TERM, HUP)] == within
        assert within != before
    assert [signal.getsignal(number) for number in (INT, TERM, HUP)] == before


@contextlib.contextmanager
def open_terminal() -> Iterator[None]:
    """Replace stdin by a terminal that stays open."""
    reader, writer = os.pipe()
    saved = os.dup(0)
    os.dup2(reader, 0)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        for descriptor in (reader, writer, saved):
            os.close(descriptor)


def fake_docker(folder: Path, script: str) -> None:
    """Put a `docker` into a folder."""
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def probe(builder: str | None = None, *, docker: str | None = None) -> EngineInfo:
    """Probe the engine and wait for the answer."""
    with probing(builder, docker=docker) as found:
        return found()


def test_probe_leaves_time_for_other_work(tmp_path: Path) -> None:
    """Docker starts at once, and is ended if its answer is not needed."""
    marks = tmp_path / "marks"
    marks.mkdir()
    fake_docker(tmp_path, f'echo $$ > "{marks}/$$"; exec sleep 600')
    with probing(docker=str(tmp_path / "docker")):
        until(lambda: len([*marks.iterdir()]) == 2)
    assert not any(is_running(int(mark.name)) for mark in marks.iterdir())


def test_probe_runs_queries_concurrently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both queries run at the same time, and neither can read the terminal."""
    fake_docker(
        tmp_path,
        """
        cat  # would wait for ever on a terminal
        mine=$1; case $mine in info) other=buildx;; *) other=info;; esac
        touch "$MARKS/$mine"
        until test -e "$MARKS/$other"; do sleep 0.02; done
        case $mine in
        info) echo '{"ServerVersion": "28.5.2", "DriverStatus": [], "ClientInfo":
            {"Context": "default", "Plugins": [{"Name": "buildx", "Version": "v0.29.1"}]}}';;
        *) printf 'Name: %s\\nDriver: docker\\n\\nNodes:\\nName: a\\nEndpoint: default\\n' "$3";;
        esac""",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MARKS", str(tmp_path))
    monkeypatch.setattr("poetry_docker_cache.buildx.engine._ANSWER_SECONDS", PATIENCE)
    with open_terminal():
        found = probe("mine")
    assert (found.builder, found.store, found.engine) == ("mine", "classic", (28, 5, 2))
    assert found.docker == str(tmp_path / "docker")


def test_probe_of_a_hanging_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute without an answer there is an error, and no process is left."""
    fake_docker(tmp_path, 'echo $$ >> "$MARKS/pids"; exec sleep 600')
    pids = tmp_path / "pids"
    pids.touch()
    monkeypatch.setenv("MARKS", str(tmp_path))
    monkeypatch.setattr("poetry_docker_cache.buildx.engine._ANSWER_SECONDS", 0.3)
    with probing(docker=str(tmp_path / "docker")) as found:
        until(lambda: len(pids.read_text().split()) == 2)
        with pytest.raises(DockerCacheError, match=r"no answer within 0\.3 seconds"):
            found()
    assert not any(is_running(int(pid)) for pid in pids.read_text().split())


@pytest.mark.engine
def test_probe_of_a_real_engine(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of the tests is described correctly; an unknown builder is an error."""
    for name, value in engine.env.items():
        monkeypatch.setenv(name, value)
    found = probe()
    assert (found.driver, found.store) == ("docker", "containerd")
    assert found.engine is not None
    assert found.engine >= (28, 5)
    assert found.has_frontend(FRONTEND)
    with pytest.raises(DockerCacheError, match="no builder 'absent'"):
        probe("absent")


@pytest.mark.engine
def test_bridge_keeps_its_address(engine: DockerEngine) -> None:
    """Containers that know the address keep their network when others start and end."""
    option = '{{index .Options "com.docker.network.bridge.name"}}'
    bridge = engine.docker("network", "inspect", "--format", option, "bridge").stdout.strip()
    origin = Path("/sys/class/net", bridge, "addr_assign_type")
    if not origin.exists():
        pytest.skip("the engine runs on another machine")
    assert origin.read_text(encoding="ascii") == "3\n", "an address that was set (net/core)"


@pytest.mark.engine
@pytest.mark.parametrize("number", [INT, TERM, HUP])
def test_signal_on_a_terminal_ends_a_real_build(
    base: Path, engine: DockerEngine, number: int
) -> None:
    """Docker 28.5 ignores a SIGTERM on a terminal; the build has to end all the same."""
    context = base.parent / "context"
    context.mkdir()
    text = f"FROM python:3.13-slim\nRUN echo {time.time()} && echo started && sleep 600\n"
    inside = (
        f"folder.write('build/Dockerfile', {text!r});"
        " status = engine.run(['docker', 'buildx', 'build', '--progress', 'plain', '--file',"
        " str(folder.path / 'build/Dockerfile'), '--secret',"
        f" f'id=auth,src={{folder.path}}/secret/auth.toml', {str(context)!r}])"
    )
    build = Build(base, inside=inside)
    build.env |= engine.env
    terminal = Terminal(build)

    def running() -> bool:
        terminal.read()
        return b"started\r\n" in terminal.output

    until(running)
    (name,) = build.left()
    os.kill(terminal.pid, number)
    assert terminal.status() == 128 + number, terminal.output
    assert build.left() == []
    until(lambda: name.encode() not in b"".join(commands()))


def commands() -> Iterator[bytes]:
    """Yield the command lines of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


@dataclass
class Recorder:
    """A watch that records."""

    found: list[tuple[str, str]] = field(default_factory=list)
    ticks: int = 0

    def read(self, line: str) -> None:
        """Record a line."""
        self.found.append(("line", line))

    def ask(self, text: str) -> None:
        """Record a question."""
        self.found.append(("question", text))

    def tick(self) -> None:
        """Count."""
        self.ticks += 1


def test_stderr_is_passed_on_line_by_line() -> None:
    """The stderr of a command is passed on line by line; an unfinished line is a question."""
    code = (
        "import sys, time; write = sys.stderr.buffer.write\n"
        'write(b\'one\\n{"a": "\\xff\'); sys.stderr.flush(); time.sleep(0.5)\n'
        "write(b'\"}\\nContinue? '); sys.stderr.flush(); time.sleep(0.5)\n"
        "write(b'two\\r\\nend'); sys.exit(3)"
    )
    recorder = Recorder()
    assert run([sys.executable, "-c", code], watch=recorder) == 3
    assert recorder.found == [
        ("line", "one"),
        ("line", '{"a": "\ufffd"}'),
        ("question", "Continue? "),
        ("line", "two"),
        ("line", "end"),
    ]
    assert recorder.ticks > 4


def test_watched_command_leaves_a_process() -> None:
    """It keeps the pipe open, as a credential helper may: that is not waited for."""
    recorder = Recorder()
    started = time.monotonic()
    assert run(["sh", "-c", "echo end >&2; sleep 30 & exit 3"], watch=recorder) == 3
    assert time.monotonic() - started < 15
    assert recorder.found == [("line", "end")]
