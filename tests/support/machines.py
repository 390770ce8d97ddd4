"""CI machines in tests: each builds with an engine or a builder that has its own layers."""

from __future__ import annotations

import contextlib
import http
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acme import PASSWORD, Project
from builds import Steps, build
from engines import DockerEngine, docker_engine, unavailable
from forwarding import remote_buildkit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clean_poetry import Poetry

UNIX = "unix://"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that builds."""

    poetry: Poetry
    engine: DockerEngine
    """The engine that has the layers."""
    options: tuple[str, ...] = ()
    """Options of every build on the machine."""

    def empty(self) -> Machine:
        """Remove all layers and images; return the machine."""
        self.engine.docker("image", "prune", "--all", "--force")
        self.engine.forget()
        return self

    def build(self, project: Project, *options: str) -> Steps:
        """Build successfully."""
        return build(project, *self.options, *options, poetry=self.poetry)

    def has(self, image: str) -> bool:
        """Return whether its engine has an image."""
        return self.engine.docker("image", "inspect", image, check=False).returncode == 0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two machines of a kind that share only a registry."""

    kind: str
    first: Machine
    second: Machine


class Machines:
    """Creates pairs of machines."""

    def __init__(
        self,
        engines: tuple[DockerEngine, DockerEngine],
        poetry_home: Callable[[DockerEngine], Poetry],
        folder: Path,
    ) -> None:
        self._engines = engines
        self._poetry_home = poetry_home
        self._folder = folder

    @contextlib.contextmanager
    def pair(self, kind: str) -> Iterator[Pair]:
        """Yield a pair: engines with either image store, or remote builders."""
        with contextlib.ExitStack() as stack:
            if kind == "classic":
                engines = [
                    stack.enter_context(docker_engine(f"test-classic-{which}", store="classic"))
                    for which in "ab"
                ]
                first, second = map(self.machine, engines)
            elif kind == "remote":
                first, second = (self._remote(one, stack) for one in self._engines)
            else:
                first, second = map(self.machine, self._engines)
            yield Pair(kind=kind, first=first, second=second)

    def machine(self, engine: DockerEngine) -> Machine:
        """Return a machine with an engine."""
        return Machine(poetry=self._logged_in(engine), engine=engine)

    def _remote(self, engine: DockerEngine, stack: contextlib.ExitStack) -> Machine:
        """Return a machine that uses the first engine locally and a remote builder."""
        socket = engine.env.get("DOCKER_HOST", f"{UNIX}/var/run/docker.sock")
        if not socket.startswith(UNIX):
            unavailable("the engine is not on this machine: its BuildKit cannot be passed on")
        address = stack.enter_context(remote_buildkit(socket.removeprefix(UNIX)))
        place = self._folder / f"buildx-{os.urandom(4).hex()}"
        place.mkdir()
        env = {**self._engines[0].env, "BUILDX_CONFIG": str(place)}
        client = DockerEngine(env=env, registry=self._engines[0].registry)
        client.docker("buildx", "create", "--name=remote", "--driver=remote", address)
        poetry = self._logged_in(client)
        return Machine(poetry=poetry, engine=engine, options=("--builder=remote",))

    def _logged_in(self, engine: DockerEngine) -> Poetry:
        poetry = self._poetry_home(engine)
        Project(self._folder, poetry).log_in(PASSWORD)
        return poetry


def digest(reference: str) -> str | None:
    """Return the digest of a tag in a registry, or None."""
    host, _, rest = reference.partition("/")
    name, _, tag = rest.rpartition(":")
    kinds = ("oci.image.index.v1", "oci.image.manifest.v1")
    accept = ", ".join(f"application/vnd.{kind}+json" for kind in kinds)
    accept += ", application/vnd.docker.distribution.manifest.v2+json"
    url = f"http://{host}/v2/{name}/manifests/{tag}"
    request = urllib.request.Request(url, headers={"Accept": accept}, method="HEAD")
    try:
        with urllib.request.urlopen(request) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.NOT_FOUND:
            raise
        return None
