"""Tests of the step that builds and installs the project's wheel, with a real pip."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from poetry_docker_cache import inside

SCRIPTS = Path(str(inside.__file__)).parent
TESTS = Path(__file__).parents[1] / "support"
BACKEND = """
import sys
from pathlib import Path

sys.path.append({tests!r})
from wheels import make_wheel

def build_wheel(folder):
    if Path("broken").exists():
        print(Path("broken").read_text(), flush=True)
        raise SystemExit(7)
    files = {{"al_pha/__init__.py": "def main(): print({{1, 2, 3}} == {{3, 2, 1}})"}}
    scripts = {{"al-pha": "al_pha:main"}}
    return make_wheel(Path(folder), "al-pha", "1.0.dev1+x", files=files, scripts=scripts).name
"""
# Each of these settings would break the step.
IMAGE = {"PIP_TARGET": "/else", "PIP_NO_BINARY": ":all:", "PIP_CONSTRAINT": "/none.txt"}


@dataclass(frozen=True)
class Step:
    """A project, an empty environment, and the step to run."""

    folder: Path

    @property
    def site(self) -> Path:
        """The folder of installed packages in the layer, or before there is one."""
        venvs = [
            path for path in (self.folder / "layer/venv", self.folder / "venv") if path.exists()
        ]
        return next(path for venv in venvs for path in venv.glob("lib/python*/site-packages"))

    def run(self, *options: str, builder: str = sys.executable) -> tuple[int, str]:
        """Run the step as the build does."""
        command = [builder, "-m", "install.own_wheel", "--backend=our_backend", *options]
        command += ["--backend-path=backend"]
        command += ["--venv", str(self.folder / "venv"), f"--project={self.folder}/project"]
        command.append(f"{self.folder}/layer")
        environment = {**os.environ, **IMAGE, "PIP_CONFIG_FILE": str(self.folder / "pip.conf")}
        run = subprocess.run(
            command,
            cwd=SCRIPTS,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return run.returncode, run.stdout


@pytest.fixture
def step(tmp_path: Path) -> Step:
    """Write a project that contains its build backend."""
    backend = tmp_path / "project" / "backend" / "our_backend.py"
    backend.parent.mkdir(parents=True)
    backend.write_text(BACKEND.format(tests=str(TESTS)))
    (tmp_path / "pip.conf").write_text("[install]\nrequire-hashes = true\n")
    venv.create(tmp_path / "venv", symlinks=True)
    return Step(tmp_path)


def files(folder: Path) -> dict[str, tuple[float, bytes]]:
    """Return times and contents of all files in a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime, path.read_bytes()) for path in found
    }


def test_built_wheel_is_installed(step: Step) -> None:
    """Settings of the image do not matter; the log names the wheel, but no file has its path."""
    status, output = step.run()
    assert status == 0, output
    assert "Built al_pha-1.0.dev1+x-py3-none-any.whl\n" in output
    script = step.folder / "venv" / "bin" / "al-pha"
    assert subprocess.run([script], capture_output=True, check=True).stdout == b"True\n"
    info = step.site / "al_pha-1.0.dev1+x.dist-info"
    assert (info / "RECORD").exists()
    assert not (info / "direct_url.json").exists()


def test_options_compile_and_list_libraries(step: Step, tmp_path: Path) -> None:
    """A second run gives the same files with the same times."""
    target = tmp_path / "libraries.json"
    options = ["--compile", "--libraries", str(target)]
    assert step.run(*options)[0] == 0
    assert json.loads(target.read_text())["needs"] == {}
    first = files(step.site)
    compiled = [name for name in first if name.startswith("al_pha/__pycache__/")]
    assert len(compiled) == 1
    venv.create(step.folder / "venv", symlinks=True, clear=True)
    shutil.rmtree(step.folder / "layer")
    assert step.run(*options)[0] == 0
    assert files(step.site) == first


def test_backend_finds_its_programs(step: Step) -> None:
    """Programs such as maturin, cmake and ninja are installed with the backend."""
    programs = step.folder / "opt" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "our-tool").write_text("#!/bin/sh\necho called\n")
    (programs / "our-tool").chmod(0o755)
    backend = step.folder / "project" / "backend" / "our_backend.py"
    call = "import subprocess\nsubprocess.run(['our-tool'], check=True)\n"
    backend.write_text(call + backend.read_text())
    status, output = step.run(builder=str(programs / "python"))
    assert status == 0, output
    assert output.startswith("called\n")


def test_failing_backend_fails_the_step(step: Step) -> None:
    """Its status and output are those of the step, and nothing is installed."""
    (step.folder / "project" / "broken").write_text("no such luck")
    status, output = step.run()
    assert (status, output) == (7, "no such luck\n")
    assert list(step.site.iterdir()) == []


def test_missing_header_is_explained(step: Step) -> None:
    """The output has the setting to add, as for a dependency that is built from source."""
    said = "a.c:1:10: fatal error: sql.h: No such file or directory"
    (step.folder / "project" / "broken").write_text(said)
    status, output = step.run()
    assert status == 7
    why = f"poetry-docker-cache: The wheel of {step.folder}/project could not be built "
    assert output.startswith(f"{said}\n\n{why}")
    assert "its build did not find sql.h.\n" in output
    assert 'build-packages = ["unixodbc-dev"]' in output


def test_marker_and_config_settings(step: Step) -> None:
    """The marker is evaluated, and the settings reach the backend as in PEP 517."""
    backend = step.folder / "project" / "backend" / "our_backend.py"
    text = backend.read_text()
    backend.write_text(
        text.replace("build_wheel(folder):", "build_wheel(folder, settings):\n    print(settings)")
    )
    options = ("--config-settings", '{"opt": ["a"]}', "--marker")
    status, output = step.run(*options, 'platform_machine == "pdp11"')
    assert status == 0, output
    assert "{'opt': ['a']}\n" in output
    assert list(step.site.glob("al_pha*")) == []
    shutil.rmtree(step.folder / "layer")
    status, output = step.run(*options, 'platform_machine != "pdp11"')
    assert (step.site / "al_pha").is_dir(), output


def test_wheel_for_another_platform_fails(step: Step) -> None:
    """The output names the wheel, and nothing is installed."""
    backend = step.folder / "project" / "backend" / "our_backend.py"
    text = backend.read_text()
    backend.write_text(text.replace("scripts=scripts", 'tag="cp39-cp39-win32"'))
    status, output = step.run()
    assert status == 1
    assert "Built al_pha-1.0.dev1+x-cp39-cp39-win32.whl\n" in output
    assert "made al_pha-1.0.dev1+x-cp39-cp39-win32.whl, which is not for this image." in output
    assert list(step.site.glob("al_pha*")) == []


def test_forked_function_never_returns() -> None:
    """Not even if a build backend closes or replaces its output: the caller runs once."""
    code = (
        "import os, sys\n"
        "from poetry_docker_cache.inside.install import process\n"
        "works = sys.stdout.close, lambda: setattr(sys, 'stderr', None), lambda: os._exit(3)\n"
        "print([process.fork(work).status for work in works])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert (found.stdout, found.stderr) == ("[0, 0, 3]\n", "")
