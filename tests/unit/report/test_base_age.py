"""The age of the base, from an image's history as BuildKit writes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from plans import plan, project

from poetry_docker_cache.buildx.history import Entry
from poetry_docker_cache.report.base_age import Base, read_base
from poetry_docker_cache.settings.image_values import Instructions

NOW = datetime(2026, 12, 1, 12, tzinfo=timezone.utc)
SHELL = "RUN /bin/sh -c"
INSTALL = "apt-get update && apt-get install --yes --no-install-recommends"
FINAL = ("ENV VIRTUAL_ENV=/venv PATH=/venv/bin:/usr/bin", 0.0)
OFFICIAL = [(f"{SHELL} apt-get install -y libpq5 # buildkit", 90.0), ('CMD ["python3"]', 12.2)]
PACKAGES = (f"{SHELL} {INSTALL} libpq5 # buildkit", 3.4)


def entries(*found: tuple[str, float]) -> list[Entry]:
    """Make a history: instructions with their age in days."""
    return [
        Entry(
            created=(NOW - timedelta(days=age)).isoformat().replace("+00:00", ".123456789Z"),
            instruction=text,
        )
        for text, age in found
    ]


def read(history: list[Entry], **settings: Any) -> Base | None:  # noqa: ANN401  # any setting
    """Read the base of an image with these settings."""
    return read_base(history, plan(project(), python="3.13", **settings), now=NOW, fresh=False)


def text(history: list[Entry], **settings: Any) -> str | None:  # noqa: ANN401  # as above
    """Return what the summary says."""
    base = read(history, **settings)
    return base.text() if base else None


def test_base_and_system_packages() -> None:
    """Each has its own age; an image of ours may be the base."""
    own = entries(*OFFICIAL, PACKAGES, FINAL)
    assert text(own, runtime_packages=["libpq5"]) == (
        "python:3.13-slim, 12 days old; system packages installed 3 days ago"
    )
    assert text(entries(*OFFICIAL, FINAL)) == "python:3.13-slim, 12 days old"
    older = [(words, age + 9) for words, age in (*OFFICIAL, PACKAGES, FINAL)]
    assert text(entries(*older, FINAL)) == "python:3.13-slim, 9 days old"


def test_steps_before_system_packages_are_not_the_base() -> None:
    """The base may have a user, and its standard library may be compiled."""
    steps = [("USER 0", 1.5), ("ENV HOME=/root", 1.5), (f"{SHELL} python /scripts/compile.py", 1.5)]
    history = entries(*OFFICIAL, *steps, PACKAGES, ("ENV A=1", 1.0), FINAL)
    settings: dict[str, Any] = {
        "base_image": "registry.example/base:1",
        "compile": True,
        "runtime_packages": ["libpq5"],
        "instructions": Instructions(runtime=("ENV A=1",)),
    }
    assert text(history, **settings) == (
        "registry.example/base:1, 12 days old; system packages installed 3 days ago"
    )


def test_hint_for_old_packages() -> None:
    """A new base is no reason, nor is an old one that has a digest or was just pulled."""
    old = entries(*OFFICIAL[:1], FINAL)
    assert text(old) == "python:3.13-slim, 90 days old; update with `--refresh`"
    digest = f"python:3.13-slim@sha256:{'0' * 64}"
    assert text(old, base_image=digest) == f"{digest}, 90 days old"
    base = read(old)
    assert base is not None
    assert replace(base, fresh=True).text() == "python:3.13-slim, 90 days old"
    packages = entries(*OFFICIAL, (PACKAGES[0], 31.5), FINAL)
    assert str(text(packages, runtime_packages=["libpq5"])).endswith(
        "31 days ago; update with `--refresh`"
    )


def test_dates_for_scripts() -> None:
    """They are in ISO format, with the time zone."""
    history = [
        Entry(created="2026-11-19T07:00:00+01:00", instruction="CMD"),
        *entries(PACKAGES, FINAL),
    ]
    base = read(history, runtime_packages=["libpq5"])
    assert base is not None
    assert base.data() == {
        "image": "python:3.13-slim",
        "created": "2026-11-19T07:00:00+01:00",
        "installed": "2026-11-28T02:24:00+00:00",
    }


@pytest.mark.parametrize(
    ("history", "settings"),
    [
        ([], {}),
        (entries(*OFFICIAL), {}),
        (entries(FINAL), {}),
        (entries(OFFICIAL[1], FINAL), {"runtime_packages": ["libpq5"]}),
        (entries(*OFFICIAL, FINAL), {"instructions": Instructions(runtime=("ENV A=1",))}),
        ([Entry(created="1970-01-01T00:00:00Z", instruction=""), *entries(FINAL)], {}),
        ([Entry(created="0001-01-01T00:00:00Z", instruction=""), *entries(FINAL)], {}),
        ([Entry(created="N/A", instruction=""), *entries(FINAL)], {}),
    ],
)
def test_unknown_age(history: list[Entry], settings: dict[str, Any]) -> None:
    """Nothing is said without a date, or if the lines of the project hide the end of the base."""
    assert read(history, **settings) is None
