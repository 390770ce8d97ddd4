"""Certificates and keys in PEM format, from the files that Poetry's settings name."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from pathlib import Path

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[\t\r\n\x20-\x26\x28-\x7e]+?-----END \1-----")


def pem_blocks(path: Path | None, setting: str, kind: str) -> str:
    """Give the PEM blocks of a file whose kind ends so: comments stay behind.

    Raises DockerCacheError for a file that has none, or cannot be read; `setting` names it.
    """
    if path is None:
        return ""
    content = b""
    try:
        content = path.read_bytes()
        problem = "it holds no certificate in PEM format"
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", "") or "not a path"
    found = (block for block in _PEM.finditer(content) if block[1].decode().endswith(kind))
    blocks = [block[0].decode("ascii").replace("\r", "") for block in found]
    if not blocks:
        raise DockerCacheError(
            f"The file of the setting {setting} cannot be used: {path}: {problem}",
            fix=f"Name a file with PEM blocks:\n\n    poetry config {shlex.quote(setting)} PATH\n\n"
            "Poetry takes the path as it stands: a relative one counts from where poetry runs,"
            " and a ~ is not expanded.",
        )
    return "\n".join(blocks) + "\n"
