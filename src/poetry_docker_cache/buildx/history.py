"""Reads BuildKit's record of a build that has just ended."""

from __future__ import annotations

import contextlib
import json
import re
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from poetry_docker_cache.buildx import engine
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from poetry_docker_cache.buildx.engine import Ask
    from poetry_docker_cache.buildx.engine_info import Answer

_SECONDS = 15
"""A limit: the build is done, so the report should not take long."""
_TRACE = "application/vnd.buildkit.otlp.json.v0"
_ENTRIES = ("--no-trunc", "--format={{json .}}")
_LOST = re.compile(r"failed to prepare extraction snapshot .*parent snapshot .* does not exist")


def _briefly(commands: Sequence[Sequence[str]]) -> list[Answer]:
    return engine.ask(commands, seconds=_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of an image's history: an instruction of its Dockerfile, or of its base's."""

    created: str
    """The date of its result, as docker prints it."""
    instruction: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """BuildKit's record of a build; a field is empty if docker does not provide it."""

    log: str = ""
    """The log of the steps, one JSON object per line (`--progress=rawjson`)."""
    manifests: tuple[str, ...] = ()
    """The image's manifests, one for each platform."""
    entries: tuple[Entry, ...] = ()
    """The image's history, oldest first; of several platforms, that of one."""
    unpacked: str = ""
    """The image's size in bytes, according to the engine."""
    trace: str = ""
    """The spans of OpenTelemetry, JSON objects that follow each other."""


def recall(  # noqa: PLR0913  # all that is queried
    docker: Sequence[str],
    ref: str,
    *,
    platforms: Sequence[str] = (),
    image: str = "",
    digest: str = "",
    bundle: Path | None = None,
    ask: Ask = _briefly,
) -> Record:
    """Return the record of a build, queried in parallel. Never raises.

    `docker` is the start of a docker command. `ref` is the build's reference in buildx's metadata:
    `BUILDER/NODE/ID`. `image` is an image in the engine that has no manifest, `digest` that of an
    image which may be in the engine. The trace of a push is exported to `bundle`, if given.
    """
    builder, _, rest = ref.partition("/")
    build = rest.rpartition("/")[2]
    if not builder or not build:
        return Record()
    history = [*docker, "buildx", "--builder", builder, "history"]
    manifests = [] if image else _manifest_questions(history, build, platforms)
    questions = {
        "logs": [[*history, "logs", "--progress=rawjson", build]],
        "image": [[*docker, "image", "inspect", "--format={{.Size}}", image]] if image else [],
        # Faster than the configuration, which a pushed image may only have in the builder.
        "loaded": [[*docker, "history", *_ENTRIES, digest]] if digest and not bundle else [],
        # Without --finalize, a trace is only available some seconds after its build.
        "trace": [[*history, "export", "--finalize", f"--output={bundle}", build]]
        if bundle
        else [],
    }
    with contextlib.suppress(DockerCacheError), ThreadPoolExecutor(max_workers=1) as pool:
        configured = [*history, "inspect", "attachment", build] if bundle else []
        described = pool.submit(_described, manifests, configured, ask)
        answers = iter(ask([command for asked in questions.values() for command in asked]))
        found = {topic: [_good(next(answers)) for _ in asked] for topic, asked in questions.items()}
        texts, configuration = described.result()
        loaded = "".join(answer.out for answer in found["loaded"])
        return Record(
            # buildx prints progress to stderr, even from the history.
            log="".join(answer.out + answer.err for answer in found["logs"]),
            manifests=texts,
            entries=_configured(configuration) if bundle else _listed(loaded),
            unpacked="".join(answer.out for answer in found["image"]),
            trace=_trace(bundle) if bundle else "",
        )
    # A long trace may take too long: try again without it.
    again = partial(recall, docker, ref, platforms=platforms, image=image, digest=digest, ask=ask)
    return again() if bundle else Record()


def lost_a_layer(
    docker: Sequence[str], builder: str, *, builds: int = 1, ask: Ask = _briefly
) -> bool:
    """Return whether one of the last builds failed because the engine lost a layer.

    The containerd image store removes the layers of an image that has lost its name, even while it
    unpacks the new image on top of them: moby/buildkit#6521. Never raises.
    """
    # Not `logs`, which would wait for other running builds.
    inspect = [*docker, "buildx", "--builder", builder, "history", "inspect"]
    with contextlib.suppress(DockerCacheError):
        answers = ask([[*inspect, *([f"^{number}"] if number else [])] for number in range(builds)])
        return any(_LOST.search(answer.out + answer.err) for answer in answers)
    return False


def _manifest_questions(
    history: Sequence[str], build: str, platforms: Sequence[str]
) -> list[list[str]]:
    which = [["--platform", platform] for platform in platforms] if len(platforms) > 1 else [[]]
    return [[*history, "inspect", "attachment", "--type=manifest", *one, build] for one in which]


def _described(
    commands: Sequence[Sequence[str]], configured: Sequence[str], ask: Ask
) -> tuple[tuple[str, ...], str]:
    """Return the manifests that commands print, and the configuration of the first one.

    `configured` prints the configuration with the digest that is added; empty for none.
    """
    manifests = tuple(_good(answer).out for answer in ask(commands)) if commands else ()
    with contextlib.suppress(DockerCacheError, ValueError, LookupError, TypeError):
        digest = json.loads(manifests[0])["config"]["digest"]
        answers = ask([[*configured, str(digest)]]) if configured else []
        return manifests, "".join(_good(answer).out for answer in answers)
    return manifests, ""


def _configured(configuration: str) -> tuple[Entry, ...]:
    """Return the history in an image's configuration."""
    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
        return tuple(
            Entry(created=str(entry.get("created")), instruction=str(entry.get("created_by")))
            for entry in json.loads(configuration)["history"]
        )
    return ()


def _listed(lines: str) -> tuple[Entry, ...]:
    """Return the history that docker lists, newest first."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        found = [json.loads(line) for line in reversed(lines.splitlines())]
        return tuple(
            Entry(created=entry["CreatedAt"], instruction=entry["CreatedBy"]) for entry in found
        )
    return ()


def _good(answer: Answer) -> Answer:
    """Return the answer; an empty one if the command failed."""
    return answer if answer.status == 0 else replace(answer, out="", err="")


def _trace(bundle: Path) -> str:
    """Read the trace from an exported record, which is an image with the trace as a layer."""
    broken = (OSError, EOFError, tarfile.TarError, zlib.error, LookupError, TypeError, ValueError)
    with contextlib.suppress(*broken), tarfile.open(bundle) as archive:
        index = json.loads(_member(archive, "index.json"))
        manifest = json.loads(_blob(archive, index["manifests"][0]))
        found = [layer for layer in manifest["layers"] if layer["mediaType"] == _TRACE]
        return _blob(archive, found[0]).decode(errors="replace")
    return ""


def _blob(archive: tarfile.TarFile, descriptor: dict[str, Any]) -> bytes:
    return _member(archive, f"blobs/{descriptor['digest'].replace(':', '/')}")


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    return b"" if file is None else file.read()
