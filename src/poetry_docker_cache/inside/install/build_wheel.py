"""Build the wheel of the project in the current folder, by its backend's hooks (PEP 517).

Runs with the interpreter that has the backend; nothing is installed and nothing is downloaded.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def build(
    backend: str, backend_path: list[str], folder: Path, settings: dict[str, Any] | None = None
) -> str:
    """Give the file name of the wheel that the backend, `module` or `module:object`, builds."""
    # Beside this file lie modules named like packages, `poetry` among them.
    others = [path for path in sys.path if path != str(Path(__file__).parent)]
    sys.path[:] = [*(str(Path(path).resolve()) for path in backend_path), *others]
    module, _, attributes = backend.partition(":")
    names = attributes.split(".") if attributes else []
    hooks = functools.reduce(getattr, names, importlib.import_module(module))
    told = [settings] if settings else []
    asks = getattr(hooks, "get_requires_for_build_wheel", None)
    refuse_missing(backend, asks(*told) if asks else [])
    folder.mkdir(parents=True, exist_ok=True)
    return str(hooks.build_wheel(str(folder), *told))


def refuse_missing(backend: str, requirements: list[str]) -> None:
    """End where the backend asks for more than `[build-system]` names: nothing is fetched here."""
    missing = []
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        # What has a marker may not be for this Python; without Rust, maturin says so better.
        if not name or ";" in requirement or name[0] == "puccinialin":
            continue
        if not is_installed(name[0]):
            missing.append(requirement)
    if missing:
        sys.exit(
            f"{backend} asks for {', '.join(missing)} to build with, which is not there."
            "\nAdd it to `requires` of [build-system] in pyproject.toml."
        )


def is_installed(name: str) -> bool:
    """Look for a distribution among those of the backend."""
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
    options = parser.parse_args(arguments)
    arguments_of_build = (options.backend, options.backend_path, options.wheel_dir)
    print("Built", build(*arguments_of_build, options.config_settings), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
