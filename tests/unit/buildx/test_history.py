"""The queries about a build that has ended, and their answers."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.engine_info import Answer
from poetry_docker_cache.buildx.history import Entry, Record, lost_a_layer, recall
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

REF = "mine/node0/abc123"
DIGEST = "sha256:d"
HISTORY = "docker buildx --builder mine history"
TRACE = "application/vnd.buildkit.otlp.json.v0"


MANIFEST = '{"config": {"digest": "sha256:c"}}'
CONFIGURATION = '{"history": [{"created": "2026-11-01T00:00:00.5Z", "created_by": "ENV A=1"}, {}]}'
LISTED = """\
{"CreatedAt":"2026-11-02T00:00:00+01:00","CreatedBy":"ENV B=2","Size":"0B"}
{"CreatedAt":"2026-11-01T00:00:00Z","CreatedBy":"ENV A=1","Size":"0B"}
"""


class Asked:
    """Answers each question with a text for one of its words, and keeps it."""

    def __init__(self, *failing: str, **texts: str) -> None:
        self.questions: set[str] = set()
        self.failing = failing
        self.texts = {"--type=manifest": MANIFEST, "sha256:c": CONFIGURATION, **texts}

    def __call__(self, commands: Sequence[Sequence[str]]) -> list[Answer]:
        """Answer, in a thread or not."""
        self.questions |= {" ".join(command) for command in commands}
        return [self._answer(command) for command in commands]

    def _answer(self, command: Sequence[str]) -> Answer:
        found = next((self.texts[word] for word in command if word in self.texts), "out ")
        status = any(word in command for word in self.failing)
        return Answer(status=status, out=found, err="err")


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


def test_queries_about_push(tmp_path: Path) -> None:
    """They go to the builder in parallel; the configuration follows the manifest."""
    asked, bundle = Asked(), tmp_path / "bundle"
    write_bundle(bundle, {"application/vnd.buildkit.status.v0": b"x", TRACE: b"spans"})
    found = recall(["docker"], REF, digest=DIGEST, bundle=bundle, ask=asked)
    assert asked.questions == {
        f"{HISTORY} logs --progress=rawjson abc123",
        f"{HISTORY} inspect attachment --type=manifest abc123",
        f"{HISTORY} inspect attachment abc123 sha256:c",
        f"{HISTORY} export --finalize --output={bundle} abc123",
    }
    assert found == Record(
        log="out err",
        manifests=(MANIFEST,),
        entries=(
            Entry(created="2026-11-01T00:00:00.5Z", instruction="ENV A=1"),
            Entry(created="None", instruction="None"),
        ),
        trace="spans",
    )


def test_queries_about_loaded_image() -> None:
    """The engine has its history; a failed query leaves its field empty."""
    asked = Asked("--type=manifest")
    found = recall(["docker"], REF, digest=DIGEST, ask=asked)
    assert f"docker history --no-trunc --format={{{{json .}}}} {DIGEST}" in asked.questions
    assert f"{HISTORY} inspect attachment abc123 sha256:c" not in asked.questions
    assert found.manifests == ("",)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"history": 1}', '{"history": [1]}', "x"]
)
def test_unknown_history(text: str, tmp_path: Path) -> None:
    """It is empty for any other answer."""
    asked = Asked(**{"sha256:c": text, DIGEST: text})
    bundle = tmp_path / "bundle"
    assert recall(["docker"], REF, digest=DIGEST, bundle=bundle, ask=asked).entries == ()
    assert recall(["docker"], REF, digest=DIGEST, ask=asked).entries == ()
    asked = Asked(**{"--type=manifest": text})
    assert recall(["docker"], REF, bundle=bundle, ask=asked).entries == ()


def test_listed_history() -> None:
    """Docker lists the newest entry first."""
    asked = Asked(**{DIGEST: LISTED})
    assert recall(["docker"], REF, digest=DIGEST, ask=asked).entries == (
        Entry(created="2026-11-01T00:00:00Z", instruction="ENV A=1"),
        Entry(created="2026-11-02T00:00:00+01:00", instruction="ENV B=2"),
    )


def test_manifests_of_several_platforms() -> None:
    """A single platform is not named, because its record may lack it."""
    asked = Asked()
    found = recall(["docker"], REF, platforms=["linux/amd64", "linux/arm64"], ask=asked)
    inspect = f"{HISTORY} inspect attachment --type=manifest"
    assert asked.questions > {
        f"{inspect} --platform linux/amd64 abc123",
        f"{inspect} --platform linux/arm64 abc123",
    }
    assert len(found.manifests) == 2
    asked = Asked()
    recall(["docker"], REF, platforms=["linux/amd64"], ask=asked)
    assert asked.questions > {f"{inspect} abc123"}


def test_image_in_classic_store() -> None:
    """The engine is queried with the same client options."""
    asked = Asked()
    found = recall(["docker", "--context", "there"], REF, image="sha256:1", ask=asked)
    assert asked.questions == {
        "docker --context there buildx --builder mine history logs --progress=rawjson abc123",
        "docker --context there image inspect --format={{.Size}} sha256:1",
    }
    assert found.unpacked == "out "
    assert found.manifests == ()


@pytest.mark.parametrize("ref", ["", "abc123", "/node/abc123", "mine/node/"])
def test_no_query_without_reference(ref: str) -> None:
    """There is no build to ask about."""
    asked = Asked()
    assert recall(["docker"], ref, ask=asked) == Record()
    assert asked.questions == set()


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
    assert found == Record(log="out err", manifests=(MANIFEST,))


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
