"""Names of images: their grammar, normal form, and the name of the built image."""

from __future__ import annotations

import re
import unicodedata

from poetry_docker_cache.errors import DockerCacheError

# The grammar of image references: github.com/distribution/reference.
_HOST_PART = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(
    rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[0-9a-f:]+\])(?::[0-9]{{1,5}})?", re.IGNORECASE
)
_PATH_PART = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")
_TAG_RULE = (
    "A tag has up to 128 letters, digits, '_', '.' and '-', and cannot start with '.' or '-'."
)
_LONGEST_NAME = 255
_DOCKER_HUB = "docker.io"
_OFFICIAL = "library"
"""The folder on Docker Hub that names without a `/` stand for."""


def is_repository(text: str) -> bool:
    """Return whether this is the name of an image without tag and digest."""
    host, path = _host_and_path(text)
    return (
        len(text) <= _LONGEST_NAME
        and (not host or _HOST.fullmatch(host) is not None)
        and all(_PATH_PART.fullmatch(part) for part in path.split("/"))
        and not _IMAGE_ID.fullmatch(text)
    )


def is_reference(text: str) -> bool:
    """Return whether this is the name of an image, with or without tag and digest."""
    repository, tag, digest = _parts(text)
    return (
        is_repository(repository)
        and (tag is None or is_tag(tag))
        and (digest is None or _DIGEST.fullmatch(digest) is not None)
    )


def is_tag(text: str) -> bool:
    """Return whether this is a valid tag."""
    return _TAG.fullmatch(text) is not None


def has_digest(text: str) -> bool:
    """Return whether a reference has a digest, so that nothing can be pushed to it."""
    return "@" in text


def names_registry(text: str) -> bool:
    """Return whether a reference begins with a registry's host; Docker Hub's is optional."""
    return bool(_host_and_path(text)[0])


def normalised(reference: str) -> str:
    """Write a reference in full, so that references to the same image are equal.

    >>> normalised("shop")
    'docker.io/library/shop:latest'
    """
    repository, tag, digest = _parts(reference)
    host, path = _host_and_path(repository)
    if host in ("", f"index.{_DOCKER_HUB}"):
        host = _DOCKER_HUB
    if host == _DOCKER_HUB and "/" not in path:
        path = f"{_OFFICIAL}/{path}"
    end = f"@{digest}" if digest is not None else f":{tag or 'latest'}"
    return f"{host.lower()}/{path}{end}"


def without_digest(reference: str) -> str:
    """Write a reference in full, without the digest that is pinned beside a tag.

    >>> without_digest("python:3.13@sha256:…")
    'docker.io/library/python:3.13'
    """
    repository, tag, _ = _parts(reference)
    return normalised(reference if tag is None else f"{repository}:{tag}")


def implied_official(reference: str) -> str:
    """Return the repository of Docker's own images that a reference implies; "" if it names one.

    >>> implied_official("shop:1"), implied_official("team/shop:1")
    ('docker.io/library/shop', '')
    """
    repository, official = repository_of(reference), f"{_OFFICIAL}/"
    implied = repository.startswith(f"{_DOCKER_HUB}/{official}") and official not in reference
    return repository if implied else ""


def with_suffix(reference: str, name: str) -> str:
    """Add a name to the tag; keep a reference with a digest.

    >>> with_suffix("team/shop:cache", "api")
    'team/shop:cache-api'
    """
    repository, tag, digest = _parts(reference)
    if digest is not None:
        return reference
    return f"{repository}:{f'{tag}-{name}' if tag else name}"


def moved_to(reference: str, repository: str) -> str:
    """Name the image with the same tag in another repository; keep a reference with a digest.

    >>> moved_to("team/shop:1", "team/shop-api")
    'team/shop-api:1'
    """
    _, tag, digest = _parts(reference)
    return reference if digest is not None else f"{repository}:{tag or 'latest'}"


def repository_of(reference: str) -> str:
    """Write the repository of an image in full.

    >>> repository_of("shop:1")
    'docker.io/library/shop'
    """
    return normalised(_parts(reference)[0]).removesuffix(":latest")


def _parts(text: str) -> tuple[str, str | None, str | None]:
    """Split into repository, tag and digest; a missing part is None."""
    tagged, at, digest = text.partition("@")
    folder, slash, last = tagged.rpartition("/")
    base, colon, tag = last.partition(":")
    return folder + slash + base, tag if colon else None, digest if at else None


def _host_and_path(repository: str) -> tuple[str, str]:
    host, slash, path = repository.partition("/")
    if slash and (host == "localhost" or "." in host or ":" in host):
        return host, path
    return "", repository


def image_slug(name: str) -> str:
    """Make the name of an image from any other name.

    >>> image_slug("My.Project"), image_slug("Café & Bar!"), image_slug("日本")
    ('my-project', 'cafe-bar', 'app')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub("[^a-z0-9]+", "-", plain).strip("-")
    return slug if is_repository(slug) else "app"


def default_tag(
    name: str, version: str | None, *, image: str | None = None, among: str = ""
) -> str:
    """Name the image after the `image` setting, else `name`, with the version as tag.

    `among` is the image's key if there are several. Raises DockerCacheError if Docker does not
    accept the tag.
    """
    tag = re.sub(r"[+!]", "-", version) if version else "latest"
    if not is_tag(tag):
        raise DockerCacheError(
            f"The version {version!r} is not a valid tag. {_TAG_RULE}",
            fix="Name the image and its tag with -t"
            + (f": `poetry docker build {among} -t NAME:TAG`." if among else "."),
        )
    last = (image or "").rpartition("/")[2]
    if ":" in last or "@" in last:
        raise DockerCacheError(
            f"image = {image!r} has a tag or digest, but the tag is the project's version.",
            fix="Remove it from `image`, or pass name and tag with -t.",
        )
    return f"{image or image_slug(name)}:{tag}"


def tagged(own: str, given: str) -> str:
    """Return the name for an option `-t`: a complete name, or a tag for the image's own name.

    >>> tagged("team/shop:1.2.3", ":dev")
    'team/shop:dev'

    Raises DockerCacheError for a colon without a valid tag.
    """
    if not given.startswith(":"):
        return given
    if not is_tag(given[1:]):
        raise DockerCacheError(
            f"-t {given!r} is not a valid tag. {_TAG_RULE}",
            fix="Use a tag (`-t :TAG`) or a name (`-t NAME:TAG`). A variable in a script may be"
            " unset.",
        )
    return f"{own.rpartition(':')[0]}{given}"
