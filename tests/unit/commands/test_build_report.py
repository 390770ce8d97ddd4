"""What a build reports about its base image."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from poetry_docker_cache.buildx.command_line import BuildRequest
from poetry_docker_cache.buildx.step_runner import Outcome
from poetry_docker_cache.commands.build_report import Report
from poetry_docker_cache.report import earlier_build
from poetry_docker_cache.report.earlier_build import EarlierBuild

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'a' * 64}"
KNOWN = {
    "buildx.build.provenance": {
        "materials": [
            {"uri": "pkg:docker/python@3.13-slim", "digest": {"sha256": DIGEST.partition(":")[2]}}
        ]
    }
}


@pytest.mark.parametrize(
    ("metadata", "digest", "days"), [(KNOWN, DIGEST, 40), ({}, None, 0)], ids=["known", "unknown"]
)
def test_age_of_a_base(
    metadata: dict[str, Any],
    digest: str | None,
    days: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A base whose digest is unknown may be a newer one, so it has no age and no digest."""
    monkeypatch.setattr(earlier_build, "remember", lambda *_: None)
    runtime = SimpleNamespace(image="python:3.13-slim", command=(), start_words=())
    plan = SimpleNamespace(runtime=runtime, notes=())
    report = Report(
        image=cast("Any", SimpleNamespace(image="", suffix="", folder=tmp_path, plan=plan)),
        request=BuildRequest(context="."),
        among=False,
        file=None,
        theirs=None,
        vendored=False,
        progress="",
        builds=True,
        shown=True,
    )
    report.__dict__["planned"] = {}
    earlier = EarlierBuild(base=DIGEST, since=time.time() - 40 * 24 * 60 * 60 - 9)
    found = report.summarise(metadata, Outcome(status=0, seconds=1.0), earlier, "")
    assert found.base
    assert (found.base.digest, found.base.days, found.new_base) == (digest, days, False)
