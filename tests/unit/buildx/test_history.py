"""What BuildKit is asked of a build that has ended, and how its answers are read."""

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
    """Write a record as `docker buildx history export` does: an image of layers by their types."""
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


def test_questions(tmp_path: Path) -> None:
    """They go to the builder that built, side by side; one that fails leaves its part empty."""
    asked, bundle = Asked(1), tmp_path / "bundle"
    write_bundle(bundle, {"application/vnd.buildkit.status.v0": b"x", TRACE: b"spans"})
    found = recall(["docker"], REF, bundle=bundle, ask=asked)
    assert asked.questions == [
        f"{HISTORY} logs --progress=rawjson abc123",
        f"{HISTORY} inspect attachment --type=manifest abc123",
        f"{HISTORY} export --finalize --output={bundle} abc123",
    ]
    assert found == Record(log="out 0 err 0", manifests=("",), trace="spans")


def test_several_platforms() -> None:
    """Each has a manifest; one alone is asked for without its name, which a record may lack."""
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


def test_an_image_that_only_the_engine_has() -> None:
    """The engine is asked as it is called."""
    asked = Asked()
    found = recall(["docker", "--context", "there"], REF, image="sha256:1", ask=asked)
    assert asked.questions == [
        "docker --context there buildx --builder mine history logs --progress=rawjson abc123",
        "docker --context there image inspect --format={{.Size}} sha256:1",
    ]
    assert found.unpacked == "out 1 "
    assert found.manifests == ()


@pytest.mark.parametrize("ref", ["", "abc123", "/node/abc123", "mine/node/"])
def test_no_reference(ref: str) -> None:
    """Nobody is asked about a build that has none."""
    asked = Asked()
    assert recall(["docker"], ref, ask=asked) == Record()
    assert asked.questions == []


def test_no_answer() -> None:
    """It is no error: the build is done."""

    def ask(_: object) -> list[Answer]:
        raise DockerCacheError("no answer within 5 seconds")

    assert recall(["docker"], REF, ask=ask) == Record()


def test_a_trace_that_takes_too_long(tmp_path: Path) -> None:
    """The rest is asked for once more."""
    asked = Asked()

    def ask(commands: Sequence[Sequence[str]]) -> list[Answer]:
        if any("export" in command for command in commands):
            raise DockerCacheError("no answer within 5 seconds")
        return asked(commands)

    found = recall(["docker"], REF, bundle=tmp_path / "bundle", ask=ask)
    assert found == Record(log="out 0 err 0", manifests=("out 1 ",))


def test_bundles_that_nobody_can_read(tmp_path: Path) -> None:
    """They have no trace, and neither has one that lacks it."""
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
def test_a_lost_layer(said: str, lost: bool) -> None:
    """Of several images, each has a build of its own, and any may have lost one."""
    questions: list[Sequence[str]] = []

    def ask(commands: Sequence[Sequence[str]]) -> list[Answer]:
        questions.extend(commands)
        return [Answer(status=0, out="", err=said if it is commands[-1] else "") for it in commands]

    assert lost_a_layer(["docker"], "mine", ask=ask) == lost
    assert lost_a_layer(["docker"], "mine", builds=2, ask=ask) == lost
    inspect = f"{HISTORY} inspect"
    assert [" ".join(words) for words in questions] == [inspect, inspect, f"{inspect} ^1"]


def test_a_history_that_does_not_answer() -> None:
    """It tells of no lost layer."""

    def ask(_: Sequence[Sequence[str]]) -> list[Answer]:
        raise DockerCacheError("no answer", fix="none")

    assert not lost_a_layer(["docker"], "mine", ask=ask)
