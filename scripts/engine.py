#!/usr/bin/env python3
"""A private container engine for tests and the demo, on a Debian machine that has none.

    python scripts/engine.py up [--name NAME] [--store containerd|classic] [--images 3.13-slim,3.13]
    eval "$(python scripts/engine.py env)"
    python scripts/engine.py down --all

Everything lives in a state directory and in one folder below /run. `down` ends the processes that
`up` started and takes away mounts, bridges and firewall rules; downloads are kept unless --purge.
Needs root. From Python: `with Engine.up(name="ci") as engine: subprocess.run(..., env=engine.env)`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

if not __package__:  # run as a script: its own folder is on the path, not the one above
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from scripts import debian, network  # noqa: E402
from scripts.processes import (  # noqa: E402
    SYSTEM_PATH,
    Daemon,
    EngineError,
    end_shims,
    run,
    say,
    unmount_below,
)
from scripts.registry import ADDRESS, Registry  # noqa: E402

STORES = ("containerd", "classic")
IMAGES = ("3.13-slim",)


def default_state() -> Path:
    """Where everything is kept unless told otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "poetry-docker-cache" / "engine"


class Engine:
    """A dockerd with a containerd, a network and an image store of its own."""

    def __init__(self, name: str = "main", state: Path | None = None) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
            raise EngineError(f"an engine's name is lower-case letters, digits and '-': {name!r}")
        self.name = name
        self.state = (state or default_state()).resolve()
        if set(str(self.state)) & set(",:\n"):  # overlayfs separates its options by these
            raise EngineError(f"the state directory's path has a ',' or ':': {self.state}")
        self.folder = self.state / "engines" / name
        # Sockets want short paths, and the folder's hash keeps two state directories apart.
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:8]
        self.run_dir = Path("/run") / f"poetry-docker-cache-{digest}" / name
        tag = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]
        self.network = network.Network(f"pdc-{tag}", self.folder / "network.json")
        self.cgroup = f"pdc-{tag}"
        self.dockerd = Daemon(self.folder / "dockerd.json")
        self.containerd = Daemon(self.folder / "containerd.json")
        self.started = False
        """Whether this object started the engine, or found it running."""

    @classmethod
    def up(
        cls,
        name: str = "main",
        *,
        store: str | None = None,
        images: Sequence[str] = IMAGES,
        state: Path | None = None,
    ) -> Engine:
        """Have an engine running with these images in its registry; start what is missing."""
        engine = cls(name, state)
        if os.geteuid() != 0:
            raise EngineError("an engine needs root")
        with _lock(engine.state):
            debian.install_missing()
            debian.unpack_engine(engine.state)
            registry = Registry(engine.state)
            try:
                registry.up()
                engine._ensure(store)
                for image in images:
                    registry.provide(image)
            except BaseException:
                if engine.started:
                    engine._down()
                elif not _engines(engine.state):
                    registry.down()
                raise
        return engine

    @property
    def env(self) -> dict[str, str]:
        """The variables to set over the environment, for docker and buildx to use this engine."""
        tools = str(self.state / "bin")
        path = os.environ.get("PATH", SYSTEM_PATH).split(os.pathsep)
        return {
            "DOCKER_HOST": f"unix://{self.run_dir}/docker.sock",
            "DOCKER_CONFIG": str(self.folder / "docker-config"),
            "PATH": os.pathsep.join([tools, *(part for part in path if part != tools)]),
            "ENGINE_REGISTRY": ADDRESS,
        }

    @property
    def running(self) -> bool:
        """Whether the engine is there and answers."""
        return self.dockerd.pid is not None and _pings(self.run_dir / "docker.sock")

    @property
    def store(self) -> str:
        """Which image store it was started with."""
        config = json.loads((self.folder / "daemon.json").read_text(encoding="utf-8"))
        return STORES[not config["features"]["containerd-snapshotter"]]

    def down(self) -> None:
        """Stop the engine and remove its data; the last one takes the registry along."""
        with _lock(self.state):
            self._down()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started:  # one that was running before goes on
            self.down()

    def _ensure(self, store: str | None) -> None:
        if self.running:
            if store not in (None, self.store):
                raise EngineError(f"{self.name} runs with the {self.store} store: `down` it first")
            return
        self._stop()  # what a crash or a reboot has left
        self.started = True
        say(f"starting {self.name}")
        config_dir = self.folder / "docker-config"
        (config_dir / "cli-plugins").mkdir(parents=True)
        self.run_dir.mkdir(parents=True)
        root, tools = self.state / "root", self.state / "bin"
        tools.mkdir(exist_ok=True)
        plugin = root / "usr/libexec/docker/cli-plugins/docker-buildx"
        (config_dir / "cli-plugins/docker-buildx").symlink_to(plugin)
        for binary in ("docker", "crane"):
            with contextlib.suppress(FileExistsError):
                (tools / binary).symlink_to(root / "usr/bin" / binary)
        path = f"{root}/usr/sbin:{root}/usr/bin:{root}/usr/libexec/docker:{SYSTEM_PATH}"
        env = {"PATH": path, "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        self.network.up()

        grpc = self.run_dir / "containerd.sock"
        toml = self.folder / "containerd.toml"
        toml.write_text(self._containerd_config(grpc), encoding="utf-8")
        self.containerd.start([root / "usr/bin/containerd", "--config", toml], env)
        self.containerd.wait(grpc.exists)

        config = self.folder / "daemon.json"
        config.write_text(json.dumps(self._dockerd_config(grpc, store), indent=1), encoding="utf-8")
        self.dockerd.start([root / "usr/sbin/dockerd", "--config-file", config], env)
        self.dockerd.wait(lambda: _pings(self.run_dir / "docker.sock"))

    def _containerd_config(self, grpc: Path) -> str:
        quote = json.dumps  # a JSON string is a TOML string
        # The CRI would listen for Kubernetes, "opt" would create a folder below /opt.
        unused = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
        return (
            f"version = 2\nroot = {quote(str(self.folder / 'containerd'))}\n"
            f"state = {quote(str(self.run_dir / 'containerd'))}\n"
            f"disabled_plugins = {quote(unused)}\n[grpc]\naddress = {quote(str(grpc))}\n"
        )

    def _dockerd_config(self, grpc: Path, store: str | None) -> dict[str, object]:
        return {
            "data-root": str(self.folder / "data"),
            "exec-root": str(self.run_dir / "exec"),
            "hosts": [f"unix://{self.run_dir}/docker.sock"],
            "pidfile": str(self.run_dir / "dockerd.pid"),
            "containerd": str(grpc),
            "features": {"containerd-snapshotter": store != "classic"},
            "registry-mirrors": [f"http://{ADDRESS}"],
            "insecure-registries": [ADDRESS],
            # cgroupfs, with a parent of its own: nothing of it stays behind
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{self.cgroup}",
            "shutdown-timeout": 5,
            **self.network.dockerd_config(),
        }

    def _down(self) -> None:
        if self.folder.exists():
            say(f"stopping {self.name}")
        self._stop()
        self.started = False
        if not _engines(self.state):
            Registry(self.state).down()
            network.restore_forwarding(self.state / "ip_forward")
            for folder in (self.run_dir.parent, Path("/run/containerd/s"), Path("/run/containerd")):
                with contextlib.suppress(OSError):  # not there, or others use it
                    folder.rmdir()

    def _stop(self) -> None:
        self.dockerd.stop()
        self.containerd.stop()
        end_shims(self.run_dir)
        for folder in (self.run_dir, self.folder):
            unmount_below(folder)
        self.network.down()
        for parent in [*Path("/sys/fs/cgroup").glob(f"*/{self.cgroup}")] + [
            Path("/sys/fs/cgroup") / self.cgroup
        ]:
            for folder, _, _ in os.walk(parent, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        for folder_ in (self.run_dir, self.folder):
            if folder_.exists():
                shutil.rmtree(folder_)


def _engines(state: Path) -> list[str]:
    folder = state / "engines"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


@contextlib.contextmanager
def _lock(state: Path) -> Iterator[None]:
    """One `up` or `down` at a time: test workers ask for the same engine at once."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pings(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return b" 200 " in connection.recv(64)
    return False


def usable_engine() -> bool:
    """Whether this machine already has a Docker engine and buildx, in the environment as it is."""
    try:
        for command in (["docker", "info"], ["docker", "buildx", "version"]):
            subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start an engine, print its environment")
    down = commands.add_parser("down", help="stop it and remove its data")
    env = commands.add_parser("env", help="print the environment of a running engine")
    for command in (up, down, env):
        command.add_argument("--name", default="main")
        command.add_argument("--state", type=Path, help=f"default: {default_state()}")
    up.add_argument("--store", choices=STORES)
    up.add_argument("--images", default=",".join(IMAGES), help="tags of python, comma-separated")
    up.add_argument("--prefer-existing", action="store_true", help="nothing if Docker works here")
    down.add_argument("--all", action="store_true", help="every engine")
    down.add_argument("--purge", action="store_true", help="every engine and all downloads")
    options = parser.parse_args(arguments)
    try:
        if options.command == "down":
            engine = Engine(options.name, options.state)
            every = options.all or options.purge
            for name in _engines(engine.state) if every else [engine.name]:
                Engine(name, options.state).down()
            if options.purge:
                shutil.rmtree(engine.state)
            return 0
        if options.command == "up":
            if options.prefer_existing and usable_engine():
                say("using the Docker engine of this machine")
                return 0
            images = [image for image in options.images.split(",") if image]
            engine = Engine.up(
                options.name, store=options.store, images=images, state=options.state
            )
        else:
            engine = Engine(options.name, options.state)
            if not engine.running:
                raise EngineError(f"{engine.name} is not running")
    except EngineError as error:
        say(str(error))
        return 1
    for key, value in engine.env.items():
        print(f"export {key}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
