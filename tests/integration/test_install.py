"""Tests of installing a manifest with pip and with Poetry, from real indexes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from installing import PASSWORD, SCRIPTS, SOURCE, Indexes, Workshop, serving, shows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BY = {"pip": (), "poetry": ("--from-source",)}
"""Options of the script for each installer."""
INSTALLERS = pytest.mark.parametrize("installer", BY)


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexes]:
    """Serve some packages with a password, and others without one."""
    with serving(tmp_path_factory.mktemp("indexes")) as served:
        yield served


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Return an empty folder to install in."""
    return Workshop(tmp_path)


@INSTALLERS
def test_installers_give_the_same_files(
    indexes: Indexes, workshop: Workshop, installer: str
) -> None:
    """Each installs the same working distributions, and no other files."""
    sources = {"al-pha": SOURCE, "beta": SOURCE, "gamma": "public"}
    packages = [indexes.package(name, source) for name, source in sources.items()]
    packages.append(indexes.package("gone", marker='platform_machine == "none"'))
    kept = {"marker": 'platform_machine != "none"'}
    manifest = indexes.manifest({**packages[0], **kept}, *packages[1:])
    status, output = workshop.install(manifest, *BY[installer])
    assert status == 0, output
    assert workshop.names() == {"al_pha-1.0+cpu", "beta-1!2.0b1", "gamma-2021.05.30"}
    for line in ("al-pha (1.0+cpu)", "beta (1!2.0b1)", "gamma (2021."):
        assert f"  - Installed {line}" in output
    (place,) = workshop.venv.glob("lib/python*/site-packages")
    files = {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}
    info = {"INSTALLER", "METADATA", "RECORD", "WHEEL"}
    expected = {"al_pha/__init__.py", "al_pha/sub/__init__.py", "al_pha/template.py"}
    expected |= {"beta/__init__.py", "gamma/__init__.py"}
    expected |= {f"{name}.dist-info/{file}" for name in workshop.names() for file in info}
    assert files == {*expected, "al_pha-1.0+cpu.dist-info/entry_points.txt"}
    recorded = "".join(path.read_text() for path in place.glob("*.dist-info/RECORD"))
    assert all(f"{file}," in recorded for file in files)
    assert "REQUESTED" not in recorded
    assert json.loads(workshop.libraries.read_text())["needs"] == {}

    # At the end, because Python may write bytecode.
    assert workshop.python("import beta, gamma; print(beta.VERSION)") == "1!2.0b1\n"
    script = workshop.venv / "bin" / "al-pha"
    assert script.read_text().startswith(f"#!{workshop.venv}/bin/python")
    assert subprocess.check_output([script], text=True) == "alpha True\n"


def test_installers_give_the_same_bytes(indexes: Indexes, workshop: Workshop) -> None:
    """Whether pip or Poetry has downloaded the wheels, the layer is the same."""
    manifest = indexes.manifest(indexes.package("al-pha"), indexes.package("beta"))
    snapshots = []
    for installer, more in BY.items():
        status, output = workshop.install(manifest, *more)
        assert status == 0, output
        snapshots.append(workshop.snapshot())
        workshop.venv.rename(workshop.folder / f"of-{installer}")
    assert snapshots[0] == snapshots[1]


@pytest.mark.parametrize(("marker", "installed"), [("!= '5'", True), ("== '5'", False)])
def test_poetry_evaluates_marker_about_the_kernel(
    indexes: Indexes, workshop: Workshop, marker: str, installed: bool
) -> None:
    """Poetry compares the release of the kernel as a version if possible, otherwise as text."""
    package = indexes.package("al-pha", marker=f"platform_release {marker}")
    status, output = workshop.install(indexes.manifest(package), "--from-source")
    assert status == 0, output
    assert workshop.names() == ({"al_pha-1.0+cpu"} if installed else set())


@INSTALLERS
def test_other_indexes_are_ignored(indexes: Indexes, workshop: Workshop, installer: str) -> None:
    """An index in the settings of the image gets no request, although it has the same version."""
    before = len(indexes.public.requests())
    url = indexes.public.url
    names = ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL")
    status, output = workshop.install(
        indexes.manifest(indexes.package("al-pha")),
        *BY[installer],
        environment=dict.fromkeys(names, url),
    )
    assert status == 0, output
    assert "main" in workshop.python("import al_pha; print(dir(al_pha))")
    assert len(indexes.public.requests()) == before


@INSTALLERS
def test_packages_come_from_their_own_source(
    indexes: Indexes, workshop: Workshop, installer: str
) -> None:
    """No source serves a package of the other one."""
    before = indexes.public.downloads()
    packages = [indexes.package("al-pha"), indexes.package("gamma", "public")]
    status, output = workshop.install(indexes.manifest(*packages), *BY[installer])
    assert status == 0, output
    asked = indexes.public.downloads()[len(before) :]
    assert {name.split("-")[0] for name in asked} == {"gamma"}


@INSTALLERS
def test_file_with_another_hash_is_refused(
    indexes: Indexes, workshop: Workshop, installer: str
) -> None:
    """It is not installed, and the output says why."""
    package = indexes.package("al-pha", files=[{"file": "x.whl", "hash": f"sha256:{'0' * 64}"}])
    package["files"][0]["file"] = indexes.wheels["al-pha"].name
    status, output = workshop.install(indexes.manifest(package), *BY[installer])
    assert status != 0
    assert "serves a file whose hash does not match poetry.lock" in output
    assert workshop.names() == set()
    assert not workshop.libraries.exists()


@INSTALLERS
def test_deleted_version(indexes: Indexes, workshop: Workshop, installer: str) -> None:
    """The output names the package that the source no longer has."""
    package = indexes.package("al-pha", version="9.0")
    status, output = workshop.install(indexes.manifest(package), *BY[installer])
    assert status != 0
    end = output[output.rindex(" has no file of ") :]
    assert "al-pha" in end
    assert "9.0" in end


@INSTALLERS
@pytest.mark.parametrize(
    ("password", "reason"), [("hunter-canary", "does not accept"), (None, "no credentials")]
)
def test_refused_access(
    indexes: Indexes, workshop: Workshop, installer: str, password: str | None, reason: str
) -> None:
    """The end of the output says which source refused access, why, and what to run."""
    manifest = indexes.manifest(indexes.package("al-pha"))
    status, output = workshop.install(manifest, *BY[installer], password=password)
    assert status != 0
    end = output[output.index("\npoetry-docker-cache: The package source") :]
    assert repr(SOURCE) in end
    assert reason in end
    assert f"poetry config http-basic.{SOURCE} USERNAME` (asks" in end


@INSTALLERS
def test_password_is_in_no_command_line(
    indexes: Indexes, workshop: Workshop, installer: str
) -> None:
    """The list of processes never contains it during an installation."""
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):  # the process has ended
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    watcher = threading.Thread(target=look)
    watcher.start()
    manifest = indexes.manifest(indexes.package("al-pha"), indexes.package("beta"))
    environment = {"PIP_TIMEOUT": "15"}  # only pip follows it
    try:
        status, output = workshop.install(manifest, *BY[installer], environment=environment)
    finally:
        ended.set()
        watcher.join()
    assert status == 0, output
    tool = {"pip": "-m pip download", "poetry": "poetry_download.py"}
    assert any(tool[installer] in line for line in seen)
    assert not [line for line in seen if shows(line, PASSWORD)]


@pytest.mark.parametrize("more", [[], ["--compile"]])
def test_installation_is_reproducible(
    indexes: Indexes, workshop: Workshop, more: Sequence[str]
) -> None:
    """Two installations have the same names, modes, bytes and times."""
    manifest = indexes.manifest(indexes.package("al-pha"), indexes.package("beta"))
    snapshots = []
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed}
        status, output = workshop.install(manifest, *more, environment=environment)
        assert status == 0, output
        snapshots.append(workshop.snapshot())
        workshop.venv.rename(workshop.folder / f"before-{seed}")
    assert snapshots[0] == snapshots[1]
    compiled = {Path(name).name.split(".")[0] for name in snapshots[0] if name.endswith(".pyc")}
    assert compiled == ({"__init__"} if more else set())
    assert len({time for _, time, _ in snapshots[0].values()}) == 1


def test_compiled_files_have_no_timestamp(indexes: Indexes, workshop: Workshop) -> None:
    """Python uses them without checking the source (PEP 552)."""
    manifest = indexes.manifest(indexes.package("beta"))
    assert workshop.install(manifest, "--compile")[0] == 0
    (path,) = workshop.venv.rglob("*.pyc")
    assert path.read_bytes()[4:8] == b"\x01\0\0\0"


@INSTALLERS
def test_empty_manifest(indexes: Indexes, workshop: Workshop, installer: str) -> None:
    """It starts no installer, and the environment stays empty."""
    asked = len(indexes.private.requests())
    assert workshop.install(indexes.manifest(), *BY[installer]) == (0, "")
    assert workshop.names() == set()
    assert len(indexes.private.requests()) == asked
    assert json.loads(workshop.libraries.read_text())["needs"] == {}
    assert len({time for _, time, _ in workshop.snapshot().values()}) == 1


def test_package_without_an_index_is_refused(indexes: Indexes, workshop: Workshop) -> None:
    """The output says why pip cannot install a package from git."""
    package = indexes.package("al-pha")
    package["source"] = {"type": "git", "url": "https://git.example/a", "reference": "main"}
    manifest = {"packages": [package], "sources": []}
    status, output = workshop.install(manifest)
    assert status == 1
    why = "al-pha does not come from a package index (git): only Poetry can install it."
    assert output == f"Installing al-pha 1.0+cpu\n\npoetry-docker-cache: {why}\n"


def test_default_index_of_the_image_is_used(indexes: Indexes, workshop: Workshop) -> None:
    """It is the only index for packages without a source."""
    host = indexes.private.url.partition("://")[2]
    conf = workshop.folder / "pip.conf"
    conf.write_text(
        f"[global]\nindex-url = http://user:{quote(PASSWORD, safe='')}@{host}\n"
        f"extra-index-url = {indexes.public.url}\nfind-links = {indexes.public.url}\n"
    )
    asked = len(indexes.public.requests())
    manifest = {"packages": [indexes.package("al-pha", "")], "sources": []}
    status, output = workshop.install(manifest, environment={"PIP_CONFIG_FILE": str(conf)})
    assert status == 0, output
    assert workshop.names() == {"al_pha-1.0+cpu"}
    assert len(indexes.public.requests()) == asked


def test_tool_comes_from_its_source(indexes: Indexes, workshop: Workshop) -> None:
    """Its environment has no pip, and no other index gets a request."""
    asked = len(indexes.public.requests())
    place = workshop.folder / "opt" / "tool"
    command = [sys.executable, "-m", "install.tool", "--venv", str(place)]
    command += ["--source", SOURCE, indexes.private.url, "al-pha==1.0+cpu"]

    def run(password: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, f"--secret={workshop.secret(password)}"],
            cwd=SCRIPTS,
            env={**os.environ, "PIP_EXTRA_INDEX_URL": indexes.public.url, "PIP_RETRIES": "0"},
            capture_output=True,
            text=True,
            check=False,
        )

    refused = run("hunter-canary")
    assert refused.returncode != 0
    assert "does not accept the credentials" in refused.stdout
    done = run(PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(shows(run.stdout + run.stderr, PASSWORD) for run in (done, refused))
    assert {path.name for path in place.rglob("*.dist-info")} == {"al_pha-1.0+cpu.dist-info"}
    assert not list(place.rglob("*.pyc"))
    assert len(indexes.public.requests()) == asked


def test_pinned_tool_with_another_hash_is_refused(indexes: Indexes, workshop: Workshop) -> None:
    """Also where a pin has several Pythons; with the right hash, it is installed."""
    wheel = indexes.wheels["al-pha"]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    place = workshop.folder / "opt" / "pinned"

    def run(*hashes: str) -> subprocess.CompletedProcess[str]:
        pin = 'al-pha==1.0+cpu ; python_version >= "3.9"'
        other = 'be-ta==9 ; python_version < "3.9"'
        lines = [
            " \\\n    --hash=sha256:".join([pin, *hashes]),
            f"{other} --hash=sha256:{'1' * 64}",
        ]
        pins = workshop.folder / "pins.txt"
        pins.write_text("# al-pha\n" + "\n".join(lines) + "\n")
        command = [sys.executable, "-m", "install.tool", f"--venv={place}", f"--pinned={pins}"]
        # Two tools may need the same package.
        command += [f"--pinned={pins}", "--source", SOURCE, indexes.private.url]
        return subprocess.run(
            [*command, f"--secret={workshop.secret(PASSWORD)}"],
            cwd=SCRIPTS,
            env={**os.environ, "PIP_RETRIES": "0"},
            capture_output=True,
            text=True,
            check=False,
        )

    refused = run("0" * 64)
    assert refused.returncode != 0
    assert (
        f"{SOURCE!r} serves a file whose hash does not match the pinned versions" in refused.stdout
    )
    assert refused.stdout.endswith("set in [tool.poetry-docker-cache]:\npinned-tools = false\n")
    assert not list(place.rglob("*.dist-info"))
    done = run("0" * 64, digest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in place.rglob("*.dist-info")} == {"al_pha-1.0+cpu.dist-info"}
