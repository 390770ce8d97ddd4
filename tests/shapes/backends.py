"""Build backends other than poetry-core."""

from __future__ import annotations

from shapes.shape import EXPLICIT, Shape

# Another build backend, which comes from elsewhere than the dependencies do.
HATCHLING = Shape(
    pyproject="""
        [project]
        name = "acme-hatch"
        version = "1"
        readme = "README.md"
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
    + EXPLICIT,
    files={
        "README.md": "# Hatch\n",
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
