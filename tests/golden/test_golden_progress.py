"""The progress of recorded builds, as text: the live display at two widths, and lines for a log."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from streams import BUMPED, COLD, Replay, subject

from poetry_docker_cache.report.build_rows import rows
from poetry_docker_cache.report.line_display import LineDisplay
from poetry_docker_cache.report.live_frame import Size, frame
from poetry_docker_cache.report.log_folding import Folding, GitHubFolding, GitLabFolding

if TYPE_CHECKING:
    from poetry_docker_cache.report.build_rows import Subject

FOLDER = Path(__file__).with_name("progress")
BEFORE = {name: version for layer in COLD.values() for name, version in layer.items()}
SUBJECTS = {"bumped": subject(BUMPED, BEFORE)}
PULL = '"total":45543356,"current":28311552'
INSTALL = '"data":"SW5zdGFsbGluZyB'  # "Installing "
SCENES = (
    ("The base image is pulled", "cold", PULL, 1.5),
    ("Layers are installed", "cold", INSTALL, 12.0),
    ("The first build is done", "cold", None, 0.0),
    ("An upgrade", "bumped", INSTALL, 3.0),
    ("The upgrade is done", "bumped", None, 0.0),
    ("Nothing has changed", "cached", None, 0.0),
    ("A push", "push", None, 0.0),
    ("A step has failed", "failed", None, 0.0),
    ("The base image does not exist", "missing_base", None, 0.0),
    ("Two images", "two", None, 0.0),
)


def of(name: str) -> Subject:
    """Return what a recorded build was about."""
    return SUBJECTS.get(name, subject())


def frames(size: Size) -> str:
    """Draw each scene."""
    texts = []
    for title, name, until, passed in SCENES:
        stream = Replay(name).read(until, seconds=passed)
        lines = [line.text for line in frame(rows(stream, of(name)), of(name), size)]
        assert all(len(line) < size.columns for line in lines)
        texts.append("\n".join([f"# {title}", "", *lines, ""]))
    return "\n".join(texts)


def logged(folding: Folding | None, *names: str) -> str:
    """Print each recorded build as lines."""
    texts = []
    for name in names:
        replay = Replay(name)
        written = [f"# {name}\n\n"]
        display = LineDisplay(
            stream=replay.stream,
            subject=functools.partial(of, name),
            write=written.append,
            folding=folding,
        )
        for line in replay.lines:
            display.read(line)
        display.close()
        texts.append("".join(written))
    return "\n".join(texts)


ALL = ("cold", "bumped", "cached", "push", "failed", "missing_base", "two")
EXPECTED = {
    "80 columns": lambda: frames(Size(columns=80, lines=24)),
    "120 columns": lambda: frames(Size(columns=120, lines=40)),
    "log": lambda: logged(None, *ALL),
    "log on GitHub": lambda: logged(GitHubFolding(), "bumped"),
    "log on GitLab": lambda: logged(GitLabFolding(1796093361), "bumped"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_progress(name: str, *, regenerate: bool) -> None:
    """Each scene is drawn as reviewed and committed."""
    path = FOLDER / f"{name.replace(' ', '_')}.txt"
    text = EXPECTED[name]().encode()
    if regenerate:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    assert text.decode() == path.read_bytes().decode()
