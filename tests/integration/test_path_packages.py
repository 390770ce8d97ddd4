"""A monorepo on a real BuildKit: path dependencies inside the project and beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from acme import IMAGE_PYTHON, AcmeIndex, Project
from builds import build, inspect_image, names
from command_line import poetry
from dockerignore import passing
from harmless import edit_harmlessly
from poetry.factory import Factory
from projects import make_project, package

from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.project.root.root_package import read_root
from poetry_docker_cache.render.stage_commands import FROM_ABOVE, in_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine
    from reference import PoetryInstall

CORE = (
    '[build-system]\nrequires = ["poetry-core>=2.0"]\nbuild-backend = "poetry.core.masonry.api"\n'
)
SHOP = """\
[project]
name = "acme-shop"
version = "1.2.3"
requires-python = ">=3.11,<4"
dependencies = ["acme-native", "acme-core", "acme-side"]

[project.scripts]
acme-shop = "acme_shop:main"

[tool.poetry]
packages = [
    {{ include = "acme_shop", from = "src" }},
    {{ include = "acme_models", from = "../shared" }},
]

[tool.poetry.dependencies]
acme-core = {{ path = "libs/core", develop = true }}
acme-side = {{ path = "../side" }}

[tool.poetry.group.dev.dependencies]
acme-tools = {{ path = "../tools", develop = true }}

[[tool.poetry.source]]
name = "acme"
url = "{url}"

[tool.poetry-docker-cache]
python = "{python}"
"""
SHOP_CODE = """\
import acme_core, acme_models, acme_native, acme_side

def main() -> None:
    print("shop", acme_core.NAME, acme_side.NAME, acme_models.NAME, acme_native.VERSION)
"""
CORE_LIB = '[project]\nname = "acme-core"\nversion = "2.0"\n'
SIDE = """\
[tool.poetry]
name = "acme-side"
version = "0.5"
description = ""
authors = []

[tool.poetry.dependencies]
python = ">=3.11"
acme-util = "<0.1 || >0.2"
acme-base = { path = "../base", develop = true }
"""
BASE = '[project]\nname = "acme-base"\nversion = "0.1"\n'
TOOLS = '[project]\nname = "acme-tools"\nversion = "1"\n'
TAG = "acme-shop:1.2.3"
STAGES = {"dependencies", "build-backend", "path-acme-base", "path-acme-core", "path-acme-side"}


@dataclass(frozen=True, kw_only=True)
class Built:
    """A monorepo with the built project `app`, its build, and the content of its image."""

    project: Project
    steps: Steps
    found: dict[str, Any]


@pytest.fixture(scope="module")
def built(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Built:
    """Build it for the first time, with large files beside everything that is needed."""
    repository = tmp_path_factory.mktemp("monorepo")
    project = Project(repository / "app", poetry_home(engine))
    # Another host name of the index keeps layers of other test modules from matching.
    url = index.url.replace("127.0.0.1", "localhost")
    text = SHOP.format(url=url, python=IMAGE_PYTHON)
    project.write("pyproject.toml", text + CORE)
    project.write("src/acme_shop/__init__.py", SHOP_CODE)
    project.write("../shared/acme_models/__init__.py", "NAME = 'models'\n")
    project.write("libs/core/pyproject.toml", CORE_LIB + CORE)
    project.write("libs/core/acme_core.py", "NAME = 'core'\n")
    project.write("../side/pyproject.toml", SIDE + CORE)
    project.write(
        "../side/src/acme_side/__init__.py",
        "import acme_base, acme_util\nNAME = f'side of {acme_base.NAME}'\n",
    )
    project.write("../base/pyproject.toml", BASE + CORE)
    project.write("../base/acme_base/__init__.py", "NAME = 'base'\n")
    project.write("../tools/pyproject.toml", TOOLS + CORE)
    project.write("../tools/acme_tools.py", "")
    project.log_in(index.password)
    project.lock()
    for place in (".", "libs/core", "..", "../side", "../base", "../shared"):
        project.write(f"{place}/dump.bin", os.urandom(2_000_000))
    steps = build(project, "--no-cache")  # ignores layers of other tests
    return Built(project=project, steps=steps, found=inspect_image(engine, TAG))


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Project:
    """Return a copy of the monorepo, and the project in it."""
    shutil.copytree(built.project.folder.parent, tmp_path / "copy")
    return Project(tmp_path / "copy" / "app", built.project.poetry)


@pytest.mark.engine
def test_image_matches_poetry_install(
    engine: DockerEngine, built: Built, poetry_install: PoetryInstall
) -> None:
    """The distributions are the same, including those that Poetry installs for development."""
    repository = built.project.folder.parent
    installed = poetry_install(built.project, "--only=main", repository=repository)
    assert built.found["distributions"] == installed
    assert names(built.found) == [
        *("acme-base", "acme-core", "acme-native", "acme-shop", "acme-side", "acme-util")
    ]
    assert engine.run(TAG) == "shop core side of base models 1.0\n"
    for nothing in ("direct_url", "leftovers", "files", "writable", "importable"):
        assert built.found[nothing] == [], nothing
    code = "import acme_core as m; print(m.__file__)"
    assert engine.run(TAG, "python", "-c", code).startswith("/venv/lib/"), "it is not installed"


@pytest.mark.engine
def test_only_needed_files_are_sent(built: Built) -> None:
    """Packages come from the index; of the repository, only what the wheels need is sent."""
    assert built.steps.installed == ("acme-native", "acme-util")
    assert built.steps.ran >= STAGES
    assert 0 < built.steps.sent < 100_000


@pytest.mark.engine
def test_edit_of_path_dependency_runs_its_own_stage(engine: DockerEngine, copy: Project) -> None:
    """A new version does too, although no lock has it; unneeded files may be missing."""
    copy.replace("../side/src/acme_side/__init__.py", "side of", "edge of")
    copy.replace("../side/pyproject.toml", 'version = "0.5"', 'version = "0.6"')
    shutil.rmtree(copy.folder.parent / "tools")
    steps = build(copy, "--tag=shop:edited")
    assert steps.ran & {*STAGES, "venv", "manifest", "check", "application"} == {"path-acme-side"}
    assert steps.installed == ()
    assert engine.run("shop:edited") == "shop core edge of base models 1.0\n"
    assert ["acme-side", "0.6"] in inspect_image(engine, "shop:edited")["distributions"]


@pytest.mark.engine
def test_project_edits_install_nothing(copy: Project) -> None:
    """They do not rebuild a path dependency either."""
    edit_harmlessly(
        copy,
        sources=["src/acme_shop/__init__.py"],
        wider=('"acme-native"', '"acme-native (>=0.9)"'),
    )
    steps = build(copy, "--", "--output=type=cacheonly")
    assert (steps.installed, steps.rebuilt) == ((), frozenset())
    assert steps.cached >= STAGES


@pytest.mark.engine
def test_vendored_dockerfile(engine: DockerEngine, copy: Project, tmp_path: Path) -> None:
    """The note says how to build it: in the project's folder, with the larger context."""
    copy.configure(syntax=False)
    auth = tmp_path / "auth.toml"
    said = copy.poetry.run(copy.folder, "docker", "export", f"--auth-file={auth}").stderr
    assert "`docker build --file Dockerfile ..`" in said
    copy.poetry.run(copy.folder, "docker", "export", "--check")
    dockerfile = str(copy.folder / "Dockerfile")
    options = ("--network=host", "--secret", f"id=auth,src={auth}", "--load", "-t", "shop:vendored")
    engine.docker("buildx", "build", "--file", dockerfile, *options, str(copy.folder.parent))
    assert engine.run("shop:vendored") == "shop core side of base models 1.0\n"
    layers = [
        engine.docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image).stdout
        for image in ("shop:vendored", TAG)
    ]
    assert layers[0] == layers[1]


ABOVE = """\
[tool.poetry]
name = "my-app"
version = "1"
description = ""
authors = []
readme = ["ABOUT.md", "./../../docs/ABOUT.md"]
packages = [
    { include = "my_app" }, { include = "models", from = "../../common" },
    { include = "top", from = '..' }, { "from"="./../", include = "other", to = "my_app" },
]
"""


def test_poetry_core_finds_parent_files(tmp_path: Path) -> None:
    """Run the very step of the build: the files in their places, and sed."""
    project = tmp_path / "apps" / "one"
    files = ["my_app/a.py", "../../common/models/m.py", "../top/t.py", "../other/o.py"]
    for name in (*files, "ABOUT.md", "../../docs/ABOUT.md"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(f"# All in {name}\n")
    (project / "pyproject.toml").write_text(ABOVE + CORE)
    root = read_root(Factory().create_poetry(project))
    assert isinstance(root, WheelRoot), root
    assert root.paths == (
        *("../../common/models", "../../docs/ABOUT.md", "../other", "../top"),
        *("ABOUT.md", "my_app"),
    )
    stage = tmp_path / "stage" / "project"
    for path in (*root.paths, "pyproject.toml"):
        target = stage / in_project(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (project / path).is_dir():
            shutil.copytree(project / path, target)
        else:
            shutil.copy(project / path, target)
    *sed, file = FROM_ABOVE
    subprocess.run([*sed, f"{stage.parent}{file}"], check=True)
    code = "from poetry.core.masonry.api import build_wheel; print(build_wheel('.'))"
    run = [sys.executable, "-c", code]
    wheel = subprocess.run(run, cwd=stage, check=True, capture_output=True, text=True).stdout
    with zipfile.ZipFile(stage / wheel.strip()) as archive:
        found = {name for name in archive.namelist() if name.endswith(".py")}
        assert b"# All in ../../docs/" in archive.read("my_app-1.dist-info/METADATA")
    assert found == {"my_app/a.py", "models/m.py", "top/t.py", "my_app/other/o.py"}


IMAGES = """\
[tool.poetry]
packages = [{ include = "app" }]
[tool.poetry.group.more.dependencies]
acme-base = { path = "../base" }
[tool.poetry-docker-cache]
download-cache = ".wheels"
[tool.poetry-docker-cache.images.api]
[tool.poetry-docker-cache.images.worker]
groups = ["main", "more"]
"""


def test_each_image_has_the_context_it_needs(tmp_path: Path) -> None:
    """Only images that use something beside the project get the larger context."""
    make_project(
        tmp_path / "app",
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n' + CORE + IMAGES,
        [
            package("click"),
            package(
                "acme-base",
                files=[],
                groups=["more"],
                source={"type": "directory", "url": "../base"},
            ),
        ],
    )
    for name, text in {
        "app/app/__init__.py": "",
        "base/pyproject.toml": BASE + CORE,
        "base/acme_base.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    outcome = poetry(tmp_path / "app", "docker", "export", "--bake")
    assert outcome.status == 0, outcome.err
    assert "- worker: The build context is .., because the image needs ../base." in outcome.err
    assert "Build with `docker build --file worker.Dockerfile ..`." in outcome.err
    (tmp_path / "app/docker").mkdir()
    outcome = poetry(tmp_path / "app", "docker", "export", "worker", "-o", "docker/Dockerfile")
    assert "Build with `docker build --file docker/Dockerfile ..`." in outcome.err
    bake = (tmp_path / "app/docker-bake.hcl").read_text()
    assert '  context    = "."\n  dockerfile = "api.Dockerfile"\n' in bake
    assert '  context    = ".."\n  dockerfile = "app/worker.Dockerfile"\n' in bake
    files = ["base/acme_base.py", "base/x.py", "app/app/__init__.py", "app/docker-bake.hcl"]
    files += ["app/.wheels/a.whl", "app/api.Dockerfile", "app/worker.Dockerfile.dockerignore"]
    ignore = (tmp_path / "app/worker.Dockerfile.dockerignore").read_text()
    assert passing(ignore, files) == {"base/acme_base.py", "app/app/__init__.py"}
    assert "\nCOPY base/acme_base.py " in (tmp_path / "app/worker.Dockerfile").read_text()
    assert "acme" not in (tmp_path / "app/api.Dockerfile").read_text().partition("AS venv")[2]
