"""Dependencies of many kinds, from several indexes."""

from __future__ import annotations

from dataclasses import replace

from shapes.shape import ACME, POETRY_CORE, Constraint, Shape

# Dependencies in [tool.poetry], everything else in [project]; markers that match, do not match, or
# choose a version; packages that share a namespace; packages built from source, by choice or not.
MARKERS = Shape(
    pyproject="""
        [project]
        name = "acme-markers"
        dynamic = ["version", "dependencies"]
        readme = "README.md"
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
    + POETRY_CORE
    + ACME,
    files={
        "README.md": "# Markers\n",
        "acme_markers.py": """\
            import acme_both, acme_lib, acme_native, acme_ns.a, acme_ns.b, acme_old

            def main():
                print(acme_lib.VERSION, acme_ns.a.NAME, acme_ns.b.NAME, acme_both.VERSION)
            """,
        "poetry.toml": '[installer]\nno-binary = ["acme-both"]\n',
    },
    prints="1.1 a b 1.0\n",
    constraint=Constraint(
        text="""version = "1.1", markers = "python_version >= '3.12'""",
        wider="""version = ">=1.1,<3", markers = "python_version >= '3.12'""",
        other="""version = "1.0", markers = "python_version >= '3.12'""",
    ),
)

# Extras that exclude each other and install the same package from two indexes, one with an unusual
# name; a third index besides the replacement of PyPI. All are on one host, each with its
# own password.
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
    + POETRY_CORE
    + ACME,
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

# The same package, from the other index.
OTHER_SOURCE = replace(
    SOURCES,
    pyproject=SOURCES.pyproject.replace('extras = ["cpu"]', 'extras = ["cuda"]'),
    options=("--only", "main", "-E", "cuda"),
    prints="torch of cuda\n",
)
