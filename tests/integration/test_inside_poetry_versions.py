"""Compare what the scripts in the build install with `poetry install`.

The index is a real pypiserver with a password. Its packages are made here, so only the installation
of the Poetry versions needs a network.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import wheels
from index import PrivateIndex
from installing import run_steps
from poetry_versions import OLDEST_AND_NEWEST, poetry_python
from wheels import make_wheel

from poetry_docker_cache import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(str(inside.__file__)).parent
PASSWORD = "p@ss:w/\"{x}%41'\\ $&#?ö"
SETTINGS = {"colour": "light blue", "--opt": ["a", "b c"]}

PYPROJECT = """
[project]
name = "app"
version = "1.0"
requires-python = ">=3.9"
dependencies = [
    "alpha", "beta",
    "gone; sys_platform == 'win32'",
    "split (==1.0); platform_machine == 'x86_64' or platform_machine == 'aarch64'",
    "split (==2.0); platform_machine != 'x86_64' and platform_machine != 'aarch64'",
]
[project.optional-dependencies]
fancy = ["delta"]
unwanted = ["epsilon"]
unbuildable = ["needy"]
[dependency-groups]
dev = ["zeta"]
[[tool.poetry.source]]
name = "{source}"
url = "{url}"
priority = "primary"
"""


def wheel(folder: Path, name: str, version: str, settings: object = None) -> str:
    """Write a wheel with one module and one script; return its name."""
    code = f"def main(): print({version!r})\nSETTINGS = {settings!r}\n"
    scripts = {f"{name}-run": f"{name}:main"}
    return make_wheel(folder, name, version, files={f"{name}.py": code}, scripts=scripts).name


BACKEND = f"""{inspect.getsource(wheels)}
{inspect.getsource(wheel)}

def build_wheel(folder, settings=None, _=None):
    from pathlib import Path
    return wheel(Path(folder), "NAME", "VERSION", settings)
"""


def sdist(folder: Path, name: str, version: str, requires: str = "[]") -> None:
    """Write a source distribution that contains its backend, so nothing is downloaded."""
    system = f'requires = {requires}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {
        "pyproject.toml": f"[build-system]\n{system}",
        "backend.py": BACKEND.replace('"NAME", "VERSION"', f'"{name}", "{version}"'),
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
    }
    with tarfile.open(folder / f"{name}-{version}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the packages; return the URL of the index."""
    folder = tmp_path_factory.mktemp("index")
    packages = folder / "packages"
    packages.mkdir()
    for name in ("alpha", "delta", "epsilon", "zeta", "gone"):
        wheel(packages, name, "1.0")
    wheel(packages, "split", "1.0")
    wheel(packages, "split", "2.0")
    sdist(packages, "beta", "1.0")
    sdist(packages, "needy", "1.0", requires='["nowhere-to-be-had"]')
    with PrivateIndex(packages, {"user": PASSWORD}) as running:
        yield running.url


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A version of Poetry with a project that it has locked."""

    python: Path
    source: str
    folder: Path

    @property
    def project(self) -> Path:
        """Return the project's folder."""
        return self.folder / "project"

    @property
    def secret(self) -> Path:
        """Return the path of the valid secret."""
        return self.folder / "config" / "auth.toml"

    def write_secret(self, folder: str, password: str) -> Path:
        """Write the auth secret as the plugin does: a name with dots twice."""
        path = self.folder / folder / "auth.toml"
        path.parent.mkdir()
        # Quotes and backslashes are escaped in TOML; Poetry replaces names in braces.
        plain = password.replace("\\", "\\\\").replace('"', '\\"')
        written = plain.replace("{", f"{{http-basic.{self.source}.brace}}")
        basic = f'username = "user"\npassword = "{written}"\nbrace = "{{"\n'
        names = {self.source, f'"{self.source}"'} if "." in self.source else {self.source}
        tables = [f"[http-basic.{name}]\n{basic}" for name in sorted(names)]
        known = f'username = "user"\npassword = "{plain}"\n'
        tables += [f'[poetry-docker-cache.sources."{self.source}"]\n{known}']
        path.write_text("".join(tables), encoding="utf-8")
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment without the settings of Poetry on this machine."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("POETRY_", "VIRTUAL_"))}
        return {**kept, "POETRY_CACHE_DIR": str(self.folder / "cache"), **more}

    def poetry(self, *arguments: str, **environment: str) -> str:
        """Run Poetry in the project, with the secret."""
        run = subprocess.run(
            [self.python, "-m", "poetry", *arguments, "-n", "--no-ansi"],
            cwd=self.project,
            env=self.environment(
                POETRY_CONFIG_DIR=str(self.secret.parent),
                POETRY_KEYRING_ENABLED="false",
                **environment,
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def manifest(self, *arguments: str, layer: str = "dependencies") -> Path:
        """Write the manifests of both layers; return the path of one of them."""
        output = self.folder / "manifest"
        subprocess.run(
            [
                *(sys.executable, "-m", "manifest", *arguments),
                *("--layers", "dependencies", "source"),
                *("--project", str(self.project), "--output", str(output)),
            ],
            cwd=SCRIPTS,
            check=True,
        )
        return output / f"{layer}.json"

    def install(self, manifest: Path, target: Path, secret: Path) -> tuple[int, str]:
        """Install a layer, with a temporary folder that must be empty afterwards."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        if not target.exists():
            venv.create(target, symlinks=True)
        places = {"manifest": manifest, "venv": target, "secret": secret, "private": scratch}
        places["libraries"] = self.folder / "libraries.json"
        status, output = run_steps(
            self.python,
            places,
            ("--from-source", f"--build-config-settings={json.dumps({'beta': SETTINGS})}"),
            self.environment(TMPDIR=str(scratch)),
            self.folder / "sources",
        )
        assert list(scratch.iterdir()) == []
        return status, output


@pytest.fixture(scope="module", params=OLDEST_AND_NEWEST)
def workshop(
    request: pytest.FixtureRequest, index: str, tmp_path_factory: pytest.TempPathFactory
) -> Workshop:
    """Lock the project with the oldest and the newest Poetry."""
    version = request.param
    found = Workshop(
        python=poetry_python(version),
        # Poetry before 2.4 itself does not send credentials for files of a name with a dot.
        source="my.private-repo" if version >= "2.4" else "my-private-repo",
        folder=tmp_path_factory.mktemp("workshop"),
    )
    found.project.mkdir()
    text = PYPROJECT.format(source=found.source, url=index)
    (found.project / "pyproject.toml").write_text(text, encoding="utf-8")
    beta = "\n".join(f"{key} = {json.dumps(value)}" for key, value in SETTINGS.items())
    (found.project / "poetry.toml").write_text(f"[installer.build-config-settings.beta]\n{beta}")
    found.write_secret("config", PASSWORD)
    found.poetry("lock")
    return found


def installed(target: Path) -> dict[str, bytes]:
    """Return the contents of all files that were installed into a virtual environment."""
    skipped = {"pyvenv.cfg", "direct_url.json", "INSTALLER", "RECORD"}
    files = (path for path in sorted(target.rglob("*")) if path.is_file())
    found = {
        str(path.relative_to(target)): path.read_bytes().replace(bytes(target), b"VENV")
        for path in files
        if not path.is_symlink() and path.name not in skipped
    }
    # Scripts run the same function, but Poetry's contain more lines.
    runs = re.compile(rb"#!.*|from .* import .*|sys\.exit\(.*\)")
    return {
        name: b"\n".join(runs.findall(content)) if name.endswith("-run") else content
        for name, content in found.items()
    }


@pytest.fixture(scope="module")
def real(workshop: Workshop) -> Path:
    """Return an environment that `poetry install` filled from the same lock."""
    target = workshop.folder / "real" / "venv"
    venv.create(target, symlinks=True)
    workshop.poetry(
        *("install", "--only", "main", "-E", "fancy", "--no-root"),
        VIRTUAL_ENV=str(target),
        POETRY_VIRTUALENVS_CREATE="false",
    )
    return target


def test_installed_files_match_poetry(workshop: Workshop, request: pytest.FixtureRequest) -> None:
    """Every file is the same as after `poetry install`."""
    target = workshop.folder / "ours" / "venv"
    output = ""
    for layer in ("dependencies", "source"):
        manifest = workshop.manifest("--group", "main", "--extra", "fancy", layer=layer)
        status, said = workshop.install(manifest, target, workshop.secret)
        assert status == 0, said
        output += said
    found = installed(target)
    # Not earlier: it fills Poetry's cache, and then nothing would be downloaded.
    assert found == installed(request.getfixturevalue("real"))
    assert any(repr(SETTINGS["colour"]).encode() in content for content in found.values())
    names = {path.name for path in target.rglob("*.dist-info")}
    expected = {"alpha-1.0", "beta-1.0", "delta-1.0", "split-1.0"}
    assert names == {f"{name}.dist-info" for name in expected}
    assert all(f"Installed {name.replace('-', ' (')})" in output for name in expected)


def test_refused_access_names_the_source(workshop: Workshop) -> None:
    """With a wrong password, or none, the output says what to run."""
    manifest = workshop.manifest("--group", "main")
    wrong = workshop.write_secret("wrong", "hunter-canary")
    status, output = workshop.install(manifest, workshop.folder / "venv-wrong", wrong)
    assert status != 0
    assert repr(workshop.source) in output.splitlines()[-4]
    assert "does not accept the credentials" in output
    assert f"poetry config http-basic.{workshop.source} USERNAME` (asks" in output
    assert "hunter-canary" not in output

    status, output = workshop.install(
        manifest, workshop.folder / "venv-none", workshop.folder / "no" / "auth.toml"
    )
    assert status != 0
    assert "no credentials were given" in output


def test_file_with_another_hash_is_refused(workshop: Workshop) -> None:
    """Nothing is installed from an index that serves other bytes under the same name."""
    manifest = json.loads(workshop.manifest("--group", "main").read_text(encoding="utf-8"))
    (alpha,) = (package for package in manifest["packages"] if package["name"] == "alpha")
    for file in alpha["files"]:
        file["hash"] = f"sha256:{'0' * 64}"
    manifest["packages"] = [alpha]
    forged = workshop.folder / "forged.json"
    forged.write_text(json.dumps(manifest), encoding="utf-8")
    target = workshop.folder / "venv-forged"
    status, output = workshop.install(forged, target, workshop.secret)
    assert status != 0
    assert "alpha (1.0) did not match any known checksums" in " ".join(output.split())
    assert list(target.rglob("*.dist-info")) == []


@pytest.mark.usefixtures("real")
def test_missing_build_requirement(workshop: Workshop) -> None:
    """The output names the package, and what its build requires.

    Poetry's cache has a wheel that `poetry install` built of beta: it is not used.
    """
    arguments = ("--group", "main", "--extra", "unbuildable")
    manifest = workshop.manifest(*arguments, layer="source")
    status, output = workshop.install(manifest, workshop.folder / "venv-needy", workshop.secret)
    assert status == 1
    end = output[output.rindex("\n\n") :]
    assert "needy-1.0.tar.gz cannot be built without what its build requires." in end
    assert "nowhere-to-be-had" in end
    files = {path.name for path in (workshop.folder / "sources" / "files").iterdir()}
    assert files == {"beta-1.0.tar.gz", "needy-1.0.tar.gz"}
