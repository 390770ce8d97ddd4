"""Golden Dockerfiles leave out what is the same in all of them: the scripts and their digest.

Nothing is lost: `expand` gives back the whole file, from the scripts of the package.
"""

from __future__ import annotations

import hashlib
import re

from poetry_docker_cache.render.dockerfile import text_of

# An instruction with several files, each of which ends with a line of its name; what is in /root or
# /opt is no script of ours.
_SCRIPTS = re.compile(
    r'^COPY ((?:<<"\S+" )*<<"(\S+)" )(/(?!root/|opt/)\S*)\n.*?^\2\n', re.DOTALL | re.MULTILINE
)
_SHORTENED = re.compile(r'^COPY ((?:<<"\S+" )+)(/\S*)\n…\n', re.MULTILINE)
_NAME = re.compile(r'<<"(\S+)" ')
_DIGEST = re.compile(r"(?<=digest sha256:)[0-9a-f]{64}(?=\.\n)")
_BANNER = re.compile(r"^# Written by .*\n# The rest of .*\n", re.MULTILINE)


def shorten(dockerfile: str) -> str:
    """Put a mark in the place of the scripts, and zeros in the place of the digest."""
    text = _SCRIPTS.sub(r"COPY \1\3\n…\n", dockerfile)
    return _DIGEST.sub("0" * 64, text, count=1)


def expand(shortened: str) -> str:
    """Give the Dockerfile that was shortened; the digest is that of all but the banner."""
    text = _SHORTENED.sub(_whole, shortened)
    rest = _BANNER.sub("", text, count=1)
    return _DIGEST.sub(hashlib.sha256(rest.encode()).hexdigest(), text, count=1)


def _whole(match: re.Match[str]) -> str:
    names, folder = match.groups()
    texts = [f"{text_of(folder + name)}{name}\n" for name in _NAME.findall(names)]
    return f"COPY {names}{folder}\n{''.join(texts)}"
