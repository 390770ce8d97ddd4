"""Golden Dockerfiles leave out what is the same in all of them: the scripts and their digest.

Nothing is lost: `expand` gives back the whole file, from the scripts of the package.
"""

from __future__ import annotations

import hashlib
import re

from poetry_docker_cache.render import text_of

_SCRIPT = re.compile(r'(COPY <<"EOF" /([\w/]+\.py)\n)(.*?)(?=^EOF$)', re.DOTALL | re.MULTILINE)
_DIGEST = re.compile(r"(?<=digest sha256:)[0-9a-f]{64}(?=\.\n)")
_BANNER = re.compile(r"^# Written by .*\n# The rest of .*\n", re.MULTILINE)


def shorten(dockerfile: str) -> str:
    """Put a script's name in the place of its text, and zeros in the place of the digest."""
    text = _SCRIPT.sub(r"\1<the text of inside/\2>\n", dockerfile)
    return _DIGEST.sub("0" * 64, text, count=1)


def expand(shortened: str) -> str:
    """Give the Dockerfile that was shortened; the digest is that of all but the banner."""
    text = _SCRIPT.sub(lambda it: it[1] + text_of(it[2]), shortened)
    rest = _BANNER.sub("", text, count=1)
    return _DIGEST.sub(hashlib.sha256(rest.encode()).hexdigest(), text, count=1)
