"""The check of an image finds real libraries and loads none."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

from elf_files import make_elf

from poetry_docker_cache import inside
from poetry_docker_cache.inside.install import architecture, shared_libraries

SCRIPTS = Path(str(inside.__file__)).parent


def copy_extension(target: Path, name: str) -> Path:
    """Copy one of Python's own extension modules, which needs libssl, into an environment."""
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
    """Write what an environment needs to a file, and run the check as the image does."""
    needs = home.parent / "libraries"
    needs.mkdir(exist_ok=True)
    shared_libraries.write(
        target, needs / "native-1.json", architecture.machine_of(""), built=False
    )
    log = home.parent / "loader"
    options = ["--user=1:1", "--folder=/made/home", f"--folders={home}", f"--libraries={needs}"]
    run = subprocess.run(
        [target / "bin" / "python", SCRIPTS / "check.py", *options],
        env={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(log)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    loaded = "".join(path.read_text() for path in log.parent.glob("loader.*"))
    assert "libc.so" in loaded
    assert not re.search(r"libssl|libxxl|_ssl\.", loaded), "no library of a package is loaded"
    return run.returncode, run.stdout


def test_library_with_a_path_is_reported_not_loaded(tmp_path: Path) -> None:
    """The loader would run the file that a faulty package names by its path."""
    target, home = tmp_path / "venv", tmp_path / "home"
    venv.create(target, symlinks=True)
    place = copy_extension(target, "libssl.so.")
    (module,) = place.glob("_ssl.*.so")
    evil = module.rename(tmp_path / "libssl-evil.so")
    make_elf(place / "bad.so", needed=[str(evil)])
    status, output = check(target, home)
    assert status == 1
    assert f"bad.so needs {evil}, which is not in the image." in output


def test_missing_library_is_reported(tmp_path: Path) -> None:
    """The check names package, library and setting until the library is installed."""
    target, home = tmp_path / "venv", tmp_path / "home"
    venv.create(target, symlinks=True)
    assert check(target, home) == (0, "")
    shutil.rmtree(home)
    place = copy_extension(target, "libxxl.so.")
    status, output = check(target, home)
    assert status == 1
    assert "speaks-tls needs libxxl.so." in output
    assert 'runtime-packages = ["libxxl' in output
    assert not home.exists()
    library = next(word for word in output.split() if word.startswith("libxxl")).rstrip(",")
    (place / "speaks_tls.libs").mkdir()
    (place / "speaks_tls.libs" / library).touch()
    assert check(target, home) == (0, "")
