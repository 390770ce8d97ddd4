"""A reader of the YAML in Compose files and GitHub workflows.

Poetry's environment has no YAML library, and `init` proposes settings to users who have not chosen
any extra yet. It uses few keys of these files, and shows what it read as a diff before it writes.
A test compares the reader with a library on such files.

It reads mappings, lists, scalars, anchors and merge keys. What it does not know becomes text, or is
left out; it never fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Yaml = dict[str, "Yaml"] | list["Yaml"] | str | None
"""A value; scalars are text."""

_KEY = re.compile(r"(\"[^\"]*\"|'[^']*'|[^\s\"'\[\]{}#&*!|>%@`][^:#]*?|<<)\s*:(?=\s|$)\s*(.*)")
_BLOCK = re.compile(r"[|>][+-]?\d?")
_ANCHOR = re.compile(r"&(\S+)\s*")
_MOST_NESTED = 50


def read_yaml(text: str) -> Yaml:
    """Read the first document of a file."""
    document = re.split(r"(?m)^---\s*$", text.replace("\r\n", "\n").replace("\t", "  "))
    body = next((part for part in document if part.strip()), "")
    return _Reader(_lines(body)).block(0)


def items(value: Yaml) -> dict[str, Yaml]:
    """Return a mapping; empty if the value is something else."""
    return value if isinstance(value, dict) else {}


def texts(value: Yaml) -> list[str]:
    """Return a text, or the texts of a list."""
    found = value if isinstance(value, list) else [value]
    return [item for item in found if isinstance(item, str)]


def _lines(text: str) -> list[tuple[int, str]]:
    return [
        (len(line) - len(line.lstrip()), _without_comment(line).rstrip())
        for line in text.split("\n")
    ]


def _without_comment(line: str) -> str:
    quote = ""
    for at, letter in enumerate(line):
        before = line[at - 1] if at else " "
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and before in " [{,:":
            quote = letter
        elif letter == "#" and before == " ":
            return line[:at]
    return line


@dataclass
class _Reader:
    lines: list[tuple[int, str]]
    at: int = 0
    anchors: dict[str, Yaml] = field(default_factory=dict)
    depth: int = 0

    def block(self, indent: int) -> Yaml:
        """Read the lines from here that are indented at least this far."""
        self._skip()
        if self.at >= len(self.lines) or self.lines[self.at][0] < indent:
            return None
        if self.depth > _MOST_NESTED:
            self.at = len(self.lines)
            return None
        self.depth += 1
        value: Yaml
        here, content = self.lines[self.at]
        if anchor := re.fullmatch(r"\s*&(\S+)", content):
            self.at += 1
            value = self.anchors[anchor[1]] = self.block(indent)
            self.depth -= 1
            return value
        if re.match(r"-(?:\s|$)", content.lstrip()):
            value = self._list(here)
        elif _KEY.match(content.lstrip()):
            value = self._mapping(here)
        else:
            self.at += 1
            value = _scalar(content.strip(), self.anchors)
        self.depth -= 1
        return value

    def _skip(self) -> None:
        while self.at < len(self.lines) and not self.lines[self.at][1].strip():
            self.at += 1

    def _list(self, indent: int) -> list[Yaml]:
        found: list[Yaml] = []
        while self._is_at(indent) and re.match(r"-(?:\s|$)", self.lines[self.at][1].lstrip()):
            content = self.lines[self.at][1].lstrip()
            inner = content[1:].lstrip()
            inner_indent = indent + len(content) - len(inner)
            if not inner:
                self.at += 1
                found.append(self.block(indent + 1))
            elif _BLOCK.fullmatch(inner):
                self.at += 1
                found.append(self._text(indent))
            elif inner.startswith("- ") or _KEY.match(inner):
                self.lines[self.at] = (inner_indent, " " * inner_indent + inner)
                found.append(self.block(inner_indent))
            else:
                self.at += 1
                found.append(_scalar(inner, self.anchors))
        return found

    def _mapping(self, indent: int) -> dict[str, Yaml]:
        found: dict[str, Yaml] = {}
        while self._is_at(indent) and (match := _KEY.match(self.lines[self.at][1].lstrip())):
            self.at += 1
            key, rest = match[1].strip("\"'"), match[2].strip()
            anchor = _ANCHOR.match(rest)
            rest = rest[anchor.end() :] if anchor else rest
            value = self._value(rest, indent)
            if anchor:
                self.anchors[anchor[1]] = value
            if key == "<<":
                found = {**items(value), **found}
            else:
                found[key] = value
        if self._is_at(indent) or self._is_deeper(indent):  # a line that is not understood
            self.at += 1
            rest_of = self._mapping(indent) if self._is_at(indent) else {}
            found = {**rest_of, **found}
        return found

    def _value(self, rest: str, indent: int) -> Yaml:
        if _BLOCK.fullmatch(rest):
            return self._text(indent)
        if rest:
            return _scalar(rest, self.anchors)
        self._skip()
        is_list = self._is_at(indent) and self.lines[self.at][1].lstrip().startswith("- ")
        return self._list(indent) if is_list else self.block(indent + 1)

    def _text(self, indent: int) -> str:
        found = []
        while self.at < len(self.lines):
            here, content = self.lines[self.at]
            if content.strip() and here <= indent:
                break
            found.append(content.strip())
            self.at += 1
        return "\n".join(found).strip()

    def _is_at(self, indent: int) -> bool:
        self._skip()
        return self.at < len(self.lines) and self.lines[self.at][0] == indent

    def _is_deeper(self, indent: int) -> bool:
        return self.at < len(self.lines) and self.lines[self.at][0] > indent


def _scalar(text: str, anchors: dict[str, Yaml]) -> Yaml:
    text = text.strip()
    if text.startswith("*"):
        return anchors.get(text[1:].strip())
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part, anchors) for part in _parts(text[1:-1])]
    if text.startswith("{") and text.endswith("}"):
        pairs = [_KEY.match(f"{part.strip()} ") for part in _parts(text[1:-1])]
        return {pair[1].strip("\"'"): _scalar(pair[2], anchors) for pair in pairs if pair}
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return None if text in ("", "~", "null") else text


def _parts(text: str) -> list[str]:
    """Split a flow collection at commas outside of quotes and brackets."""
    parts, quote, depth, start = [], "", 0, 0
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    last = text[start:]
    return [*parts, last] if last.strip() else parts
