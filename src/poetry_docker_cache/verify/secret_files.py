"""Find files with logins, tokens and private keys. Pure."""

from __future__ import annotations

import posixpath
import re

_KEY = re.compile(
    rb"^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\r?\n"
    rb"(?:[A-Za-z-]+: .*\r?\n)*(?:\r?\n)?[A-Za-z0-9+/=]{16,}",
    re.MULTILINE,
)
_VALUE = rb"[ \t]*[=:][ \t]*[\"']?(?![\"'\s$])\S"
"""A value that is not taken from a variable."""
_LOGIN_IN_URL = re.compile(rb"://[^/\s@:]+:(?!\$)[^/\s@]+@")
# By the name of the file: what it has if it contains a secret, and the kind of secret.
_FILES: dict[str, tuple[re.Pattern[bytes], str]] = {
    "auth.toml": (re.compile(rb"password|token" + _VALUE), "logins of Poetry"),
    ".netrc": (re.compile(rb"\bpassword\s+\S"), "logins"),
    "_netrc": (re.compile(rb"\bpassword\s+\S"), "logins"),
    ".npmrc": (re.compile(rb"_(?:authToken|auth|password)" + _VALUE), "a token of npm"),
    ".yarnrc.yml": (re.compile(rb"npmAuth(?:Token|Ident)" + _VALUE), "a token of npm"),
    ".pypirc": (re.compile(rb"password" + _VALUE), "logins of a package index"),
    "pip.conf": (_LOGIN_IN_URL, "a login of a package index"),
    "pip.ini": (_LOGIN_IN_URL, "a login of a package index"),
    ".git-credentials": (_LOGIN_IN_URL, "logins of git"),
    ".dockercfg": (re.compile(rb'"auth"' + _VALUE), "logins of registries"),
    ".docker/config.json": (re.compile(rb'"auth"' + _VALUE), "logins of registries"),
}


def find_secret(path: str, content: bytes) -> str:
    """Return what kind of secret a file contains; empty for none.

    >>> find_secret("root/.netrc", b"machine a.test login b password c")
    'logins'
    """
    name = posixpath.basename(path)
    if path.endswith(".docker/config.json"):
        name = ".docker/config.json"
    pattern, kind = _FILES.get(name, (None, ""))
    if pattern and pattern.search(content):
        return kind
    return "a private key" if b"PRIVATE KEY-----" in content and _KEY.search(content) else ""
