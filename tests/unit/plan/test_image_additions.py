"""Folders, copied files, build arguments and the init process of an image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import tomlkit
from plans import MAIN, TREE, project
from projects import package, sdist

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.image_plan import Copy, Folder
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import ImagePlan
    from poetry_docker_cache.project.model import Project

UBI = 'base-image = "registry.access.redhat.com/ubi9/python-312"\npython = "3.12"\n'
BARE = (
    'base-image = "cgr.dev/acme/python:3.12"\nbuild-image = "cgr.dev/acme/python:3.12-dev"\n'
    'python = "3.12"\n'
)
BUILT = package("psycopg2", files=[sdist("psycopg2")])


def plan(text: str, shape: Project | None = None) -> ImagePlan:
    """Plan an image with these settings."""
    return make_plan(shape or project(package("rich")), Settings.parse(tomlkit.parse(text)), MAIN)


def test_folders_are_the_directories_and_volumes() -> None:
    """Each is listed once, and a directory's mode counts."""
    made = plan(
        'directories = ["media", { path = "/data", mode = "0750" }]\n'
        'volumes = ["/data", "cache"]\nworkdir = "/srv/shop"'
    ).runtime
    assert made.folders == (
        Folder(path="/srv/shop/media"),
        Folder(path="/data", mode="0750"),
        Folder(path="/srv/shop/cache"),
    )
    assert made.volumes == ("/data", "/srv/shop/cache")


@pytest.mark.parametrize(
    ("workdir", "home"),
    [
        ("/app", "/home/app"),
        ("/home/app", "/var/lib/app"),
        ("/home/app/src", "/var/lib/app"),
        ("/home", "/var/lib/app"),
        ("/home/application", "/home/app"),
    ],
)
def test_home_is_apart_from_the_code(workdir: str, home: str) -> None:
    """The user owns the home, so neither folder contains the other."""
    made = plan(f'workdir = "{workdir}"').runtime
    assert made.home == made.environment["HOME"] == home


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('directories = ["."]', "/app, which is the working directory"),
        ('volumes = ["/app"]', "`volumes`"),
        ('directories = ["/srv"]\nworkdir = "/srv/shop"', "/srv, which contains the working"),
        ('directories = ["src"]', "/app/src, which is a folder that Python imports from"),
        ('copy = [{ from = "a", to = "b", owner = "app" }]', "an owner must be a number"),
        ('env = { A = "1" }\nbuild-args = { A = "2" }', "A is set twice"),
        ('labels = { a = "1" }\nbuild-args = { B = { label = "a" } }', "a is set twice"),
        (f"{UBI}init = true", "has dnf, whose repositories lack it"),
        (f"{BARE}init = true", "has no shell"),
        (f'{UBI}runtime-packages = ["libpq5"]', "RUN dnf install -y libpq5 && dnf clean all"),
        (f'{UBI}build-packages = ["gcc"]', "instructions = { build = "),
    ],
)
def test_contradictions_are_errors(settings: str, words: str) -> None:
    """Above all, the user must not be able to change the code."""
    root = replace(TREE, import_folder="src")
    with pytest.raises(DockerCacheError) as caught:
        plan(settings, project(package("rich"), root=root, files=None))
    assert words in str(caught.value)
    assert caught.value.fix


def test_no_apt_on_red_hat_family() -> None:
    """What the dependencies are known to need is a note with the line to add."""
    made = plan(UBI, project(BUILT))
    assert "apt-get" not in render_dockerfile(made)
    (note,) = (note for note in made.notes if "libpq" in note)
    line = "RUN dnf install -y libpq && dnf clean all"
    assert f'instructions = {{ runtime = ["{line}"] }}' in note


def test_files_are_copied_to_other_places() -> None:
    """Those in the working directory come with the files; the project's are made readable."""
    made = plan(
        "copy = ["
        '{ from = "conf/prod.ini", to = "settings.ini" },'
        '{ from = "start.sh", to = "/usr/local/bin/", mode = "0755", owner = "app" },'
        '{ from = "etc", to = "/etc/shop" },'
        '{ image = "team/tools:1", from = "/ffmpeg", to = "bin/", owner = 5 }]',
        replace(project(package("rich")), dockerignore="*\n"),
    )
    assert made.runtime.copies[0] == Copy(
        source="conf/prod.ini",
        to="/app/settings.ini",
        image=None,
        owner="root",
        mode=None,
        in_workdir=True,
    )
    text = render_dockerfile(made)
    files, copied, base = (text.split(f" AS {name}\n")[1] for name in ("files", "copied", "base"))
    assert "COPY conf/prod.ini /app/settings.ini\nRUN chmod" in files
    assert "COPY --from=team/tools:1 --chown=5:5 /ffmpeg /app/bin/\n" in files
    assert "COPY etc ./etc\nRUN chmod" in copied
    assert "COPY --chown=app --chmod=0755 start.sh /usr/local/bin/\n" in base
    assert "COPY --from=copied /copied/etc /etc/shop\n" in base
    assert "COPY --link --from=check /folders /\nCOPY --link" in base
    ignore = render_ignore_file(made, "Dockerfile").splitlines()
    assert {"!conf/prod.ini", "!start.sh", "!etc"} <= {*ignore}


def test_build_arguments_come_after_the_layers() -> None:
    """Another value changes no layer but a file with it."""
    made = plan(
        'build-args = { SHA = "a $b", B = { default = "1", label = "x.y", file = "VERSION" } }'
    )
    last = render_dockerfile(made).split("COPY --link --from=check /folders /\n")[1]
    assert 'ARG B="1"\nARG SHA="a \\$b"\nENV SHA=$SHA\nLABEL x.y=$B\n' in last
    assert "COPY --link <<end /app/VERSION\n$B\nend\n" in last


@pytest.mark.parametrize(
    ("settings", "entrypoint", "packages"),
    [
        ("init = true", ("tini", "--"), ("tini",)),
        ('init = true\nentrypoint = ["shop"]', ("tini", "--", "shop"), ("tini",)),
        (
            'init = true\nbase-image = "python:{python}-alpine"\nentrypoint = []',
            ("tini", "--"),
            ("tini",),
        ),
        ('init = true\nentrypoint = ["/sbin/tini", "--"]', ("/sbin/tini", "--"), ()),
    ],
)
def test_init_starts_the_program(
    settings: str, entrypoint: tuple[str, ...], packages: tuple[str, ...]
) -> None:
    """It comes before the entrypoint, unless that starts one; the command stays."""
    made = plan(settings)
    assert made.runtime.entrypoint == entrypoint
    assert made.runtime.packages == packages
    assert made.runtime.command in {("shop",), None}
    assert any("`init` has no effect" in note for note in made.notes) is (not packages)


def test_start_interval_needs_newer_frontend() -> None:
    """Docker 25 has it."""
    made = plan('healthcheck = { command = ["a"], start-interval = "1s" }')
    assert made.needed_frontend > plan("").needed_frontend
    assert 'HEALTHCHECK --start-interval=1s CMD ["a"]' in render_dockerfile(made)


def test_standard_library_is_compiled_after_instructions() -> None:
    """They may add modules to it, and copied files do not compile it again."""
    made = plan(
        'compile = true\nruntime-packages = ["curl"]\ncopy = [{ from = "a", to = "/b" }]\n'
        'instructions = { runtime = ["RUN true"] }'
    )
    base = render_dockerfile(made).split(" AS base\n")[1].split(" AS check\n")[0]
    words = ("apt-get install", "RUN true", "--standard-library", "COPY --from=copied")
    assert sorted(words, key=base.index) == [*words]
