"""The Python versions that the project's own Dockerfile and CI files state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poetry_docker_cache.project.root.declared import text_of
from poetry_docker_cache.project.stated_starts import own_stages

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_IMAGE = re.compile(r"(?:^|/)[\w.-]*python[\w.-]*:(?:python)?-?(3\.\d+)(?=$|[.\-@])|python(3\.\d+)")
_IN_CI = re.compile(
    r"^[ \t-]*(?:python-version|python_version|PYTHON_VERSION)[ \t]*:[ \t]*"
    r"(.*(?:\n[ \t]*-[^\n:]*$)*)",
    re.MULTILINE,
)
_CI_IMAGE = re.compile(
    r"^[ \t]*(?:image|name)[ \t]*:[ \t]*[\"']?(\S*python\S*?)[\"']?$", re.MULTILINE
)
_MINOR = re.compile(r"(?<![\d.])(3\.\d+)(?!\d)")


def stated_pythons(folder: Path, without: Collection[str] = ()) -> tuple[tuple[str, str], ...]:
    """List files that name one minor version, with it: the Dockerfile, then those of CI.

    `without` are Dockerfiles to leave out.
    """
    stages = {name: _of_image(stage.base) for name, stage in own_stages(folder, without).items()}
    return (*_agreed(stages), *_agreed({path: _in_ci(folder, path) for path in _ci_files(folder)}))


def _agreed(found: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the first file and its version, if all files name the same."""
    minors = {minor for named in found.values() for minor in named}
    files = [name for name, named in found.items() if named]
    return [(files[0], minors.pop())] if len(minors) == 1 else []


def _of_image(image: str) -> set[str]:
    match = _IMAGE.search(image)
    return {match[1] or match[2]} if match else set()


def _ci_files(folder: Path) -> list[str]:
    flows = sorted((folder / ".github" / "workflows").glob("*.y*ml"))
    found = [path.relative_to(folder).as_posix() for path in flows]
    return [*found, *([".gitlab-ci.yml"] if (folder / ".gitlab-ci.yml").is_file() else [])]


def _in_ci(folder: Path, path: str) -> set[str]:
    text = re.sub(r"(?m)(?:^|\s)#.*$", "", text_of(folder / path))
    found = {minor for value in _IN_CI.findall(text) for minor in _MINOR.findall(value)}
    return found.union(*(_of_image(image) for image in _CI_IMAGE.findall(text)))
