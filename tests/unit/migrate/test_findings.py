"""What a Dockerfile costs and risks, and what the new image does differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from old_dockerfiles import FILES, costs_of, image_of, make_shop, proposal_of, read_shop

from poetry_docker_cache.migrate.differences import find_differences

if TYPE_CHECKING:
    from pathlib import Path

# A Dockerfile without any of the costs, except for those of each edit.
CAREFUL = """\
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1
RUN pip install poetry==2.1.4
COPY poetry.lock ./
RUN --mount=type=bind,source=pyproject.toml,target=pyproject.toml poetry install --only main
FROM python:3.12-slim
COPY --from=build /venv /venv
COPY shop /app/shop
USER 1000
HEALTHCHECK CMD ["python", "-m", "shop"]
CMD ["python", "-m", "shop"]
"""
# A change of a line, the start of the finding, and its lines.
COSTS = [
    ("COPY poetry.lock ./", "COPY poetry.lock pyproject.toml ./", "Any edit of pyproject", (4,)),
    ('HEALTHCHECK CMD ["python", "-m", "shop"]', "", "HEALTHCHECK is missing", ()),
    ("USER 1000", "USER root", "The application runs as root", (9,)),
    ("USER 1000", "RUN pip install --no-cache-dir poetry==2\nUSER 1000", "Poetry is in", (9,)),
    ("USER 1000", "RUN pip install gunicorn\nUSER 1000", "The caches of pip", (9,)),
    ("COPY shop", "RUN apk add gcc\nCOPY shop", "Compilers and headers", (8,)),
    ("FROM python:3.12-slim\n", "FROM python:3.12\n", "Compilers and headers", (6,)),
    ("COPY poetry", "RUN curl https://x.test | sh\nCOPY poetry", "A downloaded script", (4,)),
    (" --only main", "", "Groups for development", (5,)),
    ("poetry==2.1.4", "poetry", "The version of Poetry", (3,)),
    ("COPY shop", "RUN apt-get install -y x\nCOPY shop", "The package lists of apt", (8,)),
    ("COPY poetry.lock ./", "COPY . .", "The source is copied before", (4,)),
    ("COPY shop /app/shop", "COPY . /app", "The image contains `.git`", (8,)),
    ("poetry install --only", "poetry update --only", "Packages are not installed from", (5,)),
    ('CMD ["python", "-m", "shop"]\n', "CMD python -m shop\n", "A shell starts", (11,)),
    ("COPY shop", "RUN pip install --no-cache-dir celery\nCOPY shop", "pip installs", (8,)),
    ("COPY shop", "RUN poetry export --without-hashes\nCOPY shop", "The hashes of", (8,)),
]


def read(folder: Path, dockerfile: str, ignore: str | None = "x\n") -> dict[str, tuple[int, ...]]:
    """Return the findings of a Dockerfile in a project with this .dockerignore."""
    files = {**FILES} if ignore is None else {**FILES, ".dockerignore": ignore}
    return costs_of(read_shop(make_shop(folder, dockerfile, files)))


def test_careful_dockerfile_has_no_findings(tmp_path: Path) -> None:
    """Each other test adds one."""
    assert read(tmp_path, CAREFUL) == {}


@pytest.mark.parametrize(("before", "after", "start", "lines"), COSTS)
def test_cost_is_found_with_its_lines(
    tmp_path: Path, before: str, after: str, start: str, lines: tuple[int, ...]
) -> None:
    """The line numbers are those of the file."""
    if start.startswith("HEALTHCHECK"):
        text = CAREFUL.replace(before, after)
    elif before.startswith("CMD"):
        text = CAREFUL.replace(f"\n{before}", f"\n{after}")
    else:
        text = CAREFUL.replace(before, after, 1)
    found = read(tmp_path, text)
    assert {text[: len(start)]: numbers for text, numbers in found.items()}.get(start) == lines


def test_missing_ignore_file_is_found(tmp_path: Path) -> None:
    """It keeps secrets out of the build context."""
    (finding,) = read(tmp_path, CAREFUL, ignore=None)
    assert finding.startswith("There is no .dockerignore")


def test_hidden_git_folder_is_no_finding(tmp_path: Path) -> None:
    """The ignore file excludes it."""
    found = read(tmp_path, CAREFUL.replace("COPY shop /app/shop", "COPY . /app"), ".git\n")
    assert not any(".git" in text for text in found)


def test_differences_name_user_base_and_packages(tmp_path: Path) -> None:
    """They are those of the plan with the proposed settings."""
    dockerfile = (
        "FROM python:3.12\nRUN apt-get install -y gcc git ffmpeg\nWORKDIR /app\nCOPY . .\n"
        'RUN pip install poetry && poetry install\nCMD ["gunicorn", "shop.wsgi"]\n'
    )
    old = read_shop(make_shop(tmp_path, dockerfile))
    proposal = proposal_of(old)
    assert proposal.plan
    text = "\n".join(find_differences(image_of(old), old.reading, proposal.plan))
    for part in (
        "user 10001:10001 instead of root",
        "base is python:3.12-slim instead of python:3.12",
        "headers are not in the image: gcc.",
        "packages are not in the image: git.",
        "groups for development are not in the image",
        "Poetry and the caches",
        'files = ["."]',
    ):
        assert part in text
