"""Install from a git server with a password, and from files, with the oldest and newest Poetry."""

from __future__ import annotations

import inspect
import io
import json
import os
import subprocess
import tarfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import wheels
from git_servers import git_over_http, make_repository
from poetry_versions import OLDEST_AND_NEWEST, POETRY_VERSIONS, poetry_python

from poetry_docker_cache import inside
from poetry_docker_cache.project.auth_secret import SourceAuth, auth_file

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(str(inside.__file__)).parent
PASSWORD = "p {x} ss\"w'o\\rd"
# It is its own build backend, so that none is downloaded.
SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = f"""{inspect.getsource(wheels)}

def build_wheel(folder, settings=None, _=None):
    from pathlib import Path
    return make_wheel(Path(folder), "NAME").name
"""

FROZEN = "import importlib.metadata\nimportlib.metadata.FastPath.mtime = 0\n"


def package(name: str) -> dict[str, str]:
    """Return the files of a package."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    backend = BACKEND.replace("NAME", name)
    return {"pyproject.toml": SYSTEM, "backend.py": backend, "PKG-INFO": metadata}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Serve two packages of one repository, and provide a third as a file."""
    root = tmp_path_factory.mktemp("git")
    files = {f"{name}/{path}": text for name in ("a", "b") for path, text in package(name).items()}
    commit = make_repository(root / "mono.git", files)
    with tarfile.open(root / "c-1.0.tar.gz", "w:gz") as archive:
        for path, text in package("c").items():
            member = tarfile.TarInfo(f"c-1.0/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    sha256 = subprocess.check_output(["sha256sum", root / "c-1.0.tar.gz"], text=True).split()[0]
    with git_over_http(root, "ci", PASSWORD) as url:
        git = {"type": "git", "url": f"{url}/mono.git", "reference": "main"}
        git["resolved_reference"] = commit
        packages: list[dict[str, Any]] = [
            {"name": name, "version": "1.0", "files": [], "source": {**git, "subdirectory": name}}
            for name in ("a", "b")
        ]
        file = {"file": "c-1.0.tar.gz", "hash": f"sha256:{sha256}"}
        source = {"type": "file", "url": "c-1.0.tar.gz"}
        packages.append({"name": "c", "version": "1.0", "files": [file], "source": source})
        yield {"packages": packages, "sources": [], "root": str(root)}


def install(
    python: Path, folder: Path, manifest: dict[str, Any], password: str
) -> tuple[int, str, Path]:
    """Install as the build does; return the status, the output and the environment."""
    folder.mkdir()
    venv.create(folder / "venv", symlinks=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "secret").mkdir()
    url = manifest["packages"][0]["source"]["url"]
    auth = SourceAuth(name="poetry-docker-cache-1", login=("ci", password), url=url)
    (folder / "secret" / "auth.toml").write_text(auth_file([auth]))
    places = {
        "files": manifest["root"],
        "libraries": folder / "libraries.json",
        "manifest": folder / "manifest.json",
        "private": folder,
        "secret": folder / "secret" / "auth.toml",
        "venv": folder / "venv",
    }
    options = [f"--{name}={path}" for name, path in places.items()]
    own = {k: v for k, v in os.environ.items() if not k.startswith(("POETRY_", "VIRTUAL_"))}
    done = subprocess.run(
        [python, "-m", "direct", *options],
        cwd=SCRIPTS,
        env={**own, "POETRY_CACHE_DIR": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert password not in done.stdout
    return done.returncode, done.stdout, folder / "venv"


@pytest.mark.parametrize("version", OLDEST_AND_NEWEST)
def test_direct_dependencies_are_installed(
    version: str, manifest: dict[str, Any], tmp_path: Path
) -> None:
    """All three are installed and work; those from git have a direct_url.json."""
    status, said, target = install(poetry_python(version), tmp_path / "x", manifest, PASSWORD)
    assert status == 0, said
    assert all(f"Installing {name} (1.0" in said for name in "abc")
    code = "import a, b, c; print(a.VERSION)"
    assert subprocess.check_output([target / "bin" / "python", "-c", code], text=True) == "1.0\n"
    found = {path.parent.name: path.read_text() for path in target.rglob("direct_url.json")}
    assert found.keys() == {"a-1.0.dist-info", "b-1.0.dist-info"}
    direct = json.loads(found["b-1.0.dist-info"])
    assert direct["subdirectory"] == "b"
    assert (
        direct["vcs_info"]["commit_id"] == manifest["packages"][1]["source"]["resolved_reference"]
    )
    assert not (target / "src").exists()
    record = next(target.rglob("c-1.0.dist-info/RECORD")).read_text()
    assert "direct_url" not in record
    assert "c/__init__.py," in record


def test_coarse_modification_times(
    manifest: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """direct_url.json is written even if Poetry does not find a package just after installing it.

    Python caches a folder's content by its modification time, which may be equal for two changes.
    """
    (tmp_path / "sitecustomize.py").write_text(FROZEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    newest = poetry_python(POETRY_VERSIONS[-1])
    status, said, target = install(newest, tmp_path / "x", manifest, PASSWORD)
    assert status == 0, said
    found = {path.parent.name for path in target.rglob("direct_url.json")}
    assert found == {"a-1.0.dist-info", "b-1.0.dist-info"}
    for name in "ab":
        record = next(target.rglob(f"{name}-1.0.dist-info/RECORD")).read_text().splitlines()
        assert len([line for line in record if "/direct_url.json," in line]) == 1
        assert len(record) == len({line.partition(",")[0] for line in record})


@pytest.mark.parametrize("version", OLDEST_AND_NEWEST)
def test_refused_login_names_the_repository(
    version: str, manifest: dict[str, Any], tmp_path: Path
) -> None:
    """The output ends with the repository, and with what to type."""
    status, said, target = install(poetry_python(version), tmp_path / "x", manifest, "wr0ng")
    assert status == 1
    url = manifest["packages"][0]["source"]["url"]
    assert f"\npoetry-docker-cache: {url} refused access" in said
    assert not list(target.rglob("a-1.0.dist-info"))
