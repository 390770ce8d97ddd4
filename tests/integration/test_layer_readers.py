"""Layers from wheels are read by GNU tar, and written with little memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from wheels import make_wheel

import poetry_docker_cache
from poetry_docker_cache.no_engine.layer import write_layer
from poetry_docker_cache.no_engine.tree import Bytes, Entry
from poetry_docker_cache.no_engine.wheel import Place, tree_of_wheels

LONG = "venv/" + "ä" * 90
PEAK = r"""
import os, pathlib, re, sys
from poetry_docker_cache.no_engine import layer, wheel
tree = wheel.tree_of_wheels([pathlib.Path(sys.argv[1])], wheel.Place(python="3.13"))
with open(os.devnull, "wb") as out:
    layer.write_layer(tree, out)
# Not `ru_maxrss`, which keeps the peak of the process that started this one.
print(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1])
"""

DIGEST = """
import io, pathlib, sys
from poetry_docker_cache.no_engine import layer, wheel
tree = wheel.tree_of_wheels([pathlib.Path(sys.argv[1])], wheel.Place(python="3.13"))
print(layer.write_layer(tree, io.BytesIO()))
"""


def test_gnu_tar_reads_a_layer(tmp_path: Path) -> None:
    """It reads one gzip member after the other, and long names."""
    files: dict[str, str | bytes] = {
        "large.py": b"x = 1\n" * 99_999,
        "empty.py": b"",
        "run": bytes(1 << 17),
    }
    tree = tree_of_wheels([make_wheel(tmp_path, "acme", files=files)], Place(python="3.13"))
    tree.add(Entry(path=LONG, mode=0o600, mtime=1, content=Bytes(b"x")))
    tree.add(Entry(path="venv/lib64", mode=0o777, mtime=1, link="lib"))
    with (tmp_path / "layer").open("wb") as out:
        write_layer(tree, out)
    command = ["tar", "-xzf", "layer", "--no-same-owner"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    place = tmp_path / "venv" / "lib64" / "python3.13" / "site-packages"
    assert {name: (place / name).read_bytes() for name in files} == files
    assert (tmp_path / LONG).read_text() == "x"


def test_large_file_needs_little_memory(tmp_path: Path) -> None:
    """200 MB of zeros, with a zip64 header, and a large script with another first line."""
    path = make_wheel(tmp_path, "acme")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, size in (("large.bin", 200), ("acme-1.0.data/scripts/large", 9)):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                file.write(b"#!python\n")
                for _ in range(size):
                    file.write(bytes(1 << 20))
    done = subprocess.run([sys.executable, "-c", PEAK, path], stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) < 120 << 10


def test_every_python_writes_the_same_layer(tmp_path: Path) -> None:
    """It depends neither on Python and its zlib nor on the hash seed."""
    files: dict[str, str | bytes] = {f"{number}.py": bytes(number * 999) for number in range(9)}
    files["acme-1.0.data/scripts/run"] = "#!python\nprint(1)\n"
    path = make_wheel(tmp_path, "acme", files=files, scripts={"acme": "acme:main"})
    names = [sys.executable, *(f"python3.{minor}" for minor in range(10, 15))]
    source = Path(str(poetry_docker_cache.__file__)).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    found = set()
    for seed, name in enumerate(filter(shutil.which, names)):
        command = [name, "-c", DIGEST, str(path)]
        variables = {**environment, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if name == sys.executable or subprocess.run([name, "-c", ""], check=False).returncode == 0:
            assert done.returncode == 0, done.stderr
            found.add(done.stdout)
    assert len(found) == 1
