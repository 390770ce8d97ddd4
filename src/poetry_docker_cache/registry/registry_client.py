"""Read and write images in a registry: the OCI distribution specification 1.1."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import quote, urlencode, urlsplit

import requests

from poetry_docker_cache.docker import image_names
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry.media_types import INDEXES, MANIFESTS, OCI_INDEX
from poetry_docker_cache.registry.registry_errors import (
    RegistryError,
    not_a_registry,
    parse_json,
    read_answer,
)
from poetry_docker_cache.registry.registry_session import RegistrySession, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from requests import Response
    from typing_extensions import Self

_LARGEST_MANIFEST = 4 << 20
"""What registries must accept, by the specification."""
_CHUNK = 1 << 20
_ALGORITHMS = ("sha256", "sha384", "sha512")
_ATTEMPTS = 5
_MOST_PAGES = 100
READING, UPLOADING = "reading layers", "uploading layers"


class Progress(Protocol):
    """Takes how many bytes of a blob have arrived, or were sent; several threads call it."""

    def __call__(self, action: str, file: str, done: int, total: int | None, /) -> None:
        """Show the progress; the action is READING or UPLOADING."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The name of an image, in full."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse a name as Docker does. Raises DockerCacheError for an invalid one.

        >>> Reference.parse("python:3.13")
        Reference(host='docker.io', repository='library/python', tag='3.13', digest='')
        """
        if not image_names.is_reference(text):
            raise DockerCacheError(
                f"{text!r} is not the name of an image.",
                fix="Use the form HOST/NAME:TAG, with NAME in lower case.",
            )
        host, _, rest = image_names.normalised(text).partition("/")
        repository, _, digest = rest.partition("@")
        repository, _, tag = repository.partition(":")
        return cls(host=host, repository=repository, tag=tag, digest=digest)

    @property
    def target(self) -> str:
        """Return what selects the manifest in the repository."""
        return self.digest or self.tag


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest or an index, as the registry has it."""

    media_type: str
    digest: str
    body: bytes = field(repr=False)
    data: dict[str, Any]

    @property
    def is_index(self) -> bool:
        """Return whether this lists manifests, one for each platform."""
        return self.media_type in INDEXES


class Registry:
    """The repositories of one host; several threads may use it.

    All methods raise RegistryError for a registry that refuses, fails or cannot be reached.
    """

    def __init__(self, session: RegistrySession, progress: Progress | None = None) -> None:
        self._session = session
        self._progress = progress or (lambda *_: None)
        self.host = session.host

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._session.close()

    def manifest(self, repository: str, target: str) -> Manifest | None:
        """Return a manifest by its tag or digest; None if the registry does not have it."""
        return self._session.repeat(lambda: self._read_manifest(repository, target))

    def manifest_digest(self, repository: str, target: str) -> str:
        """Return the digest that a tag refers to, without reading it; empty if it is unknown."""
        headers = {"Accept": ", ".join(MANIFESTS)}
        path = f"{repository}/manifests/{target}"
        response = self._session.send(Request("HEAD", path, repository, headers=headers))
        read_answer(response)
        digest = response.headers.get("Docker-Content-Digest", "")
        is_found = response.status_code == HTTPStatus.OK and _is_digest(digest)
        return digest if is_found else ""

    def blob(self, repository: str, digest: str, size: int) -> Iterator[bytes]:
        """Yield the content of a blob; it is known to be right only at its end.

        An interrupted download continues where it stopped.
        """
        hashed, done = _hash(digest), 0
        for _ in range(_ATTEMPTS):
            headers = {"Range": f"bytes={done}-"} if done else {}
            request = Request("GET", f"{repository}/blobs/{digest}", repository, headers=headers)
            response = self._session.send(request)
            if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise self._session.refusal(response, request)
            skipped = done if response.status_code == HTTPStatus.OK else 0
            try:
                for chunk in response.iter_content(_CHUNK):
                    new = chunk[skipped:]
                    skipped -= min(skipped, len(chunk))
                    done += len(new)
                    if done > size:
                        break
                    hashed.update(new)
                    if new:
                        self._progress(READING, digest, done, size)
                        yield new
            except requests.RequestException:
                continue
            finally:
                response.close()
            if done >= size:
                break
        if done != size or hashed.hexdigest() != digest.partition(":")[2]:
            raise self._damaged(f"{repository}@{digest}", "size or digest differ")

    def has_blob(
        self, repository: str, digest: str, size: int | None = None, *, push: bool = False
    ) -> bool:
        """Return whether the registry has a blob, of this size if the size is known.

        `push` asks with the rights of a push, since a registry may deny others for a repository
        that does not exist yet.
        """
        if not _is_digest(digest):
            return False
        request = Request("HEAD", f"{repository}/blobs/{digest}", repository, push=push)
        response = self._session.send(request)
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._session.refusal(response, request)
        read_answer(response)
        length = response.headers.get("Content-Length", "")
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        fits = size is None or not length.isdecimal() or int(length) == size
        return response.status_code == HTTPStatus.OK and fits and not is_page

    def upload(
        self,
        repository: str,
        digest: str,
        size: int,
        open_content: Callable[[], BinaryIO],
        *,
        mount_from: Sequence[str] = (),
    ) -> None:
        """Upload a blob unless the registry has it in this repository or can mount it.

        An interrupted upload starts again.
        """

        def progress(done: int) -> None:
            self._progress(UPLOADING, digest, done, size)

        def attempt() -> None:
            if self.has_blob(repository, digest, size, push=True):
                return
            location = self._begin(repository, digest, mount_from)
            if location is None:
                return
            request = Request(
                "PUT",
                f"{location}{'&' if '?' in location else '?'}digest={quote(digest)}",
                repository,
                push=True,
                headers={"Content-Type": "application/octet-stream"},
                body=_Body(open_content, size, progress) if size else b"",
            )
            response = self._session.exchange(request)
            if response.status_code in _LOST_UPLOAD:
                read_answer(response)
                raise RegistryError(f"{self.host} lost an upload.", fix="Try again.", retry_after=0)
            if response.status_code not in _STORED:
                raise self._session.refusal(response, request)
            read_answer(response)

        self._session.repeat(attempt)

    def put_manifest(self, repository: str, target: str, body: bytes, media_type: str) -> None:
        """Write a manifest or an index for a tag or digest; its blobs must be there."""
        request = Request(
            "PUT",
            f"{repository}/manifests/{target}",
            repository,
            push=True,
            headers={"Content-Type": media_type},
            body=body,
        )
        response = self._session.send(request)
        if response.status_code not in _STORED:
            raise self._session.refusal(response, request)
        read_answer(response)
        stated = response.headers.get("Docker-Content-Digest")
        if stated and stated.startswith("sha256:") and stated != digest_of(body):
            raise self._damaged(f"{repository}:{target}", "the registry states another digest")

    def referrers(
        self, repository: str, digest: str, artifact_type: str
    ) -> list[dict[str, Any]] | None:
        """Return the descriptors of what refers to a manifest, perhaps also of other types.

        None if the registry does not have the API for it.
        """
        path = f"{repository}/referrers/{digest}"
        query = urlencode({"artifactType": artifact_type})
        found: list[dict[str, Any]] = []
        for _ in range(_MOST_PAGES):
            request = Request("GET", f"{path}?{query}", repository)
            response = self._session.send(request)
            if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise self._session.refusal(response, request)
            body = read_answer(response, _LARGEST_MANIFEST)
            # A registry without the API has many answers, and a proxy or a web page others.
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
            if response.status_code != HTTPStatus.OK or media_type != OCI_INDEX:
                return None
            data = parse_json(body)
            entries = data.get("manifests") if isinstance(data, dict) else None
            if not isinstance(entries, list):
                raise not_a_registry(self.host, response.status_code)
            found += [entry for entry in entries if isinstance(entry, dict)]
            # Only the query of the next page, so that it stays on this host.
            following = urlsplit(response.links.get("next", {}).get("url", "")).query
            if not following:
                break
            query = following
        return found

    def _begin(self, repository: str, digest: str, mount_from: Sequence[str]) -> str | None:
        """Return where to upload a blob; None if it was mounted from another repository."""
        path = f"{repository}/blobs/uploads/"
        location = None
        for source in (name for name in mount_from if name != repository):
            query = urlencode({"mount": digest, "from": source})
            request = Request("POST", f"{path}?{query}", repository, push=True, mount=source)
            try:
                response = self._session.send(request)
            except RegistryError as error:
                if not error.denied:  # by the token server, for the other repository
                    raise
                continue
            read_answer(response)
            if response.status_code == HTTPStatus.CREATED:
                return None
            if response.status_code == HTTPStatus.ACCEPTED:
                location = self._session.location(response)
        if location is None:
            request = Request("POST", path, repository, push=True)
            response = self._session.send(request)
            if response.status_code != HTTPStatus.ACCEPTED:
                raise self._session.refusal(response, request)
            read_answer(response)
            location = self._session.location(response)
        return location

    def _read_manifest(self, repository: str, target: str) -> Manifest | None:
        accept = {"Accept": ", ".join(MANIFESTS)}
        path = f"{repository}/manifests/{target}"
        request = Request("GET", path, repository, headers=accept)
        response = self._session.send(request)
        if response.status_code == HTTPStatus.NOT_FOUND:
            read_answer(response)
            return None
        if response.status_code != HTTPStatus.OK:
            raise self._session.refusal(response, request)
        body = read_answer(response, _LARGEST_MANIFEST)
        stated = [target, response.headers.get("Docker-Content-Digest", "")]
        if not all(_fits(body, digest) for digest in stated):
            raise self._damaged(f"{repository}:{target}", "its digest differs", retry_after=0)
        return self._manifest(response, body)

    def _manifest(self, response: Response, body: bytes) -> Manifest:
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
        data = parse_json(body)
        if isinstance(data, dict) and media_type not in MANIFESTS:
            media_type = data.get("mediaType", "")
        # Content that can be read as both could differ between tools (CVE-2021-41190).
        is_manifest = isinstance(data, dict) and ("manifests" in data) != ("layers" in data)
        if media_type not in MANIFESTS or not is_manifest:
            # A manifest may be incomplete; a page of another server stays the same.
            retry_after = 0 if data is None and media_type in MANIFESTS else None
            raise not_a_registry(self.host, response.status_code, retry_after=retry_after)
        return Manifest(media_type=media_type, digest=digest_of(body), body=body, data=data)

    def _damaged(self, name: str, why: str, *, retry_after: float | None = None) -> RegistryError:
        return RegistryError(
            f"{self.host}/{name} is damaged: {why}.",
            fix="Try again, or push the image again.",
            retry_after=retry_after,
        )


_STORED = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
_LOST_UPLOAD = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


def digest_of(body: bytes) -> str:
    """Return the digest of a manifest or a configuration."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class _Body:
    """The content of a blob as the body of a request, read in chunks; requests calls `len`."""

    def __init__(
        self,
        open_content: Callable[[], BinaryIO],
        size: int,
        progress: Callable[[int], None],
    ) -> None:
        self._open, self._size, self._progress = open_content, size, progress

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Start at the beginning each time, since a request may be sent again."""
        done = 0
        try:
            with self._open() as content:
                while chunk := content.read(_CHUNK):
                    done += len(chunk)
                    if done > self._size:
                        break
                    yield chunk
                    self._progress(done)
        except OSError as error:  # else it would count as one of the connection
            raise DockerCacheError(
                f"A file cannot be read: {error.strerror}.", fix="Run the command again."
            ) from error
        if done != self._size:  # the registry would wait for the rest
            raise DockerCacheError(
                "A file changed while it was uploaded.", fix="Run the command again."
            )


def _hash(digest: str) -> Any:  # noqa: ANN401  # hashlib's class has no name
    """Return a hash of the digest's algorithm. Raises DockerCacheError for an invalid digest."""
    if not _is_digest(digest):  # others wrote the manifest
        raise DockerCacheError(f"{digest!r} is not a valid digest.", fix="Check the image.")
    return hashlib.new(digest.partition(":")[0])


def _is_digest(text: str) -> bool:
    return image_names.is_reference(f"x@{text}")


def _fits(body: bytes, digest: str) -> bool:
    """Return whether content has a digest; a tag or an empty text fits all."""
    algorithm, colon, value = digest.partition(":")
    known = colon and algorithm in _ALGORITHMS
    return not known or hashlib.new(algorithm, body).hexdigest() == value
