"""The output of a command."""

from __future__ import annotations

from cleo.io.buffered_io import BufferedIO
from cleo.io.outputs.output import Verbosity

from poetry_docker_cache.buildx.build_stream import BuildStream
from poetry_docker_cache.commands.console import CleoConsole
from poetry_docker_cache.report.silent_display import SilentDisplay


def test_notes_cannot_change_the_terminal() -> None:
    """They quote files of the project, such as the command of a Dockerfile."""
    io = BufferedIO()
    console = CleoConsole(io)
    console.note("runs `\x1b[2J\x07a`")
    console.message("b\rc\td <info>", title="Starts ")
    assert io.fetch_error() == "- runs `a`\nStarts b\nc\td <info>\n"


def test_marked_line_shows_text_as_it_is() -> None:
    """A fix may contain what cleo would take for a style."""
    io = BufferedIO()
    console = CleoConsole(io)
    console.marked("`<info>` is wrong", mark="✗", status="error")
    console.marked("    Run `x <y>`.", mark="", status=None)
    assert io.fetch_output() == " ✗ `<info>` is wrong\n    Run `x <y>`.\n"


def test_question_is_shown_with_quiet() -> None:
    """Bake waits for the answer: the user has to see the question, with its reasons."""
    io = BufferedIO()
    io.set_verbosity(Verbosity.QUIET)
    display = SilentDisplay(stream=BuildStream(), write=CleoConsole(io).progress)
    display.read(" - Read access to path ..")
    assert io.fetch_error() == ""
    display.ask("Continue? [y/N] ")
    assert io.fetch_error() == " - Read access to path ..\nContinue? [y/N] "
