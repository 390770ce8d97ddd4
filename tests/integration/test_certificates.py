"""A source with a private CA and client certificates: from Poetry's settings to the build."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from installing import run_steps
from poetry.config.config import Config
from poetry.factory import Factory
from poetry_versions import OLDEST_AND_NEWEST, POETRY_VERSIONS, poetry_python
from tls_index import TlsIndex, tls_index
from warm_poetry import warm_poetry
from wheels import make_wheel

from poetry_docker_cache import inside
from poetry_docker_cache.project.credentials import collect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRIPTS = Path(str(inside.__file__)).parent
PYPROJECT = """
[project]
name = "app"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["acme-tls"]
[[tool.poetry.source]]
name = "acme"
url = "{url}"
"""


@pytest.fixture
def served(kind: str, tmp_path: Path) -> Iterator[TlsIndex]:
    """Serve one wheel over TLS, with a certificate from a private CA."""
    packages = tmp_path / "served"
    (packages / "acme-tls").mkdir(parents=True)
    make_wheel(packages / "acme-tls", "acme-tls")
    with tls_index(packages, tmp_path, asks=kind == "client certificate") as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        *(("client certificate", version) for version in OLDEST_AND_NEWEST),
        ("unverified", POETRY_VERSIONS[-1]),
    ],
)
def test_certificates_reach_each_installer(
    served: TlsIndex,
    kind: str,
    version: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Poetry and pip in the build verify the server and send the client certificate."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT.format(url=served.url))
    verified = {"cert": served.ca, "client-cert": served.client}
    settings: Mapping[str, object] = {"cert": "false"} if kind == "unverified" else verified
    for key, value in settings.items():
        poetry("config", f"certificates.acme.{key}", str(value), at=project)
    poetry("lock", at=project)
    secret = tmp_path / "secret" / "auth.toml"
    secret.parent.mkdir()
    Config.create(reload=True)  # reads what `poetry config` has written
    secret.write_text(collect(Factory().create_poetry(project), ["acme"]).text)

    with_poetry = poetry_python(version)
    manifest = tmp_path / "manifest" / "dependencies.json"
    options: list[object] = ["--group", "main", "--layers", "dependencies"]
    options += ["--project", project, "--output", manifest.parent]
    run(sys.executable, "-m", "manifest", *options, at=SCRIPTS)
    monkeypatch.setenv("PIP_RETRIES", "0")
    for installer, python, more in (
        ("pip", sys.executable, ()),
        ("poetry", with_poetry, ("--from-source",)),
    ):
        target = tmp_path / installer
        venv.create(target, symlinks=True)
        places = {"manifest": manifest, "venv": target, "libraries": tmp_path / "libraries.json"}
        places["private"] = tmp_path
        # Poetry tries five times for each file, which takes half a minute: once is enough for both.
        for known in (tmp_path / "none", secret)[installer == "poetry" :]:
            status, said = run_steps(
                python, {**places, "secret": known}, more, os.environ, tmp_path / "sources"
            )
            assert status == 0 if known is secret else is_about_certificates(said), said
        assert list(target.rglob("acme_tls-1.0.dist-info"))

    install = [sys.executable, "-m", "install.tool", "--venv", tmp_path / "tool"]
    install += ["--source", "acme", served.url, "acme-tls"]
    assert fails(*install, "--secret", tmp_path / "none", at=SCRIPTS)
    run(*install, "--secret", secret, at=SCRIPTS)
    assert list((tmp_path / "tool").rglob("acme_tls-1.0.dist-info"))


def poetry(*arguments: str, at: Path) -> None:
    """Run this environment's Poetry in a project."""
    done = warm_poetry().run(arguments, env=os.environ, at=at)
    assert done.returncode == 0, done.stdout + done.stderr


def run(*command: object, at: Path) -> None:
    """Run a program; a failure shows its output."""
    done = subprocess.run(
        list(map(str, command)), cwd=at, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def fails(*command: object, at: Path) -> bool:
    """Return whether a program fails because of the certificate."""
    done = subprocess.run(
        list(map(str, command)), cwd=at, capture_output=True, text=True, check=False
    )
    return done.returncode != 0 and is_about_certificates(done.stdout + done.stderr)


def is_about_certificates(said: str) -> bool:
    """Return whether an output explains a problem with a certificate."""
    words = ("certificate", "ssl", "all attempts to connect")  # the last one is from Poetry
    return any(word in said.lower() for word in words)
