"""The output of a command: where and how it is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cleo.formatters.formatter import Formatter
from cleo.io.outputs.output import Type, Verbosity

if TYPE_CHECKING:
    from cleo.io.io import IO


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
        stream = getattr(self._io.output, "stream", None)
        return getattr(stream, "encoding", None) or "utf-8"

    def note(self, text: str) -> None:
        """Print a note to stderr."""
        self._io.write_error_line(f"<comment>-</comment> {Formatter.escape(text)}")

    def message(self, text: str, *, title: str = "") -> None:
        """Print a line to stderr, after a highlighted title."""
        start = f"<info>{title}</info>" if title else ""
        self._io.write_error_line(f"{start}{Formatter.escape(text)}")

    def line(self, text: str) -> None:
        """Print a line to stdout."""
        self._io.write_line(Formatter.escape(text))

    def raw(self, text: str) -> None:
        """Print to stdout byte for byte, at any verbosity."""
        binary = getattr(getattr(self._io.output, "stream", None), "buffer", None)
        if binary is None:
            self._io.output.write(text, verbosity=Verbosity.QUIET, type=Type.RAW)
        else:
            binary.write(text.encode(errors="surrogateescape"))
            binary.flush()
