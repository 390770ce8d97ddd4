"""Install a manifest from package indexes, by one call of pip for each of them.

A call knows one index only, so that nothing of the same name in another one is ever taken.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import secret, surroundings
from .reasons import reason
from .requirements import by_source, requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .process import Outcome

    Call = Callable[[Path, Mapping[str, str]], Outcome]


def install(
    manifest: dict[str, Any], auth: dict[str, Any], folder: Path, call: Call
) -> tuple[int, str]:
    """Install each source's packages; give the status, and why it failed.

    The call is given a file of requirements and an environment. Raises ValueError for a package
    that comes from no index.
    """
    base = surroundings.cleaned(os.environ, surroundings.image_settings(os.environ))
    for number, (source, packages) in enumerate(by_source(manifest)):
        place = folder / str(number)
        place.mkdir()
        known = secret.of_source(auth, source.name)
        requirements = place / "requirements.txt"
        requirements.write_text("".join(map(requirement, packages)), encoding="utf-8")
        environment = surroundings.for_source(base, source, known, place)
        status, output = call(requirements, environment)
        if status:
            return status, reason(output, source, known="username" in known)
    return 0, ""
