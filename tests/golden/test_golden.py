"""Compare exported files with the golden ones, byte for byte, and lint the Dockerfiles."""

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
    without_digests,
)
from golden_locks import renew_lock

from poetry_docker_cache.render.build_scripts import SCRIPTS_FOLDER

LINES_OF_SETTINGS = {
    "assets": 46,  # two front ends
    "custom_base": 11,  # may have its own user, and lack the build machine's platform
    "dev_and_test": 44,  # the stages of two more images
    "django": 4,  # a source tree beside the dependencies, which is on the import path
    "download_cache": 16,  # two stages that import and export the wheels
    "every_setting": 51,
    "from_source": 6,  # build-packages, runtime-packages, build-config-settings
    "git_dependency": 15,  # Poetry, a compiler and ssh-known-hosts
    "monorepo": 54,  # download-cache, three path dependencies with their own backends
    "odd_file_names": 1,  # files beside the package
    "reuse_image": 24,  # the stages that import the earlier image
    "run_steps": 50,  # three stages with the content of the image, and their commands
    "shape_extension": 8,  # a build backend with a compiler, from a private source
    "shell_less": 13,  # a final image without a shell, so that its stages use another base
}
"""Additional lines that settings and path dependencies need, by case."""
LINES_OF_SOURCES = 24
"""Three more stages separate the secret from the code of packages without a wheel."""
HADOLINT = Path(sys.executable).with_name("hadolint")
HADOLINT_CONFIG = Path(__file__).parents[2] / ".hadolint.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_export_writes_golden_files(name: str, tmp_path: Path, *, regenerate: bool) -> None:
    """Dockerfile, ignore file and notes are as reviewed and committed."""
    place = CASES / name / "expected"
    if regenerate:
        renew_lock(name)
    written = without_digests(export(copy_case(name, tmp_path / name)))
    if regenerate:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for file, text in written.items():
            (place / file).write_bytes(text.encode())
    assert written == expected(name)


@pytest.mark.parametrize("name", NAMES)
def test_dockerfiles_are_short(name: str) -> None:
    """60 lines, 9 for each dependency layer, and those that settings need."""
    for file, text in expected(name).items():
        if is_dockerfile(file):
            layers = len(
                re.findall(r"^COPY --link --from=(?!files)\S+ /\S+/venv", text, re.MULTILINE)
            )
            lines = text.splitlines()
            more = LINES_OF_SETTINGS.get(name, 0)
            more += LINES_OF_SOURCES if "AS source-files" in text else 0
            more += text.count("from=scripts,source=/pins")  # the hashes of a build tool
            assert len(lines) <= 60 + 9 * layers + more, file
            assert not [line for line in lines if len(line) > 120 and can_be_wrapped(line)], file


def can_be_wrapped(line: str) -> bool:
    """Return whether a line could be wrapped: it has no long image or layer name."""
    return max(map(len, line.split())) < 100 and "@sha256:" not in line


def test_dockerfile_names_digest_of_scripts(tmp_path: Path) -> None:
    """Anyone can compute it with `sha256sum` from the files in the folder."""
    folder = project_in(copy_case("pep621_src", tmp_path / "pep621_src"))
    export(folder)
    command = "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    scripts = folder / SCRIPTS_FOLDER
    done = subprocess.run(command, shell=True, cwd=scripts, capture_output=True, check=True)
    digest = done.stdout.decode().split()[0]
    assert f"sha256:{digest}\nFROM scratch AS scripts\n" in (folder / "Dockerfile").read_text()


def test_rendering_is_reproducible(tmp_path: Path) -> None:
    """Hash seed, time zone, language, umask, folder, file modes and dates do not matter."""
    place = tmp_path / "another place, with spaces"
    folders = [copy_case(name, place / name) for name in NAMES]
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
        preexec_fn=lambda: os.umask(0o077),  # no other thread is running
    )
    for name, folder in zip(NAMES, folders, strict=True):
        found = project_in(folder)
        for file, text in expected(name).items():
            path = found.parent / f"{found.name}.found" / file
            assert path.read_bytes().decode() == text, f"{name}: {file}"


def lint(folder: Path, dockerfiles: dict[str, str]) -> list[str]:
    """Run hadolint on Dockerfiles, by name."""
    for name, text in dockerfiles.items():
        (folder / name).write_text(text, encoding="utf-8")
    options = ["--config", str(HADOLINT_CONFIG), "--format", "json"]
    command = [str(HADOLINT), *options, *sorted(dockerfiles)]
    run = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    return [
        f"{problem['file']}:{problem['line']} {problem['code']} {problem['message']}"
        for problem in json.loads(run.stdout)
    ]


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    """Only the rules that .hadolint.yaml disables, with reasons, are broken."""
    texts = {
        f"{name}.{file}": text
        for name in NAMES
        for file, text in expected(name).items()
        if is_dockerfile(file)
    }
    assert lint(tmp_path, texts) == []


def test_hadolint_reads_to_the_end(tmp_path: Path) -> None:
    """It finds a problem on the last line of a Dockerfile."""
    text = expected("pep621_src")["Dockerfile"]
    assert re.match(r"worse:\d+ DL4000", lint(tmp_path, {"worse": f"{text}MAINTAINER ada\n"})[0])


def test_there_are_enough_cases() -> None:
    """Fail if a folder lost its files, which would otherwise go unnoticed."""
    assert len(NAMES) >= 30
    for name in NAMES:
        assert lock_of(name).is_file(), name
