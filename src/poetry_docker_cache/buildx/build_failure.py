"""What BuildKit reports about a failed build, in its progress or in its history."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poetry_docker_cache.buildx import engine
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.text import harmless

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.buildx.build_stream import BuildStream
    from poetry_docker_cache.buildx.engine import Ask
    from poetry_docker_cache.buildx.engine_info import Answer

_SECONDS = 15


# "failed to build: failed to solve: …"; bake says "target api: failed to solve: …".
_CONTEXT = re.compile(r"(?:failed to build: |target \S+: )?(?:failed to solve: )?")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The failed step, if any, with its output, and BuildKit's error."""

    step: str = ""
    """BuildKit's name of the step, such as `[base 2/2] RUN apt-get …`."""
    error: str
    output: str = ""
    """What the step printed."""
    excerpt: str = ""
    """The lines of the Dockerfile that failed, with their numbers."""


def of_stream(stream: BuildStream) -> Failure | None:
    """Return the failure that the client has reported at the end of its output.

    None if no build has begun, for example after a wrong option, which the client reports itself.
    """
    if not stream.steps and not stream.report:
        return None
    step = stream.failure
    # A command in these texts may contain the word, too.
    excerpt, _, message = "\n".join(["", *stream.report]).partition("\nERROR: ")
    message = _CONTEXT.sub("", message).strip()
    own = step.error.strip() if step else ""
    return Failure(
        step=step.name if step else "",
        # Either may be the shorter one: the error of a pull names the image only at the end.
        error="\n".join(dict.fromkeys(filter(None, (message, "" if own in message else own)))),
        output=step.text if step else "",
        excerpt=excerpt.strip(),
    )


def of_history(
    docker: Sequence[str], builder: str, folder: str, *, ask: Ask | None = None
) -> Failure | None:
    """Return the failure in the builder's record of its last build; None if it is another build.

    BuildKit has shown its progress itself. The Dockerfiles of this build are in `folder`. Never
    raises.
    """
    command = [*docker, "buildx", "--builder", builder, "history", "inspect", "--format=json"]
    with contextlib.suppress(DockerCacheError, ValueError, LookupError, TypeError, AttributeError):
        (answer,) = (ask or _briefly)([command])
        record = json.loads(answer.out)
        error = record["Error"]
        if str(record["Dockerfile"]).startswith(folder):
            return Failure(
                step=error.get("Name", ""),
                error=harmless(error["Message"]),
                output=harmless("\n".join(error.get("Logs") or ())),
            )
    return None


def _briefly(commands: Sequence[Sequence[str]]) -> list[Answer]:
    return engine.ask(commands, seconds=_SECONDS)
