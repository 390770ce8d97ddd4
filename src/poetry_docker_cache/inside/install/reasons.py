"""Why an installation failed, in words that say what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .building import explain as explain_build
from .refusal import REFUSED, refusal

if TYPE_CHECKING:
    from .requirements import Source

UNREACHABLE = re.compile(
    r"Could not fetch URL \S+ (?:connection error|There was a problem)|Max retries exceeded"  # pip
    r"|All attempts to connect to"  # Poetry
)
OTHER_HASH = re.compile(
    r"DO NOT MATCH THE HASHES"  # pip
    r"|did not match any known checksums|not found in known hashes"  # Poetry
)
MISSING = re.compile(
    r"No matching distribution found for (\S+)"  # pip
    r"|Unable to find installation candidates for (\S+ \(\S+\))"  # Poetry
)


def reason(output: str, source: Source, *, known: bool, locked: bool = True) -> str:
    """Explain the failure of a call to one source, "" if its own words must do.

    `known` says whether there were credentials; `locked`, that poetry.lock asked for the package.
    """
    name = f"The package source {source.name!r}" if source.name else "The package index"
    if source.name and REFUSED.search(output):
        return refusal(source.name, source.url, known=known)
    if OTHER_HASH.search(output):
        return (
            f"{name} serves another file than the one that poetry.lock names: see the hashes above."
            "\nUnless somebody replaced it on purpose, do not install it."
            " `poetry lock --no-cache` takes the new one."
        )
    # A failed build comes first: what it prints may look like anything.
    return explain_build(output) or _unavailable(output, name, locked=locked)


def _unavailable(output: str, name: str, *, locked: bool) -> str:
    """Explain what could not be had; "" if it was something else."""
    if UNREACHABLE.search(output):
        return f"{name} cannot be reached from the build."
    if found := MISSING.search(output):
        package = next(filter(None, found.groups()), "")
        if not locked:
            return f"{name} has no {package} that this Python can install, and the build needs it."
        return (
            f"{name} has no file of {package} that poetry.lock allows and this Python can install:"
            "\nit may have been deleted there. `poetry update` locks a version that is there."
        )
    return ""
