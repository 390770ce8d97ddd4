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


def change_description(project: Project) -> None:
    """Change the description."""
    project.replace("pyproject.toml", "Sells", "Lends")


def extend_readme(project: Project) -> None:
    """Extend the README."""
    project.write("README.md", "# Shop\n\nWith more words.\n")


def add_script(project: Project) -> None:
    """Add an entry point."""
    project.replace(
        "pyproject.toml",
        'acme-shop = "acme_shop:main"',
        'acme-shop = "acme_shop:main"\nacme-till = "acme_shop:main"',
    )


def configure_linter(project: Project) -> None:
    """Change a setting of another tool."""
    project.replace("pyproject.toml", "strict = true", "strict = false")


def add_dev_package(project: Project) -> None:
    """Add a development dependency, and lock."""
    project.replace("pyproject.toml", '"acme-lint"', '"acme-lint", "acme-extra"')
    project.lock()


def add_optional_package(project: Project) -> None:
    """Add a package to a group that is not installed, and lock."""
    project.replace("pyproject.toml", 'acme-docs = "*"', 'acme-docs = "*"\nacme-old = "*"')
    project.lock()


def add_extra_package(project: Project) -> None:
    """Add a package to an extra that is not installed, and lock."""
    project.replace("pyproject.toml", '["acme-extra"]', '["acme-extra", "acme-old"]')
    project.lock()


def edit_source(project: Project) -> None:
    """Edit the code."""
    project.replace("src/acme_shop/__init__.py", '"shop"', '"store"')


def edit_other_files(project: Project) -> None:
    """Edit files that are not part of the image."""
    project.write("tests/test_shop.py", "def test_something(): ...\n")


def widen_constraint(project: Project) -> None:
    """Allow more versions without selecting another one, and lock."""
    project.replace("pyproject.toml", "acme-lib (>=1.0,<2)", "acme-lib (>=0.5,<3)")
    project.lock()


def change_labels(project: Project) -> None:
    """Change the image's configuration only."""
    project.configure(env={"LEVEL": "debug"}, labels={"team": "shop"}, command=["acme-shop", "-v"])


def check_out_again(project: Project) -> None:
    """Check out again, with another umask."""
    for path in [project.folder, *project.folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))


def lock_with_another_poetry(project: Project) -> None:
    """Lock with another Poetry version, as a colleague may."""
    env = {**project.poetry.env, "POETRY_CACHE_DIR": str(project.poetry.home / "other-cache")}
    (project.folder / "poetry.lock").unlink()  # otherwise Poetry does not rewrite a fresh lock file
    command = [str(poetry_python("2.4.3")), "-m", "poetry", "lock", "--no-interaction"]
    subprocess.run(command, cwd=project.folder, env=env, check=True, capture_output=True)
    assert "Poetry 2.4.3" in project.read("poetry.lock").partition("\n")[0]


def change_pure_version(project: Project) -> None:
    """Select another version of one dependency."""
    project.replace("pyproject.toml", "acme-lib (>=1.0,<2)", "acme-lib (>=1.0,<1.1)")
    project.lock()


def remove_dependency(project: Project) -> None:
    """Remove a dependency."""
    project.replace("pyproject.toml", ', "acme-native"', "")
    project.write("src/acme_shop/__init__.py", "def main() -> None: ...\n")
    project.lock()


def change_native_version(project: Project) -> None:
    """Select another version of a dependency with compiled code."""
    project.replace("pyproject.toml", '"acme-native"', '"acme-native (<1.0)"')
    project.lock()


def add_dependency(project: Project) -> None:
    """Add a dependency."""
    project.replace("pyproject.toml", '"acme-native"', '"acme-native", "acme-new"')
    project.lock()


def add_unused_source(project: Project) -> None:
    """Add a source that no package comes from."""
    url = re.search(r'url = "(\S+)"', project.read("pyproject.toml"))
    assert url
    other = f'[[tool.poetry.source]]\nname = "other"\nurl = "{url[1]}"\npriority = "explicit"\n\n'
    project.replace("pyproject.toml", "[tool.acme-lint]", f"{other}[tool.acme-lint]")
    project.lock()


def compile_packages(project: Project) -> None:
    """Compile what is installed."""
    project.configure(compile=True)


def change_build_instructions(project: Project) -> None:
    """Change the stages that install."""
    project.replace("pyproject.toml", "build = []", 'build = ["ENV ANYTHING=1"]')


def change_base_image(project: Project) -> None:
    """Use another base image."""
    project.configure(base_image="python:{python}")


def add_debian_package(project: Project) -> None:
    """Add a Debian package to the final image."""
    project.configure(runtime_packages=["libpq5"])


def change_backend(project: Project) -> None:
    """Let pip choose the build backend, which no dependency needs."""
    project.configure(pinned_tools=False)


EDITS = {
    "nothing": Edit(change=lambda _: None),
    "version": Edit(change=release),
    "description": Edit(change=change_description),
    "README": Edit(change=extend_readme),
    "script": Edit(change=add_script),
    "linter setting": Edit(change=configure_linter),
    "dev group": Edit(change=add_dev_package),
    "optional group": Edit(change=add_optional_package),
    "unselected extra": Edit(change=add_extra_package),
    "source": Edit(change=edit_source),
    "tests": Edit(change=edit_other_files),
    "wider constraint": Edit(change=widen_constraint),
    "labels, environment and command": Edit(change=change_labels),
    "fresh checkout and umask": Edit(change=check_out_again),
    "lock by another Poetry": Edit(change=lock_with_another_poetry),
    "version of a pure dependency": Edit(
        change=change_pure_version, runs=frozenset({"pure-1"}), installs=("acme-lib",)
    ),
    # The check does not run: it depends on a list of required shared libraries, still empty.
    "version of a native dependency": Edit(
        change=change_native_version, runs=frozenset({"native-1"}), installs=("acme-native",)
    ),
    "additional dependency": Edit(
        change=add_dependency, runs=frozenset({"pure-2"}), installs=("acme-new", "acme-util")
    ),
    "removed dependency": Edit(change=remove_dependency, runs=frozenset({"check"})),
    "unused source": Edit(change=add_unused_source),
    # The stages install the same as before, so the check need not run again.
    "build instructions": Edit(
        change=change_build_instructions, runs=INSTALLING - {"check"}, installs=PACKAGES
    ),
    "bytecode": Edit(change=compile_packages, runs=LAYERS | {"check"}, installs=PACKAGES),
    "base image": Edit(change=change_base_image, runs=INSTALLING, installs=PACKAGES),
    # The check is based on the final image's base, the dependencies are not.
    "Debian package": Edit(change=add_debian_package, runs=frozenset({"check"})),
    "build backend": Edit(change=change_backend, runs=frozenset({"build-backend"})),
}
HARMLESS = tuple(name for name, edit in EDITS.items() if not edit.runs | {*edit.installs})
"""Edits that install nothing again."""
