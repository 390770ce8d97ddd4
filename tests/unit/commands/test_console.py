"""The output of a command."""

from __future__ import annotations

from cleo.io.buffered_io import BufferedIO

from poetry_docker_cache.commands.console import CleoConsole


def test_notes_cannot_change_the_terminal() -> None:
    """They quote files of the project, such as the command of a Dockerfile."""
    io = BufferedIO()
    console = CleoConsole(io)
    console.note("runs `\x1b[2J\x07a`")
    console.message("b\rc\td <info>", title="Starts ")
    assert io.fetch_error() == "- runs `a`\nStarts b\nc\td <info>\n"
