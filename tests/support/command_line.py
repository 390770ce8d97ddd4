"""Run `poetry` in the process of the test, and fake the Docker client."""

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
"""The escape sequence that starts an `<error>` on the terminal."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of a command; `err` contains colours if they were requested."""

    status: int
    out: str
    err: str


def poetry(folder: Path, *arguments: str | Path, colours: bool = False) -> Outcome:
    """Run `poetry` in a folder; Poetry itself finds the plugin."""
    application = Application()
    application.auto_exits(False)
    out, err = (BufferedOutput(decorated=colours) for _ in range(2))
    with directory(folder):
        # Poetry reads the working directory when it starts.
        application._working_directory = Path.cwd()
        status = application.run(ArgvInput(["poetry", *map(str, arguments)]), out, err)
    return Outcome(status=status, out=out.fetch(), err=err.fetch())


def snapshot(*folders: Path) -> dict[str, tuple[int, bytes]]:
    """Return everything below the folders: path, mode, and bytes or link target."""
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
        --output=type=local,dest=*) cp -R "$here/output/." "${{2#*dest=}}" || exit 1 ;;
        esac
        shift
    done 2> /dev/null
    [ "$BUILDKIT_PROGRESS" != rawjson ] || cat "$here/progress" >&2
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
    [ "$BUILDKIT_PROGRESS" != rawjson ] || cat "$here/progress" >&2
    exit "$(cat "$here/status")" ;;
"run --rm") cat "$here/holds-$(printf %s "$6" | tr / _)" ;;
"tag "*|"push "*|"load "*|"image rm") echo "$*" >> "$here/besides" ;;
"save --output") echo "$*" >> "$here/besides"; echo image > "$3" ;;
*) echo "unknown: $*" >&2; exit 125 ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A fake `docker` that answers as Docker 28 with buildx 0.29 and records each build.

    A build writes the metadata and the progress given to `remember`.
    """

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Client:
        """Write the fake into a new folder that belongs on the PATH."""
        folder.mkdir()
        script = folder / "docker"
        script.write_text(_CLIENT.format(here=f"'{folder}'"))
        script.chmod(0o755)
        client = cls(folder=folder)
        (folder / "progress").touch()
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
        """Set its answers; without a server version the engine is not running."""
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

    def remember(self, metadata: dict[str, object], progress: str = "") -> None:
        """Set the metadata of builds, and the progress that buildx reports to us."""
        (self.folder / "metadata").write_text(json.dumps(metadata))
        (self.folder / "progress").write_text(progress)

    def writes(self, *names: str) -> None:
        """Set the files that a build exports to a local folder; each has the names of all."""
        for name in names:
            path = self.folder / "output" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in names))

    def holds(self, image: str, **packages: int) -> None:
        """Set the packages in the built image: names with underscores, and bytes."""
        found = {name.replace("_", "-"): ("1.0", size) for name, size in packages.items()}
        (self.folder / f"holds-{image.replace('/', '_')}").write_text(json.dumps(found))

    @property
    def argv(self) -> list[str]:
        """Return the last `docker buildx build` or `bake` command, without `docker`."""
        return (self.folder / "argv").read_text().split("\0")[:-1]

    def kept(self, name: str) -> str:
        """Return what the build read: `Dockerfile`, `ignore` or `secret`."""
        return (self.folder / name).read_text()
