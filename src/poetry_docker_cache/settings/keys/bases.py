"""The keys of what the image is called, what it stands on and which machines it is for."""

from __future__ import annotations

from poetry_docker_cache.settings import docker, install, references, values
from poetry_docker_cache.settings.keys.key import Key

BASES = (
    Key(
        name="image",
        takes="the name of a repository in lower case, without a tag",
        default="the project's name",
        meaning="repository name of the image",
        example='image = "registry.example.com/team/app"',
        read=references.repository,
    ),
    Key(
        name="python",
        takes='`"X.Y"` or `"X.Y.Z"` in quotes, 3.9 or newer',
        default="`.python-version`, else the newest that the project allows and that has wheels "
        "of all locked packages",
        meaning="the image's Python",
        example='python = "3.12"',
        read=install.python_version,
    ),
    Key(
        name="base-image",
        takes="the name of an image with a tag or digest, in which `{python}` is filled in; "
        "without `{python}`, `python` is required",
        default='`"python:{python}-slim"`',
        meaning="base of the final stage",
        example='base-image = "python:{python}-slim-bookworm"',
        read=references.base_image,
    ),
    Key(
        name="build-image",
        takes="the name of an image with a tag or digest, in which `{python}` is filled in",
        default="`python:{python}`, the full image of the same suite",
        meaning="base of the stage that installs what must be built from source; used only when "
        "something needs it",
        example='build-image = "python:{python}-bookworm"',
        read=references.base_image,
    ),
    Key(
        name="shell",
        takes="`true` or `false`",
        default="by its name: `false` for distroless, Chainguard's, Docker's hardened; else `true`",
        meaning="whether `base-image` has a shell and pip: without, only the final check and what "
        "`compile` does run on it, and all else on `build-image`, which must be named then",
        example="shell = false",
        read=values.boolean,
    ),
    Key(
        name="platforms",
        takes='a list of platforms such as `"linux/arm64"`',
        default="none: the platform that builds, or what `--platform` says",
        meaning="what the image is for: `build --push` builds them all, and what has no wheel for "
        "one of them is built from source there",
        example='platforms = ["linux/amd64", "linux/arm64"]',
        read=values.set_of(docker.platform),
    ),
)
