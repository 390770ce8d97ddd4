"""What is made of the answers of `docker info` and `docker buildx inspect`.

Answers marked "seen" were printed by the real programs, shortened to what is read.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from poetry_docker_cache.buildx.engine import find, probing
from poetry_docker_cache.buildx.engine_info import Answer, EngineInfo, parse_version
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import FRONTEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

BUILDX = {"Name": "buildx", "Version": "0.29.1+ds1", "Path": "/x/docker-buildx"}
CONTAINERD = [["driver-type", "io.containerd.snapshotter.v1"]]
CLASSIC = [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]]
DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon"


def info(
    version: str = "28.5.2+dfsg4",
    *,
    status: list[list[str]] | None = CONTAINERD,
    plugins: Sequence[dict[str, str]] = (BUILDX,),
    **more: Any,  # noqa: ANN401  # JSON
) -> Answer:
    """Answer `docker info` as a client does that reaches its engine; seen with 20.10 and 28.5."""
    facts = {
        "ServerVersion": version,
        "DriverStatus": status,
        "OSType": "linux",
        "ClientInfo": {"Context": "default", "Plugins": list(plugins)},
        **more,
    }
    return Answer(status=0, out=json.dumps(facts), err="")


def inspect(
    buildkit: str = "v0.25.1", *, driver: str = "docker", node: str = "", labels: str = ""
) -> Answer:
    """Answer `docker buildx inspect`."""
    out = f"""\
Name:          default
Driver:        {driver}
Last Activity: 2026-11-24 07:23:11 +0000 UTC

Nodes:
Name:             default
Endpoint:         default
{node or "Status:           running"}
{f"BuildKit version: {buildkit}" if buildkit else ""}
Platforms:        linux/amd64, linux/386
{labels}
GC Policy rule#0:
 All:            false
"""
    return Answer(status=0, out=out, err="")


# Seen: Debian's engine 28.5 with either store does not know its own BuildKit's version.
DEBIAN = inspect(
    "v0.0.0+unknown", labels="Labels:\n org.mobyproject.buildkit.worker.snapshotter: overlayfs"
)
# Seen: engine 20.10, buildx 0.29.
OLD = inspect("v0.8+unknown")
# Seen: a builder that was created and not started yet.
NOT_STARTED = """\
Name:          cont
Driver:        docker-container
Last Activity: 2026-11-24 07:31:09 +0000 UTC

Nodes:
Name:                  cont0
Endpoint:              unix:///var/run/docker.sock
{options}Status:                inactive
BuildKit daemon flags: --allow-insecure-entitlement=network.host
"""
# Seen: no engine at the other end.
NO_ENGINE = Answer(
    status=1,
    out=json.dumps(
        {"ServerVersion": "", "DriverStatus": None, "ClientInfo": {"Plugins": [BUILDX]}}
    ),
    err=f"{DOWN} running?\n",
)
NO_ENGINE_INSPECT = Answer(
    status=0, out=f"Name:   default\nDriver: \nError:  {DOWN} running?\n", err=""
)
NO_BUILDX = Answer(
    status=1, out="", err="docker: unknown command: docker buildx\n\nRun 'docker --help' for more\n"
)


class Docker:
    """A client that gives prepared answers, and records the commands."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    @contextlib.contextmanager
    def __call__(self, commands: Sequence[Sequence[str]]) -> Iterator[Callable[[], list[Answer]]]:
        """Answer the next commands."""
        self.asked.extend(" ".join(command) for command in commands)
        yield lambda: [self.answers.pop(0) for _ in commands]


def probe(docker: Docker, builder: str | None = None) -> EngineInfo:
    """Query this client."""
    with probing(builder, docker="docker", asking=docker) as found:
        return found()


def probed(*answers: Answer, builder: str | None = None) -> EngineInfo:
    """Query a client with these answers."""
    return probe(Docker(*answers), builder)


def refused(*answers: Answer, builder: str | None = None) -> DockerCacheError:
    """Return the error of a query, which always has a fix."""
    with pytest.raises(DockerCacheError) as caught:
        probed(*answers, builder=builder)
    assert caught.value.fix
    return caught.value


def test_two_parallel_calls() -> None:
    """All information comes from two calls."""
    docker = Docker(info(), inspect())
    probe(docker, "big")
    assert docker.asked == [
        "docker info --format {{json .}}",
        "docker buildx inspect big",
    ]


@pytest.mark.parametrize(
    ("answers", "engine", "store", "frontend", "enough"),
    [
        ((info("20.10.24+dfsg1", status=CLASSIC), OLD), (20, 10, 24), "classic", (1, 2), False),
        ((info("23.0.6", status=CLASSIC), inspect("v0.10.6")), (23, 0, 6), "classic", (1, 4), True),
        ((info("23.0"), inspect("v0.10.6")), (23, 0), "containerd", (1, 4), True),
        ((info(status=CLASSIC), DEBIAN), (28, 5, 2), "classic", (1, 19), True),
        ((info(), DEBIAN), (28, 5, 2), "containerd", (1, 19), True),
        ((info("29.1.0"), inspect("v0.26.0")), (29, 1, 0), "containerd", (1, 20), True),
        ((info("27.1.1"), inspect("v0.15.1")), (27, 1, 1), "containerd", (1, 6), True),
        ((info("dev"), inspect("v0.9.3")), None, "containerd", (1, 3), False),
        ((info("dev"), inspect("v0.0.0+unknown")), None, "containerd", None, False),
    ],
)
def test_engines(
    answers: tuple[Answer, Answer],
    engine: tuple[int, ...] | None,
    store: str,
    frontend: tuple[int, ...] | None,
    enough: bool,
) -> None:
    """Version, image store and built-in frontend are detected."""
    found = probed(*answers)
    assert (found.engine, found.store, found.frontend) == (engine, store, frontend)
    assert found.has_frontend(FRONTEND) is enough
    assert (found.builder, found.driver, found.buildx) == ("default", "docker", (0, 29, 1))


@pytest.mark.parametrize(
    ("out", "frontend"),
    [
        (inspect("v0.25.1", driver="docker-container").out, (1, 19)),
        (inspect("v0.12.0", driver="docker-container").out, (1, 6)),
        (inspect("v0.9.3", driver="remote").out, (1, 3)),
        (inspect("v1.2.0", driver="remote").out, (1, 4)),
        (inspect("", driver="remote").out, None),
        (NOT_STARTED.format(options=""), (1, 4)),
        (NOT_STARTED.format(options='Driver Options: image="moby/buildkit:v0.12.0"\n'), (1, 6)),
        (NOT_STARTED.format(options='Driver Options: image="moby/buildkit:v0.8.2"\n'), (1, 2)),
        (NOT_STARTED.format(options='Driver Options: image="r:5000/buildkit"\n'), None),
        (NOT_STARTED.format(options='Driver Options: network="host"\n'), (1, 4)),
        (
            inspect("v0.25.1", driver="remote").out
            + "\nName: second\nEndpoint: tcp://b\nStatus: running\nBuildKit version: v0.9.0\n",
            (1, 3),
        ),
        (
            inspect("v0.25.1", driver="remote").out
            + "\nName: second\nEndpoint: tcp://b\nStatus: inactive\n",
            None,
        ),
    ],
)
def test_other_builders(out: str, frontend: tuple[int, ...] | None) -> None:
    """Their frontend is that of the oldest BuildKit among their nodes."""
    assert probed(info(), Answer(status=0, out=out, err="")).frontend == frontend


def test_buildkit_version_of_an_old_buildx() -> None:
    """Until 0.12, the field was called Buildkit and contained the engine's version."""
    answer = inspect("", node="Status: running\nBuildkit: 20.10.24")
    assert probed(info("dev"), answer).frontend == (1, 2)


def test_remote_builder_needs_no_engine() -> None:
    """It works without an engine on this machine, but nothing can be loaded."""
    found = probed(NO_ENGINE, inspect("v0.25.1", driver="remote"))
    assert (found.engine, found.store, found.driver) == (None, None, "remote")


def test_builder_of_another_context() -> None:
    """It builds on that context's engine, so that engine is queried."""
    there = inspect().out.replace("Endpoint:         default", "Endpoint:         far")
    docker = Docker(
        info("28.5.2"), Answer(status=0, out=there, err=""), info("20.10.1", status=CLASSIC)
    )
    found = probe(docker, "far")
    assert docker.asked[2] == "docker --context far info --format {{json .}}"
    assert (found.engine, found.store) == ((20, 10, 1), "classic")


def test_engine_not_running() -> None:
    """The error quotes the client, which names the address."""
    for answers in [(NO_ENGINE, NO_ENGINE_INSPECT), (NO_ENGINE, inspect("", driver="docker"))]:
        error = refused(*answers)
        assert "unix:///var/run/docker.sock" in error.problem
        assert "DOCKER_HOST" in error.fix


def test_engine_not_running_with_old_client() -> None:
    """Docker 20.10 succeeds and lists the error."""
    answer = info("", ServerErrors=[f"{DOWN} running?"])
    assert DOWN in refused(answer, inspect()).problem


def test_unreachable_nodes() -> None:
    """If all nodes fail, the error quotes the first one."""
    broken = inspect("", driver="remote", node="Error:  dial tcp 10.0.0.9:1234: i/o timeout")
    assert "i/o timeout" in refused(info(), broken).problem


def test_failed_ssh() -> None:
    """The error quotes ssh, without its command line (seen with DOCKER_HOST=ssh://nohost)."""
    error = (
        'error during connect: Head "http://docker.example.com/_ping": command [ssh -T -- nohost'
        " docker system dial-stdio] has exited with exit status 255, make sure the URL is valid:"
        " stderr=me@nohost: Permission denied (publickey).\n"
    )
    inspected = Answer(status=0, out=f"Name: default\nDriver: \nError:  {error}\n", err="")
    refusal = refused(NO_ENGINE, inspected)
    assert refusal.problem.endswith("reached: me@nohost: Permission denied (publickey).")
    assert "usermod" not in refusal.fix


def test_permission_denied() -> None:
    """Seen as another user: the group is named, not the daemon."""
    message = (
        "permission denied while trying to connect to the Docker daemon socket at unix:///x.sock"
    )
    error = refused(
        Answer(status=1, out=NO_ENGINE.out, err=message),
        Answer(status=0, out=f"Name: default\nDriver: \nError:  {message}\n", err=""),
    )
    assert "usermod -aG docker" in error.fix


@pytest.mark.parametrize(
    "message",
    [
        "ERROR: mkdir /home/me/.docker: read-only file system",
        "ERROR: stat /root/.docker/buildx/instances: permission denied",
        "WARNING: Error loading config file: open /root/.docker/config.json: permission denied",
    ],
)
def test_home_that_cannot_be_used(message: str) -> None:
    """Seen: the engine is not at fault."""
    error = refused(info(), Answer(status=1, out="", err=f"{message}\n"))
    assert "cannot use the folder of its settings" in error.problem
    assert error.fix.startswith("Set HOME")


@pytest.mark.parametrize("home", [None, ""])
def test_user_without_a_home(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    """Docker would create `.docker` in the project."""
    for name in ("HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    with pytest.raises(DockerCacheError, match="HOME is not set") as caught, probing(docker="x"):
        pass
    assert "DOCKER_CONFIG" in caught.value.fix


def test_context_that_does_not_exist() -> None:
    """Seen: buildx says `no builder`, the client itself knows better."""
    error = refused(
        Answer(
            status=1,
            out="",
            err='Failed to initialize: unable to resolve docker endpoint: context "nope": context'
            " not found: open /home/me/.docker/contexts/meta/ca37/meta.json: no such file",
        ),
        Answer(status=1, out="", err='ERROR: no builder "nope" found\n'),
    )
    assert error.problem.endswith('context "nope": context not found')
    assert "docker context ls" in error.fix


def test_no_buildx() -> None:
    """Seen with Debian's client alone."""
    error = refused(info(plugins=[]), NO_BUILDX)
    assert "buildx is not installed" in error.problem
    assert "docker-buildx" in error.fix


def test_broken_buildx() -> None:
    """Seen with a plugin that lacks its executable bit: the client says why."""
    plugin = {"Name": "buildx", "Err": "failed to fetch metadata: fork/exec /x: permission denied"}
    assert "fork/exec /x" in refused(info(plugins=[plugin]), NO_BUILDX).problem


def test_no_buildx_and_no_engine() -> None:
    """The missing plugin is reported first."""
    down = json.dumps({"ServerVersion": "", "ClientInfo": {"Plugins": []}})
    assert (
        "buildx is not installed"
        in refused(Answer(status=1, out=down, err=DOWN), NO_BUILDX).problem
    )


def test_no_such_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: the builder is named, whether by option or by variable."""
    answers = (info(), Answer(status=1, out="", err='ERROR: no builder "big" found\n'))
    assert "'big'" in refused(*answers, builder="big").problem
    monkeypatch.setenv("BUILDX_BUILDER", "big")
    assert "docker buildx create --name big" in refused(*answers).fix


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((info("19.03.15"), inspect()), "19.3.15 is too old"),
        ((info("18.09.9"), inspect()), "18.9.9 is too old"),
        ((info(plugins=[{"Name": "buildx", "Version": "v0.7.1"}]), inspect()), "0.7.1 is too old"),
    ],
)
def test_too_old(answers: tuple[Answer, Answer], said: str) -> None:
    """Engine and plugin have a minimum version."""
    assert said in refused(*answers).problem


def test_buildx_of_unknown_version_is_not_old() -> None:
    """A plugin built from source may not know its version."""
    assert probed(info(plugins=[{"Name": "buildx", "Version": "dev"}]), inspect()).buildx


@pytest.mark.parametrize(
    "answers",
    [
        # Seen with Podman 4.3 from Debian, once unable to start and once as its info looks.
        (
            Answer(status=125, out="", err="Error: could not find a working conmon binary"),
            Answer(status=125, out="", err="Error: unrecognized command `podman buildx inspect`"),
        ),
        (
            Answer(status=0, out='{"host": {"buildahVersion": "1.28.2"}}', err=""),
            Answer(status=125, out="", err="Error: unrecognized command"),
        ),
        # Docker's client on Podman's socket.
        (info("4.9.3"), inspect()),
    ],
)
def test_podman(answers: tuple[Answer, Answer]) -> None:
    """Its `buildx` is not BuildKit."""
    assert "Podman" in refused(*answers).problem


def test_long_and_odd_messages() -> None:
    """At most 300 characters of one line are shown, and an answer may be invalid JSON."""
    long = Answer(status=1, out="[]", err="\n  ERROR: first " + "x" * 400 + "\nsecond\n")
    problem = refused(long, long).problem
    assert ": first x" in problem
    assert problem.endswith("…")
    assert len(problem) < 400
    assert "printed no error" in refused(*[Answer(status=1, out="", err="")] * 2).problem


def test_no_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says what works without docker."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DockerCacheError, match="`docker` not found on the PATH") as caught:
        find()
    assert "poetry docker export" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v0.29.1-desktop.1", (0, 29, 1)),
        ("github.com/docker/buildx 0.29.1+ds1", (0, 29, 1)),
        ("v0.0.0+unknown", None),
        ("dev", None),
        ("", None),
    ],
)
def test_versions(text: str, version: tuple[int, ...] | None) -> None:
    """Versions are found in any surrounding text."""
    assert parse_version(text) == version
