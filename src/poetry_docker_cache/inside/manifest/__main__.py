"""Read pyproject.toml and poetry.lock, and write a manifest for each layer (command line)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .locked_packages import Wanted, manifests
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., dict[str, dict[str, Any]]]

OLD_PIP = (
    "the pip of this image is older than 22.2. Set another `base-image`, or add to"
    " [tool.poetry-docker-cache]:\n"
    'instructions = { build = ["RUN python -m pip install --upgrade pip"] }'
)


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; before Python 3.11, with the parser in pip.

    Raises ValueError for a file that is not valid TOML, or a pip without a parser.
    """
    if sys.version_info >= (3, 11):
        import tomllib as toml  # noqa: PLC0415  # not in 3.9 and 3.10
    else:
        try:
            from pip._vendor import tomli as toml  # noqa: PLC0415  # not in all versions of pip
        except ImportError as error:
            raise ValueError(OLD_PIP) from error
    try:
        with path.open("rb") as file:
            return toml.load(file)
    except ValueError as error:
        raise ValueError(
            f"{path.name} cannot be read: {error}. Restore it from version control."
        ) from error


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a manifest: the same content gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_bytes(text.encode())
    path.chmod(0o644)  # the mode is part of the key; the umask must not be


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="manifest")
    for option in ("--group", "--extra", "--no-binary", "--only-binary"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("--project", type=Path, default=Path("/project"))
    parser.add_argument("--output", type=Path, default=Path("/manifest"))
    parser.add_argument("--libc", choices=("glibc", "musl"))
    parser.add_argument("--layers", required=True, nargs="*")
    parser.add_argument("--machines", default=[], type=lambda text: text.split(","))
    return parser.parse_args(arguments)


def print_explanation(why: str) -> None:
    """Print why this step failed, as the scripts in `install` do."""
    print(f"poetry-docker-cache: {why}", file=sys.stderr)


def main(arguments: list[str] | None = None, make: Make = manifests) -> int:
    """Run the command line; `make` returns the manifests."""
    options = parse(arguments)
    wanted = Wanted(
        groups=options.group,
        extras=options.extra,
        no_binary=options.no_binary,
        only_binary=options.only_binary,
        libc=options.libc,
        layers=options.layers,
        machines=options.machines,
    )
    try:
        pyproject = read_toml(options.project / "pyproject.toml")
        lock = read_toml(options.project / "poetry.lock")
        content = make(pyproject, lock, wanted, Target.here())
    except KeyError as error:
        print_explanation(
            f"an entry of poetry.lock has no {error}. Run `poetry lock --regenerate`."
        )
        return 1
    except (OSError, ValueError) as error:
        fix = getattr(error, "fix", "")
        print_explanation(f"{error}" + (f". {fix}" if fix else ""))
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    for layer, manifest in content.items():
        write(options.output / f"{layer}.json", manifest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
