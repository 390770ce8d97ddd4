"""Evaluate markers as poetry-core does, except for what depends on the machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STRING_OPERATORS = ("==", "!=", "in", "not in")
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "===": "=="}
# A string has no control characters or line breaks, as in `lock_entries`.
_LINE = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
TOKEN = re.compile(rf"""\s*([()]|"[^"{_LINE}]*"|'[^'{_LINE}]*'|not\s+in\b|[\w.]+|[<>=!~]+)\s*""")
VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc)[a-z]*[-_.]?(\d*))?", re.IGNORECASE)


class Comparison(NamedTuple):
    """A part of a marker: `name op "value"`, or `"value" op name` if mirrored."""

    name: str
    op: str
    value: str
    mirrored: bool = False

    def __str__(self) -> str:
        """Return it in the syntax of PEP 508."""
        quoted = f"'{self.value}'" if '"' in self.value else f'"{self.value}"'
        sides = (quoted, self.op, self.name) if self.mirrored else (self.name, self.op, quoted)
        return " ".join(sides)


def combine(word: str, conditions: Iterable[bool | str]) -> bool | str:
    """Join conditions, decided ones or texts, by `and` or `or`."""
    decisive, found = word == "or", set(conditions)
    if decisive in found:
        return decisive
    texts = sorted(condition for condition in found if isinstance(condition, str))
    joined = f" {word} ".join(texts) or not decisive
    return f"({joined})" if word == "or" and len(texts) > 1 else joined


def tokenize(marker: str) -> list[str]:
    """Return the tokens of a marker in reverse, within parentheses; ValueError if not valid."""
    tokens, position = ["("], 0
    while position < len(marker):
        match = TOKEN.match(marker, position)
        if not match:
            raise ValueError(f"not a marker: {marker}")
        tokens.append(" ".join(match[1].split()) if match[1].startswith("not") else match[1])
        position = match.end()
    return [")", *reversed(tokens)]


def evaluate(marker: str, environment: Mapping[str, str], extras: set[str]) -> bool | str:
    """Evaluate a marker (PEP 508); return the part that the environment leaves undecided.

    Raises ValueError if it is not valid.
    """

    def operand() -> bool | str:
        left = tokens.pop()
        if left == "(":
            return alternatives()
        op, right = tokens.pop(), tokens.pop()
        mirrored = left[0] in "\"'"
        name, value = (right, left) if mirrored else (left, right)
        return decide(Comparison(name, op, value[1:-1], mirrored), environment, extras)

    def alternatives() -> bool | str:
        found, conditions = [], [operand()]
        while (word := tokens.pop()) != ")":
            if word == "or":
                found.append(combine("and", conditions))
                conditions = []
            elif word != "and":
                raise IndexError
            conditions.append(operand())
        return combine("or", [*found, combine("and", conditions)])

    if marker in ("", "*"):
        return True
    tokens = tokenize(marker)
    try:
        result = operand()
    except IndexError:
        tokens = [marker]
    if tokens:
        raise ValueError(f"not a marker: {marker}")
    return result


def decide(comparison: Comparison, environment: Mapping[str, str], extras: set[str]) -> bool | str:
    """Evaluate one comparison as poetry-core does: lists after `in`, no order of plain strings."""
    name, op, value, mirrored = comparison
    name = name.replace(".", "_")
    name = "platform_python_implementation" if name == "python_implementation" else name
    version = name in ("python_version", "python_full_version")
    inside = op in ("in", "not in")
    if inside and name != "platform_release" and (version or name == "extra" or not mirrored):
        word, each = ("or", "==") if op == "in" else ("and", "!=")
        values = re.findall(r"[^ ,|]+", value)
        if version:  # "3.9" means any patch
            values = [v if v.count(".") > 1 else f"{v}.*" for v in values]
        return combine(
            word, (decide(Comparison(name, each, v), environment, extras) for v in values)
        )
    if not inside:
        op, mirrored = MIRRORED.get(op, op) if mirrored or op == "===" else op, False
    if not version and name != "platform_release" and op not in STRING_OPERATORS:
        return False
    if version:
        return decide_version(name, op, value, environment)
    if name == "extra":
        return (canonical(value) in extras) == (op == "==")
    if name not in environment:
        return str(Comparison(name, op, value, mirrored))
    here = environment[name]
    return (value in here if mirrored else value == here) == (op in ("==", "in"))


def decide_version(name: str, op: str, value: str, environment: Mapping[str, str]) -> bool | str:
    """Evaluate a comparison with the version of Python; its patch number may be unknown."""
    if name == "python_full_version" and op == "~=":  # for Poetry, any patch of this minor version
        value += ".0" * (2 - value.count("."))
    minor = environment["python_version"]
    own = [value] if compare(value, "==", f"{minor}.*") else []
    possible = [environment[name]] if name in environment else [f"{minor}.0", *own, f"{minor}.999"]
    answers = {compare(version, op, value) for version in possible}
    return answers.pop() if len(answers) == 1 else str(Comparison(name, op, value))


def version_key(text: str) -> tuple[list[int], str, int]:
    """Return a sort key for versions of Python, in the order of PEP 440."""
    match = VERSION.match(text)
    if not match:
        raise ValueError(f"not a version in a marker: {text}")
    parts = [int(part) for part in match[1].split(".")]
    return parts + [0] * (6 - len(parts)), (match[2] or "z").lower()[0], int(match[3] or 0)


def compare(here: str, op: str, value: str) -> bool:
    """Compare two versions by an operator of PEP 440."""
    left, right = version_key(here), version_key(value)
    width = re.sub(r"(?<=\d)[-_.]?[a-z].*", "", value.lower()).count(".") or 1
    *parents, last = right[0][:width]
    below_next = left < (parents + [last + 1] + [0] * (6 - width), "z", 0)
    if op == "~=":
        return left >= right and below_next
    equal = left == right
    if value.endswith(".*"):  # Poetry compares ranges: 3.14.0rc1 is in 3.13.*
        equal = right <= left and below_next
    outcomes = {"==": equal, "!=": not equal, "<": left < right, "<=": left <= right}
    outcomes.update({">": left > right, ">=": left >= right})
    if op not in outcomes:
        raise ValueError(f"not an operator for versions: {op}")
    return outcomes[op]


def canonical(name: str) -> str:
    """Normalize the name of a package, group or extra (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
