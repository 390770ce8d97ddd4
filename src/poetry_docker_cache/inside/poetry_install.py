"""Install a manifest's packages into a virtual environment, with Poetry itself.

Runs with the interpreter that has Poetry. The manifest becomes a project in a temporary folder,
whose lock holds just these packages; `poetry install` checks hashes and markers as always.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Poetry is not compiled in its layer, and the installation's layer must hold no other files.
sys.dont_write_bytecode = True

REFUSED = re.compile(
    r"(?:Authorization error accessing|\b40[13] Client Error\b.*? for url:)\s+(https?://[^\s<>'\"]+)"
)
COMMAND = ("-m", "poetry", "install", "--no-interaction", "--no-ansi", "--no-plugins", "--no-root")


def toml(value: object) -> str:
    """Write a value in TOML, tables inline."""
    if isinstance(value, dict):
        items = (f"{toml(key)} = {toml(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    # A JSON string is a TOML string, except for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def document(tables: dict[str, Any]) -> str:
    """Write a TOML document."""
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in tables.items())


def project(manifest: dict[str, Any]) -> dict[str, Any]:
    """Make the pyproject.toml: no package, only where packages come from."""
    # One dependency makes the main group exist; which one does not matter to a locked project.
    dependencies = {package["name"]: "*" for package in manifest["packages"]}
    poetry = {
        "package-mode": False,
        "dependencies": {"python": "*", **dependencies},
        "source": manifest["sources"],
    }
    return {"tool": {"poetry": poetry}}


def lock(manifest: dict[str, Any], content_hash: str) -> dict[str, Any]:
    """Make the poetry.lock: every package belongs to the main group."""
    fixed = {"description": "", "optional": False, "python-versions": "*", "groups": ["main"]}
    packages = []
    for entry in manifest["packages"]:
        package = {**entry, **fixed}
        marker = package.pop("marker", "")
        packages.append({**package, "markers": marker} if marker else package)
    metadata = {"lock-version": "2.1", "python-versions": "*", "content-hash": content_hash}
    return {"package": packages, "metadata": metadata}


def read_secret(path: Path) -> dict[str, Any]:
    """Read the mounted auth secret; a project of public sources has none."""
    from poetry.utils._compat import tomllib  # noqa: PLC0415  # only Poetry's Python has it

    return dict(tomllib.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def certificates(secret: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Unpack the sources' certificates into files; give the configuration that names them.

    A name with dots is written twice: Poetry 2.4 quotes such names, its elders split them.
    """
    result: dict[str, Any] = {}
    own = secret.get("poetry-docker-cache", {}).get("sources", {})
    for number, (name, source) in enumerate(sorted(own.items())):
        files: dict[str, Any] = {} if source.get("verify", True) else {"cert": False}
        for key, setting in (("ca", "cert"), ("client-cert", "client-cert")):
            if key in source:
                path = folder / f"{number}-{key}.pem"
                path.touch(mode=0o600)
                path.write_text(source[key], encoding="utf-8")
                files[setting] = str(path)
        for keys in ([name], name.split(".")) if files else ():
            table = result
            for key in keys:
                table = table.setdefault(key, {})
            table.update(files)
    return result


def refusal(output: str, manifest: dict[str, Any], secret: dict[str, Any]) -> str:
    """Explain a refused credential that Poetry's output shows; "" if it shows none."""
    found = REFUSED.search(output)
    if not found:
        return ""
    url = urlsplit(found[1])
    source, best = None, 0
    for candidate in manifest["sources"]:
        own = urlsplit(candidate.get("url", ""))
        if (own.scheme, own.netloc) == (url.scheme, url.netloc):
            shared = len(os.path.commonpath([own.path or "/", url.path or "/"]))
            source, best = (candidate["name"], shared) if shared > best else (source, best)
    if source is None:
        return f"\nThe server {url.netloc} refused access; it is no source of this project.\n"
    table = secret.get("poetry-docker-cache", {}).get("sources", {}).get(source, {})
    known = "username" in table or source in secret.get("http-basic", {})
    variable = "POETRY_HTTP_BASIC_" + re.sub(r"[-.]", "_", source).upper()
    environment = f"or set {variable}_USERNAME and {variable}_PASSWORD"
    return (
        f"\nThe package source {source!r} ({url.netloc}) refused access: "
        + ("it does not accept the credentials" if known else "there are no credentials")
        + f" that this build was given for it.\nType `poetry config http-basic.{source} USER "
        f"PASSWORD` {environment},\nthen `poetry docker build` again.\n"
    )


def install(folder: Path, target: Path, secret: Path) -> tuple[int, str]:
    """Run Poetry and pass its output on as it comes; give its status and what it said."""
    environment = dict(
        os.environ,
        POETRY_CONFIG_DIR=str(secret.parent if secret.is_file() else folder / "config"),
        POETRY_DATA_DIR=str(folder / "data"),
        POETRY_VIRTUALENVS_CREATE="false",
        POETRY_KEYRING_ENABLED="false",
        POETRY_INSTALLER_RE_RESOLVE="false",
        VIRTUAL_ENV=str(target),
        PYTHONDONTWRITEBYTECODE="1",
    )
    lines = []
    with subprocess.Popen(
        [sys.executable, *COMMAND],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout or ():
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            lines.append(line.decode(errors="replace"))
    return process.returncode, "".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--secret", type=Path, default=Path("/etc/pypoetry/auth.toml"))
    parser.add_argument("--private", type=Path, default=Path("/dev/shm"))  # noqa: S108  # in memory
    parser.add_argument("--build-config-settings", type=json.loads, default={})
    options = parser.parse_args(arguments)
    from poetry.packages.locker import Locker  # noqa: PLC0415  # only Poetry's Python has it

    manifest = json.loads(options.manifest.read_bytes())
    secret = read_secret(options.secret)
    if not options.venv.exists():
        venv.create(options.venv, symlinks=True)
    if not manifest["packages"]:
        return 0
    pyproject = project(manifest)
    memory = options.private if options.private.is_dir() else None
    with (
        tempfile.TemporaryDirectory() as place,
        tempfile.TemporaryDirectory(dir=memory) as private,
    ):
        folder = Path(place)
        content_hash = Locker(folder / "poetry.lock", pyproject)._content_hash  # noqa: SLF001  # no public way
        settings = {
            "certificates": certificates(secret, Path(private)),
            "installer": {"build-config-settings": options.build_config_settings},
        }
        files = {"pyproject": pyproject, "poetry": settings}
        for name, content in files.items():
            (folder / f"{name}.toml").write_text(document(content), encoding="utf-8")
        locked = document(lock(manifest, content_hash))
        (folder / "poetry.lock").write_text(locked, encoding="utf-8")
        status, output = install(folder, options.venv, options.secret)
    if status:
        print(refusal(output, manifest, secret), end="", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
