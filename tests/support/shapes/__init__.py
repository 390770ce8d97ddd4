"""Projects of many shapes, all of Acme's: what people write in pyproject.toml, and what runs then.

Each is built and compared with what `poetry install` gives, edited and built again
(integration/test_shapes.py), and has its golden Dockerfile (golden/cases/shape_NAME).

To add one, write a `Shape` into a module here, add it to `SHAPES`, and run `make golden`: that has
Poetry lock it, for which `indexes.fill` writes the packages, and writes down the lock, Dockerfile,
ignore file and notes. A lock that is fresh is left as it is: where other packages are to be in it,
remove it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shapes.backends import EXTENSION, HATCHLING, RUST, SETUPTOOLS, SETUPTOOLS_SCM
from shapes.dependencies import MARKERS, OTHER_SOURCE, SOURCES
from shapes.metadata import GROUPS, LEGACY, NO_DEPENDENCIES, NO_MODULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shapes.shape import Shape

SHAPES: Mapping[str, Shape] = {
    "legacy": LEGACY,
    "markers": MARKERS,
    "groups": GROUPS,
    "sources": SOURCES,
    "other_source": OTHER_SOURCE,
    "no_module": NO_MODULE,
    "no_dependencies": NO_DEPENDENCIES,
    "hatchling": HATCHLING,
    "setuptools": SETUPTOOLS,
    "setuptools_scm": SETUPTOOLS_SCM,
    "rust": RUST,
    "extension": EXTENSION,
}
