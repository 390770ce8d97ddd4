"""Packages without a wheel are built on the full image: real ones and some of Acme's."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from acme import AcmeIndex, Project
from builds import build, failed_build, inspect_image, names
from pip._internal.models.index import PyPI
from wheels import Extension, make_sdist

if TYPE_CHECKING:
    from collections.abc import Callable

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

# The real packages come from pip's default index, Acme's from its private one.
PYPROJECT = """\
[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = ">=3.11,<4"
psycopg2 = "2.9.10"
iniconfig = "2.0.0"
markupsafe = "3.0.2"
acme-built = {{ version = "1.0", source = "acme" }}
acme-util = {{ version = "*", source = "acme" }}
acme-canary = {{ version = "*", source = "acme" }}

[tool.poetry.group.wheels.dependencies]
iniconfig = "*"
markupsafe = "*"

[tool.poetry.group.linked.dependencies]
acme-linked = {{ version = "*", source = "acme" }}

[tool.poetry.group.header.dependencies]
acme-header = {{ version = "*", source = "acme" }}

[[tool.poetry.source]]
name = "main"
url = "{url}"

[[tool.poetry.source]]
name = "acme"
url = "{private}"
priority = "explicit"

[tool.poetry-docker-cache]
image = "acme-source"
python = "3.13"
layers = 2
files = []
"""

LINKED = """\
#include <Python.h>

char *curl_version(void);

static PyObject *version(PyObject *self, PyObject *none) {
    return PyUnicode_FromString(curl_version());
}

static PyMethodDef methods[] = {{"version", version, METH_NOARGS, ""}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "acme_linked", "", -1, methods};

PyMODINIT_FUNC PyInit_acme_linked(void) {
    return PyModule_Create(&module);
}
"""
# Records what its build can see; setuptools names `setup_requires` only when it runs.
CANARY = """\
import importlib.util, os, pathlib, socket
from setuptools import setup

seen = {"required": importlib.util.find_spec("iniconfig") is not None}
seen["secrets"] = [str(path) for path in pathlib.Path("/run/secrets").glob("*")]
seen["variables"] = [name for name, value in os.environ.items() if "@" in value and "://" in value]
try:
    seen["network"] = bool(socket.create_connection(("127.0.0.1", PORT), 2))
except OSError:
    seen["network"] = False
pathlib.Path("acme_canary.py").write_text(f"SEEN = {seen!r}\\n")
setup(name="acme-canary", version="1.0", py_modules=["acme_canary"], setup_requires=["iniconfig"])
"""
# The full image has this library without headers, and its Debian package has an unusual name.
LIBRARY = "libcurl-gnutls.so.4"
PACKAGE = "libcurl3t64-gnutls"


@pytest.fixture(scope="module")
def project(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a locked project: packages from source and wheels, each also in its own group."""
    for version in ("1.0", "1.1"):
        make_sdist(index.packages, "acme-built", version, requires=["acme-util"])
    port = str(urlsplit(index.url).port)
    make_sdist(index.packages, "acme-canary", setup=CANARY.replace("PORT", port))
    linked = Extension(code=LINKED, links=[f"-l:{LIBRARY}"])
    make_sdist(index.packages, "acme-linked", extension=linked)
    header = Extension(code="#include <sql.h>\n")
    make_sdist(index.packages, "acme-header", extension=header)
    project = Project(tmp_path_factory.mktemp("from-source"), poetry_home(engine))
    text = PYPROJECT.format(url=f"{PyPI.simple_url}/", private=index.url)
    project.write("pyproject.toml", text.encode())
    project.log_in(index.password)
    project.lock()
    return project


@pytest.fixture(scope="module")
def built(project: Project) -> Project:
    """Build its main group."""
    build(project, "--tag=acme-source:1")
    return project


def test_built_packages_run(engine: DockerEngine, built: Project) -> None:
    """psycopg2, compiled here, finds libpq, which the project does not mention."""
    code = "import psycopg2, acme_built; print(psycopg2.__version__, psycopg2.__libpq_version__)"
    version, *_, libpq = engine.run("acme-source:1", "python", "-c", code).split()
    assert version == "2.9.10"
    assert int(libpq) >= 150000
    found = inspect_image(engine, "acme-source:1")
    expected = {"MarkupSafe", "acme-built", "acme-canary", "acme-util", "iniconfig", "psycopg2"}
    assert {*names(found)} == expected
    assert found["compilers"] == []
    done = built.poetry.run(built.folder, "docker", "export", "-o", "-")
    said = "acme-built, acme-canary, psycopg2 must be built from source, on python:3.13"
    assert said in done.stderr
    assert "Debian packages added for the dependencies: libpq5." in done.stderr
    assert "\nFROM python:3.13 AS builder\n" in done.stdout
    assert done.stdout.count("FROM python:3.13 ") == 1


def test_build_sees_no_secret_and_no_network(engine: DockerEngine, built: Project) -> None:
    """The code of a package without a wheel runs with what it requires, and with nothing else."""
    assert built
    said = engine.run(
        "acme-source:1", "python", "-c", "import acme_canary; print(acme_canary.SEEN)"
    )
    seen = {"required": True, "secrets": [], "variables": [], "network": False}
    assert ast.literal_eval(said) == seen


def test_upgrade_rebuilds_only_the_source_layer(engine: DockerEngine, built: Project) -> None:
    """It rebuilds the layer of packages from source, but neither the wheels nor the check."""
    built.replace("pyproject.toml", 'version = "1.0", source', 'version = "1.1", source')
    built.lock()
    steps = build(built, "--tag=acme-source:2")
    fetched = {"source-files", "source-requires", "source-files-all"}
    assert steps.ran - {"final"} == {"manifest", "manifests", "source", *fetched}
    assert {"pure-1", "native-1", "base", "check"} <= steps.cached
    assert steps.installed == ("acme-built", "acme-canary", "psycopg2")
    code = "import psycopg2, acme_built; print(acme_built.VERSION)"
    assert engine.run("acme-source:2", "python", "-c", code) == "1.1\n"


def test_wheels_only(project: Project) -> None:
    """A project with nothing to build never uses the full image."""
    command = ["docker", "build", "--progress=plain", "--tag=acme-source:wheels", "--only=wheels"]
    said = project.poetry.run(project.folder, *command).stderr
    assert "library/python:3.13-slim" in said
    assert not re.search(r"python:3\.13(?!-slim)", said)


def test_missing_library(engine: DockerEngine, project: Project) -> None:
    """The error has the library's name and the line to add; with that line, the module runs."""
    said = failed_build(project, "--only=linked")
    assert f"acme-linked needs {LIBRARY}, which is not in the image." in said
    assert f'runtime-packages = ["{PACKAGE}"]' in said
    project.configure(runtime_packages=[PACKAGE])
    build(project, "--only=linked", "--tag=acme-source:linked")
    code = "import acme_linked; print(acme_linked.version())"
    assert "GnuTLS" in engine.run("acme-source:linked", "python", "-c", code)


def test_missing_header(project: Project) -> None:
    """The error has the package, the header and the line to add."""
    said = failed_build(project, "--only=header")
    assert "acme-header (1.0) could not be built from source: its build did not find sql.h." in said
    assert 'build-packages = ["unixodbc-dev"]' in said
