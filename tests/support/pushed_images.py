"""Images in a registry as a test sees them: configuration, manifest and files."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import urllib.request
from dataclasses import dataclass
from typing import Any, NamedTuple

_KINDS = (
    *("vnd.oci.image.index.v1", "vnd.oci.image.manifest.v1"),
    *("vnd.docker.distribution.manifest.v2", "vnd.docker.distribution.manifest.list.v2"),
)
_ACCEPT = ", ".join(f"application/{kind}+json" for kind in _KINDS)
_WHITEOUT = ".wh."


class File(NamedTuple):
    """A file, folder or link in an image."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    content: str
    """Its digest."""
    time: float


@dataclass(frozen=True, kw_only=True)
class PushedImage:
    """An image for one platform, without its base."""

    name: str
    digest: str
    """Of what the tag names."""
    manifest: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def read(cls, name: str) -> PushedImage:
        """Read the first image of a tag; `name` is HOST/REPOSITORY:TAG."""
        body = _get(name, "manifests", name.rpartition(":")[2])
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        manifest = json.loads(body)
        if "manifests" in manifest:
            manifest = json.loads(_get(name, "manifests", manifest["manifests"][0]["digest"]))
        config = json.loads(_get(name, "blobs", manifest["config"]["digest"]))
        return cls(name=name, digest=digest, manifest=manifest, config=config)

    @property
    def layers(self) -> list[str]:
        """The digests of its layers, those of the base first."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    def tree(self, start: int, end: int | None = None) -> dict[str, File]:
        """Return what some of the layers put into the image."""
        found: dict[str, File] = {}
        for digest in self.layers[start:end]:
            body = _get(self.name, "blobs", digest)
            with tarfile.open(fileobj=io.BytesIO(body)) as archive:
                for member in archive:
                    assert not member.name.rpartition("/")[2].startswith(_WHITEOUT), member.name
                    content = archive.extractfile(member) if member.isfile() else None
                    data = content.read() if content else b""
                    found[member.name.strip("/")] = File(
                        kind=member.type,
                        mode=member.mode,
                        owner=(member.uid, member.gid),
                        link=member.linkname,
                        content=hashlib.sha256(data).hexdigest(),
                        time=float(member.mtime),
                    )
        return found


def _get(name: str, kind: str, target: str) -> bytes:
    host, _, rest = name.partition("/")
    repository = rest.rpartition(":")[0]
    url = f"http://{host}/v2/{repository}/{kind}/{target}"
    request = urllib.request.Request(url, headers={"Accept": _ACCEPT})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
