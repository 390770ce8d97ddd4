"""`poetry docker verify` on images that were built: unchanged, and with ten deliberate changes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from acme import IMAGE_PYTHON, AcmeIndex, make_shop
from builds import NETWORK
from engines import unavailable
from registries import CRANE
from shop_images import KEY, Item, archive, distribution

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from acme import Project
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

SITE = f"venv/lib/python{IMAGE_PYTHON}/site-packages"
REMOVED = Item(b"")
OTHER = f"{SITE}/acme_util-9.0.dist-info/METADATA"
CHANGES = (
    {f"{SITE}/.wh.acme_util-1.0.dist-info": REMOVED, OTHER: Item(b"Name: acme-util\nVersion: 9.0")},
    {f"{SITE}/acme_native/__init__.py": Item(b"VERSION = 'other'\n")},
    distribution("acme-more", "1.0", site=SITE),
    {f"{SITE}/acme_lib/.wh.__init__.py": REMOVED},
    {f"{SITE}/acme_lib": Item(mode=0o757)},
    {"root/.cache/pip/http-v2/0/1": Item(b"wheel")},
    {"app/.git/HEAD": Item(b"ref: refs/heads/main\n")},
    {"app/deploy_key": Item(KEY)},
    {
        f"{SITE}/acme_shop-1.2.3.dist-info/entry_points.txt": Item(
            b"[console_scripts]\nacme-shop=no:x"
        )
    },
)
FOUND = (
    "Other versions: acme-util 9.0, locked 1.0.",
    f"/{SITE}/acme_native/__init__.py",
    "Not in poetry.lock for these groups: acme-more 1.0.",
    f"Missing: /{SITE}/acme_lib/__init__.py.",
    f"The user can write code: /{SITE}/acme_lib.",
    "The image contains pip's cache: /root/.cache/pip.",
    "The image contains a git repository: /app/.git.",
    "The image contains a private key: /app/deploy_key.",
    "Modules that do not exist: acme-shop (acme-shop) calls no.",
    "The image runs as root.",
)


def crane(*arguments: str) -> None:
    """Change an image in the registry."""
    if not CRANE.exists():
        unavailable("only a private engine brings crane along")
    subprocess.run([CRANE, *arguments], check=True, capture_output=True)


def verify(project: Project, *arguments: str, status: int = 0) -> list[str]:
    """Verify an image; return the lines of the problems."""
    command = ("docker", "verify", *arguments, "--json")
    done = project.poetry.run(project.folder, *command, check=False)
    assert done.returncode == status, done.stderr
    data = json.loads(done.stdout)
    assert data["ok"] == (status == 0)
    return [check["message"] for check in data["checks"] if check["status"] == "error"]


def test_ten_changes_are_found(
    engine: DockerEngine,
    registry: str,
    index: AcmeIndex,
    poetry_home: Callable[[DockerEngine], Poetry],
    tmp_path: Path,
) -> None:
    """Unchanged images of both ways to build have no problem, wherever they are."""
    project = make_shop(tmp_path / "shop", poetry_home(engine), index)
    base = f"{registry}/library/python:{IMAGE_PYTHON}-slim"
    project.configure(base_image=base, image=f"{registry}/verified")
    build = ("docker", "build", "--push")
    project.poetry.run(project.folder, *build, "--tag=:engine", *NETWORK)
    project.poetry.run(project.folder, *build, "--tag=:wheels", "--no-engine")
    for way in ("engine", "wheels"):
        assert verify(project, f"{registry}/verified:{way}") == []
    layers = [tmp_path / f"{number}.tar" for number in range(len(CHANGES))]
    for path, layer in zip(layers, CHANGES, strict=True):
        path.write_bytes(archive(layer))
    image, files = f"{registry}/verified:changed", [f"--new_layer={path}" for path in layers]
    crane("append", f"--base={registry}/verified:engine", f"--new_tag={image}", *files)
    crane("mutate", "--user=root", f"--tag={image}", image)
    text = "\n".join(verify(project, image, status=1))
    assert [found for found in FOUND if found not in text] == [], text
    # A source tree, in the engine instead of a registry.
    project.replace("pyproject.toml", "[tool.poetry]\n", "[tool.poetry]\npackage-mode = false\n")
    project.poetry.run(project.folder, "docker", "build", "--load", "--tag=tree", *NETWORK)
    assert verify(project, "tree") == []
