"""Install the built sdist and wheel as a user does, into each supported Poetry, and run them.

A trial is a new Poetry, installed with pipx, that gets the plugin by `pipx inject` or by `poetry
self add`. It exports an example and checks it again; all trials must export the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tomlkit
from interpreters import find_python, supported_pythons

from poetry_docker_cache.plan.poetry_version import NEWEST_POETRY, OLDEST_POETRY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
EXAMPLE = ROOT / "examples" / "worker"
FILES = ("wheel", "sdist")
WAYS = ("pipx inject", "poetry self add")
_OF_THE_USER = ("PIPX_", "POETRY_", "PYTHON", "VIRTUAL_ENV")
"""Prefixes of variables that would reach into a trial."""

FileKind = Literal["wheel", "sdist"]
Way = Literal["pipx inject", "poetry self add"]


class TrialError(Exception):
    """A command of a trial failed; the message has its output."""


@dataclass(frozen=True)
class Trial:
    """One installation, in its own environment."""

    python: str
    """The minor version."""
    poetry: str
    """The requirement."""
    way: Way
    file: FileKind

    def __str__(self) -> str:
        """Return the trial's line in the log."""
        return f"Python {self.python}, poetry{self.poetry}, {self.file} by `{self.way}`"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--base-image", metavar="IMAGE", help="also make an image without an engine on this base"
    )
    parser.add_argument("--strict", action="store_true", help="fail if a check is skipped")
    options = parser.parse_args()
    started = time.monotonic()
    pyproject = tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8")).unwrap()
    pythons = {minor: find_python(minor) for minor in supported_pythons(pyproject)}
    found = {minor: path for minor, path in pythons.items() if path}
    skipped = [f"Python {minor}: no python{minor} here" for minor in pythons if minor not in found]
    if not options.base_image:
        skipped.append("an image without an engine: needs --base-image")
    dry_run = can_run(["docker", "buildx", "version"])
    if not dry_run:
        skipped.append("build --dry-run: no docker with buildx here")
    files = build()
    trials = plan_trials([*found], poetries())
    exported: dict[str, Trial] = {}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="release-check-") as name:
        folder = Path(name)
        pipx = install_pipx(folder / "pipx")
        for number, trial in enumerate(trials):
            begun = time.monotonic()
            room = Room.create(folder / str(number), pipx, cache=folder / "cache")
            base = options.base_image if trial == trials[-1] else None
            try:
                version = room.install(trial, found[trial.python], files[trial.file])
                exported.setdefault(room.use(base, dry_run=dry_run), trial)
            except TrialError as error:
                failed += 1
                print(f"FAILED  {trial}\n{error}", flush=True)
            else:
                print(f"ok      {trial}: {version}, {time.monotonic() - begun:.0f} s", flush=True)
            shutil.rmtree(room.folder)
    if len(exported) > 1:
        failed += 1
        print("FAILED  These trials export different files:", *exported.values(), sep="\n  ")
    for what in skipped:
        print(f"skipped {what}")
    seconds = time.monotonic() - started
    print(f"{len(trials)} trials, {failed} failed, {len(skipped)} skipped, {seconds:.0f} s")
    return bool(failed or (options.strict and skipped))


def poetries() -> list[str]:
    """Return the newest release of each minor version; the last one may be newer than known."""
    oldest, newest = OLDEST_POETRY.minor, NEWEST_POETRY.minor
    known = [f"==2.{minor}.*" for minor in range(oldest, newest)]
    return [*known, f">=2.{newest},<3"]


def plan_trials(pythons: Sequence[str], poetries: Sequence[str]) -> list[Trial]:
    """Try each Python and each Poetry once; the oldest and the newest in every way."""
    last = max(len(pythons), len(poetries)) - 1
    trials = []
    for at in range(last + 1):
        python, poetry = (
            versions[at * (len(versions) - 1) // max(last, 1)] for versions in (pythons, poetries)
        )
        every: list[tuple[Way, FileKind]] = [
            ("pipx inject", "wheel"),
            ("poetry self add", "sdist"),
            ("pipx inject", "sdist"),
            ("poetry self add", "wheel"),
        ]
        chosen = every if at in (0, last) else [every[at % len(every)]]
        trials += [Trial(python, poetry, way, file) for way, file in chosen]
    return trials


def build() -> dict[FileKind, Path]:
    """Build both files into dist/."""
    shutil.rmtree(DIST, ignore_errors=True)
    run([sys.executable, "-m", "poetry", "build", "--quiet"], cwd=ROOT)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    for path in (wheel, sdist):
        print(f"built   {path.name}, {path.stat().st_size // 1000} kB", flush=True)
    return {"wheel": wheel, "sdist": sdist}


def install_pipx(folder: Path) -> Path:
    """Install pipx, and return its command."""
    run([sys.executable, "-m", "venv", folder])
    run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "pipx"])
    return folder / "bin" / "pipx"


@dataclass(frozen=True)
class Room:
    """The folder of a trial, with all that its commands write."""

    folder: Path
    pipx: Path
    env: Mapping[str, str]

    @classmethod
    def create(cls, folder: Path, pipx: Path, *, cache: Path) -> Room:
        """Create the folder; Poetry's downloads are shared."""
        folder.mkdir()
        places = {
            **{f"PIPX_{name}": folder / name for name in ("HOME", "BIN_DIR", "MAN_DIR")},
            **{f"POETRY_{name}_DIR": folder / "poetry" / name for name in ("CONFIG", "DATA")},
            "POETRY_CACHE_DIR": cache,
            "XDG_CACHE_HOME": folder / "cache",
        }
        env = {k: v for k, v in os.environ.items() if not k.startswith(_OF_THE_USER)}
        env |= {name: str(place) for name, place in places.items()}
        env |= {"POETRY_KEYRING_ENABLED": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return cls(folder, pipx, env)

    @property
    def poetry(self) -> Path:
        """The installed Poetry."""
        return self.folder / "BIN_DIR" / "poetry"

    def install(self, trial: Trial, python: Path, file: Path) -> str:
        """Install Poetry and the plugin; return Poetry's version."""
        self._run([self.pipx, "install", f"poetry{trial.poetry}", "--python", python])
        if trial.way == "pipx inject":
            self._run([self.pipx, "inject", "poetry", file])
        else:
            self._run([self.poetry, "self", "add", "--no-interaction", file])
        return self._run([self.poetry, "--version", "--no-ansi"]).strip()

    def use(self, base_image: str | None, *, dry_run: bool) -> str:
        """Do the main job; return the digest of the exported files."""
        project = self.folder / EXAMPLE.name
        shutil.copytree(EXAMPLE, project)
        before = {*project.rglob("*")}
        self._docker(project, "export")
        written = sorted(path for path in {*project.rglob("*")} - before if path.is_file())
        texts = [(path.relative_to(project).as_posix(), path.read_text()) for path in written]
        if not any(name.endswith("Dockerfile") for name, _ in texts):
            raise TrialError(f"export wrote no Dockerfile, but {[name for name, _ in texts]}")
        checked = self._docker(project, "export", "--check")
        if checked != "Up to date.\n":
            raise TrialError(f"export --check printed: {checked}")
        command = self._docker(project, "build", "--dry-run") if dry_run else ""
        if dry_run and not command.startswith("docker buildx "):
            raise TrialError(f"build --dry-run printed: {command}")
        if base_image:
            path = project / "pyproject.toml"
            document = tomlkit.parse(path.read_text(encoding="utf-8"))
            document["tool"]["poetry-docker-cache"]["base-image"] = base_image
            path.write_text(tomlkit.dumps(document), encoding="utf-8")
            self._docker(project, "build", "api", "--no-engine", "--output=image.tar")
            if not (project / "image.tar").stat().st_size:
                raise TrialError("build --no-engine wrote no image.tar")
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()

    def _docker(self, project: Path, *arguments: str) -> str:
        command: list[str | Path] = [self.poetry, "docker", *arguments]
        command += ["--no-interaction", "--no-ansi"]
        return self._run(command, cwd=project)

    def _run(self, command: Sequence[str | Path], cwd: Path | None = None) -> str:
        return run(command, cwd=cwd or self.folder, env=self.env)


def can_run(command: Sequence[str]) -> bool:
    """Return whether a command exists and succeeds."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def run(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a command and return its stdout; raises TrialError with all output if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        line = " ".join(map(str, command))
        raise TrialError(f"{line}\nexited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
