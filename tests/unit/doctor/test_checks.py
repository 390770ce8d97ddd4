"""How checks are shown."""

from __future__ import annotations

from poetry_docker_cache.doctor.checks import (
    as_data,
    as_lines,
    error,
    ok,
    ordered,
    together,
    warning,
)

CHECKS = ordered(
    [
        warning("base", "python:3.9 was built 200 days ago.", "Set another one."),
        error("lock", "poetry.lock is stale.", "Run `poetry lock`.\nCommit it."),
        ok("engine", "Docker Engine 29 answers."),
        ok("engine", "Docker Engine 29 answers."),
    ]
)


def test_lines_are_read_from_top_to_bottom() -> None:
    """Each problem is followed by its fix; ASCII marks are those of the build's display."""
    lines = [" ".join(filter(None, line[:2][::-1])) for line in as_lines(CHECKS, ascii_only=True)]
    assert lines == [
        "Machine",
        "+ Docker Engine 29 answers.",
        "",
        "Project",
        "x poetry.lock is stale.",
        "    Run `poetry lock`.",
        "    Commit it.",
        "",
        "Image",
        "! python:3.9 was built 200 days ago.",
        "    Set another one.",
        "",
        "1 error and 1 warning.",
    ]
    assert [line.mark for line in as_lines(CHECKS)][4] == "✗"
    assert [*as_lines(CHECKS[:1])][-1].text == "No problems found."


def test_json_has_documented_keys() -> None:
    """Only an error makes it false."""
    data = as_data(CHECKS)
    assert data["ok"] is False
    assert data["checks"][1] == {
        "name": "lock",
        "status": "error",
        "message": "poetry.lock is stale.",
        "fix": "Run `poetry lock`.\nCommit it.",
    }
    assert as_data(CHECKS[::2])["ok"] is True


def test_fact_about_all_images_is_shown_once() -> None:
    """Another one names its images."""
    shared, own = ok("base", "python:3.13-slim was built today."), warning("start", "Nothing.")
    found = together({"api": [shared, own], "worker": [shared]})
    assert [check.message for check in found] == [shared.message, "api: Nothing."]
