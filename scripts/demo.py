"""Show what an edit costs: build examples/web-api, run it, edit it, and build it again.

    make demo

It uses the Docker engine of this machine, or starts a private one (on Debian, as root). Without an
engine, it writes only the Dockerfile. It leaves the Dockerfile, BuildKit's log, and downloads.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import demo_log
from demo_project import BEFORE, LOG, OUTPUT, ROOT, TAG, DemoError, Project, run
from engine import Engine, usable_engine
from processes import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WITHOUT_ENGINE = """\
No image was built: {why}
Install Docker with buildx and start it, or use Debian as root. Then run `make demo` again.
"""


@contextlib.contextmanager
def container(env: Mapping[str, str]) -> Iterator[str]:
    """Run a container of the image, and remove it when the context is closed."""
    command = ["docker", "run", "--detach", "--publish", "127.0.0.1::8000", TAG]
    identity = run(command, env).split()[-1]
    try:
        yield identity
    finally:
        run(["docker", "rm", "--force", "--volumes", identity], env)


def get(url: str) -> dict[str, Any]:
    """Send a request to the API, which may need a moment to start."""
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own URL
            return dict(json.load(answer))
        time.sleep(0.2)
    raise DemoError(f"{url} does not answer")


def check_image(env: Mapping[str, str], *, thoroughly: bool) -> None:
    """Show that the image works, and print its size, user and health."""
    with container(env) as identity:
        port = run(["docker", "port", identity, "8000/tcp"], env).split()[0].rpartition(":")[2]
        url = f"http://127.0.0.1:{port}"
        try:
            if thoroughly:
                print(f"  GET /?name=Ada  {get(f'{url}/?name=Ada')['message']}")
            print(f"  GET /health     {json.dumps(get(f'{url}/health'))}")
        except DemoError as error:
            raise DemoError(f"{error}:\n{run(['docker', 'logs', identity], env)}") from error
        if thoroughly:
            print(f"  image           {size(env, identity)}")
            user = run(["docker", "exec", identity, "python", "-c", PROBE], env).strip()
            print(f"  inside          {user}, health check: {health(env, identity)}")


PROBE = """\
import os, importlib.util as u
absent = [name for name in ("pip", "poetry", "pytest") if not u.find_spec(name)]
print(f"user {os.getuid()}; no {', no '.join(absent)}")
"""


def health(env: Mapping[str, str], identity: str) -> str:
    """Wait for the first result of the health check."""
    for _ in range(240):
        status = run(
            ["docker", "inspect", "--format", "{{.State.Health.Status}}", identity], env
        ).strip()
        if status != "starting":
            break
        time.sleep(0.5)
    return status


def size(env: Mapping[str, str], identity: str) -> str:
    """Return the unpacked size of the image and of the installed packages."""
    history = ["docker", "history", "--human=false", "--format", "{{.Size}}", TAG]
    whole = sum(map(int, run(history, env).split()))
    venv = int(run(["docker", "exec", identity, "du", "-sb", "/venv"], env).split()[0])
    return f"{whole / 1e6:.0f} MB, {venv / 1e6:.0f} MB of it in /venv"


def show(project: Project, env: Mapping[str, str]) -> None:
    """Build, edit and build again, and print each row of the table when it is known."""
    print("\n$ poetry docker build\n")
    first = project.build("first build")
    check_image(env, thoroughly=True)
    print(f"\n{demo_log.header()}\n{first}", flush=True)
    for title, edit in {
        "version bumped": project.bump_version,
        "linter setting": project.change_linter,
        "index password rotated": project.rotate_password,
        "dev dependency added, locked again": project.add_dev_dependency,
        "source file": project.edit_source,
        "acme-greetings 1.0.0 -> 1.1.0, locked again": project.bump_dependency,
    }.items():
        edit()
        project.keep_image()
        print(project.build(title), flush=True)
    print("\nThe last image has all of these edits:")
    check_image(env, thoroughly=False)


@contextlib.contextmanager
def environment(*, export_only: bool) -> Iterator[Mapping[str, str] | str]:
    """Yield the environment of an engine, or the reason why there is no engine."""
    if export_only:
        yield "--export-only was given."
    elif usable_engine():
        print("engine    this machine's own")
        yield os.environ
    elif os.geteuid() != 0:
        yield "no Docker engine with buildx was found, and a private one needs root."
    else:
        print("engine    a private one; the first start takes a minute or two", flush=True)
        try:
            engine = Engine.up(f"demo-{os.getpid()}")  # not shared with another demo
        except (EngineError, OSError) as error:
            yield f"no Docker engine was found, and a private one does not start: {error}"
            return
        with engine:
            yield {**os.environ, **engine.env}


def demo(*, export_only: bool) -> None:
    """Run the demo, and clean up."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    LOG.unlink(missing_ok=True)
    print("project   a copy of examples/web-api; its index needs an unusual password", flush=True)
    with (
        environment(export_only=export_only) as env,
        tempfile.TemporaryDirectory(prefix="demo-") as folder,
        Project(Path(folder), os.environ if isinstance(env, str) else env) as project,
    ):
        print("lock      Poetry resolves the dependencies, which takes a moment", flush=True)
        locked = project.lock()
        print(f"lock      {locked} packages, one of them from that index")
        print(f"export    {project.export().relative_to(ROOT)}", flush=True)
        if isinstance(env, str):
            print(WITHOUT_ENGINE.format(why=env), end="")
            return
        try:
            show(project, env)
        finally:
            with contextlib.suppress(DemoError):  # the image may not exist
                run(["docker", "image", "rm", "--force", TAG, BEFORE], env)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--export-only", action="store_true", help="do not use Docker")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):  # an exception, so that everything is cleaned up
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        demo(export_only=options.export_only)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
