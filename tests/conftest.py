"""Settings for all tests: an isolated Poetry, the order of the files, clean signals."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from poetry.config import config
from poetry.utils.password_manager import PoetryKeyring

if TYPE_CHECKING:
    from collections.abc import Iterator

with warnings.catch_warnings():  # errors are for warnings from our code, not from Poetry's imports
    warnings.simplefilter("ignore")
    importlib.import_module("poetry.factory")
    importlib.import_module("poetry.console.application")

# Slow machines must not fail tests. In CI, Hypothesis also makes runs deterministic.
settings.register_profile(
    "default",
    settings.get_profile("default"),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

# `nohup` and a shell's `&` make child processes ignore these signals; tests need the defaults.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in {"SIGHUP", "SIGQUIT"} & {*dir(signal)}:
    signal.signal(getattr(signal, _name), signal.SIG_DFL)

# Variables that would change every build, an exported docker-bake.hcl, or git (set in hooks).
for _name in (
    *("BUILDKIT_PROGRESS", "SOURCE_DATE_EPOCH"),
    *("AUTH_FILE", "CACHE", "PLATFORMS", "TAG", "VERSION", "WRITE_CACHE"),
    *("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE"),
):
    os.environ.pop(_name, None)

# Poetry starts twice as fast with bytecode, and tests start it hundreds of times.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Base images of private engines keep bytecode: it halves the CPU time of builds.
os.environ["ENGINE_KEEPS_BYTECODE"] = "1"

LONGEST = (
    *("test_cache_machines", "test_shapes", "test_from_source", "test_cache", "test_bench"),
    *("test_direct", "test_reuse", "test_docs_commands", "test_build", "test_leaks"),
    *("test_ci_shell", "test_inside_poetry_versions", "test_platforms", "test_bases"),
    *("test_images", "test_demo", "test_layers_command", "test_buildah", "test_build_shapes"),
    *("test_path_packages", "test_no_engine", "test_oldest_python", "test_applications"),
    *("test_older_locks", "test_install_reuse", "test_examples", "test_variants", "test_assets"),
)
"""Test files that take a minute or more, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files so that all workers stay busy to the end.

    One worker starts with the longest file and waits for the base images, while the others run
    tests that need no engine. Then the other long files run, and the short ones fill the gap at the
    end.
    """
    with_engine = {item.path for item in items if item.get_closest_marker("engine")}

    def rank(item: pytest.Item) -> int:
        if item.path.stem in LONGEST[1:]:
            return LONGEST.index(item.path.stem) + 1
        if item.path.stem == LONGEST[0]:
            return 0
        return len(LONGEST) + 1 if item.path in with_engine else 1

    items.sort(key=rank)


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield an unused folder for each test; `mktemp` would list the folders of all tests."""
    root = tmp_path_factory.mktemp("homes")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _isolated_poetry(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's settings, credentials and home folder from the test."""
    root = next(_homes)
    for name in os.environ:
        if name.startswith("POETRY_"):
            monkeypatch.delenv(name)
    for name in ("NETRC", "PYTHON_KEYRING_BACKEND", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    if "DOCKER_CONFIG" not in os.environ:  # keeps Docker contexts and plugins usable
        monkeypatch.setenv("DOCKER_CONFIG", str(Path.home() / ".docker"))
    monkeypatch.setenv("HOME", str(root))
    folders = {name: root / "poetry" / name for name in ("CONFIG", "CACHE", "DATA")}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        monkeypatch.setenv(f"POETRY_{name}_DIR", str(folder))
    monkeypatch.setenv("POETRY_KEYRING_ENABLED", "false")
    # Poetry reads these at import time.
    monkeypatch.setattr("poetry.locations.CONFIG_DIR", folders["CONFIG"])
    monkeypatch.setattr("poetry.config.config.CONFIG_DIR", folders["CONFIG"])
    monkeypatch.setattr("poetry.utils.authenticator._authenticator", None)
    PoetryKeyring.is_available.cache_clear()
    config.Config.create(reload=True)
