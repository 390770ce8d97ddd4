"""Edits of Acme's shop, and their cost: the stages that run and the packages installed again."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_versions import poetry_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from acme import Project

PACKAGES = ("acme-lib", "acme-native", "acme-util")
"""The packages that the shop installs."""
LAYERS = frozenset({"pure-1", "pure-2", "native-1"})
"""With `layers = 4`, acme-lib, acme-util and acme-native each have their own layer."""
INSTALLING = LAYERS | {"venv", "check", "build-backend"}
"""The expensive stages; each may only run if what it installs has changed."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change to a project, and its cost."""

    change: Callable[[Project], None]
    runs: frozenset[str] = frozenset()
    """Which of the installing stages run."""
    installs: tuple[str, ...] = ()


def release(project: Project) -> None:
    """Change the version."""
    project.poetry.run(project.folder, "version", "minor")


def description(project: Project) -> None:
    """Change the description."""
    project.replace("pyproject.toml", "Sells", "Lends")


def readme(project: Project) -> None:
    """Extend the README."""
    project.write("README.md", "# Shop\n\nWith more words.\n")


def script(project: Project) -> None:
    """Add an entry point."""
    project.replace(
        "pyproject.toml",
        'acme-shop = "acme_shop:main"',
        'acme-shop = "acme_shop:main"\nacme-till = "acme_shop:main"',
    )


def linter(project: Project) -> None:
    """Change a setting of another tool."""
    project.replace("pyproject.toml", "strict = true", "strict = false")


def dev_group(project: Project) -> None:
    """Add a development dependency, and lock."""
    project.replace("pyproject.toml", '"acme-lint"', '"acme-lint", "acme-extra"')
    project.lock()


def optional_group(project: Project) -> None:
    """Add a package to a group that is not installed, and lock."""
    project.replace("pyproject.toml", 'acme-docs = "*"', 'acme-docs = "*"\nacme-old = "*"')
    project.lock()


def other_extra(project: Project) -> None:
    """Add a package to an extra that is not installed, and lock."""
    project.replace("pyproject.toml", '["acme-extra"]', '["acme-extra", "acme-old"]')
    project.lock()


def source(project: Project) -> None:
    """Edit the code."""
    project.replace("src/acme_shop/__init__.py", '"shop"', '"store"')


def other_files(project: Project) -> None:
    """Edit files that are not part of the image."""
    project.write("tests/test_shop.py", "def test_something(): ...\n")


def wider(project: Project) -> None:
    """Allow more versions without selecting another one, and lock."""
    project.replace("pyproject.toml", "acme-lib (>=1.0,<2)", "acme-lib (>=0.5,<3)")
    project.lock()


def labels(project: Project) -> None:
    """Change the image's configuration only."""
    project.configure(env={"LEVEL": "debug"}, labels={"team": "shop"}, command=["acme-shop", "-v"])


def touched(project: Project) -> None:
    """Check out again, with another umask."""
    for path in [project.folder, *project.folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))


def another_poetry(project: Project) -> None:
    """Lock with another Poetry version, as a colleague may."""
    env = {**project.poetry.env, "POETRY_CACHE_DIR": str(project.poetry.home / "other-cache")}
    (project.folder / "poetry.lock").unlink()  # otherwise Poetry does not rewrite a fresh lock file
    command = [str(poetry_python("2.4.3")), "-m", "poetry", "lock", "--no-interaction"]
    subprocess.run(command, cwd=project.folder, env=env, check=True, capture_output=True)
    assert "Poetry 2.4.3" in project.read("poetry.lock").partition("\n")[0]


def one_version(project: Project) -> None:
    """Select another version of one dependency."""
    project.replace("pyproject.toml", "acme-lib (>=1.0,<2)", "acme-lib (>=1.0,<1.1)")
    project.lock()


def one_less(project: Project) -> None:
    """Remove a dependency."""
    project.replace("pyproject.toml", ', "acme-native"', "")
    project.write("src/acme_shop/__init__.py", "def main() -> None: ...\n")
    project.lock()


def native_version(project: Project) -> None:
    """Select another version of a dependency with compiled code."""
    project.replace("pyproject.toml", '"acme-native"', '"acme-native (<1.0)"')
    project.lock()


def one_more(project: Project) -> None:
    """Add a dependency."""
    project.replace("pyproject.toml", '"acme-native"', '"acme-native", "acme-new"')
    project.lock()


def other_source(project: Project) -> None:
    """Add a source that no package comes from."""
    url = re.search(r'url = "(\S+)"', project.read("pyproject.toml"))
    assert url
    other = f'[[tool.poetry.source]]\nname = "other"\nurl = "{url[1]}"\npriority = "explicit"\n\n'
    project.replace("pyproject.toml", "[tool.acme-lint]", f"{other}[tool.acme-lint]")
    project.lock()


def compiled(project: Project) -> None:
    """Compile what is installed."""
    project.configure(compile=True)


def build_instructions(project: Project) -> None:
    """Change the stages that install."""
    project.replace("pyproject.toml", "build = []", 'build = ["ENV ANYTHING=1"]')


def base_image(project: Project) -> None:
    """Use another base image."""
    project.configure(base_image="python:{python}")


def debian_package(project: Project) -> None:
    """Add a Debian package to the final image."""
    project.configure(runtime_packages=["libpq5"])


def backend(project: Project) -> None:
    """Use another build backend, which no dependency needs."""
    project.replace("pyproject.toml", "poetry-core>=2.0", "poetry-core>=2.1")


EDITS = {
    "nothing": Edit(change=lambda _: None),
    "version": Edit(change=release),
    "description": Edit(change=description),
    "README": Edit(change=readme),
    "script": Edit(change=script),
    "linter setting": Edit(change=linter),
    "dev group": Edit(change=dev_group),
    "optional group": Edit(change=optional_group),
    "extra that is not chosen": Edit(change=other_extra),
    "source": Edit(change=source),
    "tests": Edit(change=other_files),
    "wider constraint": Edit(change=wider),
    "labels, environment and command": Edit(change=labels),
    "another checkout and umask": Edit(change=touched),
    "lock by another Poetry": Edit(change=another_poetry),
    "one pure dependency's version": Edit(
        change=one_version, runs=frozenset({"pure-1"}), installs=("acme-lib",)
    ),
    # The check does not run: it depends on a list of required shared libraries, still empty.
    "one native dependency's version": Edit(
        change=native_version, runs=frozenset({"native-1"}), installs=("acme-native",)
    ),
    "one dependency more": Edit(
        change=one_more, runs=frozenset({"pure-2"}), installs=("acme-new", "acme-util")
    ),
    "one dependency less": Edit(change=one_less, runs=frozenset({"check"})),
    "a source that is not used": Edit(change=other_source),
    # The stages install the same as before, so the check need not run again.
    "stages that install": Edit(
        change=build_instructions, runs=INSTALLING - {"check"}, installs=PACKAGES
    ),
    "byte-compiling": Edit(change=compiled, runs=LAYERS | {"check"}, installs=PACKAGES),
    "base image": Edit(change=base_image, runs=INSTALLING, installs=PACKAGES),
    # The check is based on the final image's base, the dependencies are not.
    "Debian package": Edit(change=debian_package, runs=frozenset({"check"})),
    "build backend": Edit(change=backend, runs=frozenset({"build-backend"})),
}
HARMLESS = tuple(name for name, edit in EDITS.items() if not edit.runs | {*edit.installs})
"""Edits that install nothing again."""
