"""The default start command: the steps, and the applications found in the source."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from plans import TREE, plan, project, wheel_root
from projects import package

from poetry_docker_cache.plan.image_plan import NO_COMMAND
from poetry_docker_cache.project.model import UNLIKELY, App, SourceTreeRoot, StatedStart, WheelRoot
from poetry_docker_cache.project.root.applications import (
    development_scripts,
    find_apps,
    import_folder,
    source_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from poetry_docker_cache.plan.image_plan import Runtime

API = App(kind="asgi", target="shop.main:app")
SITE = App(kind="wsgi", target="shop.wsgi:application")
MADE = App(kind="wsgi", target="shop:create_app", factory=True)
QUEUE = App(kind="celery", target="shop.tasks:queue")
MODULE = App(kind="python", target="-m shop")
PROCFILE = StatedStart(
    file="Procfile",
    words=("gunicorn", "shop.wsgi"),
    last=("gunicorn", "shop.wsgi"),
    programs=("gunicorn",),
    evidence="gunicorn shop.wsgi",
)
DOCKERFILE = StatedStart(
    file="Dockerfile", words=("shop", "serve"), last=("shop", "serve"), programs=("shop",)
)


def plain(apps: Iterable[App]) -> list[App]:
    """Return applications without the file they were found in, their rank, and unlikely ones."""
    return [
        App(kind=app.kind, target=app.target, factory=app.factory)
        for app in apps
        if app.rank < UNLIKELY
    ]


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
    "aiohttp": ("main.py", "app = web.Application()\n", [App(kind="aiohttp", target="main:app")]),
    "Sanic": ("shop/app.py", "app = Sanic('x')\n", [App(kind="sanic", target="shop.app:app")]),
    "Falcon": ("shop/api.py", "api = falcon.App()\n", [App(kind="wsgi", target="shop.api:api")]),
    "unusual file": (
        "shop/service.py",
        "app = FastAPI()\n",
        [App(kind="asgi", target="shop.service:app")],
    ),
    "Streamlit in a folder": (
        "web/Home.py",
        "import streamlit as st\nst.title('x')\n",
        [App(kind="streamlit", target="web/Home.py")],
    ),
    "page of Streamlit": ("pages/one.py", "import streamlit as st\nst.title('x')\n", []),
    "Gradio": (
        "demo_app.py",
        "import gradio as gr\ngr.Interface(f).launch()\n",
        [App(kind="gradio", target="demo_app")],
    ),
    "Dramatiq": (
        "shop/jobs.py",
        "import dramatiq\ndramatiq.set_broker(broker)\n",
        [App(kind="dramatiq", target="shop.jobs")],
    ),
    "RQ": ("shop/jobs.py", "from rq import Queue\n", [App(kind="rq", target="")]),
    "bot": (
        "bot.py",
        "client = Client()\nclient.run(TOKEN)\n",
        [App(kind="python", target="bot.py")],
    ),
    "module in a folder": (
        "src/bot.py",
        "from src.config import TOKEN\n\nif __name__ == '__main__':\n    main()\n",
        [App(kind="python", target="-m src.bot")],
    ),
    "development server": ("main.py", "app.run(debug=True)\n", []),
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
    assert plain(find_apps(tmp_path, tree, None)) == expected


def test_module_name_without_package_mode_includes_src(tmp_path: Path) -> None:
    """With `package-mode = false` the folder `src` is not on the path."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("app = FastAPI()\n", encoding="utf-8")
    assert plain(find_apps(tmp_path, TREE, None)) == [App(kind="asgi", target="src.main:app")]


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
    packed: WheelRoot = wheel_root(paths=("shop",))
    built_from: WheelRoot = wheel_root(paths=("other", "shop"), modules=("shop",))
    for root in (packed, built_from):
        targets = [app.target for app in plain(find_apps(tmp_path, root, ("main.py",)))]
        assert targets == ["main:app", "shop.main:app"]
    assert len(plain(find_apps(tmp_path, root, None))) == 4


def test_long_word_is_searched_fast(tmp_path: Path) -> None:
    """Source files may contain data, such as an image in base64."""
    (tmp_path / "app.py").write_text("x" * 50_000)
    begun = time.process_time()
    assert plain(find_apps(tmp_path, TREE, None)) == []
    assert time.process_time() - begun < 1


def test_application_that_another_imports_is_left_out(tmp_path: Path) -> None:
    """`main.py` includes or mounts the other one."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "admin.py").write_text("app = FastAPI()\n")
    (tmp_path / "main.py").write_text("from shop.admin import app as admin\napp = FastAPI()\n")
    assert [app.target for app in plain(find_apps(tmp_path, TREE, None))] == ["main:app"]


def test_file_that_may_only_define_something_is_proposed(tmp_path: Path) -> None:
    """Without a sign that the file starts anything, it is not used."""
    (tmp_path / "main.py").write_text("def main():\n    pass\n")
    apps = find_apps(tmp_path, TREE, None)
    keys = {"apps": apps, "root": TREE, "scripts": (), "files": None}
    assert shop(**keys).command == NO_COMMAND
    assert 'for example `command = ["python", "main.py"]`' in note(**keys)


def test_settings_of_django_decide_among_its_applications(tmp_path: Path) -> None:
    """`manage.py` names them."""
    text = "application = get_wsgi_application()\n"
    for name in ("old", "config"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "wsgi.py").write_text(text)
    (tmp_path / "manage.py").write_text("setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\n")
    first, second = find_apps(tmp_path, TREE, None)
    assert (first.target, second.target) == ("config.wsgi:application", "old.wsgi:application")
    (tmp_path / "manage.py").write_text("setdefault('DJANGO_SETTINGS_MODULE', 'x.settings')\n")
    assert plain(find_apps(tmp_path, TREE, None)) == []
    made = shop("gunicorn", apps=(first, second), root=TREE, scripts=(), files=None)
    assert made.command == ("gunicorn", "config.wsgi:application", "--bind", "0.0.0.0:8000")


def test_folder_whose_modules_import_each_other_is_on_the_path(tmp_path: Path) -> None:
    """The project is not a package, so only the code shows it."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "config.py").touch()
    main = tmp_path / "app" / "main.py"
    main.write_text("from config import URL\n")
    assert source_folder(tmp_path) == "app"
    main.write_text("from app.config import URL\n")
    assert source_folder(tmp_path) is None
    main.unlink()
    (tmp_path / "app" / "manage.py").touch()
    assert source_folder(tmp_path) == "app"


def test_src_that_is_imported_is_part_of_the_name(tmp_path: Path) -> None:
    """The code says `from src.config import …`."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("from src.config import URL\napp = FastAPI()\n")
    tree = SourceTreeRoot(reason="x", import_folder=import_folder(tmp_path))
    assert [app.target for app in plain(find_apps(tmp_path, tree, None))] == ["src.main:app"]


def test_development_scripts(tmp_path: Path) -> None:
    """A name or a server that reloads code shows that a script is for development."""
    (tmp_path / "shop.py").write_text(
        "def api():\n    uvicorn.run(app)\n\n\ndef run():\n    uvicorn.run(app, reload=True)\n"
    )
    scripts = {
        "shop": "shop:api",
        "run": "shop:run",
        "db-migrate": "shop:api",
        "shop-client": "shop:api",
        "seed": "shop:api",
        "shop-cli": "shop:api",
    }
    assert development_scripts(tmp_path, scripts) == scripts.keys() - {"shop"}


def test_module_without_scripts_of_the_project_is_another_tool(tmp_path: Path) -> None:
    """Such a module is a benchmark, for example."""
    root = SourceTreeRoot(reason="x", module="mark")
    assert find_apps(tmp_path, root, None, {"shop": "shop.app:main"}) == ()
    assert plain(find_apps(tmp_path, root, None)) == [App(kind="python", target="-m mark")]


def shop(*names: str, **keys: Any) -> Runtime:  # noqa: ANN401  # fields of many types
    """Plan the image of a project with these packages."""
    settings = keys.pop("settings", {})
    return plan(project(*(package(name) for name in names), **keys), **settings).runtime


def note(*names: str, **keys: Any) -> str:  # noqa: ANN401
    """Return the notes on the start command of a project with these packages."""
    settings = keys.pop("settings", {})
    made = plan(project(*(package(name) for name in names), **keys), **settings)
    return "\n".join(line for line in made.notes if "tart" in line)


NOT_NAMED = {"scripts": ("serve",)}
STEPS: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    (
        {"worker": QUEUE},
        ("celery", "-A", "shop.tasks:queue", "worker", "--loglevel=info"),
        "celery",
    ),
    ({"python": MODULE}, ("python", "-m", "shop"), "`__main__.py`"),
    ({"scripts": ("serve",)}, ("serve",), "the script `serve`"),
    (
        {"web": API},
        ("uvicorn", "shop.main:app", "--host", "0.0.0.0", "--port", "8000"),
        "application",
    ),
    ({"named": ("shop",)}, ("shop",), "the script `shop`"),
    ({"dockerfile": DOCKERFILE}, ("shop", "serve"), "Dockerfile"),
    ({"procfile": PROCFILE}, ("gunicorn", "shop.wsgi", "--bind", "0.0.0.0:8000"), "Procfile"),
]


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_first_step_with_a_command_wins(step: int) -> None:
    """Every project has what the later steps need as well."""
    given: dict[str, Any] = {}
    for more, _, _ in STEPS[: step + 1]:
        given.update(more)
    _, command, source = STEPS[step]
    keys = {
        "scripts": given.get("named") or given.get("scripts", ()),
        "apps": tuple(given[name] for name in ("web", "python", "worker") if name in given),
        "stated_starts": tuple(given[name] for name in ("procfile", "dockerfile") if name in given),
    }
    made = plan(project(*map(package, ("uvicorn", "celery", "gunicorn")), **keys))
    if "uvicorn" in command:
        command = ("gunicorn", command[1], "--worker-class", "uvicorn.workers.UvicornWorker")
        command += ("--bind", "0.0.0.0:8000")
    assert made.runtime.command == command
    assert source in (made.runtime.start_reason or "")
    assert any(line.startswith("Starts `") and source in line for line in made.notes)
    assert made.runtime.starts


@pytest.mark.parametrize(
    ("keys", "proposed"),
    [
        ({"scripts": ("a", "b")}, ['["a"]', '["b"]']),
        ({"scripts": ("a", "b"), "apps": (MODULE,)}, ['["a"]', '["b"]']),
        (
            {"scripts": (), "apps": (API, App(kind="asgi", target="shop.api:app"))},
            ["api:app", "main:app"],
        ),
        (
            {"stated_starts": (DOCKERFILE, StatedStart(file="docker/Dockerfile", words=("shop",)))},
            ['["shop", "serve"]', '["shop"]'],
        ),
    ],
)
def test_two_commands_of_one_step_set_none(keys: dict[str, Any], proposed: list[str]) -> None:
    """The note proposes both, and the image says what is missing."""
    made = shop("uvicorn", **keys)
    assert made.command == NO_COMMAND
    assert not made.starts
    text = note("uvicorn", **keys)
    assert "No start command is set" in text
    assert all(f"{words}" in text for words in proposed)


def test_missing_command_exits_with_a_message_on_any_base() -> None:
    """A REPL would end at once, also on a base that starts Python."""
    with pytest.raises(SystemExit, match=r"^No start command: add `command` to"):
        exec(NO_COMMAND[2])  # a message as status is printed, and the status is 1
    made = shop(
        scripts=(),
        settings={"base_image": "gcr.io/distroless/python3", "python": "3.13"}
        | {"build_image": "python:3.13"},
    )
    assert (made.entrypoint, made.command) == ((), NO_COMMAND)
    assert not made.starts
    assert not shop(settings={"command": ()}).starts
    assert shop(settings={"entrypoint": ("tini",)}).starts
    assert shop(settings={"command": ("sh",), "entrypoint": ("tini",)}).start_words == (
        "tini",
        "sh",
    )


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
        (
            "fastapi-cli",
            App(kind="asgi", target="shop.main:app", path="shop/main.py"),
            "fastapi run shop/main.py --host 0.0.0.0 --port 8000",
        ),
        (
            "streamlit",
            App(kind="streamlit", target="app.py", path="app.py"),
            (
                "streamlit run app.py --server.address=0.0.0.0 --server.port=8000"
                " --server.headless=true"
            ),
        ),
        (
            "gunicorn",
            App(kind="aiohttp", target="shop:app"),
            "gunicorn shop:app --bind 0.0.0.0:8000 --worker-class aiohttp.GunicornWebWorker",
        ),
        (
            "sanic",
            App(kind="sanic", target="shop:app"),
            "sanic shop:app --host 0.0.0.0 --port 8000",
        ),
        ("gradio", App(kind="gradio", target="shop"), "python -m shop"),
        ("arq", App(kind="arq", target="shop.w.WorkerSettings"), "arq shop.w.WorkerSettings"),
        ("dramatiq", App(kind="dramatiq", target="shop.jobs"), "dramatiq shop.jobs"),
        ("rq", App(kind="rq", target=""), "rq worker"),
    ],
)
def test_command_of_each_server_and_worker(server: str, app: App, command: str) -> None:
    """Each server listens on all addresses of the container, and its port is exposed."""
    made = shop(server, apps=(app,), scripts=(), files=("app.py", "shop/main.py"))
    assert " ".join(made.command or ()) == command
    assert made.ports == (("8000",) if "8000" in command or app.kind == "gradio" else ())
    if app.kind == "gradio":
        assert made.environment["GRADIO_SERVER_NAME"] == "0.0.0.0"


def test_chooses_application_by_installed_server() -> None:
    """A Django project has both: the server that the project depends on decides."""
    both = (App(kind="asgi", target="shop.asgi:application"), SITE)
    keys = {"apps": both, "scripts": ()}
    assert (shop("gunicorn", **keys).command or ())[1] == "shop.wsgi:application"
    assert (shop("uvicorn", **keys).command or ())[1] == "shop.asgi:application"
    direct = frozenset({"gunicorn"})
    made = shop("gunicorn", "uvicorn", direct=direct, **keys)
    assert made.command == ("gunicorn", "shop.wsgi:application", "--bind", "0.0.0.0:8000")


@pytest.mark.parametrize(
    ("ports", "port", "exposed"),
    [
        (("8125/udp", "9000"), "9000", ("8125/udp", "9000")),
        (("9000/tcp", "8000"), "9000", ("9000/tcp", "8000")),
        ((), "8000", ("8000",)),
    ],
)
def test_server_listens_on_port_of_settings(
    ports: tuple[str, ...], port: str, exposed: tuple[str, ...]
) -> None:
    """Without one, it is 8000, which is exposed."""
    made = shop("uvicorn", apps=(API,), scripts=(), settings={"ports": ports})
    assert (made.command or ())[-1] == port
    assert made.ports == exposed
    assert made.published_ports[0] in ("8125:8125/udp", "9000:9000/tcp", "8000:8000")


def test_installed_framework_decides_kind_of_server() -> None:
    """The source alone does not show it if the application is made by a function call."""
    keys = {"apps": (App(kind="web", target="shop.main:app"),), "scripts": ()}
    assert (shop("fastapi", "uvicorn", **keys).command or ())[0] == "uvicorn"
    assert (shop("flask", "gunicorn", "uvicorn", **keys).command or ())[0] == "gunicorn"
    assert shop("flask", **keys).command == NO_COMMAND


def test_configuration_of_gunicorn_counts() -> None:
    """The `bind` in it is not replaced, and with `wsgi_app`, gunicorn needs no argument."""
    keys = {"apps": (SITE,), "scripts": ("db-migrate",)}
    made = shop("gunicorn", gunicorn="bind = '0.0.0.0:5000'\n", **keys)
    assert (made.command, made.ports) == (("gunicorn", "shop.wsgi:application"), ("5000",))
    made = shop("gunicorn", gunicorn="wsgi_app = 'shop:app'\n", **keys)
    assert made.command == ("gunicorn",)


def test_note_proposes_server_to_add() -> None:
    """The server is in no group, in one for development, or in one that is not installed."""
    lines = (
        '"uvicorn", "shop.main:app", "--host", "0.0.0.0", "--port", "8000"]` and `ports = [8000]`'
    )
    assert f"{lines} after `poetry add uvicorn`." in note("click", scripts=(), apps=(API,))
    dev = package("uvicorn", groups=["dev"])
    made = plan(project(dev, scripts=(), apps=(API,)))
    assert any(line.endswith(f"{lines} after `poetry add uvicorn`.") for line in made.notes)
    web = package("uvicorn", groups=["dev", "web"])
    groups = frozenset({"main", "dev", "web"})
    made = plan(project(web, scripts=(), apps=(API,), default_groups=groups))
    assert any(line.endswith(f"{lines} with `--with web`.") for line in made.notes)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"programs": ("nginx",)}, "runs `nginx`, which the image does not have"),
        ({"programs": ("-m honcho",)}, "runs `honcho`, which the image does not have"),
        ({"paths": ("run.sh",)}, "needs run.sh, which `files` does not have"),
        ({"problem": "uses the shell syntax `|`"}, "uses the shell syntax `|`"),
    ],
)
def test_stated_command_that_the_image_cannot_run(keys: dict[str, Any], reason: str) -> None:
    """The next step counts only if it is about the same application."""
    stated = StatedStart(file="Dockerfile", evidence="x shop.main:app", **keys)
    given = {"stated_starts": (stated,), "apps": (API,), "scripts": ()}
    assert (shop("uvicorn", **given).command or ())[1] == "shop.main:app"
    assert f"The start command is not taken from Dockerfile: it {reason}." in note(
        "uvicorn", **given
    )
    other = StatedStart(file="Dockerfile", evidence="sshd -D", **keys)
    assert shop("uvicorn", **{**given, "stated_starts": (other,)}).command == NO_COMMAND


def test_stated_command_for_a_shell() -> None:
    """A base without a shell gets the words with defaults."""
    stated = StatedStart(
        file="Procfile",
        words=("uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "\N{BULLET}port\N{BULLET}"),
        last=("uvicorn", "shop:app", "--host", "0.0.0.0", "--port", "\N{BULLET}port\N{BULLET}"),
        shell="exec uvicorn shop:app --host 0.0.0.0 --port ${PORT:-\N{BULLET}port\N{BULLET}}",
        programs=("uvicorn",),
        ports=("\N{BULLET}port\N{BULLET}",),
    )
    made = shop("uvicorn", stated_starts=(stated,))
    text = "exec uvicorn shop:app --host 0.0.0.0 --port ${PORT:-8000}"
    assert (made.command, made.ports) == (("sh", "-c", text), ("8000",))
    settings = {
        "base_image": "gcr.io/distroless/python3",
        "build_image": "python:3.13",
        "python": "3.13",
    }
    made = shop("uvicorn", stated_starts=(stated,), settings=settings)
    assert (made.command or ())[-1] == "8000"
    made = shop("uvicorn", stated_starts=(stated,), settings={"ports": ("9000",)})
    assert (made.command or ())[-1].endswith("${PORT:-9000}")
