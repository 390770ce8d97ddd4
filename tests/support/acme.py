"""The private index of the Acme company, and projects that install packages from it."""

from __future__ import annotations

import platform
import random
import string
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import tomlkit
from clean_poetry import POETRY
from index import PrivateIndex
from pinned_tools import download_pinned
from wheels import make_sdist, make_wheel

if TYPE_CHECKING:
    from typing import Any

    from clean_poetry import Poetry
    from typing_extensions import Self

USER = "ci@acme"
CANARY = "".join(random.choices(string.ascii_letters, k=13)) + "z"
"""Random in each test run. It ends with z, 7A or 7a in hexadecimal, so that both are searched."""
PASSWORD = f"p\"ä's\\w`o%41{{x}}$HOME {CANARY} ${{y}}:@#é/?&<="
"""A password that is easily misquoted. It contains the canary."""
IMAGE_PYTHON = "3.13"


class AcmeIndex:
    """The running index: Acme's packages, and installers for images whose source replaces PyPI."""

    def __init__(self, packages: Path) -> None:
        self.packages = packages
        make_packages(packages)
        download_pinned(packages, IMAGE_PYTHON, f"poetry-{POETRY}", "poetry-core", "setuptools")
        self._server = PrivateIndex(packages, {USER: PASSWORD})
        self.password = PASSWORD

    @property
    def url(self) -> str:
        """The URL without credentials."""
        return self._server.url

    def set_password(self, password: str) -> None:
        """Change the password; the old one stops working."""
        self._server.set_password(USER, password)
        self.password = password

    def add_user(self, user: str, password: str) -> None:
        """Add a second user."""
        self._server.set_password(user, password)

    def downloads(self) -> list[str]:
        """Return the names of the files that were downloaded so far."""
        return self._server.downloads()

    def requests(self) -> list[str]:
        """Return the paths of all requests so far."""
        return [path for _, path, _ in self._server.requests()]

    def __enter__(self) -> Self:
        """Return the index itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self._server.stop()


def make_packages(folder: Path, machine: str | None = None) -> None:
    """Write Acme's packages; the native one is built for this machine or the given one."""
    machine = machine or platform.machine()
    make_wheel(folder, "acme-util")
    for version in ("1.0", "1.1"):
        make_wheel(folder, "acme-lib", version, requires=["acme-util>=1.0"])
    for version in ("0.9", "1.0"):
        make_wheel(folder, "acme-native", version, tag=f"py3-none-manylinux_2_17_{machine}")
    for name in ("acme-extra", "acme-new"):
        make_wheel(folder, name)
    for name in ("acme-lint", "acme-docs"):
        make_wheel(folder, name, scripts={name: f"{name.replace('-', '_')}:main"})
    make_sdist(folder, "acme-old", requires=["acme-util"])


class Project:
    """An Acme project on disk, locked by Poetry."""

    def __init__(self, folder: Path, poetry: Poetry) -> None:
        self.folder = folder
        self.poetry = poetry

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file; text is dedented."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
        path.write_bytes(content)
        return path

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.folder / name).read_text(encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace text that must occur exactly once in a file."""
        text = self.read(name)
        assert text.count(old) == 1, (name, old)
        self.write(name, text.replace(old, new))

    def configure(self, **settings: object) -> None:
        """Add plugin settings to pyproject.toml; names use underscores."""
        document = tomlkit.parse(self.read("pyproject.toml"))
        table: Any = document["tool"]
        own = table.get("poetry-docker-cache", {})
        own.update({name.replace("_", "-"): value for name, value in settings.items()})
        table["poetry-docker-cache"] = own
        self.write("pyproject.toml", tomlkit.dumps(document).encode())

    def lock(self) -> None:
        """Run `poetry lock`."""
        self.poetry.run(self.folder, "lock")

    def log_in(self, password: str, source: str = "acme") -> None:
        """Store the user's password as `poetry config` does, without a command line."""
        path = Path(self.poetry.env["POETRY_CONFIG_DIR"]) / "auth.toml"
        login = {"username": USER, "password": password}
        path.write_text(tomlkit.dumps({"http-basic": {source: login}}), encoding="utf-8")


# An ordinary project, with at least one of each kind of dependency.
SHOP = """\
[project]
name = "acme-shop"
version = "1.2.3"
description = "Sells \\"things\\" for $5 \\\\ each"
readme = "README.md"
requires-python = ">=3.11,<4"
license = "MIT"
authors = [{{ name = "Ada Löwe", email = "ada@acme.example" }}]
dependencies = ["acme-lib (>=1.0,<2)", "acme-native"]

[project.urls]
Homepage = "https://acme.example/shop"

[project.scripts]
acme-shop = "acme_shop:main"

[project.optional-dependencies]
more = ["acme-extra"]

[dependency-groups]
dev = ["acme-lint"]

[tool.poetry]
packages = [{{ include = "acme_shop", from = "src" }}]

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.docs.dependencies]
acme-docs = "*"

[[tool.poetry.source]]
name = "acme"
url = "{url}"

[tool.acme-lint]
strict = true

[tool.poetry-docker-cache]
python = "{python}"

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""

SHOP_CODE = """\
import acme_lib
import acme_native


def main() -> None:
    print("shop", acme_lib.VERSION, acme_native.VERSION)
"""


def make_shop(folder: Path, poetry: Poetry, index: AcmeIndex, *, pyproject: str = SHOP) -> Project:
    """Write a project, log in to the index and run `poetry lock`."""
    project = Project(folder, poetry)
    text = pyproject.format(url=index.url, python=IMAGE_PYTHON)
    project.write("pyproject.toml", text.encode())
    project.write("README.md", "# Shop\n")
    project.write("src/acme_shop/__init__.py", SHOP_CODE.encode())
    project.write("tests/test_shop.py", "def test_nothing(): ...\n")
    project.log_in(index.password)
    project.lock()
    return project
