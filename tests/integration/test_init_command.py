"""`poetry docker init` on real projects: diff, questions, JSON, and what is written."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from command_line import poetry, snapshot
from old_dockerfiles import FILES, PYPROJECT, make_shop

if TYPE_CHECKING:
    from pathlib import Path

INIT = ("docker", "init")
DOCKERFILE = """\
FROM python:3.12
WORKDIR /srv/shop
COPY . .
RUN pip install poetry && poetry install --only main
RUN pip install celery
EXPOSE 8000
ENV LOG_LEVEL=info
CMD ["gunicorn", "shop.wsgi", "--bind", "0.0.0.0:8000"]
"""
OTHER = '# the end\n[tool.ruff]\nline-length = 100   # "wide"\n'
TABLE = """\
[tool.poetry-docker-cache]
python = "3.12"
workdir = "/srv/shop"
command = ["gunicorn", "shop.wsgi", "--bind", "0.0.0.0:8000"]
ports = [8000]
env = { LOG_LEVEL = "info" }
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Make a project with a Dockerfile, and other tools in pyproject.toml."""
    return make_shop(tmp_path / "shop", DOCKERFILE, pyproject=PYPROJECT + OTHER)


def test_json_has_settings_left_over_lines_and_differences(shop: Path) -> None:
    """Nothing is written."""
    (shop / "Procfile").write_text("web: gunicorn shop.wsgi\nworker: celery -A shop worker\n")
    before = snapshot(shop)
    done = poetry(shop, *INIT, "--dry-run", "--json")
    found = json.loads(done.out)
    assert (done.status, done.err, snapshot(shop)) == (0, "", before)
    assert found.keys() == {"settings", "left_over", "differences"}
    assert found["settings"]["workdir"] == "/srv/shop"
    (left,) = found["left_over"]
    assert left.keys() == {"line", "instruction", "advice"}
    assert (left["line"], left["instruction"]) == (5, "RUN pip install celery")
    assert "poetry add celery" in left["advice"]
    assert any("instead of root" in text for text in found["differences"])
    assert any("process worker of the Procfile" in text for text in found["differences"])


def test_report_shows_diff_costs_and_commands(shop: Path) -> None:
    """The diff is on stdout, the rest beside it."""
    before = snapshot(shop)
    done = poetry(shop, *INIT, "--dry-run")
    assert (done.status, snapshot(shop)) == (0, before)
    assert done.out.startswith("--- pyproject.toml\n+++ pyproject.toml\n@@")
    assert '+env = { LOG_LEVEL = "info" }\n' in done.out
    for text in (
        "Dockerfile:5: RUN pip install celery",
        "runs as root",
        "instead of root",
        "docker build -t shop:old .",
        "poetry docker build -t shop:new",
    ):
        assert text in done.err


def test_settings_are_written_and_the_rest_is_kept(shop: Path) -> None:
    """A second run has nothing to add, and the image can be exported without the Dockerfile."""
    assert poetry(shop, *INIT, "--yes").status == 0
    text = (shop / "pyproject.toml").read_text(encoding="utf-8")
    assert text == f"{PYPROJECT}{OTHER}\n{TABLE}"
    again = poetry(shop, *INIT, "--yes")
    assert (again.status, again.out) == (0, "")
    assert (shop / "pyproject.toml").read_text(encoding="utf-8") == text
    (shop / "Dockerfile").unlink()
    exported = poetry(shop, "docker", "export", "-o", "-")
    assert "WORKDIR /srv/shop" in exported.out


def ask(shop: Path, *options: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    """Run `init` as a process, with answers for its questions."""
    words = [sys.executable, "-m", "poetry", *INIT, *options]
    return subprocess.run(
        words, cwd=shop, input=answers, capture_output=True, text=True, check=False
    )


def test_answer_decides_whether_settings_are_written(shop: Path) -> None:
    """Without interaction, the default is yes."""
    before = (shop / "pyproject.toml").read_bytes()
    assert ask(shop, answers="no\n").returncode == 0
    assert (shop / "pyproject.toml").read_bytes() == before
    assert ask(shop, "-n").returncode == 0
    assert (shop / "pyproject.toml").read_text(encoding="utf-8").endswith(TABLE)


def test_project_without_dockerfile_gets_four_questions(tmp_path: Path) -> None:
    """Python is always pinned; an answer that is the default is not written."""
    shop = make_shop(tmp_path / "shop", None, FILES)
    done = ask(shop, answers="\n3.12\n9000\n\nyes\n")
    assert done.returncode == 0, done.stderr
    asked = done.stdout + done.stderr
    assert all(word in asked for word in ("Name", "Python", "Port", "command"))
    text = (shop / "pyproject.toml").read_text(encoding="utf-8")
    assert text.endswith('\n[tool.poetry-docker-cache]\npython = "3.12"\nports = [9000]\n')


def test_wrong_file_is_an_error(shop: Path) -> None:
    """The message says what to type."""
    done = poetry(shop, *INIT, "--from", "missing")
    assert done.status == 1
    assert "missing not found." in done.err
    (shop / "Dockerfile").unlink()
    assert poetry(shop, "docker", "export").status == 0
    done = poetry(shop, *INIT, "--from", "Dockerfile")
    assert (done.status, "written by `poetry docker export`" in done.err) == (1, True)
