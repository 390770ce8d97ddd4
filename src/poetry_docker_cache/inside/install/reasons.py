"""Why an installation failed, in words that say what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .building import explain as explain_build
from .refusal import REFUSED, refusal

if TYPE_CHECKING:
    from .requirements import Source

UNREACHABLE = re.compile(
    r"connection broken by|Max retries exceeded|All attempts to connect to|ConnectionError"
    r"|error sending request for url|Could not fetch URL|tcp connect error|dns error"
)
OTHER_HASH = re.compile(
    r"DO NOT MATCH THE HASHES"  # pip
    r"|Hash mismatch for"  # uv
    r"|did not match any known checksums|not found in known hashes"  # Poetry
)
MISSING = re.compile(
    r"No matching distribution found for (\S+)"  # pip
    r"|there is no version of (\S+)|Because (\S+) was not found in"  # uv
    r"|[Bb]ecause (\S+) has no (?:usable )?wheels"  # uv
    r"|Unable to find installation candidates for (\S+ \(\S+\))"  # Poetry
)


def reason(output: str, source: Source, *, known: bool) -> str:
    """Explain the failure of a call to one source, "" if its own words must do."""
    name = f"The package source {source.name!r}" if source.name else "The package index"
    if source.name and REFUSED.search(output):
        return refusal(source.name, source.url, known=known)
    if UNREACHABLE.search(output):
        return f"{name} cannot be reached from the build."
    if OTHER_HASH.search(output):
        return (
            f"{name} serves another file than the one that poetry.lock names: see the hashes above."
            "\nUnless somebody replaced it on purpose, do not install it."
            " `poetry cache clear --all .` and `poetry lock` take the new one."
        )
    if found := MISSING.search(output):
        package = next(filter(None, found.groups()), "")
        return (
            f"{name} has no file of {package} that poetry.lock allows and this Python can install:"
            "\nit may have been deleted there. `poetry update` locks a version that is there."
        )
    return explain_build(output)
