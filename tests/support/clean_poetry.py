"""Create a separate Poetry: an environment that contains only Poetry and the built wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from environments import install_packages, run_quietly
from poetry_versions import poetry_python
from warm_poetry import warm_poetry

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
POETRY = "2.5.1"
ONE_BY_ONE = {"POETRY_INSTALLER_PARALLEL": "false"}
"""A variable for `poetry install`: of several threads, one may see no credentials.

The first thread fills the list of sources while others read it (`configured_repositories`).
"""
_OF_THE_USER = ("NETRC", "PYTHON_KEYRING_BACKEND", "VIRTUAL_ENV", "XDG_RUNTIME_DIR", "PYTHONPATH")


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this repository, and check that it contains the templates."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    run_quietly([*pip, "--wheel-dir", str(folder), str(ROOT)])
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "poetry_docker_cache/templates/Dockerfile.j2" in archive.namelist()
    return wheel


def copy_environment(folder: Path) -> Path:
    """Copy an environment that has Poetry only, and return its `poetry`."""
    shutil.copytree(poetry_python(POETRY).parents[1], folder, symlinks=True)
    python, poetry = folder / "bin" / "python", folder / "bin" / "poetry"
    _, _, code = poetry.read_text(encoding="utf-8").partition("\n")
    poetry.write_text(f"#!{python}\n{code}", encoding="utf-8")
    return poetry


def install(folder: Path, wheel: Path) -> Path:
    """Install the wheel beside Poetry in a new environment, and return its `poetry`."""
    poetry = copy_environment(folder)
    install_packages(poetry.with_name("python"), str(wheel))
    return poetry


@dataclass(frozen=True, kw_only=True)
class Poetry:
    """`poetry` with nothing configured: its own home, settings, cache and temporary folder."""

    executable: Path
    home: Path
    env: Mapping[str, str]
    """The whole environment of the process."""

    @classmethod
    def isolated(cls, executable: Path, home: Path, env: Mapping[str, str]) -> Poetry:
        """Return a Poetry whose settings are below `home`; otherwise it uses `env`."""
        own = {f"POETRY_{name}_DIR": home / "poetry" / name for name in ("CONFIG", "CACHE", "DATA")}
        own |= {"HOME": home, "TMPDIR": home / "tmp"}
        for folder in own.values():
            folder.mkdir(parents=True, exist_ok=True)
        kept = {
            name: value
            for name, value in env.items()
            if not name.startswith("POETRY_") and name not in _OF_THE_USER
        }
        kept |= {name: str(folder) for name, folder in own.items()}
        kept |= {"POETRY_KEYRING_ENABLED": "false", "POETRY_VIRTUALENVS_CREATE": "false"}
        kept |= ONE_BY_ONE
        return cls(executable=executable, home=home, env=kept)

    @property
    def temporary(self) -> Path:
        """Return its own folder for temporary files."""
        return self.home / "tmp"

    def run(
        self,
        project: Path,
        *arguments: str,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a project; unless `check` is false, a failure shows all output.

        The process is forked from one that has imported Poetry, which saves two seconds of CPU,
        unless it has modules of its own.
        """
        words = ["--no-interaction", *arguments]
        own = {**self.env, **(env or {})}
        python = self.executable.with_name("python")
        if "PYTHONPATH" in own or not python.exists():
            done = subprocess.run(
                [str(self.executable), *words],
                cwd=project,
                env=own,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        else:
            done = warm_poetry(python).run(words, env=own, at=project)
        assert not check or done.returncode == 0, f"poetry {arguments}: {done.stdout}{done.stderr}"
        return done

    def start(
        self, project: Path, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a new process in a project, without a terminal and in its own process group."""
        return subprocess.Popen(
            [self.executable, "--no-interaction", *arguments],
            cwd=project,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
