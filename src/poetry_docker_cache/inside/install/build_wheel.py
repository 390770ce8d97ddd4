"""Build the wheel of the project in the current folder with its build backend (PEP 517).

Runs with the interpreter that has the backend. Installs and downloads nothing.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any


def build(
    backend: str,
    backend_path: list[str],
    folder: Path,
    settings: dict[str, Any] | None = None,
    *,
    requires: Path | None = None,
) -> str:
    """Build with the backend, `module` or `module:object`; return the file name of the wheel.

    With `requires`, only write what the backend also requires to that file, as JSON.
    """
    # The modules next to this file, and its package, must not hide packages of the same name.
    ours = {str(folder) for folder in list(Path(__file__).parents)[:2]}
    others = [path for path in sys.path if path not in ours]
    sys.path[:] = [*(str(Path(path).resolve()) for path in backend_path), *others]
    if __package__:
        for name in [name for name in sys.modules if name.startswith(__package__)]:
            del sys.modules[name]
    module, _, attributes = backend.partition(":")
    names = attributes.split(".") if attributes else []
    hooks = functools.reduce(getattr, names, importlib.import_module(module))
    arguments = [settings] if settings else []
    get_requires = getattr(hooks, "get_requires_for_build_wheel", None)
    missing = missing_of(get_requires(*arguments) if get_requires else [])
    if requires:
        requires.write_text(json.dumps(missing), encoding="utf-8")
        return ""
    if missing:
        sys.exit(
            f"{backend} requires {', '.join(missing)} to build the wheel, which is not installed."
            "\nAdd it to `requires` of [build-system] in pyproject.toml."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return str(hooks.build_wheel(str(folder), *arguments))


def missing_of(requirements: list[str]) -> list[str]:
    """Return the requirements that are not installed: nothing is downloaded here."""
    missing = []
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        # A marker may exclude this Python. Maturin adds puccinialin, a Rust installer, where Rust
        # is missing: its own error explains that better.
        if not name or ";" in requirement or name[0] == "puccinialin":
            continue
        if not is_installed(name[0]):
            missing.append(requirement)
    return missing


def is_installed(name: str) -> bool:
    """Return whether a distribution is installed with the backend."""
    from importlib import metadata  # noqa: PLC0415  # takes long to import

    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--backend-path", action="append", default=[])
    parser.add_argument("--config-settings", type=json.loads)
    parser.add_argument("--wheel-dir", type=Path, required=True)
    parser.add_argument("--requires", type=Path, help="file for what the backend also requires")
    options = parser.parse_args(arguments)
    arguments_of_build = (options.backend, options.backend_path, options.wheel_dir)
    built = build(*arguments_of_build, options.config_settings, requires=options.requires)
    if built:
        print("Built", built, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
