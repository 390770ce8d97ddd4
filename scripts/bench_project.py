"""The benchmark's project, before and after each edit."""

from __future__ import annotations

import shutil
import string
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples" / "bench"
PRIVATE = ("acme-greetings", "1.0.0")
"""The package that only the private index has."""
_DEV = {
    "iniconfig": "2.3.1",
    "packaging": "26.3",
    "pluggy": "1.7.0",
    "pygments": "2.21.0",
    "pytest": "9.2.0",
}
_LINTER = {"ruff": "0.17.6"}


@dataclass(frozen=True, kw_only=True)
class PackageSet:
    """The packages of a project of one size, and the changes that the edits make to them."""

    name: str
    title: str
    packages: Mapping[str, str] = field(repr=False)
    """Names and versions in the first build."""
    changes: Mapping[str, str]
    """A requirement with an exact version for each edit of a package."""
    imports: tuple[str, ...]
    """Modules of large packages, which an application imports when it starts."""
    rounds: int = 1
    """The default number of rounds."""

    @classmethod
    def read(cls, name: str) -> PackageSet:
        """Read a set by the name of its file; raise FileNotFoundError if it does not exist."""
        text = (EXAMPLES / f"{name}.toml").read_text(encoding="utf-8")
        data: dict[str, Any] = tomlkit.parse(text).unwrap()
        packages = dict(_pin(requirement) for requirement in data["packages"])
        return cls(
            name=name,
            title=data["title"],
            packages={**packages, PRIVATE[0]: PRIVATE[1]},
            changes=data["changes"],
            imports=tuple(data["imports"]),
            rounds=data.get("rounds", 1),
        )


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything that the edits change in the project."""

    packages: Mapping[str, str] = field(repr=False)
    dev: Mapping[str, str] = field(default_factory=lambda: _DEV, repr=False)
    version: str = "1.0.0"
    line_length: int = 100
    greeting: str = "Hello"


def _pin(requirement: str) -> tuple[str, str]:
    name, _, version = requirement.partition("==")
    return name, version


def _same(state: State, _: PackageSet) -> State:
    return state


def _change(kind: str) -> Callable[[State, PackageSet], State]:
    """Return an edit that updates or adds one package."""

    def edit(state: State, packages: PackageSet) -> State:
        name, version = _pin(packages.changes[kind])
        return replace(state, packages={**state.packages, name: version})

    return edit


EDITS: Mapping[str, Callable[[State, PackageSet], State]] = {
    "none": _same,
    "source": lambda state, _: replace(state, greeting="Good evening"),
    "version": lambda state, _: replace(state, version="1.0.1"),
    "linter": lambda state, _: replace(state, line_length=88),
    "dev": lambda state, _: replace(state, dev={**state.dev, **_LINTER}),
    "pure": _change("pure"),
    "native": _change("native"),
    "added": _change("added"),
}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The URLs of the package indexes, which are not known before the benchmark runs."""

    index: str
    private: str


def write(folder: Path, state: State, kind: str, sources: Sources) -> None:
    """Write the project for Poetry or uv (the `kind`), without a lock file."""
    shutil.copytree(EXAMPLES / "app", folder, ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "src" / "bench_app" / "__init__.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace('"Hello"', f'"{state.greeting}"'), encoding="utf-8")
    template = (EXAMPLES / f"pyproject.{kind}.toml.in").read_text(encoding="utf-8")
    filled = string.Template(template).substitute(
        version=state.version,
        line_length=state.line_length,
        dependencies=_requirements(state.packages),
        dev=_requirements(state.dev),
        index=sources.index,
        private=sources.private,
    )
    (folder / "pyproject.toml").write_text(filled, encoding="utf-8")


def _requirements(packages: Mapping[str, str]) -> str:
    return "\n".join(f'    "{name}=={version}",' for name, version in sorted(packages.items()))
