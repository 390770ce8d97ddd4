"""Other base images: by digest, the full one, one without a shell, one with a user."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import pytest
from acme import SHOP, AcmeIndex, Project, make_shop
from builds import build, failed_build, inspect_image
from clean_poetry import POETRY
from elf_files import make_elf
from harmless import assert_harmless_edits_keep_layers
from wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

LIBRARY = "libtinfo.so.6"
"""Debian's shell needs this library, and so does an image with a shell."""

PYPROJECT = (
    SHOP.replace('"acme-native"]', '"acme-native", "acme-term"]')
    + """
[tool.poetry.group.old]
optional = true

[tool.poetry.group.old.dependencies]
acme-old = "*"
"""
)

# Like Google's distroless images, with Python in the same place as in the slim image, and without
# bytecode.
BARE = f"""\
FROM python:3.13-slim
RUN find / -xdev -name __pycache__ -prune -exec rm -rf {{}} + \\
    && rm -rf /usr/bin/*sh /usr/bin/apt* /usr/bin/dpkg* /usr/bin/pip* /usr/local/bin/pip* \\
    /usr/lib/python3/dist-packages /usr/lib/*/{LIBRARY}*
USER 65532
WORKDIR /home/nonroot
ENTRYPOINT ["/usr/bin/python3"]
"""

# Like many company base images; its user has the same number as ours.
COMPANY = """\
FROM python:3.13-slim
RUN echo appuser:x:10001:10001::/srv/appuser:/bin/sh >> /etc/passwd \\
    && echo appuser:x:10001: >> /etc/group \\
    && mkdir /srv/appuser && chown appuser:appuser /srv/appuser
ENV HOME=/srv/appuser
USER appuser
WORKDIR /srv/appuser
"""


class Shop:
    """A project that is built on several base images in turn."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.pyproject = project.read("pyproject.toml")

    def on(self, **settings: object) -> Project:
        """Return the project with these settings only."""
        self.project.write("pyproject.toml", self.pyproject.encode())
        self.project.configure(**settings)
        return self.project


@pytest.fixture(scope="module")
def shop(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:
    """Return a locked project; a module of its dependencies needs a system library."""
    folder: Path = tmp_path_factory.mktemp("bases")
    module = make_elf(folder / "_term.so", needed=[LIBRARY]).read_bytes()
    files: dict[str, str | bytes] = {"acme_term/__init__.py": "", "acme_term/_term.so": module}
    tag = f"py3-none-manylinux_2_17_{platform.machine()}"
    make_wheel(index.packages, "acme-term", tag=tag, files=files)
    project = make_shop(folder / "shop", poetry_home(engine), index, pyproject=PYPROJECT)
    return Shop(project)


@pytest.fixture(scope="module")
def ordinary(engine: DockerEngine, shop: Shop) -> dict[str, Any]:
    """Build on the slim image and describe its content."""
    project = shop.on()
    build(project, "--tag=acme/bases:slim")
    found = inspect_image(engine, "acme/bases:slim")
    packages = {"acme-lib": "1.1", "acme-native": "1.0", "acme-shop": "1.2.3"}
    packages |= {"acme-term": "1.0", "acme-util": "1.0"}
    assert found["distributions"] == [[*item] for item in packages.items()]
    return found


def edit(project: Project, folder: Path, *options: str) -> None:
    """Make all edits that install nothing to a copy, and build it."""
    assert_harmless_edits_keep_layers(
        project,
        folder,
        *options,
        sources=["src/acme_shop/__init__.py"],
        wider=("acme-lib (>=1.0,<2)", "acme-lib (>=0.5,<3)"),
    )


def build_base(engine: DockerEngine, name: str, dockerfile: str) -> str:
    """Create a base image in the engine; return its name."""
    engine.docker("build", f"--tag={name}", "-", text=dockerfile)
    return name


def test_base_image_by_digest(
    engine: DockerEngine, shop: Shop, ordinary: dict[str, Any], tmp_path: Path
) -> None:
    """It is the slim image's digest, so nothing is installed again; builds use the full image."""
    engine.docker("pull", "--quiet", "python:3.13-slim")
    digests = "{{index .RepoDigests 0}}"
    named = engine.docker("image", "inspect", "--format", digests, "python:3.13-slim").stdout
    digest = named.strip().partition("@")[2]
    project = shop.on(base_image=f"python:3.13-slim@{digest}", poetry_version=POETRY)
    steps = build(project, "--with=old", "--tag=acme/bases:digest")
    assert {"venv", "dependencies", "build-backend"} <= steps.cached, steps
    assert "source" in steps.ran | steps.cached
    found = inspect_image(engine, "acme/bases:digest")
    assert found["distributions"] == sorted([*ordinary["distributions"], ["acme-old", "1.0"]])
    assert engine.run("acme/bases:digest") == "shop 1.1 1.0\n"
    edit(project, tmp_path / "copy", "--with=old")


def test_full_base_image(engine: DockerEngine, shop: Shop, ordinary: dict[str, Any]) -> None:
    """It is the base of every stage, and contains what the slim image does."""
    project = shop.on(base_image="python:{python}")
    exported = project.poetry.run(project.folder, "docker", "export", "-o", "-").stdout
    assert "FROM python:3.13 AS base" in exported
    assert "python:3.13-slim" not in exported
    build(project, "--tag=acme/bases:full")
    found = inspect_image(engine, "acme/bases:full")
    assert found["distributions"] == ordinary["distributions"]
    assert found["writable"] == []
    assert engine.run("acme/bases:full") == "shop 1.1 1.0\n"


def test_base_image_without_shell(
    engine: DockerEngine, shop: Shop, ordinary: dict[str, Any], tmp_path: Path
) -> None:
    """Only the check runs on it, and finds a library that is only in the build image."""
    base = build_base(engine, "acme-bases/bare:3.13", BARE)
    settings: dict[str, Any] = {
        "base_image": base,
        "build_image": "python:{python}-slim",
        "shell": False,
        "compile": True,
        "files": ["README.md"],
        "run": [
            {"command": ["python", "-c", "open('made/a', 'w').close()"], "output": ["made"]},
        ],
    }
    said = failed_build(shop.on(**settings))
    assert f"acme-term needs {LIBRARY}, which is not in the image." in said
    assert "Install it with `instructions.runtime`, or set a `base-image` that has it." in said

    build(shop.on(**settings, optional_libraries=[LIBRARY]), "--tag=acme/bases:bare")
    image = "acme/bases:bare"
    assert engine.run(image) == "shop 1.1 1.0\n"
    found = inspect_image(engine, image)
    assert found["distributions"] == ordinary["distributions"]
    assert found["user"] == [10001, 10001]
    assert found["home"] == ["/home/app", 10001, [], True]
    assert (found["writable"], found["owners"]) == ([], [0])
    assert (found["files"], found["leftovers"]) == (["README.md", "made", "made/a"], [])
    compiled = "import json, os; print(os.path.exists(json.__cached__))"
    assert engine.run(image, "python", "-c", compiled) == "True\n"
    for program in ("/bin/sh", "/bin/bash", "pip"):
        done = engine.docker("run", "--rm", f"--entrypoint={program}", image, check=False)
        assert done.returncode == 127, program
    edit(shop.project, tmp_path / "copy")


def test_base_image_with_user(engine: DockerEngine, shop: Shop, ordinary: dict[str, Any]) -> None:
    """The build runs as root; the image has our user and home folder."""
    base = build_base(engine, "acme-bases/company:3.13", COMPANY)
    build(shop.on(base_image=base, files=["README.md"]), "--tag=acme/bases:company")
    found = inspect_image(engine, "acme/bases:company")
    assert found["distributions"] == ordinary["distributions"]
    assert found["user"] == [10001, 10001]
    assert (found["environment"]["HOME"], found["environment"]["USER"]) == ("/home/app", "app")
    assert found["home"] == ["/home/app", 10001, [], True]
    assert found["folder"] == "/app"
    assert (found["writable"], found["owners"]) == ([], [0])
    assert found["files"] == ["README.md"]
    assert engine.run("acme/bases:company") == "shop 1.1 1.0\n"
    build(shop.on(base_image=base), "--tag=acme/bases:company")
    assert inspect_image(engine, "acme/bases:company")["writable"] == [], (
        "nor a folder that WORKDIR makes"
    )
