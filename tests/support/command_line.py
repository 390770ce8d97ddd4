"""Runs `poetry` inside the test's own process, and a client of Docker that only answers."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cleo.io.inputs.argv_input import ArgvInput
from cleo.io.outputs.buffered_output import BufferedOutput
from poetry.console.application import Application
from poetry.utils.helpers import directory

if TYPE_CHECKING:
    from collections.abc import Iterator

ERROR = "\x1b[31;1m"
"""What the terminal is told where an `<error>` begins."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left; `err` may hold colours if they were asked for."""

    status: int
    out: str
    err: str


def poetry(folder: Path, *arguments: str | Path, colours: bool = False) -> Outcome:
    """Run `poetry` in a folder, with the plugin as Poetry itself finds it."""
    application = Application()
    application.auto_exits(False)
    out, err = (BufferedOutput(decorated=colours) for _ in range(2))
    with directory(folder):
        # Poetry notes the folder when it starts.
        application._working_directory = Path.cwd()
        status = application.run(ArgvInput(["poetry", *map(str, arguments)]), out, err)
    return Outcome(status=status, out=out.fetch(), err=err.fetch())


def snapshot(*folders: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below folders: path, mode, and bytes or where a link leads."""
    return {
        str(path): (path.lstat().st_mode, _content(path))
        for folder in folders
        for path in [folder, *_below(folder)]
    }


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return os.fsencode(path.readlink())
    return path.read_bytes() if path.is_file() else b""


_CLIENT = """\
#!/bin/sh
here={here}
case "$1 $2" in
"info --format") cat "$here/info.json" ;;
"buildx inspect") cat "$here/inspect.txt" && test -s "$here/inspect.txt" ;;
"buildx build")
    for word; do printf '%s\\0' "$word"; done > "$here/argv"
    while [ $# -gt 1 ]; do
        case "$1=$2" in
        --file=*) cat "$2" > "$here/Dockerfile"; cat "$2.dockerignore" > "$here/ignore" ;;
        --secret=*) cat "${{2#*src=}}" > "$here/secret"; echo "$2" > "$here/secret-path" ;;
        --metadata-file=*) cat "$here/metadata" > "$2" ;;
        esac
        shift
    done 2> /dev/null
    exit "$(cat "$here/status")" ;;
"buildx bake")
    for word; do printf '%s\\0' "$word"; done > "$here/argv"
    while [ $# -gt 1 ]; do
        case "$1=$2" in
        --file=*) rm -rf "$here/build"; cp -R "${{2%/*}}" "$here/build" ;;
        --metadata-file=*) cat "$here/metadata" > "$2" ;;
        esac
        shift
    done 2> /dev/null
    exit "$(cat "$here/status")" ;;
"buildx --builder") cat "$here/$5" ;;
"image inspect") cat "$here/image" ;;
"run --rm") cat "$here/holds-$(printf %s "$6" | tr / _)" ;;
"tag "*|"push "*|"load "*|"image rm") echo "$*" >> "$here/besides" ;;
"save --output") echo "$*" >> "$here/besides"; echo image > "$3" ;;
*) echo "unknown: $*" >&2; exit 125 ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A `docker` that answers as Docker 28 with buildx 0.29, and keeps what a build got.

    A build leaves the metadata of `remember` behind; the history knows what it was given there.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Client:
        """Write it into a new folder, which belongs on the PATH."""
        folder.mkdir()
        script = folder / "docker"
        script.write_text(_CLIENT.format(here=f"'{folder}'"))
        script.chmod(0o755)
        client = cls(folder=folder)
        client.answer()
        return client

    def answer(
        self,
        *,
        server: str = "28.5.1",
        buildx: bool = True,
        status: int = 0,
        containerd: bool = False,
    ) -> None:
        """Say what it answers from now on; without a server the engine does not run."""
        store = [["driver-type", "io.containerd.snapshotter.v1"]] if containerd else []
        plugins = [{"Name": "buildx", "Version": "v0.29.1"}] if buildx else []
        client = {"Context": "default", "Plugins": plugins}
        info: dict[str, object] = {
            "ServerVersion": server,
            "DriverStatus": store,
            "ClientInfo": client,
        }
        error = ""
        if not server:
            error = "Cannot connect to the Docker daemon at unix:///gone.sock. Is it running?"
            info["ServerErrors"] = [error]
        (self.folder / "info.json").write_text(json.dumps(info))
        inspect = (
            "Name:   default\nDriver: docker\n\nNodes:\nName:     default\nEndpoint: default\n"
        )
        inspect += f"Error:    {error}\n" if error else "Status:   running\n"
        (self.folder / "inspect.txt").write_text(inspect if buildx else "")
        (self.folder / "status").write_text(str(status))

    def remember(self, metadata: dict[str, object], **history: str) -> None:
        """Say what a build's metadata is from now on, and what `buildx history` COMMAND prints.

        `image` is what `docker image inspect` prints.
        """
        (self.folder / "metadata").write_text(json.dumps(metadata))
        for command, text in history.items():
            (self.folder / command).write_text(text)

    def holds(self, image: str, **packages: int) -> None:
        """Say what an image that was built holds: names with underscores, and bytes."""
        found = {name.replace("_", "-"): ("1.0", size) for name, size in packages.items()}
        (self.folder / f"holds-{image.replace('/', '_')}").write_text(json.dumps(found))

    @property
    def argv(self) -> list[str]:
        """The last `docker buildx build` or `bake`, without `docker`."""
        return (self.folder / "argv").read_text().split("\0")[:-1]

    def kept(self, name: str) -> str:
        """What the build read: `Dockerfile`, `ignore`, `secret`."""
        return (self.folder / name).read_text()
