"""Make the JSON schema of `[tool.poetry-docker-cache]` from the definitions of the settings.

`make golden` writes it to src/poetry_docker_cache/schema.json. It has the form that SchemaStore
asks for: draft 7, and a description of each setting, also as HTML for IntelliJ.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit

from poetry_docker_cache.settings.setting_errors import NAME, TABLE, shown
from poetry_docker_cache.settings.table import KEYS

if TYPE_CHECKING:
    from poetry_docker_cache.settings.keys import Key

PATH = Path(__file__).resolve().parents[1] / "src" / "poetry_docker_cache" / "schema.json"
ID = f"https://json.schemastore.org/partial-{NAME}.json"
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


def make_schema() -> dict[str, Any]:
    """Return the schema."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": NAME,
        "description": f"Settings of the Poetry plugin {NAME}, in {TABLE} of pyproject.toml.",
        "type": "object",
        "additionalProperties": False,
        "properties": _references(*KEYS),
        "definitions": {key.name: _definition(key) for key in KEYS},
    }


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


def _references(*keys: Key) -> dict[str, Any]:
    return {key.name: {"$ref": f"#/definitions/{key.name}"} for key in keys}


def _definition(key: Key) -> dict[str, Any]:
    sentences = [
        f"{key.meaning[:1].upper()}{key.meaning[1:]}.",
        f"Takes {key.takes}.",
        f"Default: {key.default_text}.",
    ]
    plain = [_LINK.sub(r"\1", sentence) for sentence in sentences]
    schema = dict(key.read.schema)
    if key.name == "images":
        (pattern,) = schema["patternProperties"]
        own = [each for each in KEYS if each is not key]
        settings = {
            "type": "object",
            "additionalProperties": False,
            "properties": _references(*own),
        }
        schema["patternProperties"] = {pattern: settings}
    default = list(key.default) if isinstance(key.default, tuple) else key.default
    return {
        "title": key.name.replace("-", " "),
        "description": "\n".join(plain),
        "x-intellij-html-description": "".join(f"<p>{_html(line)}</p>" for line in plain),
        **schema,
        **({"default": default} if key.default_text == f"`{shown(key.default)}`" else {}),
        "examples": [tomlkit.parse(key.example).unwrap()[key.name]],
    }


def _html(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
