"""Folded sections in the logs of CI systems. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from poetry_docker_cache.text import harmless

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Folding(Protocol):
    """How a CI system folds a part of its log."""

    def fold(self, title: str, log: str) -> str:
        """Return the lines of a folded section."""


@dataclass(frozen=True)
class GitHubFolding:
    """GitHub Actions, and systems that run its workflows."""

    def fold(self, title: str, log: str) -> str:
        """Return a group."""
        return f"::group::{title}\n{_ended(log)}::endgroup::\n"


@dataclass(frozen=True)
class GitLabFolding:
    """GitLab CI."""

    now: int
    """A time in seconds, which a section needs."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def fold(self, title: str, log: str) -> str:
        """Return a collapsed section."""
        name = f"poetry_docker_{next(self.numbers)}"
        start = f"\x1b[0Ksection_start:{self.now}:{name}[collapsed=true]\r\x1b[0K{title}\n"
        return f"{start}{_ended(log)}\x1b[0Ksection_end:{self.now}:{name}\r\x1b[0K\n"


def folding_of(environment: Mapping[str, str], now: int) -> Folding | None:
    """Return how the CI system that runs this folds its log; None if it does not."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return GitHubFolding()
    if environment.get("GITLAB_CI") == "true":
        return GitLabFolding(now)
    return None


def _ended(log: str) -> str:
    text = harmless(log)
    return text if text.endswith("\n") else f"{text}\n"
