"""Folded sections in the logs of CI systems."""

from __future__ import annotations

from poetry_docker_cache.report.log_folding import GitHubFolding, GitLabFolding, folding_of


def test_ci_system_is_recognised() -> None:
    """Each CI system sets its own variable."""
    assert isinstance(folding_of({"GITHUB_ACTIONS": "true", "CI": "true"}, 1), GitHubFolding)
    assert isinstance(folding_of({"GITLAB_CI": "true"}, 1), GitLabFolding)
    assert folding_of({"CI": "true"}, 1) is None


def test_log_gives_no_commands_to_github() -> None:
    """A package could print anything."""
    text = GitHubFolding().fold(
        "pure-1", "a\n  ::set-env name=X::1\nb ##[error]x\n10 %\r::add-mask::a\r\n\0::endgroup::"
    )
    assert text == (
        "::group::pure-1\na\n|   ::set-env name=X::1\nb ##| [error]x\n10 %\n| ::add-mask::a\n"
        "| ::endgroup::\n::endgroup::\n"
    )


def test_sections_of_gitlab_have_their_own_names() -> None:
    """A name must not be used twice in a job."""
    folding = GitLabFolding(7)
    texts = [folding.fold("pure-1", "a") for _ in range(2)]
    assert texts[0] == (
        "\x1b[0Ksection_start:7:poetry_docker_0[collapsed=true]\r\x1b[0Kpure-1\na\n"
        "\x1b[0Ksection_end:7:poetry_docker_0\r\x1b[0K\n"
    )
    assert "poetry_docker_1" in texts[1]
