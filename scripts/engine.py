#!/usr/bin/env python3
"""Run a private container engine for tests and the demo on a Debian machine without one.

    python scripts/engine.py up [--name NAME] [--store containerd|classic | --old] [--images 3.13]
    eval "$(python scripts/engine.py env)"
    python scripts/engine.py down --all

All files are in a state directory and in one folder below /run. `down` ends the processes that
`up` started, and removes mounts, bridges and firewall rules. Downloads are kept without --purge.
It needs root. In Python: `with Engine.up("ci") as engine: subprocess.run(..., env=engine.env)`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import debs
import dockerd
import network
from processes import SYSTEM_PATH, EngineError, lock, say, unmount_below
from registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

STORES = ("containerd", "classic")
IMAGES = ("3.13-slim",)


def default_state() -> Path:
    """Return the default state directory."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "poetry-docker-cache" / "engine"


class Engine:
    """A dockerd with its own containerd, network and image store."""

    def __init__(self, name: str = "main", state: Path | None = None) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
            raise EngineError(
                f"{name!r} is not a valid name. Use up to 31 lower-case letters, digits, hyphens."
            )
        self.name = name
        self.state = (state or default_state()).resolve()
        if set(str(self.state)) & set(",:\n"):  # they separate options of overlayfs
            raise EngineError(f"the path of the state directory contains ',' or ':': {self.state}")
        self.folder = self.state / "engines" / name
        # A socket needs a short path. The hash separates engines of different state directories.
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:8]
        self.run_dir = Path("/run") / f"poetry-docker-cache-{digest}" / name
        tag = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]
        self.network = network.Network(tag, self.folder / "network.json")
        self.daemons = dockerd.Daemons(self.folder, self.run_dir, f"pdc-{tag}")
        self.started = False
        """Whether this object started the engine instead of finding it running."""

    @classmethod
    def up(
        cls,
        name: str = "main",
        *,
        store: str | None = None,
        old: bool = False,
        images: Sequence[str] = IMAGES,
        state: Path | None = None,
    ) -> Engine:
        """Start an engine unless it runs, and push these images to its registry.

        An old engine is Docker 20.10, which has only the classic store.
        """
        engine = cls(name, state)
        if os.geteuid() != 0:
            raise EngineError("an engine needs root")
        with lock(engine.state):
            debs.install_missing()
            debs.unpack_engine(engine.state)
            registry = Registry(engine.state)
            try:
                registry.up()
                engine._ensure("classic" if old else store, old=old)
            except BaseException:
                if engine.started:
                    engine._down()
                elif not _engines(engine.state):
                    registry.down()
                raise
        try:
            for image in images:
                registry.provide(image)
        except BaseException:
            if engine.started:
                engine.down()
            raise
        return engine

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that make docker and buildx use this engine."""
        own = self.folder / "bin"
        tools = str(own if own.is_dir() else self.state / "bin")
        path = os.environ.get("PATH", SYSTEM_PATH).split(os.pathsep)
        return {
            "DOCKER_HOST": f"unix://{self.run_dir}/docker.sock",
            "DOCKER_CONFIG": str(self.folder / "docker-config"),
            "PATH": os.pathsep.join([tools, *(part for part in path if part != tools)]),
            "ENGINE_REGISTRY": Registry(self.state).address,
        }

    @property
    def running(self) -> bool:
        """Whether the engine runs and answers."""
        return self.daemons.running

    @property
    def store(self) -> str:
        """The image store that the engine was started with."""
        config = json.loads((self.folder / "daemon.json").read_text(encoding="utf-8"))
        return STORES[not config["features"]["containerd-snapshotter"]]

    def down(self) -> None:
        """Stop the engine and remove its data; the last engine stops the registry, too."""
        with lock(self.state):
            self._down()

    def __enter__(self) -> Self:
        """Return the engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the engine, unless it was running before."""
        if self.started:
            self.down()

    def _ensure(self, store: str | None, *, old: bool) -> None:
        if self.running:
            if store not in (None, self.store):
                raise EngineError(f"{self.name} runs with the {self.store} store. Stop it first.")
            return
        self._stop()  # after a crash or a reboot
        self.started = True
        say(f"starting {self.name}")
        self.folder.mkdir(parents=True)
        root = (debs.unpack_old_engine if old else debs.unpack_engine)(self.state)
        tools = self.folder / "bin" if old else self.state / "bin"
        tools.mkdir(exist_ok=True)
        for binary in ("docker", "crane"):
            with contextlib.suppress(FileExistsError):
                (tools / binary).symlink_to(root / "usr/bin" / binary)
        self.network.up()
        registry = Registry(self.state).address
        self.daemons.start(
            root,
            {
                "features": {"containerd-snapshotter": store != "classic"},
                "registry-mirrors": [f"http://{registry}"],
                "insecure-registries": [registry],
                **self.network.dockerd_config(),
            },
        )

    def _down(self) -> None:
        if self.folder.exists():
            say(f"stopping {self.name}")
        self._stop()
        self.started = False
        if not _engines(self.state):
            Registry(self.state).down()
            network.restore_forwarding(self.state / "ip_forward")
            for folder in (self.run_dir.parent, Path("/run/containerd/s"), Path("/run/containerd")):
                with contextlib.suppress(OSError):  # it does not exist, or is in use
                    folder.rmdir()

    def _stop(self) -> None:
        self.daemons.stop()
        self.network.down()
        for folder in (self.run_dir, self.folder):
            if folder.exists():
                shutil.rmtree(folder)


def _engines(state: Path) -> list[str]:
    folder = state / "engines"
    return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []


def usable_engine() -> bool:
    """Return whether this machine has a Docker engine with buildx, in the current environment."""
    try:
        for command in (["docker", "info"], ["docker", "buildx", "version"]):
            subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start an engine and print its environment")
    down = commands.add_parser("down", help="stop an engine and remove its data")
    env = commands.add_parser("env", help="print the environment of a running engine")
    for command in (up, down, env):
        command.add_argument("--name", default="main")
        command.add_argument("--state", type=Path, help=f"default: {default_state()}")
    up.add_argument("--store", choices=STORES)
    up.add_argument("--old", action="store_true", help="use Docker 20.10 with the classic store")
    up.add_argument("--images", default=",".join(IMAGES), help="comma-separated tags of python")
    existing = "do nothing if Docker works already"
    up.add_argument("--prefer-existing", action="store_true", help=existing)
    down.add_argument("--all", action="store_true", help="stop every engine")
    down.add_argument("--purge", action="store_true", help="stop every engine, delete downloads")
    try:
        _execute(parser.parse_args(arguments))
    except EngineError as error:
        say(str(error))
        return 1
    return 0


def _execute(options: argparse.Namespace) -> None:
    engine = Engine(options.name, options.state)
    if options.command == "down":
        every = options.all or options.purge
        for name in _engines(engine.state) if every else [engine.name]:
            Engine(name, options.state).down()
        if options.purge:
            unmount_below(engine.state)
            shutil.rmtree(engine.state, ignore_errors=True)
        return
    if options.command == "up":
        if options.prefer_existing and usable_engine():
            say("using the Docker engine of this machine")
            return
        images = [image for image in options.images.split(",") if image]
        kind = {"store": options.store, "old": options.old}
        engine = Engine.up(options.name, **kind, images=images, state=options.state)
    elif not engine.running:
        raise EngineError(f"{engine.name} is not running")
    for key, value in engine.env.items():
        print(f"export {key}={shlex.quote(value)}")


if __name__ == "__main__":
    sys.exit(main())
