"""What the command writes for many shapes of project, byte for byte, and a linter's word on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import golden_cases
import pytest
from golden_cases import (
    CASES,
    NAMES,
    copy_case,
    expected,
    export,
    is_dockerfile,
    lock_of,
    project_in,
)
from golden_locks import renew_lock
from golden_shorten import expand, shorten

HADOLINT = Path(sys.executable).with_name("hadolint")
HADOLINT_CONFIG = Path(__file__).parents[2] / ".hadolint.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_export_writes_what_is_expected(name: str, tmp_path: Path, *, regenerate: bool) -> None:
    """Dockerfile, ignore file and notes are those that were reviewed and committed."""
    place = CASES / name / "expected"
    if regenerate:
        renew_lock(name)
    written = export(copy_case(name, tmp_path / name))
    if regenerate:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for file, content in written.items():
            text = content.decode()
            (place / file).write_bytes((shorten(text) if is_dockerfile(file) else text).encode())
    for file, text in expected_files(name).items():
        assert written[file].decode() == text, file
    assert {path.name for path in place.iterdir()} == written.keys()


def expected_files(name: str) -> dict[str, str]:
    """Give what a case's export is to write, whole."""
    texts = expected(name)
    return {file: expand(text) if is_dockerfile(file) else text for file, text in texts.items()}


def test_rendering_depends_on_nothing_else(tmp_path: Path) -> None:
    """Another hash seed, time zone, language, umask, folder, file mode and date: the same bytes."""
    place = tmp_path / "another place, with spaces"
    folders = [copy_case(it, place / it) for it in NAMES]
    for path in place.rglob("*"):
        path.chmod(0o700 if path.is_dir() or path.suffix == ".py" else 0o600)
        os.utime(path, (1, 1))
    environment = {
        "PYTHONPATH": str(Path(golden_cases.__file__).parent),
        "PYTHONHASHSEED": "4711",
        "TZ": "Pacific/Kiritimati",
        "LANG": "tr_TR.UTF-8",
        "LC_ALL": "C",
        "COLUMNS": "40",
    }
    script = Path(golden_cases.__file__)
    subprocess.run(
        [sys.executable, script, *map(str, folders)],
        check=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: os.umask(0o077),  # no thread runs here
    )
    for name, folder in zip(NAMES, folders, strict=True):
        for file, text in expected_files(name).items():
            found = project_in(folder) / file
            assert found.read_bytes().decode() == text, f"{name}: {file}"


def lint(folder: Path, dockerfiles: dict[str, str]) -> list[str]:
    """Run hadolint on Dockerfiles, by name."""
    for name, text in dockerfiles.items():
        (folder / name).write_text(text, encoding="utf-8")
    options = ["--config", str(HADOLINT_CONFIG), "--format", "json"]
    command = [str(HADOLINT), *options, *sorted(dockerfiles)]
    run = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return [
        f"{it['file']}:{it['line']} {it['code']} {it['message']}" for it in json.loads(run.stdout)
    ]


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    """Every golden Dockerfile is clean, but for the rules that .hadolint.yaml gives reasons for."""
    texts = {
        f"{name}.{file}": text
        for name in NAMES
        for file, text in expected_files(name).items()
        if is_dockerfile(file)
    }
    assert lint(tmp_path, texts) == []


def test_hadolint_reads_to_the_end(tmp_path: Path) -> None:
    """It would find something: the last line of a Dockerfile that was made worse."""
    text = expected_files("pep621_src")["Dockerfile"]
    assert re.match(r"worse:\d+ DL4000", lint(tmp_path, {"worse": f"{text}MAINTAINER nobody\n"})[0])


def test_there_are_enough_cases() -> None:
    """A folder that lost its files would silently test nothing."""
    assert len(NAMES) >= 30
    for name in NAMES:
        assert lock_of(name).is_file(), name
