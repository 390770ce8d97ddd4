"""The SSH agent and keys, for git dependencies over SSH."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from poetry_docker_cache.plan.image_plan import Dependencies

AGENT = "default"
_OPTION = "--ssh"


def agents(
    dependencies: Dependencies,
    *,
    setting: bool,
    typed: Sequence[str],
    arguments: Sequence[str],
    vendored: bool = False,
) -> tuple[str, ...]:
    """Return the values of `--ssh`: the agent is only offered if the user has allowed it.

    `typed` are the values of our own option, `arguments` those after `--`. A vendored Dockerfile
    may not need the agent. Raises DockerCacheError if a package needs it and it is not allowed.
    """
    if typed or any(word.partition("=")[0] == _OPTION for word in arguments):
        return tuple(typed)
    if not dependencies.ssh or setting:
        return (AGENT,) * bool(dependencies.ssh)
    if vendored:
        return ()
    raise DockerCacheError(
        f"{listing(dependencies.ssh)} in poetry.lock {'are' if dependencies.ssh[1:] else 'is'}"
        " cloned from git over ssh, but the build may not use your SSH agent.",
        fix="To allow it, add `--ssh default` to the command, or `ssh = true` to"
        " [tool.poetry-docker-cache].",
    )


def refuse_without_agent(values: Sequence[str], environment: Mapping[str, str]) -> None:
    """Raise DockerCacheError if no agent runs although it is offered: buildx would fail to start.

    `values` are those of `--ssh`; one with a `=` names a key or a socket.
    """
    if all("=" in value for value in values):
        return
    if environment.get("SSH_AUTH_SOCK") or sys.platform == "win32":  # its name is fixed there
        return
    raise DockerCacheError(
        "The build needs your SSH agent, but none is running: SSH_AUTH_SOCK is not set.",
        fix='Start one and add your key:\n\n    eval "$(ssh-agent)"\n    ssh-add\n\n'
        "Or pass a key: `--ssh default=PATH`.",
    )
