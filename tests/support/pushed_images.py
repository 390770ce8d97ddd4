"""Images in a registry as a test sees them: configuration, manifest and files."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import urllib.request
from dataclasses import dataclass
from typing import Any, NamedTuple

from poetry_docker_cache.registry.referrers import find
from poetry_docker_cache.registry.registries import Registries
from poetry_docker_cache.registry.registry_client import Reference

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
    index: dict[str, Any]
    """What the tag names: an index, or the same as `manifest`."""
    manifest: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def read(cls, name: str) -> PushedImage:
        """Read the first image of a tag; `name` is HOST/REPOSITORY:TAG."""
        body = _get(name, "manifests", name.rpartition(":")[2])
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        index = manifest = json.loads(body)
        if "manifests" in index:
            manifest = json.loads(_get(name, "manifests", manifest["manifests"][0]["digest"]))
        config = json.loads(_get(name, "blobs", manifest["config"]["digest"]))
        return cls(name=name, digest=digest, index=index, manifest=manifest, config=config)

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


def assert_equal_images(first: str, second: str, *, base: str) -> None:
    """Compare an image from BuildKit with one that was made without an engine.

    By design, these differ: history and layers, as the first layer without an engine has the files
    of the virtual environment, the working directory and the home folder; and the times of those.
    """
    skip = len(PushedImage.read(base).layers)
    theirs, ours = PushedImage.read(first), PushedImage.read(second)
    assert _same_part(ours.config) == _same_part(theirs.config)
    expected, tree = theirs.tree(skip), ours.tree(skip)
    assert sorted(tree) == sorted(expected)
    changed = {path for path, file in tree.items() if file != expected[path]}
    assert {path for path in changed if path.startswith("venv")} <= {*ours.tree(skip, skip + 1)}
    for path in changed:
        assert tree[path] == expected[path]._replace(time=tree[path].time), path


def attached(name: str, artifact_type: str) -> list[bytes]:
    """Return the documents that are attached to the first image of a tag."""
    reference = Reference.parse(name)
    with Registries() as registries:
        registry = registries.of(reference.host)
        top = registry.manifest(reference.repository, reference.tag)
        assert top
        digest = top.data["manifests"][0]["digest"] if top.is_index else top.digest
        found = find(registry, reference.repository, digest, artifact_type)
    return [body for _, body in found]


def _same_part(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration without times, history and layers."""
    return {key: config.get(key) for key in ("architecture", "config", "os", "variant")}


def _get(name: str, kind: str, target: str) -> bytes:
    host, _, rest = name.partition("/")
    repository = rest.rpartition(":")[0]
    url = f"http://{host}/v2/{repository}/{kind}/{target}"
    request = urllib.request.Request(url, headers={"Accept": _ACCEPT})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())
