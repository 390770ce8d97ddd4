"""The SSH agent, for git dependencies that come over ssh."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Dependencies

_OPTION = "--ssh"


def passes_agent(dependencies: Dependencies, arguments: Sequence[str]) -> bool:
    """Whether a build gets the agent: if it needs one, and the user has not chosen a key."""
    said = any(word.partition("=")[0] == _OPTION for word in arguments)
    return dependencies.ssh and not said


def refuse_without_agent(environment: Mapping[str, str], *, bakes: bool = False) -> None:
    """Raise DockerCacheError if no agent runs: buildx could not even start."""
    if environment.get("SSH_AUTH_SOCK") or sys.platform == "win32":  # there it has a fixed name
        return
    own = "--set '*.ssh=default=PATH'" if bakes else "--ssh default=PATH"
    raise DockerCacheError(
        "A git dependency comes over ssh, and no SSH agent runs here whose keys the build could"
        " use: SSH_AUTH_SOCK is not set.",
        fix='Start one and add your key:\n\n    eval "$(ssh-agent)"\n    ssh-add\n\n'
        f"Or pass a key of your choice to BuildKit: `-- {own}`.",
    )
