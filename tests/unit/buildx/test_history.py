"""The queries about a build that has ended, and their answers."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.engine_info import Answer
from poetry_docker_cache.buildx.history import Record, lost_a_layer, recall
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

REF = "mine/node0/abc123"
HISTORY = "docker buildx --builder mine history"
TRACE = "application/vnd.buildkit.otlp.json.v0"


class Asked:
    """Answers each question by its number, and keeps it."""

    def __init__(self, *failing: int) -> None:
        self.questions: list[str] = []
        self.failing = failing

    def __call__(self, commands: Sequence[Sequence[str]]) -> list[Answer]:
        """Answer."""
        self.questions = [" ".join(command) for command in commands]
        return [
            Answer(status=number in self.failing, out=f"out {number} ", err=f"err {number}")
            for number in range(len(commands))
        ]


def write_bundle(path: Path, layers: dict[str, bytes]) -> None:
    """Write a record as `docker buildx history export` does: layers by media type."""
    blobs = {f"sha256:{hashlib.sha256(data).hexdigest()}": data for data in layers.values()}
    described = [
        {"mediaType": kind, "digest": digest} for kind, digest in zip(layers, blobs, strict=True)
    ]
    manifest = json.dumps({"layers": described}).encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    files = {f"blobs/{name.replace(':', '/')}": data for name, data in blobs.items()}
    files[f"blobs/{digest.replace(':', '/')}"] = manifest
    files["index.json"] = json.dumps({"manifests": [{"digest": digest}]}).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def test_queries(tmp_path: Path) -> None:
    """They go to the builder in parallel; a failed one leaves its field empty."""
    asked, bundle = Asked(1), tmp_path / "bundle"
    write_bundle(bundle, {"application/vnd.buildkit.status.v0": b"x", TRACE: b"spans"})
    found = recall(["docker"], REF, bundle=bundle, ask=asked)
    assert asked.questions == [
        f"{HISTORY} logs --progress=rawjson abc123",
        f"{HISTORY} inspect attachment --type=manifest abc123",
        f"{HISTORY} export --finalize --output={bundle} abc123",
    ]
    assert found == Record(log="out 0 err 0", manifests=("",), trace="spans")


def test_manifests_of_several_platforms() -> None:
    """A single platform is not named, because its record may lack it."""
    asked = Asked()
    found = recall(["docker"], REF, platforms=["linux/amd64", "linux/arm64"], ask=asked)
    inspect = f"{HISTORY} inspect attachment --type=manifest"
    assert asked.questions[1:] == [
        f"{inspect} --platform linux/amd64 abc123",
        f"{inspect} --platform linux/arm64 abc123",
    ]
    assert len(found.manifests) == 2
    recall(["docker"], REF, platforms=["linux/amd64"], ask=asked)
    assert asked.questions[1:] == [f"{inspect} abc123"]


def test_image_in_classic_store() -> None:
    """The engine is queried with the same client options."""
    asked = Asked()
    found = recall(["docker", "--context", "there"], REF, image="sha256:1", ask=asked)
    assert asked.questions == [
        "docker --context there buildx --builder mine history logs --progress=rawjson abc123",
        "docker --context there image inspect --format={{.Size}} sha256:1",
    ]
    assert found.unpacked == "out 1 "
    assert found.manifests == ()


@pytest.mark.parametrize("ref", ["", "abc123", "/node/abc123", "mine/node/"])
def test_no_query_without_reference(ref: str) -> None:
    """There is no build to ask about."""
    asked = Asked()
    assert recall(["docker"], ref, ask=asked) == Record()
    assert asked.questions == []


def test_no_answer_is_not_an_error() -> None:
    """The image is built."""

    def ask(_: object) -> list[Answer]:
        raise DockerCacheError("no answer within 5 seconds")

    assert recall(["docker"], REF, ask=ask) == Record()


def test_without_trace_if_it_takes_too_long(tmp_path: Path) -> None:
    """The other queries run again."""
    asked = Asked()

    def ask(commands: Sequence[Sequence[str]]) -> list[Answer]:
        if any("export" in command for command in commands):
            raise DockerCacheError("no answer within 5 seconds")
        return asked(commands)

    found = recall(["docker"], REF, bundle=tmp_path / "bundle", ask=ask)
    assert found == Record(log="out 0 err 0", manifests=("out 1 ",))


def test_unreadable_bundles(tmp_path: Path) -> None:
    """They have no trace."""
    bundle = tmp_path / "bundle"
    assert recall(["docker"], REF, bundle=bundle, ask=Asked()).trace == ""
    write_bundle(bundle, {"other": b"x"})
    assert recall(["docker"], REF, bundle=bundle, ask=Asked()).trace == ""
    write_bundle(bundle, {TRACE: b"spans" * 10_000})
    whole = bundle.read_bytes()
    for data in (b"", b"{}", whole[: len(whole) // 2], whole[:-9], b"x" + whole):
        bundle.write_bytes(data)
        assert recall(["docker"], REF, bundle=bundle, ask=Asked()).trace in ("", "spans" * 10_000)


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        (
            'x: failed to prepare extraction snapshot "a b": parent snapshot c does not exist: y',
            True,
        ),
        ('failed to prepare extraction snapshot "a b": no space left on device', False),
        ("", False),
    ],
)
def test_lost_layer(said: str, lost: bool) -> None:
    """Each of several images has its own build, and any may have lost one."""
    questions: list[Sequence[str]] = []

    def ask(commands: Sequence[Sequence[str]]) -> list[Answer]:
        questions.extend(commands)
        return [
            Answer(status=0, out="", err=said if command is commands[-1] else "")
            for command in commands
        ]

    assert lost_a_layer(["docker"], "mine", ask=ask) == lost
    assert lost_a_layer(["docker"], "mine", builds=2, ask=ask) == lost
    inspect = f"{HISTORY} inspect"
    assert [" ".join(words) for words in questions] == [inspect, inspect, f"{inspect} ^1"]


def test_unavailable_history() -> None:
    """Then no lost layer is known."""

    def ask(_: Sequence[Sequence[str]]) -> list[Answer]:
        raise DockerCacheError("no answer", fix="none")

    assert not lost_a_layer(["docker"], "mine", ask=ask)
