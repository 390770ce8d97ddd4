"""Entries of poetry.lock that would add a requirement, an option or a path are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from projects import digest, lock_text, package

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside import direct
from poetry_docker_cache.inside.install.package_indexes import requirement, source_of
from poetry_docker_cache.inside.install.poetry_install import document
from poetry_docker_cache.inside.install.secret import Source
from poetry_docker_cache.inside.manifest.__main__ import main
from poetry_docker_cache.inside.manifest.lock_entries import DamagedError, refuse_damaged
from poetry_docker_cache.project.lock import check_lock
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from pathlib import Path

PROJECT: dict[str, Any] = {"project": {"name": "shop", "version": "1", "dependencies": ["b"]}}
WHEEL = "b-1.0-py3-none-any.whl"
SHA256 = f"sha256:{digest('b')}"
EVIL = "--index-url=https://evil.test/simple"
GIT = {"type": "git", "url": "https://git.test/b.git", "reference": "v1"}


def source(**keys: str) -> dict[str, Any]:
    """Return the source of a package: a git repository, but for these keys."""
    return {"source": {**GIT, **keys}}


def file(name: str = WHEEL, hashed: str = SHA256) -> dict[str, Any]:
    """Return the only file of a package."""
    return {"files": [{"file": name, "hash": hashed}]}


@pytest.mark.parametrize(
    "damage",
    [
        {"name": "b\nevil"},
        {"name": "-r b"},
        {"name": "../b"},
        {"version": f"1.0\n{EVIL}\nevil==1"},
        {"version": "1.0\u2028evil==1"},
        {"version": f"1.0 {EVIL}"},
        {"version": "\uff11.0"},
        {"version": ""},
        file(hashed=f"{SHA256}\nevil==1"),
        file(hashed=f"{SHA256} --hash={SHA256}"),
        file(hashed=SHA256[:-1]),
        file(hashed="sha256:../x"),
        file("../../etc/b-1.0-py3-none-any.whl"),
        file("-b-1.0-py3-none-any.whl"),
        file("b-1.0\n-py3-none-any.whl"),
        {"markers": f'platform_machine == "x\n{EVIL}"'},
        {"markers": "platform_machine == 'x\u2028evil==1'"},
        source(url="--upload-pack=touch x"),
        source(url="ssh://-oProxyCommand=x/b.git"),
        source(url="git@-oProxyCommand=x:b.git"),
        source(url="https://git.test/b.git\n"),
        source(url="ext::program"),
        source(reference="--upload-pack=x"),
        source(resolved_reference="v1\nx"),
        source(subdirectory="../../etc"),
        source(subdirectory="/etc"),
        source(subdirectory="-x"),
        source(type="url", url="https://x.test/b.zip\x1b[2J"),
        source(type="file", url="a\nb.whl"),
        source(type="directory", url="--x"),
        source(type="legacy", reference="acme\nevil"),
    ],
)
def test_value_that_poetry_would_not_write_is_damage(
    damage: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plugin and the build name the entry and the fix."""
    text = lock_text(PROJECT, [package("a"), {**package("b"), **file(), **damage}])
    with pytest.raises(DockerCacheError, match=r"is damaged: .*\bb\b") as raised:
        check_lock("", tomllib.loads(text), PROJECT)
    assert "`poetry lock --regenerate`" in raised.value.fix
    assert "evil.test" not in str(raised.value)
    (tmp_path / "poetry.lock").write_text(text, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(document(PROJECT), encoding="utf-8")
    options = ["--project", str(tmp_path), "--output", str(tmp_path / "out"), "--group=main"]
    assert main([*options, "--layers", "dependencies", "source", "direct"]) == 1
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().err.startswith("poetry-docker-cache: ")


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "ruamel.yaml.clib"},
        {"name": "Before_After"},
        {"version": "2.0.0+cpu", **file("torch-2.0.0+cpu-cp311-cp311-linux_x86_64.whl")},
        {"version": "1!2013.9-rc.1.post2.dev3+Ubuntu.1"},
        {"version": "1.0-1"},
        {"version": "v1.0.0beta"},
        file("b-1.0.tar.gz", f"md5:{'0' * 32}"),
        file("B_2-1.0-1-cp27-none-win32.whl", f"sha384:{'0' * 96}"),
        file("b-1.0dev_r12.zip", f"blake2b:{'0' * 128}"),
        {"files": [], **source(resolved_reference="a" * 40, subdirectory="packages/b 1")},
        source(url="git@git.test:team/b.git", reference="feature/x"),
        source(url="ssh://git@git.test:2222/team/b.git", reference="HEAD"),
        source(url="https://[::1]:8443/b.git"),
        source(type="url", url="https://x.test/~me/b%201.zip?a=b&c#egg=b"),
        {**source(type="file", url="../a b/b-1.0 (1).whl"), **file("b-1.0 (1).whl")},
        source(type="directory", url="../lib é"),
        source(type="directory", url="lib", reference=""),
        source(type="legacy", url="https://x.test/simple", reference="My Source"),
    ],
)
def test_values_of_real_lock_files_are_accepted(entry: dict[str, Any]) -> None:
    """All of these forms are in lock files of public projects, or allowed by the specifications."""
    refuse_damaged([{**package("b"), **file(), **entry}])


@pytest.mark.parametrize(
    "changes",
    [
        {"version": f"1.0\n{EVIL}"},
        file(hashed=f"{SHA256} {EVIL}"),
    ],
)
def test_requirement_is_one_line_without_options(changes: dict[str, Any]) -> None:
    """The script that calls pip does not rely on another script's checks."""
    entry = {"name": "b", "version": "1.0", **file(), **changes}
    with pytest.raises(ValueError, match="is not valid"):
        requirement(entry)


def test_lock_does_not_choose_the_index() -> None:
    """An index comes from pyproject.toml: the lock file only names it."""
    pypi = {"sources": [{"name": "PyPI", "priority": "explicit"}]}
    evil = {"type": "legacy", "url": "https://evil.test/simple", "reference": "pypi"}
    assert source_of({"name": "b", "source": evil}, pypi) == Source()
    with pytest.raises(ValueError, match="does not define the source 'acme'"):
        source_of({"name": "b", "source": {**evil, "reference": "acme"}}, pypi)


def test_absolute_path_of_a_file_stays_below_the_files(tmp_path: Path) -> None:
    """No link is made outside the folder."""
    manifest = {"packages": [{"source": {"type": "file", "url": str(tmp_path / "x" / "b.whl")}}]}
    folder = tmp_path / "folder"
    placed = direct.place_files(manifest, tmp_path / "files", folder)
    assert (folder / placed["packages"][0]["source"]["url"]).is_relative_to(folder)
    assert not (tmp_path / "x").exists()


def test_damage_of_another_type_is_an_error() -> None:
    """The build reads the lock file without the plugin's checks of types."""
    with pytest.raises(DamagedError, match="the entry of b"):
        refuse_damaged([{**package("b"), "source": "acme"}])
