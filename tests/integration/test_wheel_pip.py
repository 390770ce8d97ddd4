"""Wheels are unpacked as pip unpacks them, and nothing in them runs."""

from __future__ import annotations

import csv
import json
import re
import stat
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elf_files import make_elf, own_machine
from index import PrivateIndex
from installing import SOURCE, Indexes, Workshop
from wheels import make_wheel

from poetry_docker_cache.inside import check
from poetry_docker_cache.inside.install import wheel_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
MAIN = "import sys\ndef main(): print(*map(str, sys.argv[1:])); return 3\nclass A: b = main\n"


def write(  # noqa: PLR0913  # what a wheel may have
    folder: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    build: str = "",
    pure: str = "true",
    recorded: bool = True,
    modes: Mapping[str, int] | None = None,
    entry_points: str = "",
    info_name: str = "",
) -> Path:
    """Write a wheel of version 1.0; `modes` of other files are those of plain files."""
    info = f"{info_name or name}-1.0.dist-info"
    content: dict[str, str | bytes] = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: py3-none-any\n",
    }
    if entry_points:
        content[f"{info}/entry_points.txt"] = entry_points
    names = (path.replace('"', '""') for path in content if recorded and path[-1] != "/")
    rows = [f'"{path}",,' for path in names]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    path = folder / "-".join(filter(None, (name, "1.0", build, "py3-none-any.whl")))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in content.items():
            entry = zipfile.ZipInfo(member, date_time=(2020, 1, 1, 0, 0, 0))
            entry.external_attr = (modes or {}).get(member, stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    return path


def make_all(folder: Path) -> list[Path]:
    """Write wheels of many shapes."""
    run = stat.S_IFREG | 0o755
    points = (
        "[console_scripts]\nplain = entry:main\nDotted.Name-1 = entry:A.b [extra, other]\n"
        "both = entry:main\n[gui_scripts]\nwindow=entry:main\n[entry.plugins]\nx = no function\n"
    )
    schemes = {
        f"shapes-1.0.data/{path}": f"{path}\n"
        for path in ("purelib/pure/a.py", "platlib/plat/a.py", "headers/sub/a.h")
    }
    schemes["shapes-1.0.data/data/share/man/man1/x.1"] = "x\n"
    schemes["shapes-1.0.data/data/etc/x.conf"] = "x\n"
    scripts: dict[str, str | bytes] = {
        "asks": "#!python\nimport sys\nprint(sys.prefix)\n",
        "asks-w": "#!pythonw -s\nprint('w')\n",
        "shell": "#!/bin/sh\necho shell\n",
        "binary": b"\x7fELF\0\r\n\xff",
        "both": "#!python\nprint('not this one')\n",
        "text": "#!python\nprint('not executable')\n",
        "nothing": "",
    }
    scripts_in = {f"shapes-1.0.data/scripts/{name}": text for name, text in scripts.items()}
    modes = {name: run for name in scripts_in if not name.endswith("/text")}
    return [
        write(
            folder,
            "shapes",
            {"shapes/__init__.py": "", **schemes, **scripts_in},
            modes={**modes, "shapes-1.0.data/data/etc/x.conf": run},
            entry_points="[console_scripts]\nboth = entry:main\n",
        ),
        write(folder, "entry", {"entry.py": MAIN}, entry_points=points),
        write(folder, "native", {"native/_n.abi3.so": b"\x7fELF"}, pure="false", build="7x"),
        write(folder, "space_a", {"space/a/__init__.py": "A = 1\n"}),
        write(folder, "space_b", {"space/b.py": "B = 2\n", "space/b/": ""}),
        write(
            folder,
            "names",
            {'näh/ü, "q" ☃.txt': "x", "näh/empty": "", "näh/with space.py": "", "b\\s.txt": "x"},
        ),
        write(
            folder,
            "unsigned",
            {
                "unsigned.py": "",
                "unsigned-1.0.dist-info/RECORD.jws": "{}",
                "unsigned-1.0.dist-info/licenses/LICENSE": "free",
                "unsigned-1.0.dist-info/INSTALLER": "another",
            },
            recorded=False,
        ),
        write(
            folder,
            "modes",
            {"modes/run": "x", "modes/typeless": "x", "modes/link": "run", "modes/secret": "x"},
            modes={
                "modes/run": stat.S_IFREG | 0o4711,
                "modes/typeless": 0o755,
                "modes/link": stat.S_IFLNK | 0o777,
                "modes/secret": stat.S_IFREG | 0o600,
            },
        ),
        write(folder, "Mixed_Case.x", {"mixed.py": ""}, info_name="mixed_case_x"),
    ]


def tree(root: Path) -> dict[str, tuple[int, bytes | None]]:
    """Return modes and contents of all files that wheels brought."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        own = path.name in ("pyvenv.cfg", "REQUESTED") or path.name.lower().startswith("activate")
        if not path.is_symlink() and not own:
            info = path.lstat()
            text = None if path.is_dir() else path.read_bytes()
            is_script = path.parent.name == "bin" and text and b"python" in text.splitlines()[0]
            varies = path.name in ("INSTALLER", "RECORD") or is_script
            found[name] = (info.st_mode, b"" if varies else text)
    return found


def recorded(root: Path) -> set[str]:
    """Return the files in all lists, by their paths in the environment."""
    result = set()
    for record in root.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                path = (record.parent.parent / row[0]).resolve()
                result.add(path.relative_to(root.resolve()).as_posix())
    return result


def run(venv_path: Path, script: str) -> tuple[int, str]:
    """Run a script of an environment."""
    done = subprocess.run(
        [venv_path / "bin" / script, "a", "b"], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.replace(str(venv_path), "/venv")


def test_same_files_as_pip(tmp_path: Path) -> None:
    """Paths, modes and bytes are; INSTALLER and the text of scripts differ."""
    (tmp_path / "wheels").mkdir()
    wheels = make_all(tmp_path / "wheels")
    ours, pips = tmp_path / "ours", tmp_path / "pips"
    for place in (ours, pips):
        venv.create(place, symlinks=True)
    pip = [sys.executable, "-m", "pip", f"--python={pips}/bin/python", "install", "--no-deps"]
    options = ["--no-index", "--no-compile", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, *options, *wheels], check=True)
    for path in wheels:
        wheel_tree.install(path, ours)
    for direct in pips.rglob("direct_url.json"):  # pip writes it for a path
        direct.unlink()
    found, expected = tree(ours), tree(pips)
    assert sorted(found) == sorted(expected)
    assert {name for name in found if found[name] != expected[name]} == set()
    mine, theirs = recorded(ours), recorded(pips)
    # pip also lists what it has not installed: a script with the name of an entry point.
    assert mine == {name for name in theirs if name in found}
    assert len(mine) > 50
    for script in ("plain", "Dotted.Name-1", "window", "both", "asks", "asks-w", "shell"):
        assert run(ours, script) == run(pips, script), script
    assert run(ours, "both") == (3, "a b\n")


def test_no_code_of_a_package_runs(tmp_path: Path) -> None:
    """Neither a .pth file, nor a module named like a standard one, nor sitecustomize."""
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'a').write(__file__ if '__file__' in dir() else 'pth')\n"
    names = ("json", "re", "sitecustomize", "usercustomize", "compileall", "pip/__init__", "struct")
    files: dict[str, str | bytes] = {f"{name}.py": code for name in names}
    files["evil.pth"] = f"import sys; {code}"
    bad = make_elf(tmp_path / "made.so", needed=[str(tmp_path / "libevil.so"), "libc.so.6"])
    files["evil.so"] = bad.read_bytes()
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = make_wheel(folder, "evil", files=files, scripts={"evil": "evil:main"})
    workshop = Workshop(tmp_path)
    with PrivateIndex(folder, {}) as served:
        indexes = Indexes(served, served, {"evil": wheel})
        manifest = indexes.manifest(indexes.package("evil", SOURCE))
        status, output = workshop.install(manifest, "--compile")
    assert status == 0, output
    assert "  - Installed evil (1.0)" in output
    assert [*workshop.venv.rglob("json.*.pyc")]
    assert not canary.exists()
    needs = json.loads(workshop.libraries.read_text())["needs"]
    assert needs[str(tmp_path / "libevil.so")] == {"by": ["evil"]}
    make_elf(tmp_path / "libevil.so")
    image = check.Image(Path("/"), own_machine())
    layer = json.loads(workshop.libraries.read_text())
    assert [fault.library for fault in check.inspect(image, [layer], [])] == [
        str(tmp_path / "libevil.so")
    ]
    workshop.python("0")
    assert canary.exists(), "the canary works"


@pytest.mark.skipif(not Path("/sbin/ldconfig").exists(), reason="not glibc")
def test_libraries_are_found_where_the_loader_finds_them() -> None:
    """Those in the loader's own list, and others are missing."""
    listing = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True)
    image = check.Image(Path("/"), own_machine())
    found = re.findall(r"^\t(\S+) \(libc6,x86-64[^)]*\) => (\S+)$", listing, re.MULTILINE)
    if not found:  # another machine
        found = re.findall(r"^\t(\S+) \(libc6[^)]*\) => (\S+)$", listing, re.MULTILINE)
    first = dict(reversed(found))
    assert len(first) > 10
    for name, place in list(first.items())[:: len(first) // 10]:
        library = image.find(name)
        assert library, name
        assert Path(library.path).samefile(place), name
    assert image.find("libnot-there.so.1") is None
