"""BuildKit's own linter on the golden Dockerfiles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from golden_cases import NAMES, expected, is_dockerfile

if TYPE_CHECKING:
    from pathlib import Path

    from engines import DockerEngine

pytestmark = pytest.mark.engine


DOCKERFILES = [(name, file) for name in NAMES for file in expected(name) if is_dockerfile(file)]


def dockerfile(name: str, file: str = "Dockerfile") -> str:
    """Return a golden Dockerfile without what a private engine cannot pull.

    These are the frontend of the `# syntax` line, and images other than its own.
    """
    text = expected(name)[file]
    text = re.sub(r"\A# syntax=.*\n", "", text)
    image = r"^(FROM (?:--platform=\S+ )?|COPY --from=)[\w./-]+:\S+ "
    return re.sub(image, r"\1python:3.13-slim ", text, flags=re.MULTILINE)


def check(engine: DockerEngine, text: str, context: Path) -> str:
    """Run `docker buildx build --check`; return its warnings, or why it cannot read the text."""
    done = engine.docker(
        "buildx", "build", "--check", "--quiet", "-f", "-", str(context), text=text, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(("name", "file"), DOCKERFILES)
def test_buildkit_has_no_warning(
    engine: DockerEngine, name: str, file: str, tmp_path: Path
) -> None:
    """`--check` exits with 1 on any warning."""
    assert check(engine, dockerfile(name, file), tmp_path) == ""


def test_buildkit_reads_to_the_end(engine: DockerEngine, tmp_path: Path) -> None:
    """It warns about the last line of a Dockerfile."""
    assert "JSONArgsRecommended" in check(engine, f"{dockerfile('groups')}CMD worse\n", tmp_path)
