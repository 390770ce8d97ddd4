"""Start commands: applications found in the source, and the line that a note proposes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from plans import TREE, plan, project, wheel_root
from projects import package

from poetry_docker_cache.plan.start_command import web_start, worker_start
from poetry_docker_cache.project.model import App, SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.applications import (
    find_apps,
    import_folder,
    start_commands,
)

if TYPE_CHECKING:
    from pathlib import Path

API = App(kind="asgi", target="shop.main:app")
SITE = App(kind="wsgi", target="shop.wsgi:application")
MADE = App(kind="wsgi", target="shop:create_app", factory=True)
QUEUE = App(kind="celery", target="shop.tasks:queue")
UVICORN = '`command = ["uvicorn", "shop.main:app", "--host", "0.0.0.0", "--port", "8000"]`'
GUNICORN = '`command = ["gunicorn", "shop.wsgi:application", "--bind", "0.0.0.0:8000"]`'
CELERY = '`command = ["celery", "-A", "shop.tasks:queue", "worker", "--loglevel=info"]`'
PORTS = " and `ports = [8000]`"

SOURCES: dict[str, tuple[str, str, list[App]]] = {
    "FastAPI": (
        "shop/main.py",
        "import fastapi\n\nservice: fastapi.FastAPI = fastapi.FastAPI(\n    title='x')\n",
        [App(kind="asgi", target="shop.main:service")],
    ),
    "src layout": (
        "src/shop/api.py",
        "app = Starlette()\n",
        [App(kind="asgi", target="shop.api:app")],
    ),
    "no package": ("app.py", "app = Flask(__name__)\n", [App(kind="wsgi", target="app:app")]),
    "in src": ("src/main.py", "app=Litestar([])\n", [App(kind="asgi", target="main:app")]),
    "factory": (
        "shop/__init__.py",
        "def create_app(config=None, *, debug=False):\n    return Flask(__name__)\n",
        [MADE],
    ),
    "factory without arguments": (
        "shop/__init__.py",
        "def create_app(config=None):\n    app = Flask(__name__)\n    return app\n",
        [MADE],
    ),
    "factory with arguments": (
        "shop/__init__.py",
        "def create_app(config):\n    return Flask(__name__)\n",
        [],
    ),
    "Django": (
        "shop/wsgi.py",
        "import os\nos.environ.setdefault('a', 'b')\napplication = get_wsgi_application()\n",
        [SITE],
    ),
    "made elsewhere": (
        "shop/main.py",
        "from .setup import create_api\n\napp: Any = setup.create_api(1)\n",
        [App(kind="web", target="shop.main:app")],
    ),
    "made by its factory": (
        "shop/main.py",
        "def create_app(config):\n    return FastAPI()\n\n\napp = create_app(1)\n",
        [API],
    ),
    "function that makes another object": ("shop/tasks.py", "app = make_queue()\n", []),
    "module named asgi": (
        "asgi.py",
        "from shop import make\napp = make()\n",
        [App(kind="asgi", target="asgi:app")],
    ),
    "Celery": ("shop/tasks.py", "queue = Celery('shop', broker=URL)\n", [QUEUE]),
    "arq": (
        "shop/worker.py",
        "class WorkerSettings:\n    functions = []\n",
        [App(kind="arq", target="shop.worker.WorkerSettings")],
    ),
    "the usual name first": (
        "shop/main.py",
        "admin = FastAPI()\napp = FastAPI()\napp.mount('/admin', admin)\n",
        [
            App(kind="asgi", target="shop.main:app"),
            App(kind="asgi", target="shop.main:admin"),
        ],
    ),
    "package named wsgi": (
        "shop/wsgi/__init__.py",
        "application = get_wsgi_application()\n",
        [SITE],
    ),
    "deeper": (
        "src/shop/web/main.py",
        "app = FastAPI()\n",
        [App(kind="asgi", target="shop.web.main:app")],
    ),
    "tests of a package": ("shop/tests/app.py", "app = Flask(__name__)\n", []),
    "tests": ("tests/app.py", "app = Flask(__name__)\n", []),
    "hidden": (".venv/main.py", "app = FastAPI()\n", []),
    "within a function": ("shop/main.py", "def f():\n    app = FastAPI()\n", []),
    "other classes": ("shop/main.py", "app = Typer()\nFlasks = Flask_(1)\n", []),
}


@pytest.mark.parametrize("name", SOURCES)
def test_finds_applications(name: str, tmp_path: Path) -> None:
    """They are looked for in the usual places of each framework."""
    file, text, expected = SOURCES[name]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text, encoding="utf-8")
    tree = SourceTreeRoot(reason="x", import_folder=import_folder(tmp_path))
    assert list(find_apps(tmp_path, tree, None)) == expected


def test_module_name_without_package_mode_includes_src(tmp_path: Path) -> None:
    """With `package-mode = false` the folder `src` is not on the path."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("app = FastAPI()\n", encoding="utf-8")
    assert find_apps(tmp_path, TREE, None) == (App(kind="asgi", target="src.main:app"),)


def test_module_name_of_package_src(tmp_path: Path) -> None:
    """The wheel decides whether `src` is a package or a folder on the path."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("app = FastAPI()\n", encoding="utf-8")
    for place, module in ((".", "src.main"), ("src", "main")):
        root: WheelRoot = wheel_root(paths=("src",), import_folders=(place,))
        assert [app.target for app in find_apps(tmp_path, root, ())] == [f"{module}:app"]


def test_packages_outside_project_have_name_of_wheel(tmp_path: Path) -> None:
    """They are in folders above the project."""
    base = tmp_path / "bases" / "acme" / "api"
    base.mkdir(parents=True)
    (base / "core.py").write_text("app = FastAPI()\n", encoding="utf-8")
    project = tmp_path / "project"
    project.mkdir()
    place = "../bases/acme/api"
    root: WheelRoot = wheel_root(paths=(place,), packages_above=(("acme.api", place),))
    assert [app.target for app in find_apps(project, root, ())] == ["acme.api.core:app"]


def test_finds_only_applications_in_image(tmp_path: Path) -> None:
    """They are in the wheel or among the copied files."""
    for name in ("shop/main.py", "other/main.py", "main.py", "server.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("app = FastAPI()\n", encoding="utf-8")
    root: WheelRoot = wheel_root(paths=("shop",))
    targets = [app.target for app in find_apps(tmp_path, root, ("main.py",))]
    assert targets == ["main:app", "shop.main:app"]
    assert len(find_apps(tmp_path, root, None)) == 4


def test_finds_files_that_start_an_application(tmp_path: Path) -> None:
    """Python runs them, or a framework such as Streamlit."""
    for name in ("app.py", "main.py", "setup.py"):
        (tmp_path / name).touch()
    (tmp_path / "run.py").write_text("import os\nimport streamlit as st\n", encoding="utf-8")
    commands = [" ".join(command) for command in start_commands(tmp_path)]
    assert commands == ["python main.py", "python app.py", "streamlit run run.py"]


def test_long_word_is_searched_fast(tmp_path: Path) -> None:
    """Source files may contain data, such as an image in base64."""
    (tmp_path / "app.py").write_text("x" * 50_000)
    begun = time.process_time()
    assert find_apps(tmp_path, TREE, None) == ()
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("server", "app", "command"),
    [
        ("uvicorn", API, "uvicorn shop.main:app --host 0.0.0.0 --port 8000"),
        ("hypercorn", API, "hypercorn shop.main:app --bind 0.0.0.0:8000"),
        ("daphne", API, "daphne -b 0.0.0.0 -p 8000 shop.main:app"),
        ("granian", API, "granian --interface asgi shop.main:app --host 0.0.0.0 --port 8000"),
        ("gunicorn", SITE, "gunicorn shop.wsgi:application --bind 0.0.0.0:8000"),
        ("waitress", SITE, "waitress-serve --listen=0.0.0.0:8000 shop.wsgi:application"),
        ("uwsgi", SITE, "uwsgi --http=0.0.0.0:8000 --module shop.wsgi:application"),
        ("gunicorn", MADE, "gunicorn shop:create_app() --bind 0.0.0.0:8000"),
        ("waitress", MADE, "waitress-serve --call --listen=0.0.0.0:8000 shop:create_app"),
    ],
)
def test_command_of_each_server(server: str, app: App, command: str) -> None:
    """Each server listens on all addresses of the container."""
    start = web_start([app], {server, "other"})
    assert start
    assert " ".join(start.command) == command
    assert (start.port, start.missing) == ("8000", None)


def test_chooses_application_by_installed_server() -> None:
    """Without a server, one to add is proposed."""
    start = web_start([API, SITE], {"gunicorn"})
    assert start
    assert str(start) == GUNICORN + PORTS
    start = web_start([QUEUE, SITE, API], {"flask"})
    assert str(start) == f"{GUNICORN}{PORTS} after `poetry add gunicorn`"
    assert web_start([QUEUE], {"gunicorn"}) is None


@pytest.mark.parametrize(
    ("ports", "port", "hint"),
    [
        (["8125/udp", "9000"], "9000", ""),
        (["9000/tcp", "8000"], "9000", ""),
        (["8125/udp"], "8000", PORTS),
    ],
)
def test_server_listens_on_port_of_settings(ports: list[str], port: str, hint: str) -> None:
    """A port that is already set is not proposed again."""
    expected = UVICORN.replace("8000", port) + hint
    assert str(web_start([API], {"uvicorn"}, ports)) == expected


def test_installed_framework_decides_kind_of_server() -> None:
    """The source alone does not show it if the application is made by a function call."""
    made = App(kind="web", target="shop.main:app")
    api = web_start([made], {"fastapi", "gunicorn", "uvicorn"})
    assert str(api) == UVICORN + PORTS
    site = web_start([made], {"flask", "gunicorn", "uvicorn"})
    assert site
    assert site.command[:2] == ("gunicorn", "shop.main:app")
    assert web_start([made], {"flask"}) is None


def test_worker_needs_its_package() -> None:
    """Source without the package is not enough."""
    assert str(worker_start([API, QUEUE], {"celery", "redis"})) == CELERY
    assert worker_start([QUEUE], {"redis"}) is None
    assert str(worker_start([], {"rq"})) == '`command = ["rq", "worker"]`'


def note(*names: str, **keys: Any) -> str:  # noqa: ANN401  # fields of many types
    """Return the note on the start command of a project with these packages."""
    shop = project(*(package(name) for name in names), **{"scripts": (), **keys})
    (found,) = [line for line in plan(shop).notes if line.startswith("No start command is set")]
    return found.removeprefix(
        "No start command is set: add `command` to [tool.poetry-docker-cache]"
    )


def test_note_has_lines_to_paste() -> None:
    """Scripts come first, then servers, then files to run; a worker is proposed besides."""
    apps = (API, SITE, QUEUE)
    files = (("python", "app.py"),)
    assert note("click") == "."
    assert note("uvicorn", apps=apps) == f", for example {UVICORN}{PORTS}."
    assert note("uvicorn", apps=apps, start_commands=files) == f", for example {UVICORN}{PORTS}."
    both = f", for example {GUNICORN}{PORTS}, or {CELERY} for a worker."
    assert note("gunicorn", "celery", apps=apps) == both
    assert note("gunicorn", "celery", apps=apps, root=TREE) == both
    script = ', for example `command = ["a"]`.'
    assert note("uvicorn", apps=apps, scripts=("a", "b")) == script
    assert note("click", start_commands=files) == ', for example `command = ["python", "app.py"]`.'
    assert note("celery", apps=(QUEUE,)) == f", for example {CELERY} for a worker."


def test_server_of_another_group_must_be_added() -> None:
    """The image does not have it."""
    dev = package("uvicorn", groups=["dev"])
    made = plan(project(dev, scripts=(), apps=(API,)))
    hint = f"{UVICORN}{PORTS} after `poetry add uvicorn`."
    assert any(line.endswith(hint) for line in made.notes)
    web = package("uvicorn", groups=["dev", "web"])
    groups = frozenset({"main", "dev", "web"})
    made = plan(project(web, scripts=(), apps=(API,), default_groups=groups))
    hint = f"{UVICORN}{PORTS} with `--with web`."
    assert any(line.endswith(hint) for line in made.notes)
