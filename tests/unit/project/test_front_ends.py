"""What is read of a front end: its package manager, and what an install needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.front_ends import read_front_ends
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from poetry_docker_cache.project.model import FrontEnd

PNPM_LOCK = """lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      left-pad:
        specifier: 1.0.0

  packages/ui: {}

  'packages/icons':
    dependencies: {}

packages:

  left-pad@1.0.0: {}
"""


def read(project: Path, files: dict[str, object], place: str = "web") -> FrontEnd:
    """Write files into a front end and read it; objects become JSON."""
    for name, content in {"package.json": {}, **files}.items():
        path = project / place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
    table = {"folder": place, "output": "dist", "to": "shop/static"}
    return read_front_ends(project, [Settings.parse({"assets": table})])[place]


def test_workspaces_of_npm(tmp_path: Path) -> None:
    """An install reads package.json of each workspace, and nothing else of it."""
    found = read(
        tmp_path,
        {
            "package.json": {"workspaces": ["packages/*"], "dependencies": {"a": "file:vendor/a"}},
            "package-lock.json": {},
            "packages/ui/package.json": {},
            "packages/ui/index.js": "",
            "packages/ui/node_modules/x/package.json": {},
            "vendor/a/package.json": {},
        },
    )
    assert found.manifests == (
        "web/package-lock.json",
        "web/package.json",
        "web/packages/ui/package.json",
        "web/vendor/a/package.json",
    )


def test_workspaces_of_pnpm(tmp_path: Path) -> None:
    """They are those of the lock file, which may be outside any glob."""
    members: dict[str, object] = {
        f"packages/{name}/package.json": {} for name in ("ui", "icons", "other")
    }
    found = read(
        tmp_path, {"pnpm-lock.yaml": PNPM_LOCK, "patches/a.patch": "", ".npmrc": "", **members}
    )
    assert found.lock_version == "9"
    assert found.manifests == (
        "web/.npmrc",
        "web/package.json",
        "web/packages/icons/package.json",
        "web/packages/ui/package.json",
        "web/patches/",
        "web/pnpm-lock.yaml",
    )


def test_modern_yarn_of_the_project(tmp_path: Path) -> None:
    """The folder of releases is copied before the install, which runs one of them."""
    found = read(
        tmp_path,
        {
            "yarn.lock": "# comment\n\n__metadata:\n  version: 8\n",
            ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.5.0.cjs\n",
            ".yarn/releases/yarn-4.5.0.cjs": "",
        },
    )
    assert found.is_modern_yarn
    assert found.yarn == ".yarn/releases/yarn-4.5.0.cjs"
    assert "web/.yarn/releases/" in found.manifests


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({".nvmrc": "v20.11.0\n"}, "20.11.0"),
        ({".nvmrc": "lts/iron\n", ".node-version": "18"}, "18"),
        ({"package.json": {"volta": {"node": "20.9.0"}}}, "20.9.0"),
        ({"package.json": {"engines": {"node": "20.x"}}}, "20"),
        ({"package.json": {"engines": {"node": "^18.12"}}}, "18"),
        ({"package.json": {"engines": {"node": ">=18"}}}, None),
        ({"package.json": {"engines": "20"}}, None),
    ],
)
def test_version_of_node(tmp_path: Path, files: dict[str, object], version: str | None) -> None:
    """Only an exact or major version is used."""
    node = read(tmp_path, files).node
    assert (node and node[0]) == version


def test_own_ignore_file_of_front_end(tmp_path: Path) -> None:
    """Templates of front ends write one."""
    found = read(tmp_path, {".gitignore": "node_modules\n/dist\n*.tsbuildinfo\n!keep.*\n"})
    assert found.git_ignored == ("web/dist", "web/**/*.tsbuildinfo")


def test_folder_without_package(tmp_path: Path) -> None:
    """The error names the setting."""
    table = {"folder": "web", "output": "dist", "to": "static"}
    with pytest.raises(DockerCacheError, match=r"`assets` .* 'web', which has no package\.json"):
        read_front_ends(tmp_path, [Settings.parse({"assets": table})])


def test_invalid_package(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(DockerCacheError, match=r"web/package\.json is not valid JSON"):
        read(tmp_path, {"package.json": "{"})
