"""What to say when a package source refuses access."""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlsplit

REFUSED = re.compile(
    r"\b401 Error, Credentials not correct\b"  # pip
    r"|\b40[13] Client Error\b"  # pip, Poetry
    r"|\bAuthorization error accessing\b"  # Poetry
)


def refusal(source: str, url: str, *, known: bool) -> str:
    """Explain that the source refused the credentials, or their absence."""
    variable = "POETRY_HTTP_BASIC_" + re.sub(r"[^A-Z0-9]", "_", source.upper())
    setting = shlex.quote(f"http-basic.{source}")
    reason = "it does not accept the credentials" if known else "there are no credentials"
    return (
        f"The package source {source!r} ({urlsplit(url).netloc}) refused access: {reason} that"
        f" this build was given for it.\nType `poetry config {setting} USERNAME`"
        f" (asks for the password)\nor set {variable}_USERNAME and {variable}_PASSWORD,"
        "\nthen `poetry docker build` again."
    )
