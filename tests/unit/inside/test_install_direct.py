"""Tests of installing packages from git repositories, URLs and files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from poetry.packages.locker import Locker

from poetry_docker_cache.inside import direct
from poetry_docker_cache.inside.install import poetry_install
from poetry_docker_cache.render.stage_commands import in_project

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0d3b1ce5a1f4b1a1a6f0d4a2d1d9c0b8e7f60912"
GIT = {"type": "git", "url": "https://git.test/a.git", "reference": "v1", "subdirectory": "a"}
FILE = {"type": "file", "url": "libs/b-1.0.tar.gz"}
BESIDE = {"type": "file", "url": "../../wheels/c-1.0-py3-none-any.whl"}
MANIFEST: dict[str, Any] = {
    "packages": [
        {
            "name": "a",
            "version": "1.0",
            "files": [],
            "source": {**GIT, "resolved_reference": COMMIT},
        },
        {
            "name": "b",
            "version": "1.0",
            "files": [{"file": "b-1.0.tar.gz", "hash": "sha256:0"}],
            "source": FILE,
        },
        {"name": "c", "version": "1.0", "files": [], "source": BESIDE},
    ],
    "sources": [
        {"name": "acme", "url": "https://acme.test/simple", "priority": "primary"},
        {"name": "PyPI", "priority": "supplemental"},
    ],
}


def test_poetry_reads_the_written_lock(tmp_path: Path) -> None:
    """The lock has the commit, the folder in the repository, the files and their hashes."""
    # The paths that the Dockerfile copies them to.
    files = [tmp_path / "files" / in_project(source["url"]) for source in (FILE, BESIDE)]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    folder = tmp_path / "deep" / "project"
    manifest = direct.place_files(MANIFEST, tmp_path / "files", folder)
    text = poetry_install.document(poetry_install.lock(manifest, "0"))
    (folder / "poetry.lock").write_text(text)
    a, b, c = Locker(folder / "poetry.lock", {}).locked_packages()
    assert (a.source_type, a.source_url, a.source_reference) == ("git", GIT["url"], "v1")
    assert (a.source_resolved_reference, a.source_subdirectory) == (COMMIT, "a")
    assert not a.develop
    for package, file in zip((b, c), files, strict=True):
        assert (package.source_type, package.source_url) == ("file", str(file.resolve()))
    assert b.files == MANIFEST["packages"][1]["files"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["project"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "    | Failed to clone https://git.test/a.git, check your git\n    | configuration.\n",
            "https://git.test/a.git refused access",
        ),
        (
            "unexpected http resp 403 for https://git.test/a.git/info/refs?service=x",
            "poetry config repositories.NAME https://git.test/a.git`",
        ),
        (
            "unexpected http resp 401 for https://git.test/a.git/info/refs?service=x",
            "`poetry config http-basic.NAME USERNAME` (asks for the password), with a NAME",
        ),
        (
            "401 Client Error: Unauthorized for url: https://files.test/a.whl",
            "https://files.test/a.whl refused access",
        ),
        (
            "401 Client Error: Unauthorized for url: https://acme.test/simple/poetry-core/",
            "The package source 'acme' (acme.test) refused access",
        ),
        (
            f"Failed to clone https://git.test/a.git at '{COMMIT}', verify ref exists on remote.",
            f"https://git.test/a.git no longer has commit {COMMIT}",
        ),
        (
            f"    | Failed to checkout https://git.test/a.git at '{COMMIT}'.",
            f"https://git.test/a.git no longer has commit {COMMIT}",
        ),
        ("HangupException\n\n  Host key verification failed.", "does not match `ssh-known-hosts`"),
        ("git@h.test: Permission denied (publickey).", "`ssh-add` to add one"),
        ("[Errno 2] No such file or directory: 'ssh'", "ssh, which is not in the `build-image`"),
        (
            "Hash for b (1.0) from archive b-1.0.tar.gz not found in known hashes (was: sha256:1)",
            "The hash of a file does not match poetry.lock",
        ),
        ("HTTPSConnectionPool: Max retries exceeded with url: /a", "A server cannot be reached"),
        ("PEP517 build of a dependency failed\nx\nNote: issues with a (1.0 0d3)", "a (1.0 0d3)"),
        ("something else", ""),
    ],
)
def test_failures_are_explained(said: str, words: str) -> None:
    """The explanation says what is wrong, and what to do."""
    found = direct.explain(said, MANIFEST, {})
    assert words in found
    assert bool(found) == bool(words)


def test_traces_of_the_build_are_removed(tmp_path: Path) -> None:
    """These are clones and the paths of files; the address of a repository is kept."""
    place = tmp_path / "lib" / "python3.13" / "site-packages"
    (tmp_path / "src" / "a" / ".git").mkdir(parents=True)
    for name, url in (("a", GIT["url"]), ("b", "file:///tmp/x/libs/b-1.0.tar.gz")):
        info = place / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "direct_url.json").write_text(json.dumps({"url": url}))
        (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/direct_url.json,,\n")
    direct.remove_traces(tmp_path)
    left = sorted(path.relative_to(place).as_posix() for path in place.rglob("*.dist-info/*"))
    assert left == [
        "a-1.0.dist-info/RECORD",
        "a-1.0.dist-info/direct_url.json",
        "b-1.0.dist-info/RECORD",
    ]
    assert (place / "a-1.0.dist-info" / "RECORD").read_text().count("direct_url") == 1
    assert (place / "b-1.0.dist-info" / "RECORD").read_text() == "b.py,,\n"
    assert not (tmp_path / "src").exists()


def test_missing_ssh_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to add to `docker build`."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(MANIFEST))
    assert direct.main(["--ssh", f"--manifest={manifest}"]) == 1
    assert "add `--ssh default`" in capsys.readouterr().out
