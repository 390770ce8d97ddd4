"""The SSH agent, for git dependencies over SSH."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Dependencies

_OPTION = "--ssh"


def passes_agent(dependencies: Dependencies, arguments: Sequence[str]) -> bool:
    """Return whether to pass on the agent: if it is needed and the user has not chosen a key."""
    chosen = any(word.partition("=")[0] == _OPTION for word in arguments)
    return dependencies.ssh and not chosen


def refuse_without_agent(environment: Mapping[str, str], *, bakes: bool = False) -> None:
    """Raise DockerCacheError if no agent runs, since buildx would fail to start."""
    if environment.get("SSH_AUTH_SOCK") or sys.platform == "win32":  # its name is fixed there
        return
    own = "--set '*.ssh=default=PATH'" if bakes else "--ssh default=PATH"
    raise DockerCacheError(
        "A git dependency needs SSH, but no SSH agent is running: SSH_AUTH_SOCK is not set.",
        fix='Start one and add your key:\n\n    eval "$(ssh-agent)"\n    ssh-add\n\n'
        f"Or pass a key to BuildKit: `-- {own}`.",
    )
