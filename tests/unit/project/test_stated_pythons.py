"""The Python version in a Dockerfile and in CI files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.project.stated_pythons import stated_pythons

if TYPE_CHECKING:
    from pathlib import Path

FLOW = ".github/workflows/ci.yml"


@pytest.mark.parametrize(
    ("name", "text", "minor"),
    [
        ("Dockerfile", "FROM python:3.12-slim\n", "3.12"),
        ("Dockerfile", "FROM registry.example/python:3.12.4@sha256:0\n", "3.12"),
        ("Dockerfile", "ARG V=3.11\nFROM python:${V}-slim AS base\nFROM base\n", "3.11"),
        ("Dockerfile", "FROM python:3.9 AS build\nFROM python:3.12\n", "3.12"),
        ("Dockerfile", "FROM example/uvicorn-gunicorn:python3.10\n", "3.10"),
        ("Dockerfile", "FROM python:3-slim\n", None),
        ("Dockerfile", "FROM debian:12\n", None),
        (FLOW, "      - with:\n          python-version: '3.13'\n", "3.13"),
        (FLOW, "  PYTHON_VERSION: 3.13.1\n", "3.13"),
        (FLOW, "        python-version: ['3.12', \"3.13\"]\n", None),
        (FLOW, "        python-version:\n          - '3.12'\n          - '3.13'\n", None),
        (FLOW, "        python-version: ${{ matrix.python }}\n", None),
        (FLOW, "        # python-version: '3.13'\n", None),
        (".gitlab-ci.yml", "image: python:3.12-slim\n", "3.12"),
        (".gitlab-ci.yml", 'test:\n  image:\n    name: "python:3.12"\n', "3.12"),
    ],
)
def test_reads_version(name: str, text: str, minor: str | None, tmp_path: Path) -> None:
    """A file that names several versions states none."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    assert stated_pythons(tmp_path) == (((name, minor),) if minor else ())


def test_ci_files_must_agree(tmp_path: Path) -> None:
    """The Dockerfile comes first, whatever they say."""
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / FLOW).write_text("python-version: 3.12\n")
    (tmp_path / ".gitlab-ci.yml").write_text("image: python:3.13\n")
    assert stated_pythons(tmp_path) == ()
    (tmp_path / ".gitlab-ci.yml").write_text("image: python:3.12\n")
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\n")
    assert stated_pythons(tmp_path) == (("Dockerfile", "3.11"), (FLOW, "3.12"))
