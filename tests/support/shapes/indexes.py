"""The indexes of the shapes, and the packages that they serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import wheels
from wheels import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEXES = {"acme": "acme", "cpu": "Acme.CPU-wheels", "cuda": "acme-cuda", "more": "acme-more"}
"""The names of the sources in pyproject.toml. The first also has Acme's own packages."""

_HOOK = """

def build_wheel(folder, config_settings=None, metadata_directory=None):
    from importlib.metadata import version
    from pathlib import Path

    return make_wheel(Path(folder), "acme-stamp", version("acme-backend")).name
"""


def fill(folders: Mapping[str, Path]) -> None:
    """Write the packages that the shapes need beside Acme's own into the folder of each index."""
    acme = folders["acme"]
    make_wheel(acme, "acme-local", "1.0+cpu")
    for name in ("a", "b"):
        make_wheel(acme, f"acme-ns-{name}", files={f"acme_ns/{name}.py": f"NAME = '{name}'\n"})
    make_wheel(acme, "acme-both", files={"acme_both.py": "VERSION = 'of the wheel'\n"})
    make_sdist(acme, "acme-both")
    for name in ("cpu", "cuda"):
        make_wheel(folders[name], "acme-torch", files={"acme_torch.py": f"BUILT = '{name}'\n"})
    make_wheel(folders["more"], "acme-there")
    # A build backend that gives its wheels its own version.
    backend = Path(str(wheels.__file__)).read_text(encoding="utf-8") + _HOOK
    for version in ("1.0", "2.0"):
        make_wheel(acme, "acme-backend", version, files={"acme_backend.py": backend})
