"""What needs a container engine: each item is named with its way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plans
import pytest
from projects import package, sdist, wheel

from poetry_docker_cache.caches.spec import Store
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine import obstacles as module
from poetry_docker_cache.no_engine.obstacles import (
    Obstacle,
    obstacles,
    refuse,
    unused_settings,
)
from poetry_docker_cache.project.model import InstallerConfig, Project
from poetry_docker_cache.project.selected_packages import locked_packages
from poetry_docker_cache.settings.content_values import Copied
from poetry_docker_cache.settings.image_values import Instructions
from poetry_docker_cache.settings.run_values import RunSetting
from poetry_docker_cache.settings.table import KEYS, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT = package("built", files=[sdist("built")])
OLDER = package("older", files=[wheel("older", tag="cp311-cp311-manylinux_2_17_x86_64")])
ONLY_AMD = package(
    "only-amd",
    files=[wheel("only-amd", tag="cp313-cp313-manylinux_2_17_x86_64"), sdist("only-amd")],
)
COMMIT = "0d3b1ce5a1f4b1a1a6f0d4a2d1d9c0b8e7f60912"
GIT = package(
    "forked",
    files=[],
    source={
        "type": "git",
        "url": "https://git.test/forked.git",
        "reference": "main",
        "resolved_reference": COMMIT,
    },
)
URL = package(
    "by-url",
    files=[sdist("by-url")],
    source={"type": "url", "url": "https://files.test/by-url-1.0.tar.gz"},
)
BOTH = ("linux/amd64", "linux/arm64")
# Settings that mean the same with and without an engine, or that an obstacle or a note names.
SUPPORTED = {
    *("base_image", "build_args", "cache", "command", "directories", "entrypoint", "env"),
    *("dev", "extras", "files", "groups", "test", "volumes"),
    *("healthcheck", "ignore", "image", "images", "labels", "layers", "optional_libraries"),
    *("own_layers", "pinned_tools", "platforms", "ports", "python", "sbom", "shell"),
    *("stop_signal", "user", "workdir"),
}
DECIDED = {
    "assets",
    "compile",
    "copy",
    "init",
    "instructions",
    "run",
    "runtime_packages",
    "ssh_known_hosts",
    "template",
}
HOST = {"build_on_host", "engine"}


def find(
    project: Project,
    *,
    machines: Sequence[str] = ("x86_64",),
    host_python: str = "3.13",
    build_on_host: bool = False,
    **settings: Any,  # noqa: ANN401  # settings of many types
) -> tuple[Obstacle, ...]:
    """List what keeps the project's image from being made without an engine."""
    plan = plans.plan(project, python="3.13", **settings)
    packages = locked_packages(project.lock, plans.MAIN, "3.13")
    return obstacles(plan, packages, machines, host_python=host_python, build_on_host=build_on_host)


def test_wheels_from_index_need_no_engine() -> None:
    """Nor do several platforms, own wheels and settings of the image."""
    native = [
        wheel("fast", tag=f"cp313-abi3-manylinux_2_17_{name}") for name in ("x86_64", "aarch64")
    ]
    project = plans.project(package("slow"), package("fast", files=native))
    settings: dict[str, Any] = {
        "env": (("A", "b"),),
        "ports": ("8000",),
        "platforms": BOTH,
        "compile": True,
    }
    assert find(project, machines=("x86_64", "aarch64"), **settings) == ()


@pytest.mark.parametrize(
    ("packages", "settings", "what", "fix"),
    [
        (
            [],
            {"runtime_packages": ("libpq5",)},
            "system packages: libpq5",
            "apt-get install libpq5",
        ),
        (
            [],
            {"runtime_packages": ("tini",), "base_image": "python:{python}-alpine"},
            "system packages: tini",
            "apk add tini",
        ),
        ([], {"init": True}, "`init` installs", 'entrypoint = ["tini", "--"]'),
        (
            [],
            {"copy": (Copied(source="/x", to="/y", image="team/tools:1"),)},
            "takes /x from the image team/tools:1",
            "COPY --from=team/tools:1",
        ),
        ([package("python-magic")], {}, "system packages: libmagic1", "base image with them"),
        (
            [],
            {"instructions": Instructions(runtime=("RUN ldconfig",))},
            "`instructions.runtime` has RUN ldconfig",
            "base image with its result",
        ),
        (
            [],
            {"instructions": Instructions(runtime=("LABEL a=b",))},
            "`instructions.runtime` has LABEL a=b",
            "setting `labels`",
        ),
        (
            [],
            {"run": (RunSetting(command=("python", "manage.py"), output=("static",)),)},
            "a command to run in the image: python manage.py",
            "before the build, and add its output to `files`",
        ),
        ([], {"instructions": Instructions(build=("RUN true",))}, "RUN true", "Remove it"),
        ([BUILT], {}, "no wheel", "build-on-host = true"),
        ([OLDER], {}, "no wheel for Python 3.13", "set `python` to a version"),
        ([GIT], {}, "forked 1.0 comes from a git repository", "URL dependency"),
        ([URL], {}, "by-url 1.0 (https://files.test/by-url-1.0.tar.gz) is not a wheel", "wheel"),
        (
            [package("k", markers='platform_release > "5"')],
            {},
            "k 1.0 is only installed if platform_release",
            "poetry lock",
        ),
    ],
)
def test_each_item_has_way_out(
    packages: list[dict[str, Any]], settings: dict[str, Any], what: str, fix: str
) -> None:
    """One obstacle for each item."""
    (found,) = find(plans.project(*packages), **settings)
    assert what in found.what
    assert fix in found.fix


def test_package_with_twin_that_has_wheels() -> None:
    """The library that it is linked with is in the wheel of the other."""
    project = plans.project(package("psycopg2", files=[sdist("psycopg2")]))
    libraries, itself = find(project)
    assert libraries.reason == "system packages"
    assert itself.fix == "Depend on psycopg2-binary instead, which has wheels"


def test_only_missing_machine_counts() -> None:
    """A package in the layer that is built has a wheel for one machine, and none for the other."""
    project = plans.project(ONLY_AMD)
    assert find(project, platforms=BOTH) == ()
    (found,) = find(project, machines=("x86_64", "aarch64"), platforms=BOTH)
    assert (found.package, found.what) == ("only-amd 1.0", "no wheel for linux/arm64")


def test_weak_hash_and_excluded_wheel() -> None:
    """An old lock, and Poetry's own setting that excludes the wheel."""
    weak = package("weak")
    weak["files"][0]["hash"] = f"md5:{'0' * 32}"
    (found,) = find(plans.project(weak))
    assert "no SHA-2 hash" in found.what
    installer = InstallerConfig(no_binary=("slow",), only_binary=(), build_config_settings={})
    slow = package("slow", files=[wheel("slow"), sdist("slow")])
    (found,) = find(plans.project(slow, installer=installer))
    assert "installer.no-binary" in found.what


def test_setting_allows_builds_on_host_but_not_what_cannot_be_built_there() -> None:
    """With it, source distributions are fine; git and compiled code of the project are not."""
    project = plans.project(BUILT, GIT, URL, root=plans.wheel_root(needs_compiler=True))
    found = find(project, build_on_host=True)
    assert [obstacle.reason for obstacle in found] == ["git", "compiled"]


def test_bytecode_needs_same_minor_version_here() -> None:
    """The format of bytecode belongs to a minor version."""
    (found,) = find(plans.project(), compile=True, host_python="3.11")
    assert "Python 3.13" in found.what
    assert find(plans.project(), compile=True, host_python="3.13") == ()


def test_one_error_names_all_items() -> None:
    """It never falls back to an engine silently."""
    refuse(())
    found = find(plans.project(BUILT, GIT), runtime_packages=("tini",))
    with pytest.raises(DockerCacheError) as caught:
        refuse(found)
    text = str(caught.value)
    for part in ("tini", "built 1.0", "forked 1.0"):
        assert part in text
    assert "without `--no-engine`" in caught.value.fix


def test_packages_with_same_way_out_share_a_line() -> None:
    """A lock for an older Python may lack many wheels."""
    other = package("other", files=[wheel("other", tag="cp310-cp310-manylinux_2_17_x86_64")])
    with pytest.raises(DockerCacheError) as caught:
        refuse(find(plans.project(OLDER, other)))
    text = str(caught.value)
    assert "  - older 1.0, other 1.0: no wheel for Python 3.13.\n" in text
    assert text.count("poetry update") == 1


def test_settings_without_effect_are_noted() -> None:
    """Only those that are set."""
    assert unused_settings(Settings()) == ()
    (note,) = unused_settings(Settings(reuse_image="registry.test/app:latest"))
    assert note.startswith("`reuse-image` has no effect")
    image = Store(type="registry", options=(("ref", "registry.test/app:cache"),))
    assert unused_settings(Settings(cache=image)) == ()
    (note,) = unused_settings(Settings(cache=Store(type="gha")))
    assert note.startswith("`cache` has no effect")
    (note,) = unused_settings(Settings(compile=True))
    assert "leaves out the standard library" in note


def test_each_setting_is_decided() -> None:
    """A new setting must work without an engine, or be an obstacle, or have a note."""
    groups = (SUPPORTED, DECIDED, HOST, {*module._UNUSED})
    assert sorted(name for group in groups for name in group) == sorted(key.field for key in KEYS)
