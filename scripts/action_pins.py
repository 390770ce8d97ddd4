"""Pin each action in workflows, templates, docs and action.yml to its newest release's commit."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("templates/ci/*.j2", ".github/workflows/*.yml", "docs/*.md", "action.yml")
HOST = "https://github.com"
_PIN = re.compile(r"([\w.-]+/[\w.-]+)@[0-9a-f]{40} # (v\S+)")
_RELEASE = re.compile(r"refs/tags/v(\d+)\.(\d+)\.(\d+)")


def files_with_actions(root: Path = ROOT) -> list[Path]:
    """List the files with workflows: of this repository, in its docs, and those of `export`."""
    return sorted(path for place in PLACES for path in root.glob(place))


def refresh_actions(root: Path = ROOT, host: str = HOST) -> list[str]:
    """Rewrite the pins; return a message for each action that could not be looked up.

    A pin is `OWNER/NAME@COMMIT # VERSION`.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in files_with_actions(root)}
    failures: list[str] = []
    for action, version in dict.fromkeys(_PIN.findall("".join(texts.values()))):
        try:
            pin = newest_release(f"{host}/{action}")
        except subprocess.CalledProcessError as error:
            failures.append(f"{action} stays at {version}: {error.stderr.strip()}")
            continue
        print(f"{action}: {version} -> {pin.rpartition(' ')[2]}", flush=True)
        old = re.compile(rf"{re.escape(action)}@[0-9a-f]{{40}} # v\S+")
        texts = {path: old.sub(f"{action}@{pin}", text) for path, text in texts.items()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return failures


def newest_release(repository: str) -> str:
    """Return the commit and version of a repository's newest release, as `COMMIT # vX.Y.Z`."""
    done = subprocess.run(
        ["git", "ls-remote", "--tags", repository, "v*"], check=True, capture_output=True, text=True
    )
    commits: dict[tuple[int, ...], str] = {}
    for line in done.stdout.splitlines():
        commit, _, tag = line.partition("\t")
        # An annotated tag has a second line, which ends with ^{} and has the commit.
        if match := _RELEASE.fullmatch(tag.removesuffix("^{}")):
            commits[tuple(map(int, match.groups()))] = commit
    newest = max(commits)
    return f"{commits[newest]} # v{'.'.join(map(str, newest))}"
