"""What the new image does differently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.base_names import full_image
from poetry_docker_cache.migrate.findings import OldImage, find_costs
from poetry_docker_cache.migrate.shell import commands
from poetry_docker_cache.migrate.system_tools import is_build_tool, package_names
from poetry_docker_cache.project.model import WheelRoot
from poetry_docker_cache.text import listing

if TYPE_CHECKING:
    from poetry_docker_cache.migrate.image_reader import Reading
    from poetry_docker_cache.plan.image_plan import ImagePlan

_MANY = 12


def find_differences(old: OldImage, reading: Reading, plan: ImagePlan) -> list[str]:
    """List the differences of the two images, as sentences."""
    runtime = plan.runtime
    found = []
    user = old.user or "root"
    if user != runtime.user:
        found.append(
            f"It runs as user {runtime.user} instead of {user}, and can write to /home/app"
            " and `directories` only."
        )
    elif isinstance(old, OldImage):
        found.append("The code belongs to root, so that the application cannot change it.")
    base = old.stage.base
    if base != runtime.image:
        found.append(f"Its base is {runtime.image} instead of {base}.")
        if full_image(runtime.image) in (base, f"docker.io/{base}") or _is_full(base):
            found.append(
                "The slim base has no compilers, git, curl or ImageMagick. Add what your code runs"
                " to `runtime-packages`."
            )
    if runtime.workdir != reading.home:
        found.append(f"The application is in {runtime.workdir} instead of {reading.home}.")
    gone = _packages_gone(old, runtime.packages)
    if tools := [name for name in gone if is_build_tool(name)]:
        found.append(f"Compilers and headers are not in the image: {listing(tools, _MANY)}.")
    if others := [name for name in gone if name not in tools]:
        found.append(
            f"These system packages are not in the image: {listing(others, _MANY)}. If your code"
            " runs one of them, add it to `runtime-packages`."
        )
    costs = {finding.text for finding in find_costs(old)}
    if any(text.startswith("Groups for development") for text in costs):
        found.append("The packages of groups for development are not in the image.")
    if any(text.startswith(("Poetry is", "The caches")) for text in costs):
        found.append("Poetry and the caches of pip and Poetry are not in the image.")
    if reading.whole and isinstance(old.project.root, WheelRoot):
        beside = plan.files.paths if plan.files else ()
        if plan.files is None or plan.files.paths:
            has = f"only {listing(beside, _MANY)}" if beside else "nothing else"
            found.append(
                f"The project is installed as a wheel, and {runtime.workdir} has {has}. To copy the"
                ' whole project, set `files = ["."]`.'
            )
    return found


def _is_full(image: str) -> bool:
    return bool(
        re.fullmatch(r"(?:.*/)?python:\d[\d.]*(?:-(?:bookworm|bullseye|buster|trixie))?", image)
    )


def _packages_gone(old: OldImage, kept: tuple[str, ...]) -> list[str]:
    """List the system packages of the old image that the new one does not have."""
    found: dict[str, None] = {}
    for each in old.final:
        for command in commands(each) if each.keyword == "RUN" else ():
            if command.program in ("apt", "apt-get", "apk") and "--virtual" not in command.words:
                names = package_names(command.words[1:])
                found.update(dict.fromkeys(name for name in names if "$" not in name))
    present = {re.split("[:=~]", name)[0] for name in kept}
    return [name for name in found if re.split("[:=~]", name)[0] not in present]
