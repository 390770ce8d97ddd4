"""The inventory of an image as a document in CycloneDX 1.6. The same image gives the same bytes."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cyclonedx import spdx
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from poetry_docker_cache.docker import base_names, image_names
from poetry_docker_cache.sbom.licences import WHEEL
from poetry_docker_cache.sbom.source_urls import (
    commit_url,
    file_url,
    package_url,
    without_credentials,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cyclonedx.model.license import License

    from poetry_docker_cache.sbom.inventory import InstalledPackage, Inventory, LockedFile

MEDIA_TYPE = "application/vnd.cyclonedx+json"
"""Also the type of the artifact in a registry."""
_TOOL = "poetry-docker-cache"
_LABEL = "org.opencontainers.image."
_ALGORITHMS = {
    "md5": HashAlgorithm.MD5,
    "sha1": HashAlgorithm.SHA_1,
    "sha256": HashAlgorithm.SHA_256,
    "sha384": HashAlgorithm.SHA_384,
    "sha512": HashAlgorithm.SHA_512,
}
_SPACE = uuid.UUID("6f1c9b0c-3a43-5b1e-9d0e-2f8a5c6d7e10")
_DOCKER_HUB = "docker.io"
# With an architecture and an exact version; not what several packages may provide, or a pattern.
_SYSTEM_PACKAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+._-]*)(?::[a-z0-9-]+)?(?:=(?P<version>[A-Za-z0-9.+~_:-]+))?"
)


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What the document says about an image besides its packages."""

    name: str
    """The name of the project, or of its folder."""
    version: str | None
    image: str
    """The image's name in the settings; empty for the only image of a project."""
    platform: str
    python: str
    base: str
    system_packages: tuple[str, ...]
    groups: tuple[str, ...]
    extras: tuple[str, ...]
    labels: Mapping[str, str]
    """The labels from the project's metadata."""
    index: str
    """The address of the index for packages without a source."""
    plugin: str
    """The release of the plugin."""
    epoch: str = ""
    """The value of SOURCE_DATE_EPOCH; without it, the document has no time."""


def render_document(facts: ImageFacts, inventory: Inventory) -> bytes:
    """Return the document as JSON."""
    bom = Bom()
    project = _project(facts)
    packages = [_package(each, facts.index) for each in inventory.packages]
    base = _base(facts.base)
    system = [_system_package(name, facts.base) for name in sorted(facts.system_packages)]
    bom.metadata.component = project
    bom.metadata.tools.components.add(
        Component(name=_TOOL, version=facts.plugin, type=ComponentType.APPLICATION)
    )
    bom.metadata.properties.update(_properties(facts))
    bom.components.update((*packages, base, *system))
    needed = [packages[number] for number in inventory.direct]
    bom.register_dependency(project, [*needed, base, *system])
    for component, package in zip(packages, inventory.packages, strict=True):
        bom.register_dependency(component, [packages[number] for number in package.needs])
    return _deterministic(json.loads(JsonV1Dot6(bom).output_as_string()), facts.epoch)


def _deterministic(document: dict[str, Any], epoch: str) -> bytes:
    """Replace what changes each time: the library sets the current time and a random number."""
    del document["serialNumber"], document["metadata"]["timestamp"]
    if epoch.isdecimal():
        time = dt.datetime.fromtimestamp(int(epoch), tz=dt.timezone.utc)
        document["metadata"]["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = uuid.uuid5(_SPACE, content).urn
    return f"{json.dumps(document, indent=2, sort_keys=True)}\n".encode()


def _project(facts: ImageFacts) -> Component:
    labels = {key.removeprefix(_LABEL): value for key, value in facts.labels.items()}
    text = labels.get("licenses")
    places = (
        (ExternalReferenceType.WEBSITE, labels.get("url", "")),
        (ExternalReferenceType.VCS, labels.get("source", "")),
    )
    return Component(
        name=facts.name,
        version=facts.version,
        type=ComponentType.APPLICATION,
        bom_ref="project",
        description=labels.get("description") or None,
        licenses=_licenses([text] if text else []),
        external_references=[
            ExternalReference(type=kind, url=XsUri(address))
            for kind, url in places
            if (address := without_credentials(url))
        ],
    )


def _properties(facts: ImageFacts) -> Iterator[Property]:
    values = {
        "image": [facts.image] if facts.image else [],
        "platform": [facts.platform],
        "python": [facts.python],
        "group": facts.groups,
        "extra": facts.extras,
    }
    for name, found in values.items():
        for value in found:
            yield Property(name=f"{_TOOL}:{name}", value=value)


def _package(package: InstalledPackage, index: str) -> Component:
    kind = package.source.get("type")
    properties = [Property(name="cdx:poetry:group", value=group) for group in package.groups]
    if package.marker:
        properties.append(Property(name=f"{_TOOL}:marker", value=package.marker))
    if kind == "directory":
        properties.append(Property(name=f"{_TOOL}:path", value=package.source.get("url", "")))
    if package.licences.wheel:
        properties.append(Property(name=WHEEL, value=package.licences.wheel))
    references = [
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(file_url(package.name, file.name, package.source, index)),
            hashes=_hashes(file),
        )
        for file in package.files
    ]
    if kind == "git" and (commit := commit_url(package.source)):
        references.append(ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(commit)))
    # Hashes of a component are all of the same content.
    hashes = _hashes(package.files[0]) if len(package.files) == 1 else []
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{package.name}@{package.version}",
        purl=package_url(package.name, package.version, package.source),
        scope=ComponentScope.OPTIONAL if package.marker else ComponentScope.REQUIRED,
        hashes=hashes,
        licenses=_licenses(package.licences.texts),
        external_references=references,
        properties=properties,
    )


def _hashes(file: LockedFile) -> list[HashType]:
    pairs = (text.partition(":") for text in file.hashes)
    return [
        HashType(alg=_ALGORITHMS[name], content=value)
        for name, _, value in pairs
        if name in _ALGORITHMS
    ]


def _licenses(texts: Sequence[str]) -> list[License]:
    """Return licences by their SPDX identifier, else by name; one alone may be an expression."""
    if len(texts) == 1 and not spdx.fixup_id(texts[0]) and spdx.is_expression(texts[0]):
        return [LicenseExpression(texts[0])]
    identifiers = {text: spdx.fixup_id(text) for text in texts}
    return [
        DisjunctiveLicense(id=identifier) if identifier else DisjunctiveLicense(name=text)
        for text, identifier in identifiers.items()
    ]


def _base(image: str) -> Component:
    """Describe the base image; its package URL has the tag or the digest as version."""
    name, _, end = image_names.normalised(image).rpartition("@" if "@" in image else ":")
    host, _, path = name.partition("/")
    folder, _, last = path.rpartition("/")
    is_official = host == _DOCKER_HUB and folder == "library"
    return Component(
        name=name,
        version=end,
        type=ComponentType.CONTAINER,
        bom_ref=f"{name}@{end}",
        purl=PackageURL(
            type="docker",
            namespace=None if is_official else folder or None,
            name=last,
            version=end,
            qualifiers=None if host == _DOCKER_HUB else {"repository_url": host},
        ),
    )


def _system_package(text: str, base: str) -> Component:
    """Describe a system package; its version is known only if the settings have it."""
    found = _SYSTEM_PACKAGE.fullmatch(text)
    name, version = (found["name"], found["version"]) if found else (text, None)
    kinds = {
        ("deb", "debian"): base_names.is_debian(base),
        ("apk", "alpine"): base_names.is_alpine(base),
    }
    kind = next((kind for kind, fits in kinds.items() if fits and found), None)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"system:{text}",
        purl=PackageURL(type=kind[0], namespace=kind[1], name=name, version=version)
        if kind
        else None,
    )
