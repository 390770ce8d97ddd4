"""Install, or only download, the packages of a manifest with `poetry install`.

The manifest becomes a project in a temporary folder, with a poetry.lock of only these packages.
`poetry install` then checks hashes and markers as usual.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import secret
from .failures import explain_failure
from .process import Outcome, run
from .secret import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PROGRAM = ("-m", "poetry")
OPTIONS = ("install", "--no-interaction", "--no-ansi", "--no-plugins", "--no-root")
REFUSED = re.compile(
    r"(?:Authorization error accessing|\b40[13] Client Error\b.*? for url:)\s+(https?://[^\s<>'\"]+)"
)
NO_REQUIREMENT = "Cannot resolve build-system.requires for "
ONE_BY_ONE = "This may be a race in Poetry. Trying again, one package at a time."


def toml(value: object) -> str:
    """Return a value as TOML, with inline tables."""
    if isinstance(value, dict):
        items = (f"{toml(key)} = {toml(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    # A JSON string is a TOML string, except for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def document(tables: dict[str, Any]) -> str:
    """Return a TOML document."""
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in tables.items())


def project(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the pyproject.toml: dependencies and package sources, but no package of its own."""
    # The main group must exist; versions do not matter, because the project is locked.
    dependencies = {package["name"]: "*" for package in manifest["packages"]}
    poetry: dict[str, Any] = {
        "package-mode": False,
        "dependencies": {"python": "*", **dependencies},
        # A source without a priority only serves packages that name it.
        "source": [{"priority": "explicit", **source} for source in manifest["sources"]],
    }
    if "build-constraints" in manifest:  # Poetry before 2.3 refuses a project with this table
        poetry["build-constraints"] = manifest["build-constraints"]
    return {"tool": {"poetry": poetry}}


def lock(manifest: dict[str, Any], content_hash: str) -> dict[str, Any]:
    """Return the poetry.lock: every package belongs to the main group."""
    fixed = {"description": "", "optional": False, "python-versions": "*", "groups": ["main"]}
    packages = []
    for entry in manifest["packages"]:
        package = {**entry, **fixed}
        marker = package.pop("marker", "")
        packages.append({**package, "markers": marker} if marker else package)
    metadata = {"lock-version": "2.1", "python-versions": "*", "content-hash": content_hash}
    return {"package": packages, "metadata": metadata}


def certificates(auth: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the sources' certificates to files; return Poetry's settings for them.

    A name with dots is written in two ways: Poetry 2.4 quotes it, older versions split it.
    """
    result: dict[str, Any] = {}
    for number, (name, known) in enumerate(sorted(secret.sources(auth).items())):
        files: dict[str, Any] = {} if known.get("verify", True) else {"cert": False}
        unpacked = secret.certificates(known, folder, f"{number}-")
        for key, setting in (("ca", "cert"), ("client-cert", "client-cert")):
            if key in unpacked:
                files[setting] = str(unpacked[key])
        for keys in ([name], name.split(".")) if files else ():
            table = result
            for key in keys:
                table = table.setdefault(key, {})
            table.update(files)
    return result


def explain(output: str, manifest: dict[str, Any], auth: dict[str, Any]) -> str:
    """Explain a failure; "" if there is nothing to add. The URL shows which source refused."""
    found = REFUSED.search(output)
    if not found:
        sources = [Source(source["name"], source.get("url", "")) for source in manifest["sources"]]
        return explain_failure(output, sources[0] if len(sources) == 1 else Source(), known=False)
    url = urlsplit(found[1])
    source, best = None, 0
    for candidate in manifest["sources"]:
        own = urlsplit(candidate.get("url", ""))
        if (own.scheme, own.netloc) == (url.scheme, url.netloc):
            shared = len(os.path.commonpath([own.path or "/", url.path or "/"]))
            source, best = (candidate, shared) if shared > best else (source, best)
    if source is None:
        return f"The server {url.netloc} refused access. It is not a source of this project."
    name = source["name"]
    known = "username" in secret.get_source(auth, name) or name in auth.get("http-basic", {})
    return explain_failure(output, Source(name, source["url"]), known=known)


def run_poetry(program: Sequence[str], folder: Path, venv: Path, auth_file: Path) -> Outcome:
    """Run `poetry install` in a project's folder; `program` are the arguments that start Poetry.

    When Poetry builds two packages at a time, one may read a cache entry that the other is writing,
    and find no version of a build requirement (python-poetry/poetry#11048). In that case it runs
    again, one package at a time.
    """
    environment = dict(
        os.environ,
        POETRY_CONFIG_DIR=str(auth_file.parent if auth_file.is_file() else folder / "config"),
        POETRY_DATA_DIR=str(folder / "data"),
        POETRY_VIRTUALENVS_CREATE="false",
        POETRY_KEYRING_ENABLED="false",
        POETRY_INSTALLER_RE_RESOLVE="false",
        VIRTUAL_ENV=str(venv),
        PYTHONDONTWRITEBYTECODE="1",
    )
    if auth_file.is_file():
        # While Poetry's first thread lists the sources, another one may send no credentials.
        environment["POETRY_INSTALLER_PARALLEL"] = "false"
    command = [sys.executable, *program, *OPTIONS]
    done = run(command, environment, folder)
    if done.status and NO_REQUIREMENT in done.output:
        print(f"\n{ONE_BY_ONE}", flush=True)
        environment["POETRY_INSTALLER_PARALLEL"] = "false"
        done = run(command, environment, folder)
    return done


def install(  # noqa: PLR0913  # what the command line names
    manifest: dict[str, Any],
    auth: dict[str, Any],
    private: Path,
    *,
    folder: Path,
    venv: Path,
    auth_file: Path,
    build_config_settings: dict[str, Any],
    program: Sequence[str] = PROGRAM,
    explained: Callable[[str, dict[str, Any], dict[str, Any]], str] = explain,
) -> tuple[int, str]:
    """Install all packages; return the status, and why it failed.

    The project is in `folder`, on disk, where Poetry also builds. Secrets are in `private`.
    """
    from poetry.packages.locker import Locker  # noqa: PLC0415  # only Poetry's Python has it

    pyproject = project(manifest)
    content_hash = Locker(folder / "poetry.lock", pyproject)._content_hash  # noqa: SLF001  # nothing public
    settings = {
        "certificates": certificates(auth, private),
        "installer": {"build-config-settings": build_config_settings},
    }
    files = {
        "pyproject.toml": pyproject,
        "poetry.toml": settings,
        "poetry.lock": lock(manifest, content_hash),
    }
    for name, content in files.items():
        (folder / name).write_text(document(content), encoding="utf-8")
    status, output = run_poetry(program, folder, venv, auth_file)
    return status, explained(output, manifest, auth) if status else ""
