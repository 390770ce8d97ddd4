"""Compare exported pipelines with the golden ones, and check them with schemas and linters."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ci_files import golden, scripts
from command_line import poetry
from golden_cases import CASES
from poetry.config.config import Config

from poetry_docker_cache.render.ci_files import CI_KINDS, CI_PATHS, NO_ENGINE, CiKind

PROJECTS = {
    "pep621_src": (),  # no source
    "extras": ("--extras=cpu",),  # one source, and options of the installation
    "sources": (),  # several, one with a dotted name
    "every_setting": (),  # the project's own registry
    "git_version": (),
    "images": (),  # several
    "assets": (),  # a secret
    "no_engine_git_version": (NO_ENGINE,),
    "no_engine_images": (NO_ENGINE,),
    "signed_pep621_src": ("--sign",),
    "signed_no_engine_images": (NO_ENGINE, "--sign"),
}
TOOLS = Path(sys.executable).parent
SCHEMAS: dict[CiKind, list[str]] = {
    "github": ["--builtin-schema", "vendor.github-workflows"],
    "gitlab": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}
NAMES: dict[CiKind, list[str]] = {
    kind: [name for name, given in PROJECTS.items() if kind == "github" or "--sign" not in given]
    for kind in CI_KINDS
}
EACH = [(name, kind) for kind, names in NAMES.items() for name in names]
_START = re.compile("(signed_)?(no_engine_)?")


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_export_writes_golden_pipeline(
    name: str, kind: CiKind, tmp_path: Path, *, regenerate: bool
) -> None:
    """The pipeline is as reviewed and committed, including its digest."""
    Config.create(reload=True)  # Poetry reads poetry.toml only once in a process
    folder = tmp_path / name
    shutil.copytree(CASES / _START.sub("", name, count=1) / "project", folder)
    outcome = poetry(folder, "docker", "export", "--ci", kind, *PROJECTS[name])
    assert outcome.status == 0, outcome.err
    written = (folder / CI_PATHS[kind]).read_bytes()
    if kind == "shell":
        assert (folder / CI_PATHS[kind]).stat().st_mode & 0o777 == 0o755
    if regenerate:
        golden(name, kind).parent.mkdir(parents=True, exist_ok=True)
        golden(name, kind).write_bytes(written)
    assert written.decode() == golden(name, kind).read_bytes().decode()


@pytest.mark.parametrize("kind", SCHEMAS)
def test_pipelines_match_official_schemas(kind: CiKind, tmp_path: Path) -> None:
    """All golden files are valid; one with an unknown key is not."""
    files = [str(golden(name, kind)) for name in NAMES[kind]]
    command = [str(TOOLS / "check-jsonschema"), *SCHEMAS[kind]]
    run = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    wrong = tmp_path / "wrong.yml"
    text = Path(files[0]).read_text()
    wrong.write_text(re.sub(r"^( +)(permissions|rules):", r"\1\2es:", text, flags=re.MULTILINE))
    assert wrong.read_text() != text
    run = subprocess.run([*command, str(wrong)], capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr


def shellcheck(files: list[Path], *, shell: str) -> subprocess.CompletedProcess[str]:
    """Run shellcheck on scripts; they use variables that only exist in CI."""
    options = [f"--shell={shell}", "--exclude=SC2154", "--norc"]
    command = [str(TOOLS / "shellcheck"), *options, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", CI_KINDS)
def test_shellcheck_finds_nothing(kind: CiKind, tmp_path: Path) -> None:
    """The scripts are clean, and shellcheck finds a problem that is added."""
    files = []
    for name in NAMES[kind]:
        for number, text in enumerate(scripts(golden(name, kind).read_text(), kind)):
            files.append(tmp_path / f"{name}-{number}")
            files[-1].write_text(text)
    assert len(files) >= len(NAMES[kind])
    shell = "bash" if kind == "github" else "sh"
    run = shellcheck(files, shell=shell)
    assert run.returncode == 0, run.stdout
    files[0].write_text(files[0].read_text() + "\nrm $IMAGE\n")
    assert "SC2086" in shellcheck(files[:1], shell=shell).stdout


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_pipelines_contain_no_index_url(name: str, kind: CiKind) -> None:
    """Package sources are only in pyproject.toml; the pipeline contains no URL."""
    text = golden(name, kind).read_text()
    assert "://" not in text.replace("tcp://docker:2376", "")
    assert "pypi" not in text
