"""Each recipe of docs/recipes.md is built from its folder in `examples`, and used.

Two are elsewhere: the front end in test_assets.py, and the GPU in test_recipes.py.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from containers import get, run_container, wait_for_answer
from engines import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from acme import Project
    from engines import DockerEngine

pytestmark = pytest.mark.engine


def build(project: Project) -> None:
    """Build as a user does. The public index is reachable from containers."""
    project.poetry.run(project.folder, "docker", "build")


def test_fastapi_and_flask(engine: DockerEngine, example: Callable[[str], Project]) -> None:
    """Both images start a server that no setting names."""
    for name in ("fastapi", "flask"):
        build(example(name))
    with (
        run_container(engine, "books:1.0.0") as api,
        run_container(engine, "guestbook:1.0.0") as site,
    ):
        book = {"title": "The Left Hand of Darkness", "year": 1969}
        assert json.loads(get(engine, api, "/books/1")) == book
        assert "<li>Ada was here" in get(engine, site)


def test_cli(engine: DockerEngine, example: Callable[[str], Project]) -> None:
    """The image takes the tool's arguments and its input."""
    build(example("cli"))
    counted = engine.docker(
        "run", "--rm", "--interactive", "words:1.0.0", "--lines", text="one two\nthree\n"
    )
    assert counted.stdout == "2\n"


def test_django(engine: DockerEngine, example: Callable[[str], Project]) -> None:
    """The page names the collected style sheet, and the server sends it."""
    build(example("django"))
    secret = ("--env=SECRET_KEY=of-a-test", "--env=ALLOWED_HOSTS=*")
    with run_container(engine, *secret, "shop:1.0.0") as site:
        page = get(engine, site)
        style = page.partition('href="')[2].partition('"')[0]
        assert style.startswith("/static/shop.")
        assert get(engine, site, style) == "body { font-family: sans-serif; }\n"
    assert "only-for-the-build" not in engine.docker("history", "--no-trunc", "shop:1.0.0").stdout


def test_api_and_worker(engine: DockerEngine, example: Callable[[str], Project]) -> None:
    """Both images start, and the worker finishes when it is stopped."""
    build(example("worker"))

    def ready() -> str:
        logs = engine.docker("logs", worker)
        return (logs.stdout + logs.stderr) * (" ready." in logs.stdout + logs.stderr)

    with (
        run_container(engine, "orders-api:1.0.0") as api,
        run_container(engine, "orders-worker:1.0.0") as worker,
    ):
        assert json.loads(get(engine, api, "/health")) == {"status": "ok"}
        wait_for_answer(engine, worker, ready)
        engine.docker("stop", "--time", f"{PATIENCE:.0f}", worker)
        assert engine.docker("inspect", "--format={{.State.ExitCode}}", worker).stdout == "0\n"


def test_model(engine: DockerEngine, example: Callable[[str], Project]) -> None:
    """The image has the model that its build made."""
    build(example("model"))
    assert engine.run("forecast:1.0.0") == "59.8\n"


def test_monorepo(engine: DockerEngine, example: Callable[..., Project]) -> None:
    """The service uses the library beside it."""
    build(example("monorepo", "services/api"))
    with run_container(engine, "api:1.0.0") as api:
        assert json.loads(get(engine, api, "/price/100")) == {"price": 119.0}


class LambdaApi(BaseHTTPRequestHandler):
    """The runtime API of AWS Lambda, with one event."""

    answers: list[object]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the event; a second request waits until the function is stopped."""
        if self.answers:
            threading.Event().wait(60)
            return
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "resize")
        self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "14")
        self.end_headers()
        self.wfile.write(b'{"width": 640}')

    def do_POST(self) -> None:
        """Take the result."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answers.append(json.loads(body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def test_lambda(engine: DockerEngine, example: Callable[[str], Project]) -> None:
    """The function answers a request of Lambda's runtime API."""
    build(example("lambda"))
    answers: list[object] = []
    handler = type("Handler", (LambdaApi,), {"answers": answers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"--env=AWS_LAMBDA_RUNTIME_API=127.0.0.1:{server.server_port}"
        with run_container(engine, "--network=host", place, "resize:1.0.0") as function:
            found = wait_for_answer(
                engine, function, lambda: json.dumps(answers[:1]) * bool(answers)
            )
        server.shutdown()
    assert json.loads(found) == [{"width": 320}]
