"""A compiled package with a module beside it, and a site with build steps.

test_examples.py has the kinds of application.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from acme import IMAGE_PYTHON, Project
from builds import build, failed_build, inspect_image
from containers import get, run_container
from harmless import assert_harmless_edits_keep_layers
from index import PrivateIndex
from leaks import Search
from pinned_tools import download_pinned
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall

pytestmark = pytest.mark.engine

DOCS = Path(__file__).parents[2] / "docs"
TOKEN, THROWN_AWAY = "c4nary-of-a-step", "seen-by-one-command"
"""A secret, and a variable of a build step."""
STEPS = f"""

[[tool.poetry-docker-cache.run]]
command = {{collect}}
output = ["staticfiles"]

[[tool.poetry-docker-cache.run]]
command = ["sh", "-c", "echo $STEP_TOKEN $ONLY_HERE | wc -c > seen/length; echo x > ~/other"]
env = {{{{ ONLY_HERE = "{THROWN_AWAY}" }}}}
secrets = ["STEP_TOKEN"]
dependencies = ["assets"]
output = ["seen"]
"""
PACKAGES = ("django<6", "gunicorn", "whitenoise")
# Dependencies on other systems.
BESIDE = ("colorama", "tzdata")
PYPROJECT = """\
[project]
name = "{name}"
version = "1.0"
requires-python = ">=3.11,<4"
dependencies = {dependencies}
{project}

[tool.poetry]
{poetry}

[[tool.poetry.source]]
name = "public"
url = "{url}"
priority = "primary"

[tool.poetry-docker-cache]
python = "{python}"
layers = 1
{settings}

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""

CODE = {
    "__init__.py": """\
        import os
        import acme_settings

        def main() -> None:
            print(acme_settings.WORD, os.getuid())
        """,
    "__main__.py": """\
        from acme_sums._sum import total

        print("module", total(2, 3))
        """,
}

SITE = {
    "manage.py": """\
        import os
        import sys
        from django.core.management import execute_from_command_line

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        execute_from_command_line(sys.argv)
        """,
    "assets/site.css": "body {}\n",
    "shop/__init__.py": "",
    "shop/settings.py": """\
        from pathlib import Path

        BASE_DIR = Path(__file__).resolve().parent.parent
        SECRET_KEY = "of a test"
        ALLOWED_HOSTS = ["*"]
        INSTALLED_APPS = ["django.contrib.staticfiles"]
        MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
        ROOT_URLCONF = "shop.urls"
        STATIC_URL = "static/"
        STATICFILES_DIRS = [BASE_DIR / "assets"]
        STATIC_ROOT = BASE_DIR / "staticfiles"
        """,
    "shop/urls.py": """\
        import os
        from django.http import HttpResponse
        from django.urls import path

        urlpatterns = [path("", lambda request: HttpResponse(f"Django {os.getuid()}"))]
        """,
    "shop/wsgi.py": """\
        import os
        from django.core.wsgi import get_wsgi_application

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        application = get_wsgi_application()
        """,
}

# Not part of the wheel, but importable after `poetry install`.
BESIDE_THE_PACKAGE = {"src/acme_settings.py": 'WORD = "script"\n'}

# A build script compiles it and puts the result next to its source.
NATIVE = {
    "src/acme_sums/_sum.c": """\
        #include <Python.h>

        static PyObject *total(PyObject *self, PyObject *args) {
            long a, b;
            if (!PyArg_ParseTuple(args, "ll", &a, &b)) return NULL;
            return PyLong_FromLong(a + b);
        }
        static PyMethodDef methods[] = {{"total", total, METH_VARARGS, NULL}, {NULL}};
        static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sum", NULL, -1, methods};
        PyMODINIT_FUNC PyInit__sum(void) { return PyModule_Create(&module); }
        """,
    "build.py": """\
        import shutil
        from pathlib import Path
        from setuptools import Distribution, Extension
        from setuptools.command.build_ext import build_ext

        extension = Extension("acme_sums._sum", ["src/acme_sums/_sum.c"])
        command = build_ext(Distribution({"name": "acme_sums", "ext_modules": [extension]}))
        command.ensure_finalized()
        command.run()
        for path in command.get_outputs():
            shutil.copy(path, "src" / Path(path).relative_to(command.build_lib))
        """,
}


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the frameworks without a password, like PyPI; yield the URL."""
    folder = tmp_path_factory.mktemp("public")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    pip += ["--python-version", IMAGE_PYTHON, "--only-binary", ":all:"]
    done = subprocess.run([*pip, *PACKAGES, *BESIDE], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    download_pinned(folder, IMAGE_PYTHON, "poetry-core", "setuptools")
    for name in ("acme-lint", "acme-docs"):  # the edits add them
        make_wheel(folder, name)
    with PrivateIndex(folder, {}) as index:
        yield index.url


@pytest.fixture(scope="module")
def make_project(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    public: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Project]:
    """Return a function that writes a project with these files."""
    poetry = poetry_home(engine)

    def write(name: str, files: dict[str, str], packages: tuple[str, ...], **more: str) -> Project:
        project = Project(tmp_path_factory.mktemp(name), poetry)
        quoted = ", ".join(f'"{package}"' for package in packages)
        texts = {"project": "", "poetry": "", "settings": "", **more}
        pyproject = PYPROJECT.format(
            name=name, dependencies=f"[{quoted}]", url=public, python=IMAGE_PYTHON, **texts
        )
        project.write("pyproject.toml", pyproject.encode())
        for path, text in files.items():
            project.write(path, text)
        return project

    return write


@pytest.fixture(scope="module")
def sums(make_project: Callable[..., Project]) -> Project:
    """Build a package with a compiled module; its image is `acme-sums:1.0`."""
    project = make_project(
        "acme-sums",
        {
            **{f"src/acme_sums/{name}": text for name, text in CODE.items()},
            **NATIVE,
            **BESIDE_THE_PACKAGE,
        },
        (),
        project='[project.scripts]\nacme-sums = "acme_sums:main"\nlint = "acme_settings:lint"',
        poetry='build = { script = "build.py", generate-setup-file = false }\n'
        'include = [{ path = "src/acme_sums/*.so", format = "wheel" }]',
        settings='stop-signal = "SIGINT"',
    )
    project.replace("pyproject.toml", '["poetry-core>=2.0"]', '["poetry-core>=2.0", "setuptools"]')
    project.lock()
    build(project)
    return project


def test_script_with_module_and_c_extension(
    engine: DockerEngine, sums: Project, poetry_install: PoetryInstall
) -> None:
    """The image starts the wheel's only script, which imports a module beside the wheel.

    The image contains the compiled extension, but not the compiler.
    """
    assert engine.run("acme-sums:1.0") == "script 10001\n"
    assert engine.run("acme-sums:1.0", "python", "-m", "acme_sums") == "module 5\n"
    stop = engine.docker("inspect", "--format", "{{.Config.StopSignal}}", "acme-sums:1.0").stdout
    assert stop == "SIGINT\n"
    found = inspect_image(engine, "acme-sums:1.0")
    assert found["compilers"] == []
    assert found["distributions"] == poetry_install(sums, "--only=main")


def _assert_image_lacks(engine: DockerEngine, image: str, *texts: str) -> None:
    """Search the configuration, history and all layers of an image."""
    searches = [Search(text) for text in texts]
    known = Search("acme-site")
    with tempfile.NamedTemporaryFile() as saved:
        engine.docker("save", "--output", saved.name, image)
        with tarfile.open(saved.name) as archive:
            for member in archive:
                if file := archive.extractfile(member):
                    data = file.read()
                    for search in (*searches, known):
                        search.data(member.name, data)
    shown = engine.docker("history", "--no-trunc", image).stdout
    for search in searches:
        search.text("history", shown)
        assert search.places == set()
    assert known.places, "the search finds nothing"


def test_django(
    engine: DockerEngine,
    make_project: Callable[..., Project],
    poetry_install: PoetryInstall,
    tmp_path: Path,
) -> None:
    """The documented step collects the static files; gunicorn is the default command."""
    (lines,) = re.findall(
        r"^instructions = .*$", (DOCS / "templates.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    (collect,) = re.findall(
        r"^run = \[\{ command = (\[.*?\])",
        (DOCS / "images.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    project = make_project(
        "acme-site",
        SITE,
        PACKAGES,
        poetry='packages = [{ include = "shop" }]',
        # Not pyproject.toml, which has the variable of a step.
        settings=f'ports = [8000]\nfiles = ["assets", "manage.py", "shop"]\n{lines}'
        + STEPS.format(collect=collect),
    )
    poetry = replace(project.poetry, env={**project.poetry.env, "STEP_TOKEN": TOKEN})
    project.lock()
    assert "the variable STEP_TOKEN is not set" in failed_build(project)
    project = Project(project.folder, poetry)
    noted = project.poetry.run(project.folder, "docker", "export", "-o", "../D").stderr
    command = "gunicorn shop.wsgi:application --bind 0.0.0.0:8000"
    assert f"Starts `{command}`: from the application in shop/wsgi.py." in noted
    steps = build(project)
    assert {"run-1", "run-2"} <= steps.ran | steps.cached
    with run_container(engine, "acme-site:1.0") as site:
        assert get(engine, site) == "Django 10001"
        assert get(engine, site, "/static/site.css") == "body {}\n"
    assert engine.run("acme-site:1.0", "id", "-un") == "app\n"
    found = inspect_image(engine, "acme-site:1.0")
    assert found["distributions"] == poetry_install(project, "--only=main")
    assert found["writable"] == []
    assert {"staticfiles/site.css", "seen/length"} <= {*found["files"]}
    assert engine.run("acme-site:1.0", "cat", "seen/length") == f"{len(TOKEN + THROWN_AWAY) + 2}\n"
    for left in ("find /app ! -user root", "ls -A /home/app", "find / -maxdepth 1 -name run-*"):
        assert engine.run("acme-site:1.0", *left.split()) == ""
    _assert_image_lacks(engine, "acme-site:1.0", TOKEN, THROWN_AWAY)
    (project.folder / "shop" / "urls.py").write_text(f"{project.read('shop/urls.py')}\n# Edited.\n")
    steps = build(project)
    assert "run-1" in steps.ran, "it has the code"
    assert "run-2" in steps.cached, "it has only the assets"
    assert_harmless_edits_keep_layers(
        project,
        tmp_path / "copy",
        sources=["shop/urls.py"],
        wider=('"gunicorn"', '"gunicorn (>=20)"'),
        source="public",
    )
