"""Run the scripts of inside/install on real indexes, as a build does."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from index import PrivateIndex
from wheels import make_wheel

from poetry_docker_cache import inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCRIPTS = Path(str(inside.__file__)).parent
SOURCE = "my.private-repo"
PASSWORD = "p@ss:w/\"{x}%41'\\ $&#?ö"


@dataclass(frozen=True)
class Indexes:
    """A private index, and a public one with different files of the same names."""

    private: PrivateIndex
    public: PrivateIndex
    wheels: Mapping[str, Path]

    def package(self, name: str, source: str = SOURCE, **more: object) -> dict[str, Any]:
        """Return a manifest entry."""
        wheel = self.wheels[name]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        entry = {"name": name, "version": wheel.name.split("-")[1]}
        url = {SOURCE: self.private.url, "public": self.public.url}.get(source)
        origin = {"source": {"type": "legacy", "url": url, "reference": source}} if url else {}
        files = [{"file": wheel.name, "hash": f"sha256:{digest}"}]
        return {**entry, "files": files, **origin, **more}

    def manifest(self, *packages: Mapping[str, Any]) -> dict[str, Any]:
        """Return a manifest with the sources that its packages name."""
        urls = {SOURCE: self.private.url, "public": self.public.url}
        used = {package["source"]["reference"] for package in packages if "source" in package}
        sources = [{"name": name, "url": urls[name]} for name in sorted(used)]
        return {"packages": packages, "sources": sources}


@dataclass(frozen=True)
class Workshop:
    """A place to install into, always at the same path, as in an image."""

    folder: Path

    @property
    def venv(self) -> Path:
        """Return the virtual environment."""
        return self.folder / "venv"

    @property
    def libraries(self) -> Path:
        """Return the file that the check reads."""
        return self.folder / "libraries.json"

    def secret(self, password: str | None) -> Path:
        """Write the auth secret as the plugin does; no file without a password."""
        path = self.folder / "secret" / "auth.toml"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if password is not None:
            written = password.replace("\\", "\\\\").replace('"', '\\"')
            plain = f'username = "user"\npassword = "{written}"\n'
            # Poetry would treat text in braces as a variable.
            poetrys = plain.replace("{", "{poetry-docker-cache.brace}")
            tables = [f'[http-basic."{SOURCE}"]\n{poetrys}[poetry-docker-cache]\nbrace = "{{"\n']
            tables.append(f'[poetry-docker-cache.sources."{SOURCE}"]\n{plain}')
            path.write_text("".join(tables), encoding="utf-8")
        return path

    def install(
        self,
        manifest: object,
        *more: str,
        password: str | None = PASSWORD,
        environment: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Create an empty environment and run the script; caches and output contain no secrets."""
        venv.create(self.venv, symlinks=True)
        (self.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        private = self.folder / "private"
        private.mkdir(exist_ok=True)
        places = {
            "manifest": self.folder / "manifest.json",
            "venv": self.venv,
            "secret": self.secret(password),
            "libraries": self.libraries,
            "private": private,
        }
        caches = {f"{tool}_CACHE_DIR": str(self.folder / tool) for tool in ("PIP", "POETRY")}
        own = {k: v for k, v in os.environ.items() if not k.startswith(("POETRY_", "VIRTUAL_"))}
        # The pip configuration of this machine must not matter.
        variables = {**own, **caches, "PIP_CONFIG_FILE": os.devnull, **(environment or {})}
        status, output = run_steps(sys.executable, places, more, variables, self.folder / "sources")
        assert list(private.iterdir()) == []
        secret = PASSWORD if password is None else password
        assert not shows(output, secret)
        for path in filter(Path.is_file, (f for c in caches.values() for f in Path(c).rglob("*"))):
            assert not shows(path.read_bytes().decode(errors="replace"), secret), path
        return status, output

    def names(self) -> set[str]:
        """Return the installed packages."""
        return {path.name.removesuffix(".dist-info") for path in self.venv.rglob("*.dist-info")}

    def python(self, code: str) -> str:
        """Run code in the environment."""
        return subprocess.check_output([self.venv / "bin" / "python", "-c", code], text=True)

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Describe everything that a layer would contain."""
        found: dict[str, tuple[object, ...]] = {}
        for path in (self.venv, *self.venv.rglob("*")):
            info = path.lstat()
            content: object = None
            if path.is_symlink():
                content = path.readlink()
            elif path.is_file():
                content = path.read_bytes()
            name = str(path.relative_to(self.venv))
            found[name] = (stat.filemode(info.st_mode), info.st_mtime_ns, content)
        return found


def run_steps(
    python: str | Path,
    places: Mapping[str, Path],
    options: Sequence[str],
    environment: Mapping[str, str],
    sources: Path,
) -> tuple[int, str]:
    """Run the script, and with `--from-source` those that download first, up to a failure."""
    shutil.rmtree(sources, ignore_errors=True)
    requires = sources.with_name("requires.json")
    download = [*("-m", "install.source_files"), f"--sources={sources}"]
    download += [f"--{name}={places[name]}" for name in ("manifest", "secret", "private")]
    install = ["-m", "install", *options, *(f"--{name}={path}" for name, path in places.items())]
    steps = [install]
    if "--from-source" in options:
        backends = ["-m", "install.sdist", f"--sources={sources}", f"--output={requires}"]
        more = [*download, f"--requires={requires}"]
        steps = [download, backends, more, [*install, f"--sources={sources}"]]
    output = ""
    for arguments in steps:
        run = subprocess.run(
            [python, *arguments],
            cwd=SCRIPTS,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        output += run.stdout
        if run.returncode:
            return run.returncode, output
    return 0, output


def shows(text: str, password: str) -> bool:
    """Return whether text contains a password, in any form that the tools use."""
    basic = base64.b64encode(f"user:{password}".encode()).decode()
    return any(form in text for form in (password, quote(password, safe=""), basic))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Indexes]:
    """Serve some packages with a password, and others without."""
    private, public = folder / "private", folder / "public"
    private.mkdir()
    public.mkdir()
    code = {"al_pha/__init__.py": "def main(): print('alpha', {3, 1, 2} == {1, 2, 3})\n"}
    code["al_pha/template.py"] = "print 'of {{ another }} Python'\n"
    code["al_pha/sub/__init__.py"] = "NAMES = {'a', 'b', 'c'}\n"
    made = [
        make_wheel(private, "al-pha", "1.0+cpu", files=code, scripts={"al-pha": "al_pha:main"}),
        # poetry-core writes both, which pip refuses.
        make_wheel(private, "beta", "1!2.0b1", requires=["not-there (>=2,<3 || >=4)"]),
        make_wheel(private, "gone"),
        make_wheel(public, "gamma", "2021.05.30", requires=["not-there (>=2.4.0+cpu)"]),
    ]
    make_wheel(private, "beta", "1!2.0b1+cpu")  # `==` would prefer this one
    make_wheel(public, "al-pha", "1.0+cpu", files={"al_pha.py": "raise SystemExit('stolen')\n"})
    wheels = {path.name.split("-")[0].replace("_", "-"): path for path in made}
    with (
        PrivateIndex(private, {"user": PASSWORD}) as closed,
        PrivateIndex(public, {}) as opened,
    ):
        yield Indexes(closed, opened, wheels)
