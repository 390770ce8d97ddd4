"""Projects of many shapes, all of Acme's: what people write in pyproject.toml, and what runs then.

Tests build each and compare it with what `poetry install` gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A project, and how it is installed."""

    pyproject: str
    """With `{acme}`, `{cpu}`, `{cuda}` and `{more}` for the URLs of indexes."""
    files: Mapping[str, str]
    prints: str
    """What its container prints."""
    options: tuple[str, ...] = ("--only", "main")
    """Of `poetry install`; the settings of the plugin say the same."""
    is_package: bool = True
    """Whether Poetry can install the project itself."""


_ACME = """
[[tool.poetry.source]]
name = "acme"
url = "{acme}"
"""
_EXPLICIT = _ACME + 'priority = "explicit"\n'
_BACKEND = """
[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""

# Several packages of which one is in src, data beside and inside of them, a script that is a file,
# a local version, and no build system.
LEGACY = Shape(
    pyproject="""
        [tool.poetry]
        name = "acme-legacy"
        version = "1.0+local.1"
        description = "An old one"
        authors = ["Ada Löwe <ada@acme.example>"]
        packages = [{{ include = "acme_web" }}, {{ include = "acme_core", from = "src" }}]
        include = [{{ path = "acme_data/*.txt", format = ["sdist", "wheel"] }}]

        [tool.poetry.dependencies]
        python = "^3.11"
        acme-lib = "^1.0"
        acme-extra = {{ version = "*", optional = true }}
        acme-local = "1.0+cpu"

        [tool.poetry.extras]
        more = ["acme-extra"]

        [tool.poetry.group.dev.dependencies]
        acme-docs = "*"

        [tool.poetry.scripts]
        acme-legacy = "acme_web:main"
        acme-tool = {{ reference = "bin/acme-tool", type = "file" }}

        [tool.poetry-docker-cache]
        extras = ["more"]
        command = ["acme-tool"]
    """
    + _ACME,
    files={
        "acme_web/__init__.py": """\
            import acme_core, acme_extra, acme_lib, acme_local

            def main():
                print(acme_core.NAME, acme_extra.VERSION, acme_local.VERSION)
            """,
        "src/acme_core/__init__.py": """\
            from pathlib import Path

            HERE = Path(__file__).parent
            FILES = [HERE / "name.txt", HERE.parent / "acme_data" / "more.txt"]
            NAME = "".join(file.read_text().strip() for file in FILES)
            """,
        "src/acme_core/name.txt": "leg\n",
        "acme_data/more.txt": "acy\n",
        "acme_data/secret.key": "not part of the wheel\n",
        "bin/acme-tool": "#!/usr/bin/env python\nimport acme_web\nacme_web.main()\n",
    },
    options=("--only", "main", "-E", "more"),
    prints="legacy 1.0 1.0+cpu\n",
)

# Dependencies in [tool.poetry] and all else in [project]; markers that hold, do not, and choose a
# version; packages that share a namespace; what is built from source, wanted or not.
MARKERS = Shape(
    pyproject="""
        [project]
        name = "acme-markers"
        dynamic = ["version", "dependencies"]
        requires-python = ">=3.11,<4"

        [project.scripts]
        acme-markers = "acme_markers:main"

        [tool.poetry]
        version = "2.0"

        [tool.poetry.dependencies]
        acme-lib = [
            {{ version = "1.0", markers = "python_version < '3.12'" }},
            {{ version = "1.1", markers = "python_version >= '3.12'" }},
        ]
        acme-native = {{ version = "*", markers = "sys_platform == 'linux'" }}
        acme-extra = {{ version = "*", markers = "sys_platform == 'win32'" }}
        acme-ns-a = "*"
        acme-ns-b = "*"
        acme-old = "*"
        acme-both = "*"

        [tool.poetry.build-constraints]
        acme-old = {{ poetry-core = "<99" }}
    """
    + _BACKEND
    + _ACME,
    files={
        "acme_markers.py": """\
            import acme_both, acme_lib, acme_native, acme_ns.a, acme_ns.b, acme_old

            def main():
                print(acme_lib.VERSION, acme_ns.a.NAME, acme_ns.b.NAME, acme_both.VERSION)
            """,
        "poetry.toml": '[installer]\nno-binary = ["acme-both"]\n',
    },
    prints="1.1 a b 1.0\n",
)

# Groups that include others, an optional one, and no package.
GROUPS = Shape(
    pyproject="""
        [project]
        name = "acme-groups"
        version = "1"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib"]

        [dependency-groups]
        server = ["acme-native", {{ include-group = "metrics" }}]
        metrics = ["acme-extra"]
        dev = ["acme-docs"]

        [tool.poetry]
        package-mode = false

        [tool.poetry.group.worker]
        optional = true

        [tool.poetry.group.worker.dependencies]
        acme-new = "*"

        [tool.poetry-docker-cache]
        groups = ["main", "server", "worker"]
        command = ["python", "main.py"]
    """
    + _ACME,
    files={
        "main.py": """\
            import acme_extra, acme_lib, acme_native, acme_new
            print("groups", acme_native.VERSION)
            """,
    },
    options=("--only", "main,server,worker"),
    is_package=False,
    prints="groups 1.0\n",
)

# Extras that exclude each other, with the same package from two indexes, one of which has a name
# that is hard to spell; a third index that adds to the one that stands in for PyPI. Each has a
# password of its own, and all are on one host.
SOURCES = Shape(
    pyproject="""
        [project]
        name = "acme-sources"
        version = "1"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib", "acme-there"]

        [project.optional-dependencies]
        cpu = ["acme-torch (==1.0)"]
        cuda = ["acme-torch (==1.0)"]

        [project.scripts]
        acme-sources = "acme_sources:main"

        [tool.poetry.dependencies]
        acme-torch = [
            {{ markers = "extra == 'cpu' and extra != 'cuda'", source = "Acme.CPU-wheels" }},
            {{ markers = "extra == 'cuda' and extra != 'cpu'", source = "acme-cuda" }},
        ]

        [[tool.poetry.source]]
        name = "Acme.CPU-wheels"
        url = "{cpu}"
        priority = "explicit"

        [[tool.poetry.source]]
        name = "acme-cuda"
        url = "{cuda}"
        priority = "explicit"

        [[tool.poetry.source]]
        name = "acme-more"
        url = "{more}"
        priority = "supplemental"

        [tool.poetry-docker-cache]
        extras = ["cpu"]
    """
    + _BACKEND
    + _ACME,
    files={
        "acme_sources/__init__.py": """\
            import acme_lib, acme_there, acme_torch

            def main():
                print("torch of", acme_torch.BUILT)
            """,
    },
    options=("--only", "main", "-E", "cpu"),
    prints="torch of cpu\n",
)

# What Poetry refuses to install: there is no module of that name, and the README is outside.
NO_MODULE = Shape(
    pyproject="""
        [project]
        name = "acme-service"
        version = "1"
        readme = "../README.md"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib"]

        [tool.poetry-docker-cache]
        command = ["python", "-m", "app"]
    """
    + _BACKEND
    + _ACME,
    files={
        "app/__main__.py": "import acme_lib\nfrom app import NAME\nprint(NAME)\n",
        "app/__init__.py": "NAME = 'no module'\n",
    },
    is_package=False,
    prints="no module\n",
)

# Another build backend, which comes from elsewhere than the dependencies do.
HATCHLING = Shape(
    pyproject="""
        [project]
        name = "acme-hatch"
        version = "1"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib", "acme-util"]

        [project.scripts]
        acme-hatch = "acme_hatch:main"

        [tool.poetry.dependencies]
        acme-lib = {{ source = "acme" }}
        acme-util = {{ source = "acme" }}

        [tool.hatch.build.targets.wheel]
        packages = ["src/acme_hatch"]

        [build-system]
        requires = ["hatchling>=1.24"]
        build-backend = "hatchling.build"
    """
    + _EXPLICIT,
    files={
        "src/acme_hatch/__init__.py": """\
            from pathlib import Path

            import acme_lib

            def main():
                print(Path(__file__).with_name("name.txt").read_text().strip())
            """,
        "src/acme_hatch/name.txt": "hatched\n",
    },
    prints="hatched\n",
)

SHAPES = {
    "legacy": LEGACY,
    "markers": MARKERS,
    "groups": GROUPS,
    "sources": SOURCES,
    "no_module": NO_MODULE,
    "hatchling": HATCHLING,
}


def text_of(shape: Shape, urls: Mapping[str, str]) -> str:
    """Give its pyproject.toml, with the indexes' URLs."""
    return shape.pyproject.format(**urls)
