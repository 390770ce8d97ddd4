"""FROM: the Python and the base image of the new image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poetry_docker_cache.docker.image_names import has_digest
from poetry_docker_cache.migrate.outcomes import Outcome, left_over, setting, unneeded

if TYPE_CHECKING:
    from poetry_docker_cache.docker.final_stage import Stage
    from poetry_docker_cache.project.model import Project

_OFFICIAL = re.compile(
    r"(?P<place>(?:(?:docker\.io/)?(?:library/)?|.+/))python:(?P<tag>[\w.-]+)(?P<digest>@sha256:\w+)?"
)
_TAG = re.compile(r"(?P<python>3\.\d+)(?:\.\d+)?(?:(?:a|b|rc)\d+)?(?P<rest>(?:-.*)?)")
_SUITES = ("bookworm", "bullseye", "trixie")
_DISTRIBUTION = re.compile(r"(?:^|/)(?:debian|ubuntu|buildpack-deps)(?=[:@]|$)")
_IN_NAME = re.compile(r"python[-:]?(?:python)?[-_]?(3\.\d+)|(?<!\d)(3\.\d+)(?!\d)")


def read_base(image: str, project: Project, stage: Stage) -> Outcome:
    """Translate the base of the production image."""
    image = image or stage.base
    if "$" in image:
        return left_over(
            "The base comes from a build argument without a default. Set `python`, and `base-image`"
            " if it is not the official image of Python."
        )
    if re.search(r"poetry", image) and (tagged := _TAG.fullmatch(_tag(image))):
        python = project.requires_python.image_tag(tagged["python"]) or tagged["python"]
        return setting("python", python)  # a base with Poetry, which is not needed
    if match := _OFFICIAL.fullmatch(image):
        return _official(match["place"], match["tag"], image, project)
    if _DISTRIBUTION.search(image):
        return unneeded("the image is based on Debian's official image of Python")
    named = _IN_NAME.search(image)
    python = (named[1] or named[2]) if named else None
    if python and "python" in image and not re.search(r"uvicorn|gunicorn|lambda", image):
        return Outcome(settings=(("python", python), ("base-image", image)))
    return left_over(
        f"The new image is based on Debian's official image of Python. If it must be based on"
        f" {image}, set `base-image`, and `python` to its Python, which must be on its PATH."
    )


def _official(place: str, tag: str, image: str, project: Project) -> Outcome:
    match = _TAG.fullmatch(tag)
    own = place not in ("", "docker.io/", "library/", "docker.io/library/")
    rest = match["rest"] if match else ""
    if not match:
        alpine = re.search(r"alpine[\d.]*", tag)
        if own or has_digest(image):
            return left_over(f"Set `base-image` to {image}, and `python` to its version.")
        base = (("base-image", "python:{python}-alpine"),) if alpine else ()
        return (
            Outcome(settings=base)
            if base
            else unneeded("the tag names no version of Python: one that fits the project is chosen")
        )
    python = project.requires_python.image_tag(match["python"]) or match["python"]
    allowed = project.requires_python.allows(python)
    settings: list[tuple[str, object]] = [("python", python)] if allowed else []
    if has_digest(image):
        settings.append(("base-image", image))
    elif own and not place.startswith("public.ecr.aws/docker"):
        named = image.replace(f":{tag}", f":{{python}}{rest}")
        settings.append(("base-image", named))
    elif "alpine" in rest:
        settings.append(("base-image", f"python:{{python}}{rest}"))
    else:
        suite = next((name for name in _SUITES if name in rest), None)
        if suite:
            settings.append(("base-image", f"python:{{python}}-slim-{suite}"))
    if not settings:
        return unneeded(f"the project does not allow Python {python}: one that fits is chosen")
    return Outcome(settings=tuple(settings))


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]
