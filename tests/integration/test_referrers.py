"""Documents attached to images, with real registries and with one that has pages of referrers."""

from __future__ import annotations

import io
import json
import ssl
from typing import TYPE_CHECKING

import pytest
from hostile_registry import hostile_registry
from registries import crane_registry, own_registry

from poetry_docker_cache.registry import registry_session
from poetry_docker_cache.registry.base_image import Descriptor
from poetry_docker_cache.registry.media_types import OCI_MANIFEST
from poetry_docker_cache.registry.referrers import _tag, attach, find
from poetry_docker_cache.registry.registry_client import Registry, digest_of
from poetry_docker_cache.registry.registry_errors import RegistryError
from poetry_docker_cache.registry.registry_session import RegistrySession

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY, KIND, OTHER = "team/app", "application/vnd.test.document", "application/vnd.test.other"
CONFIG = b'{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}'
SUBJECT = (
    f'{{"schemaVersion": 2, "mediaType": "{OCI_MANIFEST}", "config": {{"mediaType":'
    f' "application/vnd.oci.image.config.v1+json", "digest": "{digest_of(CONFIG)}",'
    f' "size": {len(CONFIG)}}}, "layers": []}}'
).encode()
DESCRIBED = Descriptor(media_type=OCI_MANIFEST, digest=digest_of(SUBJECT), size=len(SUBJECT))


@pytest.fixture(autouse=True)
def one_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no certificates, since no registry of these tests has TLS."""
    monkeypatch.setattr(
        registry_session, "_tls", lambda *_: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )


def client(host: str) -> Registry:
    """Return a client that does not wait."""
    return Registry(RegistrySession(host, pause=lambda _: None))


def push_subject(registry: Registry) -> None:
    """Push the image that documents are attached to."""
    registry.upload(REPOSITORY, digest_of(CONFIG), len(CONFIG), lambda: io.BytesIO(CONFIG))
    registry.put_manifest(REPOSITORY, "1", SUBJECT, OCI_MANIFEST)


def attached(registry: Registry, body: bytes, kind: str = KIND) -> bool:
    """Attach a document to the image."""
    return attach(registry, REPOSITORY, DESCRIBED, artifact_type=kind, media_type=kind, body=body)


def documents(registry: Registry, kind: str = KIND) -> list[bytes]:
    """Return what is attached to the image."""
    return [body for _, body in find(registry, REPOSITORY, DESCRIBED.digest, kind)]


def check(registry: Registry) -> None:
    """Attach documents of two types and find them again."""
    push_subject(registry)
    assert documents(registry) == []
    assert attached(registry, b"one")
    assert attached(registry, b"other", OTHER)
    assert attached(registry, b"two")
    assert not attached(registry, b"one"), "attached twice"
    assert sorted(documents(registry)) == [b"one", b"two"]
    assert documents(registry, OTHER) == [b"other"]


def test_registry_without_referrers_api_gets_tag(tmp_path: Path) -> None:
    """The tag is an index, which other tools read, too."""
    with own_registry(tmp_path) as host, client(host) as registry:
        check(registry)
        index = registry.manifest(REPOSITORY, _tag(DESCRIBED.digest))
        assert index
        assert index.is_index
        assert [entry["artifactType"] for entry in index.data["manifests"]] == [KIND, OTHER, KIND]


def test_other_implementation(tmp_path: Path) -> None:
    """It works whether or not this registry has the API."""
    with crane_registry(tmp_path) as host, client(host) as registry:
        check(registry)


def test_registry_with_referrers_api_gets_no_tag() -> None:
    """All pages are read, and a repeated push needs a single request."""
    with hostile_registry(pages=1) as served, client(served.host) as registry:
        check(registry)
        assert (REPOSITORY, _tag(DESCRIBED.digest)) not in served.manifests
    with hostile_registry(pages=9) as served, client(served.host) as registry:
        push_subject(registry)
        attached(registry, b"one")
        before = len(served.log)
        attached(registry, b"one")
        assert len(served.log) == before + 1


def test_image_under_the_tag_is_not_replaced() -> None:
    """Another tool may have pushed it."""
    with hostile_registry() as served, client(served.host) as registry:
        push_subject(registry)
        registry.put_manifest(REPOSITORY, _tag(DESCRIBED.digest), SUBJECT, OCI_MANIFEST)
        with pytest.raises(RegistryError, match="but lists") as raised:
            attached(registry, b"one")
        assert raised.value.fix == "Remove the tag."
        assert documents(registry) == []
        assert served.manifests[REPOSITORY, _tag(DESCRIBED.digest)] == (OCI_MANIFEST, SUBJECT)


def test_entries_that_are_not_valid_are_skipped() -> None:
    """Anyone who may push can write them."""
    with hostile_registry() as served, client(served.host) as registry:
        check(registry)
        key = (REPOSITORY, _tag(DESCRIBED.digest))
        media_type, body = served.manifests[key]
        index = json.loads(body)
        good = index["manifests"][0]
        wrong: list[object] = [{**good, "digest": "../x"}, {**good, "size": "1"}, "x"]
        wrong.append({"artifactType": KIND})
        served.manifests[key] = (media_type, json.dumps({**index, "manifests": wrong}).encode())
        assert documents(registry) == []


def test_denied_list_is_an_error() -> None:
    """A registry that wants a login may still have referrers."""
    with (
        hostile_registry(asks_for_login=True) as served,
        client(served.host) as registry,
        pytest.raises(RegistryError, match="denies access"),
    ):
        documents(registry)
