"""Ways to declare a project: metadata, groups, and projects that are not packages."""

from __future__ import annotations

from shapes.shape import ACME, POETRY_CORE, Constraint, Shape

# Several packages, one of them in src; data beside and inside them; a script that is a file; a
# local version; no build system.
LEGACY = Shape(
    pyproject="""
        [tool.poetry]
        name = "acme-legacy"
        version = "1.0+local.1"
        description = "An old one"
        readme = "README.md"
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
    + ACME,
    files={
        "README.md": "# Legacy\n",
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
    constraint=Constraint(
        text='acme-lib = "^1.0"', wider='acme-lib = ">=0.5,<3"', other='acme-lib = "<1.1"'
    ),
)

# Groups that include others, an optional group, and no package.
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
    + ACME,
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

# Poetry refuses to install this: the module is missing, and the README is outside.
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
    + POETRY_CORE
    + ACME,
    files={
        "app/__main__.py": "import acme_lib\nfrom app import NAME\nprint(NAME)\n",
        "app/__init__.py": "NAME = 'no module'\n",
    },
    is_package=False,
    prints="no module\n",
)

# `poetry install --only main` fails for this project.
NO_DEPENDENCIES = Shape(
    pyproject="""
        [project]
        name = "acme-alone"
        version = "1"
        requires-python = ">=3.11,<4"

        [project.scripts]
        acme-alone = "acme_alone:main"
    """
    + POETRY_CORE
    + ACME,
    files={"acme_alone.py": "def main():\n    print('alone')\n"},
    options=(),
    prints="alone\n",
    constraint=None,
)
