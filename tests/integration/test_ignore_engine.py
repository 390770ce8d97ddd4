"""Compare BuildKit's reading of ignore files with the reference in dockerignore.py."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from dockerignore import PATTERNS, passing

from poetry_docker_cache.render.ignore_file import IgnorePlan, render_ignore

if TYPE_CHECKING:
    from pathlib import Path

    from engines import DockerEngine

pytestmark = pytest.mark.engine

FILES = [
    " lead",
    "#hash",
    "!bang",
    ".dockerignore",
    ".env",
    ".env.example",
    ".envs/prod",
    ".git/HEAD",
    "Dockerfile",
    "README.md",
    "[odd].md",
    "a*b/c.txt",
    "a^b$.txt",
    "axb/c.txt",
    "back\\slash",
    "docs/index.md",
    "docs/sub/README.md",
    "env/__init__.py",
    "notes/a/b/c.md",
    "poetry.lock",
    "pyproject.toml",
    "src/app/.env",
    "src/app/__init__.py",
    "src/app/__pycache__/a.pyc",
    "src/app/cacert.pem",
    "src/app/local_settings.py",
    "src/app/server.key",
    "src/app/tests/t.py",
    "src/other/__init__.py",
    "trail ",
    "ünï.txt",
]

IGNORE_FILES = {
    "nothing": "",
    "all": "*",
    "all-deep": "**",
    "comments": "\ufeff# c\n #hash\n\\#hash\n#hash\n",
    "crlf": "docs\r\n!docs/index.md\r\n\r\n",
    "slashes": "/docs/\n//src//app/\n./notes/\n",
    "dots": "docs/../src\n!src/app/..\n",
    "allow-list": "*\n!src\n!README.md\n",
    "allow-list-deep": "**/*\n!src/app/**\n!docs/**/README.md\n",
    "order": "!README.md\n*.md\n**/*.md\n!docs\n",
    "folder-not-hidden-before": "**/*.pem\n!src/app\n",
    "folder-content": "src/app/**\n!src/app\n",
    "folder-content-opened": "src/app/**\n!src/app/**\n",
    "hidden-twice": "src\n!src/app/tests/t.py\nsrc\n",
    "prefix": "src/ap**\n",
    "suffix": "**x.md\n**DME.md\n**/b\n",
    "middle": "notes/**/c.md\ndocs/**\n",
    "one-character": "?nv\nd?cs\nsrc/?\n",
    "sets": "[a-d]ocs\n[^e]nv\n\\[odd\\].md\n",
    "escapes": "a\\*b\nback\\\\slash\n\\!bang\na\\^b$.txt\n",
    "double-bang": "*\n!!bang\n!  README.md\n![ ]lead\n!trail[ ]\n",
    "content-forgotten": "*\n!*/*\n**/.envs\n",
    "content-too": "*\n!*/*\n**/.env**\n**/.git**\n",
    "accents": "ü*\n",
}

KEEP = (
    " lead",
    "!bang",
    "#hash",
    "[odd].md",
    "a*b",
    "a^b$.txt",
    "back\\slash",
    "trail ",
    "ünï.txt",
)
RENDERED = {
    "plain": (None, ()),
    "own": ("docs\n*.md\n!.env.example\n**/local_settings.py\n", ("!src/app/server.key",)),
    "allow": ("*\n!src\nsrc/app/tests\n", ("src",)),
    "open": ("*\n!*/*\n!**/*.p*\n", ()),
    "content": ("src/app/**\n**/tests\n", ()),
}


def test_patterns_that_invalidate_the_file(engine: DockerEngine, tmp_path: Path) -> None:
    """BuildKit names neither line nor file; the plugin checks them before the build."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY x /\n", encoding="utf-8")
    (tmp_path / "x").touch()
    taken = {}
    for pattern in PATTERNS:
        (tmp_path / ".dockerignore").write_text(f"{pattern}\n", encoding="utf-8")
        done = engine.docker("buildx", "build", "--quiet", str(tmp_path), check=False)
        taken[pattern] = done.returncode == 0
        assert (
            taken[pattern] or "syntax error in pattern" in done.stderr or "illegal" in done.stderr
        )
    assert taken == PATTERNS


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a folder with all the files, and one that cannot be opened."""
    folder = tmp_path / "context"
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return folder


def files_in_image(engine: DockerEngine, context: Path, ignore_file: str) -> set[str]:
    """Build an image of the whole context and list its files."""
    work = context.parent
    (work / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    (work / "Dockerfile.dockerignore").write_bytes(ignore_file.encode())
    out = work / "out"
    command = ["docker", "buildx", "build", "--quiet", "--file", str(work / "Dockerfile")]
    command += ["--output", f"type=local,dest={out}", str(context)]
    done = subprocess.run(command, env=engine.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", IGNORE_FILES)
def test_buildkit_matches_the_reference(engine: DockerEngine, context: Path, name: str) -> None:
    """Unusual lines, one property at a time."""
    text = IGNORE_FILES[name]
    assert files_in_image(engine, context, text) == passing(text, FILES)


@pytest.mark.parametrize("name", RENDERED)
def test_rendered_file_matches_the_reference(
    engine: DockerEngine, context: Path, name: str
) -> None:
    """The plugin's ignore file, with all unusual names that file systems allow."""
    project_ignore, extra = RENDERED[name]
    keep = ("pyproject.toml", "poetry.lock", "README.md", "src/app", *KEEP)
    text = render_ignore(
        IgnorePlan(keep=keep, project_ignore=project_ignore, extra=extra, dockerfile="Dockerfile")
    )
    found = files_in_image(engine, context, text)
    assert found == passing(text, FILES)
    assert {*keep} - {"src/app", "a*b"} <= found
    assert {"src/app/__init__.py", "a*b/c.txt"} <= found
    assert not found & {".env", ".envs/prod", ".git/HEAD", "src/app/.env", "Dockerfile"}
    assert "src/app/__pycache__/a.pyc" not in found


def test_parent_folder_with_ignored_name(engine: DockerEngine, tmp_path: Path) -> None:
    """The context is larger, with a whole folder beside the project; secrets are found by path."""
    context = tmp_path / "context"
    api, base = "services/gcloud-worker", "libs.env/base"
    wanted = {f"{api}/app/a.py", f"{api}/.env.example", f"{base}/setup.py", f"{base}/x/a.pem"}
    unwanted = {f"{api}/app/.git/HEAD", f"{api}/.env", f"{base}/x/.aws/y", f"{base}/a.key", "b.py"}
    for name in wanted | unwanted:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name, encoding="utf-8")
    text = render_ignore(
        IgnorePlan(
            keep=(f"{base}/setup.py", f"{base}/x"),
            project_ignore="!.env.example\n!..\n",
            dockerfile=f"{api}/Dockerfile",
            folder=api,
            others=(base,),
            whole=(base,),
        )
    )
    assert (
        files_in_image(engine, context, text) == passing(text, sorted(wanted | unwanted)) == wanted
    )
