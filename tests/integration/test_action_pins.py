"""`make pins` pins actions to the commits of their newest releases."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from action_pins import files_with_actions, refresh_actions

if TYPE_CHECKING:
    from pathlib import Path

OLD = "0" * 40
TEMPLATE = f"""\
- uses: acme/set-up@{OLD} # v4.9.0
- uses: acme/gone@{OLD} # v1.0.0
"""


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed author; return its output."""
    who = ["-c", "user.name=x", "-c", "user.email=x@acme.test"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a host of repositories; the tags of one are annotated."""
    repository = tmp_path / "host" / "acme" / "set-up"
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet")
    for tag in ("v4.9.0", "v4.10.0", "v4", "v5.0.0-beta"):
        git(repository, "commit", "--quiet", "--allow-empty", f"--message={tag}")
        git(repository, "tag", "--annotate", f"--message={tag}", tag)
    return tmp_path / "host"


def test_actions_are_pinned_to_the_newest_release(host: Path, tmp_path: Path) -> None:
    """The pin is the commit, not the tag object; an unknown repository is reported and kept."""
    places = [tmp_path / "templates/ci/github.j2", tmp_path / ".github/workflows/ci.yml"]
    for path in places:
        path.parent.mkdir(parents=True)
        path.write_text(TEMPLATE)
    (failure,) = refresh_actions(tmp_path, str(host))
    commit = git(host / "acme" / "set-up", "rev-parse", "v4.10.0^{commit}")
    renewed = f"acme/set-up@{commit} # v4.10.0"
    for path in places:
        assert path.read_text() == TEMPLATE.replace(f"acme/set-up@{OLD} # v4.9.0", renewed)
    assert failure.startswith("acme/gone stays at v1.0.0: ")


def test_every_action_is_pinned() -> None:
    """Each has a commit and its version, which `make pins` finds; all files have the same ones."""
    text = "".join(path.read_text(encoding="utf-8") for path in files_with_actions())
    uses = re.findall(r"uses: (?!OWNER/)(.*)", text)  # this repository has no address yet
    for line in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    assert len({*uses}) == len({line.partition("@")[0] for line in uses}) >= 9
