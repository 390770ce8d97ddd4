"""The commands of a RUN instruction."""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from poetry_docker_cache.docker.dockerfile_syntax import Instruction

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPTION = re.compile(r"--(?:mount|network|security)(?:=\S+|\s+\S+)?\s*")
_KEYWORDS = ("if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "{")
_KEYWORD = re.compile(r"(?:^|[\s;])(?:if|elif|else|fi|for|while|case)(?=[\s;]|$)")
_CHOICE = re.compile(
    r"if\s+\[{1,2}\s+[\"']?\$\{?(?P<name>\w+)\}?[\"']?\s+(?P<sign>==?|!=)\s+"
    r"(?P<value>\"[^\"$]*\"|'[^']*'|[\w.-]+)\s+\]{1,2}\s*[;\n]\s*then\s(?P<yes>.*?)"
    r"(?:[\s;]else\s(?P<no>.*?))?[\s;]fi",
    re.DOTALL,
)
_PIPED = re.compile(r"[|<>`()]|\$\(")


@dataclass(frozen=True, kw_only=True)
class ShellCommand:
    """One command of a RUN."""

    line: int
    text: str
    words: tuple[str, ...] = ()
    """Without assignments, `sudo` and `exec`; empty if it is more than a simple command."""
    environment: tuple[tuple[str, str], ...] = ()
    """The assignments before it."""

    @property
    def program(self) -> str:
        """The name of the program, without its folder."""
        return posixpath.basename(self.words[0]) if self.words else ""


def commands(run: Instruction) -> list[ShellCommand]:
    """List the commands of a RUN, with the line of each."""
    start = len(run.text) - len(run.text.split(None, 1)[1]) if len(run.text.split()) > 1 else 0
    text = run.text[start:] if start else ""
    while match := _OPTION.match(text):
        start += match.end()
        text = text[match.end() :]
    if run.heredocs and re.match(r"(?:\S*\bsh\s+)?<<-?[\"']?\w+[\"']?\s*$", text.strip()):
        return [command for line, body in run.heredocs for command in _of_script(line, body)]
    if run.heredocs:
        body = "".join(f"\n{body}" for _, body in run.heredocs)
        return [ShellCommand(line=run.line_at(start), text=text.strip() + body)]
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            words = json.loads(text)
            if isinstance(words, list) and all(isinstance(word, str) for word in words):
                line = run.line_at(start)
                if words[:2] in (["sh", "-c"], ["/bin/sh", "-c"], ["bash", "-c"]):
                    return [_command(line, part) for _, part in split_commands(words[2])]
                return [ShellCommand(line=line, text=shlex.join(words), words=tuple(words))]
    return [_command(run.line_at(start + at), part) for at, part in split_commands(text)]


def _of_script(line: int, body: str) -> Iterator[ShellCommand]:
    text = body.replace("\\\n", "  ")
    for at, part in split_commands(text):
        yield _command(line + text.count("\n", 0, at), part)


def _command(line: int, text: str) -> ShellCommand:
    shown = " ".join(text.split())
    words = split_words(text)
    rest = words
    environment = []
    while rest and _ASSIGNMENT.match(rest[0]):
        name, _, value = rest[0].partition("=")
        environment.append((name, value))
        rest = rest[1:]
    while rest[:1] and rest[0] in ("sudo", "exec", "time"):
        rest = rest[1:]
    if rest[:1] == ["env"] and len(rest) > 1 and _ASSIGNMENT.match(rest[1]):
        rest = rest[1:]
        while rest and _ASSIGNMENT.match(rest[0]):
            name, _, value = rest[0].partition("=")
            environment.append((name, value))
            rest = rest[1:]
    return ShellCommand(line=line, text=shown, words=tuple(rest), environment=tuple(environment))


def split_words(text: str) -> list[str]:
    """Split a simple command into words; empty if it is more than that."""
    quiet = re.sub(r"\s*(?:&>|[12]?>)\s*(?:/dev/null|&[12])", "", text)
    bare = re.sub(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", "", quiet)
    if _PIPED.search(bare) or "$(" in quiet:
        return []
    try:
        words = shlex.split(quiet)
    except ValueError:
        return []
    return [] if words[:1] and words[0] in _KEYWORDS else words


def inner_commands(text: str) -> list[str]:
    """List the commands within `if` and `||`; empty if the text is something else."""
    if "||" in text and not re.match(r"if\b", text):
        return [part for half in text.split("||") for _, part in split_commands(half)]
    if not re.match(r"(?:if|\[)", text):
        return []
    parts = re.split(r"\bthen\b|\belse\b|\bfi\b|\belif\b|;|&&|\n", text)
    found = [re.sub(r"^(?:if|!)\s+", "", part.strip()) for part in parts]
    return [part for part in found if part and not part.startswith(("[", "test "))]


def default_branch(text: str, defaults: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the commands of `if` that run with the defaults of the build arguments.

    None unless the condition compares one argument that has a default.

    >>> default_branch('if [ "$DEV" = 1 ]; then a; else b; fi', {"DEV": "0"})
    ('DEV', 'b;')
    """
    match = _CHOICE.fullmatch(text.strip())
    branches = {**match.groupdict("")} if match else {}
    if (
        not match
        or match["name"] not in defaults
        or _KEYWORD.search(branches["yes"] + branches["no"])
    ):
        return None
    equal = defaults[match["name"]] == match["value"].strip("\"'")
    return match["name"], branches["yes" if equal == (match["sign"] != "!=") else "no"].strip()


def split_commands(text: str) -> list[tuple[int, str]]:
    """Split a shell's text at `&&`, `;` and line ends, outside of quotes and compound commands.

    Yields each part with its offset. `||` and pipes stay within a part.
    """
    parts: list[tuple[int, str]] = []
    quote, depth, start, at = "", 0, 0, 0

    def end(after: int) -> None:
        nonlocal start
        part = text[start:at]
        lead = len(part) - len(part.lstrip())
        if part.strip():
            parts.append((start + lead, part.strip()))
        start = after

    while at < len(text):
        letter = text[at]
        if letter == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (at == 0 or text[at - 1] in " \t\n;"):
            stop = text.find("\n", at)
            if stop < 0:
                break
            end(stop)
            at = stop - 1
        elif letter in "({":
            depth += 1
        elif letter in ")}":
            depth -= 1
        elif word := _keyword_at(text, at):
            depth += {"if": 1, "for": 1, "while": 1, "until": 1, "case": 1}.get(word, -1)
            at += len(word) - 1
        elif depth <= 0 and text.startswith("&&", at):
            end(at + 2)
            at += 1
        elif depth <= 0 and letter in ";\n":
            end(at + 1)
        at += 1
    end(len(text))
    return parts


def _keyword_at(text: str, at: int) -> str | None:
    if at and text[at - 1] not in " \t\n;&|":
        return None
    match = re.match(r"(?:if|for|while|until|case|fi|done|esac)(?=[\s;]|$)", text[at:])
    before = text[:at].rstrip()
    starts = not before or before[-1] in ";&|\n" or before.endswith(("then", "else", "do"))
    if not match or (match[0] not in ("fi", "done", "esac") and not starts):
        return None
    return match[0]
