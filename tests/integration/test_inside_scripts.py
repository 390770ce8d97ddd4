"""The scripts in the build that need real processes: pip with a private index, the loader."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from index import PrivateIndex

from poetry_docker_cache import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(str(inside.__file__)).parent
SOURCE = "my.private-repo"
PASSWORD = "p@ss:w/\"{x}%41'\\ $&#?ö"
WHEEL = {
    "tiny.py": "",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny-1.0.dist-info/RECORD": "",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve one package; give the index's URL."""
    folder = tmp_path_factory.mktemp("index")
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as archive:
        for path, text in WHEEL.items():
            archive.writestr(path, text)
    with PrivateIndex(folder, {"user": PASSWORD}) as running:
        yield running.url


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a virtual environment without pip."""
    place = tmp_path_factory.mktemp("target") / "venv"
    venv.create(place, symlinks=True)
    return place


def pip_install(
    target: Path, folder: Path, source: tuple[str, str] | None, password: str | None
) -> tuple[int, str]:
    """Run the script with a secret, and a temporary folder that must be empty afterwards."""
    secret, private = folder / "auth.toml", folder / "private"
    private.mkdir()
    if password is not None:
        written = password.replace("\\", "\\\\").replace('"', '\\"')
        table = f'[poetry-docker-cache.sources."{SOURCE}"]\nusername = "user"\n'
        secret.write_text(f'{table}password = "{written}"\n', encoding="utf-8")
    command = [sys.executable, str(SCRIPTS / "pip_install.py")]
    command += ["--python", str(target / "bin" / "python")]
    command += ["--source", *source] if source else []
    run = subprocess.run(
        [*command, "--secret", str(secret), "--private", str(private), "tiny==1.0"],
        # Other indexes of this machine must not help.
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_CACHE_DIR": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert list(private.iterdir()) == []
    return run.returncode, run.stdout


def assert_no_trace(output: str, password: str) -> None:
    """Look for a password in every form that pip knows."""
    basic = base64.b64encode(f"user:{password}".encode()).decode()
    assert all(form not in output for form in (password, quote(password, safe=""), basic))


def test_pip_installs_from_a_private_source(index: str, target: Path, tmp_path: Path) -> None:
    """The password reaches the index and not the output."""
    status, output = pip_install(target, tmp_path, (SOURCE, index), PASSWORD)
    assert status == 0, output
    assert "Looking in indexes:" in output
    assert_no_trace(output, PASSWORD)
    assert list(target.rglob("tiny-1.0.dist-info"))
    assert not list(target.rglob("*.pyc"))


@pytest.mark.parametrize(
    ("password", "reason"), [("hunter2", "does not accept"), (None, "no credentials")]
)
def test_pip_is_refused(index: str, tmp_path: Path, password: str | None, reason: str) -> None:
    """The end of the log says which source refused, why, and what to type."""
    venv.create(tmp_path / "venv", symlinks=True)
    status, output = pip_install(tmp_path / "venv", tmp_path, (SOURCE, index), password)
    assert status != 0
    end = output[output.index("\nThe package source") :]
    assert repr(SOURCE) in end
    assert reason in end
    assert_no_trace(output, "hunter2")


def extension(target: Path, name: str) -> Path:
    """Put one of Python's own extension modules, which needs libssl, into an environment."""
    (origin,) = Path(sysconfig.get_path("stdlib")).glob("lib-dynload/_ssl.*.so")
    place = next(target.glob("lib/python*/site-packages"))
    info = place / "speaks_tls-1.0.dist-info"
    info.mkdir()
    shutil.copy(origin, place / origin.name)
    (info / "RECORD").write_text(f"{origin.name},,\n")
    data = (place / origin.name).read_bytes()
    found = data.index(b"libssl.so.")
    (place / origin.name).write_bytes(data[:found] + name.encode() + data[found + len(name) :])
    return place


def check(target: Path, home: Path) -> tuple[int, str]:
    """Run the check in an environment."""
    run = subprocess.run(
        [target / "bin" / "python", SCRIPTS / "check.py", "--home", home],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    return run.returncode, run.stdout


def test_a_missing_library(tmp_path: Path) -> None:
    """The check names package, library and setting, until the library comes from somewhere."""
    target, home = tmp_path / "venv", tmp_path / "home"
    venv.create(target, symlinks=True)
    assert check(target, home) == (0, "")
    home.rmdir()
    place = extension(target, "libxxl.so.")
    status, output = check(target, home)
    assert status == 1
    assert "speaks_tls needs libxxl.so." in output
    assert 'runtime-packages = ["libxxl' in output
    assert not home.exists()
    library = next(word for word in output.split() if word.startswith("libxxl")).rstrip(",")
    (place / "speaks_tls.libs").mkdir()
    (place / "speaks_tls.libs" / library).touch()
    assert check(target, home) == (0, "")
