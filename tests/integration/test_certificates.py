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
from poetry_versions import POETRY_VERSIONS, poetry_python
from tls_index import TlsIndex, tls_index
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


@pytest.fixture(params=["client certificate", "unverified"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TlsIndex]:
    """Serve one wheel over TLS, with a certificate from a private CA."""
    packages = tmp_path / "served"
    (packages / "acme-tls").mkdir(parents=True)
    make_wheel(packages / "acme-tls", "acme-tls")
    with tls_index(packages, tmp_path, asks=request.param == "client certificate") as found:
        yield found


@pytest.mark.parametrize("version", [POETRY_VERSIONS[0], POETRY_VERSIONS[-1]])
def test_certificates_reach_each_installer(
    served: TlsIndex,
    version: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Poetry and pip in the build verify the server and send the client certificate."""
    unverified = "unverified" in request.node.name
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT.format(url=served.url))
    verified = {"cert": served.ca, "client-cert": served.client}
    settings: Mapping[str, object] = {"cert": "false"} if unverified else verified
    for key, value in settings.items():
        run(sys.executable, "-m", "poetry", "config", f"certificates.acme.{key}", value, at=project)
    run(sys.executable, "-m", "poetry", "lock", at=project)
    secret = tmp_path / "secret" / "auth.toml"
    secret.parent.mkdir()
    Config.create(reload=True)  # reads what `poetry config` has written
    secret.write_text(collect(Factory().create_poetry(project), ["acme"]).text)

    poetry = poetry_python(version)
    manifest = tmp_path / "manifest" / "dependencies.json"
    options: list[object] = ["--group", "main", "--layers", "dependencies"]
    options += ["--project", project, "--output", manifest.parent]
    run(sys.executable, "-m", "manifest", *options, at=SCRIPTS)
    monkeypatch.setenv("PIP_RETRIES", "0")
    for installer, python, more in (
        ("pip", sys.executable, ()),
        ("poetry", poetry, ("--from-source",)),
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
