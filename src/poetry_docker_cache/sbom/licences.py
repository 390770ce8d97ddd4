"""The licences of packages, as their own metadata states them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WHEEL = "poetry-docker-cache:licence-wheel"
"""The property of a component in a document: the hash of the wheel whose metadata was read."""
_HASH = re.compile(r"sha(256|384|512):[0-9a-f]{64,128}")
_LONGEST = {"License-Expression": 1000, "License": 100}
"""The fields, and how many characters are read. Many packages put the whole text into the second
one."""
_MISSING = ("", "UNKNOWN")
"""Older versions of setuptools write the second one."""
_NO_NAME = ("", "License", "OSI Approved")
"""The ends of classifiers that name no licence."""
_END = re.compile(rb"\r?\n\r?\n")
_MOST = 100
"""A component of a document with more licences is not read."""


@dataclass(frozen=True)
class Licences:
    """The licences of a package."""

    texts: tuple[str, ...] = ()
    """One text is an SPDX expression or a name, several are names."""
    wheel: str = ""
    """The hash of the wheel whose metadata was read; empty if none was, or if it is unknown."""


NO_LICENCES = Licences()


def wheel_with_licence(package: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return the wheel of a locked package whose metadata is read: the same for every platform.

    None for a package that is not from an index, and for one without wheels.
    """
    if package.get("source", {}).get("type", "legacy") != "legacy":
        return None
    wheels = (
        file
        for file in package.get("files", ())
        if file["file"].endswith(".whl") and _HASH.fullmatch(file["hash"])
    )
    return min(wheels, key=_order, default=None)


def _order(file: Mapping[str, str]) -> tuple[bool, str, str]:
    """Sort wheels that an image may install before those for other systems."""
    name = file["file"]
    return not (name.endswith("-any.whl") or "linux_" in name), name, file["hash"]


def read_licences(metadata: bytes) -> tuple[str, ...] | None:
    """Return the licences in the METADATA of a wheel; None if the text is not such a file.

    One text is an SPDX expression or a name, several are names.
    """
    fields = HeaderParser().parsestr(_END.split(metadata, maxsplit=1)[0].decode(errors="replace"))
    if "Metadata-Version" not in fields:
        return None
    for field in _LONGEST:
        if text := _short(fields.get(field), field):
            return (text,)
    classifiers = (text.split(" :: ") for text in fields.get_all("Classifier", ()))
    names = {parts[-1].strip() for parts in classifiers if parts[0].strip() == "License"}
    return tuple(sorted(names.difference(_NO_NAME)))


def declared_licences(pyproject: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the licence in a pyproject.toml; none if it is the text of a licence, or a file."""
    value = pyproject.get("project", {}).get("license")
    value = value or pyproject.get("tool", {}).get("poetry", {}).get("license")
    if isinstance(value, dict):
        text = _short(value.get("text"), "License")
    else:
        text = _short(value, "License-Expression")
    return (text,) if text else ()


def licences_in_document(document: bytes) -> dict[str, tuple[str, ...]]:
    """Return the licences in an SBOM of this plugin, by the hash of the wheel.

    Nothing of a document that is not valid, as anyone who may push can write it.
    """
    try:
        return dict(_read_components(json.loads(document)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return {}


def _read_components(document: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for component in document["components"]:
        for each in component.get("properties", ()):
            if each["name"] == WHEEL and _HASH.fullmatch(each["value"]):
                listed = component.get("licenses", ())[: _MOST + 1]
                texts = tuple(map(_stated_text, listed))
                if all(texts) and len(texts) <= _MOST:
                    yield each["value"], texts


def _stated_text(entry: Mapping[str, Any]) -> str:
    """Return the text of a licence in a document; empty if it is not valid."""
    licence = entry.get("license", {})
    value = entry.get("expression") or licence.get("id") or licence.get("name")
    text = _short(value, "License-Expression")
    return text if text == value and text.isprintable() else ""


def _short(value: object, field: str) -> str:
    """Return a text of one line; empty if it is missing, or longer."""
    text = value.strip() if isinstance(value, str) else ""
    is_short = len(text.splitlines()) == 1 and len(text) <= _LONGEST[field]
    return text if is_short and text not in _MISSING else ""
