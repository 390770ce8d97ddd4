"""The files that `export` leaves: whose they are, and that they are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.exported_files import (
    EXPORT,
    difference,
    is_ours,
    with_banner,
    writing,
)

BODY = 'FROM python:3.13-slim\nCMD ["x"]\n'
SYNTAX = "docker/dockerfile:1"


def write(files: dict[Path, str], *, force: bool) -> None:
    """Write files, with nothing else that could fail."""
    with writing(files, force=force):
        pass


def test_the_syntax_line_stays_first() -> None:
    """BuildKit reads `# syntax=` only there."""
    assert with_banner(BODY, syntax=SYNTAX).startswith(f"# syntax={SYNTAX}\n")
    assert with_banner(BODY).startswith("# Written by")


@pytest.mark.parametrize("syntax", [None, SYNTAX])
def test_ours_until_edited(syntax: str | None) -> None:
    """An edit anywhere, the first line included, makes a file its editor's; line endings do not."""
    text = with_banner(BODY, syntax=syntax)
    assert is_ours(text)
    assert is_ours(text.replace("\n", "\r\n"))
    assert not is_ours(text.replace("slim", "full"))
    assert not is_ours("# check=skip=all\n" + text)
    assert not is_ours(text + "\n")
    assert not is_ours(BODY)


@pytest.mark.parametrize("command", [f"{EXPORT} --ci gitlab", EXPORT])
def test_the_banner_names_the_command(command: str) -> None:
    """Whatever `export` wrote is its own; a banner that names something else is not."""
    text = with_banner(BODY, shebang="#!/bin/sh\n", command=command)
    assert text.startswith(f"#!/bin/sh\n# Written by `{command}`: ")
    assert is_ours(text)
    assert not is_ours(text.replace(f"`{command}`", "`make`"))
    assert not is_ours(text.replace("#!/bin/sh", "#!/bin/bash"))


def test_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    """A script can be started, also where it could not before; any other file keeps its mode."""
    path = tmp_path / "x"
    path.touch(mode=0o640)
    with writing({path: "new\n"}, force=True):
        pass
    assert path.stat().st_mode & 0o777 == 0o640
    with writing({path: "new\n"}, force=True, mode=0o755):
        pass
    assert path.stat().st_mode & 0o777 == 0o755


def test_a_foreign_file_keeps_both_as_they_are(tmp_path: Path) -> None:
    """Both are looked at before either is written."""
    ours, foreign = tmp_path / "Dockerfile", tmp_path / "Dockerfile.dockerignore"
    ours.write_text(with_banner("old\n"))
    foreign.write_text("mine\n")
    new = {ours: with_banner("new\n"), foreign: with_banner("new\n")}
    with pytest.raises(DockerCacheError) as raised:
        write(new, force=False)
    assert "--force" in raised.value.fix
    assert ours.read_text() == with_banner("old\n")
    assert foreign.read_text() == "mine\n"
    write(new, force=True)
    assert foreign.read_text() == with_banner("new\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == [ours.name, foreign.name]


def test_an_unwritable_place_leaves_nothing(tmp_path: Path) -> None:
    """The first file is not written when the second cannot be."""
    first, second = tmp_path / "Dockerfile", tmp_path / "missing" / "x"
    with pytest.raises(DockerCacheError, match="cannot be written"):
        write({first: "a", second: "b"}, force=False)
    assert list(tmp_path.iterdir()) == []


def test_modes(tmp_path: Path) -> None:
    """A new file has the umask's mode, a replaced one keeps its own; a symlink stays one."""
    real, link = tmp_path / "real", tmp_path / "Dockerfile"
    real.write_text(with_banner("old\n"))
    real.chmod(0o640)
    link.symlink_to(real)
    write({link: "new"}, force=False)
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_difference(tmp_path: Path) -> None:
    """A missing or different file shows as a diff; other line endings do not."""
    path = tmp_path / "Dockerfile"
    assert "+a" in difference({path: "a\n"})
    path.write_bytes(b"a\r\n")
    assert difference({path: "a\n"}) == ""
    assert "-a\n+b\n" in difference({path: "b\n"})


def test_difference_at_the_end_of_a_file(tmp_path: Path) -> None:
    """As `diff` shows a last line without its end; no other character ends a line."""
    path = tmp_path / "Dockerfile"
    path.write_text("a\x0cb")
    assert difference({path: "a\x0cb\n"}).endswith(
        "-a\x0cb\n\\ No newline at end of file\n+a\x0cb\n"
    )


@pytest.mark.parametrize("force", [True, False])
def test_what_is_no_regular_file_stays(tmp_path: Path, force: bool) -> None:
    """Root could replace /dev/null, and reading a pipe never ends."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path(os.devnull)):
        with pytest.raises(DockerCacheError, match="not a regular file"):
            write({path: "a"}, force=force)
    assert pipe.is_fifo()


def test_a_failure_in_between_leaves_the_files_as_they_were(tmp_path: Path) -> None:
    """What is written along with them, the auth secret, comes before they are replaced."""
    path = tmp_path / "Dockerfile"
    path.write_text(with_banner("old\n"))
    with pytest.raises(DockerCacheError, match="no"), writing({path: "new"}, force=False):
        raise DockerCacheError("no")
    assert path.read_text() == with_banner("old\n")
    assert list(tmp_path.iterdir()) == [path]
