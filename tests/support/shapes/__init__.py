"""Projects of many shapes, all of Acme's: what users write in pyproject.toml, and what runs then.

Each is built and compared with what `poetry install` installs, edited and built again
(integration/test_shapes.py), and has its golden Dockerfile (golden/cases/shape_NAME).

To add one, write a `Shape` into a module here, add it to `SHAPES`, and run `make golden`: Poetry
locks it, with packages from `indexes.fill`, and the lock, Dockerfile, ignore file and notes are
written. A fresh lock is kept: to lock other packages, remove it first.
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
