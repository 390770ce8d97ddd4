"""The output of a command: where and how it is printed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Protocol

from cleo.formatters.formatter import Formatter
from cleo.io.outputs.output import Type, Verbosity

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.report.build_rows import State
from poetry_docker_cache.system.full_disks import suggest_space
from poetry_docker_cache.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleo.io.io import IO

    from poetry_docker_cache.report.live_frame import Line

_STYLES = {State.DONE: "fg=green", State.RUNNING: "fg=cyan", State.FAILED: "fg=red;options=bold"}
_MARKS = {"ok": "fg=green", "warning": "fg=yellow", "error": "fg=red;options=bold"}


class Console(Protocol):
    """Prints text without interpreting it."""

    @property
    def is_quiet(self) -> bool:
        """Whether only requested output is printed (`-q`)."""

    @property
    def encoding(self) -> str:
        """The encoding of stdout."""

    def note(self, text: str) -> None:
        """Print a note to stderr."""

    def message(self, text: str, *, title: str = "") -> None:
        """Print a line to stderr, after a highlighted title."""

    def line(self, text: str) -> None:
        """Print a line to stdout."""

    def raw(self, text: str) -> None:
        """Print requested output to stdout byte for byte, at any verbosity."""


class ProgressConsole(Console, Protocol):
    """Also shows the progress of a build on stderr, and marks on stdout."""

    @property
    def is_terminal(self) -> bool:
        """Whether stderr is a terminal."""

    @property
    def has_unicode(self) -> bool:
        """Whether stderr can print any character."""

    def marked(self, text: str, *, mark: str, status: str | None) -> None:
        """Print a line to stdout, after a mark in the colour of a status, if it has one."""

    def progress(self, text: str) -> None:
        """Print to stderr as is, in one piece, at any verbosity."""

    def painted(self, line: Line) -> str:
        """Return a line of the live display with its first character coloured."""


class CleoConsole:
    """The console of a Poetry command. Escapes `<…>`, which cleo would take for a style."""

    def __init__(self, io: IO) -> None:
        self._io = io

    @property
    def is_quiet(self) -> bool:
        """Whether `-q` was given."""
        return self._io.output.is_quiet()

    @property
    def encoding(self) -> str:
        """The encoding of stdout; UTF-8 if it has none."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def note(self, text: str) -> None:
        """Print a note to stderr."""
        self._io.write_error_line(f"<comment>-</comment> {_escaped(text)}")

    def message(self, text: str, *, title: str = "") -> None:
        """Print a line to stderr, after a highlighted title."""
        start = f"<info>{title}</info>" if title else ""
        self._io.write_error_line(f"{start}{_escaped(text)}")

    def line(self, text: str) -> None:
        """Print a line to stdout."""
        with _written(self._stream):
            self._io.write_line(Formatter.escape(text))

    def marked(self, text: str, *, mark: str, status: str | None) -> None:
        """Print a line to stdout, after a mark in the colour of a status."""
        start = f" <{_MARKS[status]}>{mark}</> " if status else ""
        with _written(self._stream):
            self._io.write_line(f"{start}{_escaped(text)}")

    def raw(self, text: str) -> None:
        """Print to stdout byte for byte, at any verbosity."""
        binary = getattr(self._stream, "buffer", None)
        with _written(self._stream):
            if binary is None:
                self._io.output.write(text, verbosity=Verbosity.QUIET, type=Type.RAW)
            else:
                binary.write(text.encode(errors="surrogateescape"))
                binary.flush()

    @property
    def is_terminal(self) -> bool:
        """Whether stderr is a terminal."""
        return bool(self._errors) and self._errors.isatty()

    @property
    def has_unicode(self) -> bool:
        """Whether stderr can print any character."""
        return (getattr(self._errors, "encoding", None) or "").lower().startswith("utf")

    def progress(self, text: str) -> None:
        """Print to stderr as is, in one piece, also with `-q`: then only questions.

        A failure to do so does not end the build.
        """
        with contextlib.suppress(OSError):
            self._io.error_output.write(text, verbosity=Verbosity.QUIET, type=Type.RAW)

    def painted(self, line: Line) -> str:
        """Return a line of the live display with its first character coloured."""
        style = _STYLES.get(line.state) if line.state else "options=bold"
        if not style or not self._io.error_output.is_decorated():
            return line.text
        formatter = self._io.error_output.formatter
        end = 1 if line.state else len(line.text)
        return (
            formatter.format(f"<{style}>{Formatter.escape(line.text[:end])}</>") + line.text[end:]
        )

    @property
    def _errors(self) -> Any:  # noqa: ANN401  # as below
        return getattr(self._io.error_output, "stream", None)

    @property
    def _stream(self) -> Any:  # noqa: ANN401  # any kind of stream, or None
        return getattr(self._io.output, "stream", None)


def _escaped(text: str) -> str:
    """Keep control characters, which a file of the project may have, away from the terminal."""
    return Formatter.escape(printable(text))


@contextlib.contextmanager
def _written(stream: Any) -> Iterator[None]:  # noqa: ANN401  # as above
    """Explain why stdout cannot be written. A closed pipe is not an error."""
    try:
        yield
    except OSError as error:
        # Python writes the rest when it ends, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise DockerCacheError(
                f"The output cannot be written: {error.strerror}.",
                fix=suggest_space(error, "Write it to another file."),
            ) from error
