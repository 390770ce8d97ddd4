"""Projects without a package or wheel, and with other sources and libraries."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest
from acme import AcmeIndex, Project, make_shop
from builds import build, failed_build, inspect_image, names, without_cache
from containers import run_container, wait_for_answer
from engines import PATIENCE
from harmless import edit_harmlessly
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

APPLICATION = """\
[project]
name = "acme-app"
version = "2.0"
requires-python = ">=3.11,<4"
dependencies = [{dependencies}]

[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "acme"
url = "{{url}}"

[tool.poetry-docker-cache]
python = "{{python}}"
"""


def make_application(folder: Path, poetry: Poetry, index: AcmeIndex, *dependencies: str) -> Project:
    """Return a locked project that is not a package."""
    project = Project(folder, poetry)
    text = APPLICATION.format(
        dependencies=", ".join(f'"{dependency}"' for dependency in dependencies)
    )
    project.write("pyproject.toml", text.format(url=index.url, python="3.13").encode())
    project.log_in(index.password)
    project.lock()
    return project


@pytest.fixture(scope="module")
def poetry(poetry_home: Callable[[DockerEngine], Poetry], engine: DockerEngine) -> Poetry:
    """Return a Poetry for the projects below."""
    return poetry_home(engine)


def test_project_without_package_runs_from_source_tree(
    engine: DockerEngine, poetry: Poetry, index: AcmeIndex, tmp_path: Path
) -> None:
    """The project runs from its files, without those that the ignore file excludes."""
    project = make_application(tmp_path, poetry, index, "acme-lib")
    project.write("manage.py", "import acme_lib, site_settings\nprint(site_settings.NAME)\n")
    project.write("site_settings.py", "NAME = 'tree'\n")
    project.write(".env", "PASSWORD=1\n")
    project.write(".git/config", "[remote]\n")
    project.configure(command=["python", "manage.py"])
    build(project)
    assert engine.run("acme-app:2.0") == "tree\n"
    found = inspect_image(engine, "acme-app:2.0")
    assert names(found) == ["acme-lib", "acme-util"]
    assert {"manage.py", "site_settings.py"} <= set(found["files"])
    assert not [name for name in found["files"] if name.startswith((".env", ".git", "Dockerfile"))]
    assert found["writable"] == []


def test_dependency_without_wheel_is_built(
    engine: DockerEngine, poetry: Poetry, index: AcmeIndex, tmp_path: Path
) -> None:
    """A package without a wheel is built on the build image, with a note; the base stays slim."""
    project = make_application(tmp_path, poetry, index, "acme-old")
    project.write("main.py", "import acme_old\nprint('old', acme_old.VERSION)\n")
    project.configure(command=["python", "main.py"], image="acme/old")
    dry = poetry.run(tmp_path, "docker", "build", "--dry-run")
    assert "acme-old must be built from source" in dry.stderr
    assert "on python:3.13, in a separate layer" in dry.stderr
    steps = build(project, *without_cache("dependencies", "source"))
    assert steps.installed == ("acme-old", "acme-util")
    assert engine.run("acme/old:2.0") == "old 1.0\n"
    found = inspect_image(engine, "acme/old:2.0")
    assert names(found) == ["acme-old", "acme-util"]
    assert found["compilers"] == []


EXPLICIT = """\
[project]
name = "acme-explicit-shop"
version = "1"
requires-python = ">=3.11,<4"
dependencies = ["acme-explicit"]

[tool.poetry]
packages = [{{ include = "acme_shop", from = "src" }}]

[tool.poetry.dependencies]
acme-explicit = {{ source = "acme" }}

[[tool.poetry.source]]
name = "acme"
url = "{url}"
priority = "explicit"
"""


def test_source_in_addition_to_pypi(
    engine: DockerEngine, poetry: Poetry, index: AcmeIndex, tmp_path: Path
) -> None:
    """A source is used in addition to PyPI; Poetry comes from pip's default index."""
    make_wheel(index.packages, "acme-explicit")
    project = make_shop(tmp_path, poetry, index, pyproject=EXPLICIT)
    project.write("src/acme_shop/__init__.py", "")
    project.write("src/acme_shop/__main__.py", "import acme_explicit\nprint('explicit')\n")
    project.configure(python="3.13")
    before = index.downloads()
    build(project, "--tag=shop:explicit")
    assert engine.run("shop:explicit") == "explicit\n"
    assert index.downloads()[len(before) :] == ["acme_explicit-1.0-py3-none-any.whl"]


EXTENSION = """\
set -e
cd /tmp
echo 'void PQfinish(void) {}' > pq.c
gcc -shared -Wl,-soname,libpq.so.5 -o libpq.so.5 pq.c
echo 'void PQfinish(void); void f(void) { PQfinish(); }' > ext.c
gcc -shared -fPIC -o ext.so ext.c ./libpq.so.5
base64 ext.so
"""


WAITING = """\
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("process 1 is", open("/proc/1/comm").read(), flush=True)
time.sleep(60)
"""


def _assert_init_passes_signals(engine: DockerEngine, image: str) -> None:
    """Stop a container: the program gets the signal, and its exit status is the container's."""

    def ready() -> str:
        logs = engine.docker("logs", container).stdout
        return logs * logs.startswith("process 1 is tini\n")

    with run_container(engine, image, "python", "-c", WAITING) as container:
        wait_for_answer(engine, container, ready)
        engine.docker("stop", "--time", f"{PATIENCE:.0f}", container)
        state = engine.docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout
    assert state == "7\n"


def test_missing_shared_library(
    engine: DockerEngine, poetry: Poetry, index: AcmeIndex, tmp_path: Path
) -> None:
    """The build fails with the line to add; with that line, apt installs the library."""
    library = base64.b64decode(engine.run("python:3.13", "sh", "-c", EXTENSION))
    make_wheel(
        index.packages,
        "acme-pq",
        tag="py3-none-linux_" + os.uname().machine,
        files={"acme_pq/__init__.py": "", "acme_pq/_pq.cpython-313-x86_64-linux-gnu.so": library},
    )
    project = make_application(tmp_path, poetry, index, "acme-pq")
    project.write("main.py", "import ctypes\nctypes.CDLL('libpq.so.5')\nprint('loaded')\n")
    project.configure(command=["python", "main.py"], image="acme/pq")
    log = failed_build(project)
    assert "acme-pq needs libpq.so.5" in log
    assert 'runtime-packages = ["libpq5"]' in log

    project.configure(runtime_packages=["libpq5"], build_packages=["libpq-dev"], init=True)
    steps = build(project)
    assert "check" in steps.ran
    assert "dependencies" in steps.cached
    assert engine.run("acme/pq:2.0") == "loaded\n"
    found = inspect_image(engine, "acme/pq:2.0")
    assert found["apt"] == []
    assert found["distributions"] == [["acme-pq", "1.0"]]
    headers = engine.run("acme/pq:2.0", "sh", "-c", "ls /usr/include/postgresql 2>&1 || true")
    assert "No such file" in headers
    _assert_init_passes_signals(engine, "acme/pq:2.0")
    edit_harmlessly(project, sources=["main.py"])
    steps = build(project, "--", "--output=type=cacheonly")
    assert (steps.installed, steps.rebuilt) == ((), frozenset())
