"""The document: what it says about image and packages, and that it is always the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from poetry_docker_cache.sbom.cyclonedx_document import ImageFacts, render_document
from poetry_docker_cache.sbom.inventory import InstalledPackage, Inventory, LockedFile
from poetry_docker_cache.sbom.licences import Licences, licences_in_document

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
HASH = f"sha256:{'1' * 64}"
FACTS = ImageFacts(
    name="shop",
    version="1.0+local",
    image="web",
    platform="linux/amd64",
    python="3.13",
    base="python:3.13-slim",
    system_packages=("libpq5", "libgomp1:amd64=14.2.0-19"),
    groups=("main", "web"),
    extras=("fast",),
    labels={
        "org.opencontainers.image.description": "Sells things",
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
        "org.opencontainers.image.source": "https://me:s3cret@git.test/shop",
        "org.opencontainers.image.url": "https://shop.test",
    },
    index="https://index.test/simple/",
    plugin="1.2.3",
)
GIT = {
    "type": "git",
    "url": "https://me:s3cret@git.test/lib.git",
    "resolved_reference": "a" * 40,
}


def installed(name: str, *files: str, **keys: Any) -> InstalledPackage:  # noqa: ANN401  # fields
    """Return a package with files and their hashes."""
    defaults: dict[str, Any] = {"version": "1", "source": {}, "groups": ("main",), "marker": ""}
    named = tuple(LockedFile(name=file, hashes=(HASH, f"blake2:{'3' * 64}")) for file in files)
    return InstalledPackage(**{**defaults, "name": name, "files": named, "needs": (), **keys})


INVENTORY = Inventory(
    packages=(
        installed("one", "one-1-py3-none-any.whl", needs=(1, 2)),
        installed("two", "two-1-a.whl", "two-1-b.whl", groups=("main", "web")),
        installed("three", source=GIT, marker='platform_release == "6"'),
        installed("own", source={"type": "directory", "url": "../own"}),
    ),
    direct=(0, 3),
)


def document(facts: ImageFacts = FACTS, inventory: Inventory = INVENTORY) -> dict[str, Any]:
    """Return the document, which must be valid."""
    text = render_document(facts, inventory).decode()
    assert VALIDATOR.validate_str(text) is None
    assert "s3cret" not in text
    return dict(json.loads(text))


def component(name: str, facts: ImageFacts = FACTS) -> dict[str, Any]:
    """Return a component by its name."""
    (found,) = (each for each in document(facts)["components"] if each["name"] == name)
    return dict(found)


def test_project_is_what_the_document_describes() -> None:
    """Its metadata is that of the labels."""
    data = document()["metadata"]
    assert data["component"] == {
        "bom-ref": "project",
        "type": "application",
        "name": "shop",
        "version": "1.0+local",
        "description": "Sells things",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
        "externalReferences": [
            {"type": "vcs", "url": "https://git.test/shop"},
            {"type": "website", "url": "https://shop.test"},
        ],
    }
    assert sorted((each["name"], each["value"]) for each in data["properties"]) == [
        ("poetry-docker-cache:extra", "fast"),
        ("poetry-docker-cache:group", "main"),
        ("poetry-docker-cache:group", "web"),
        ("poetry-docker-cache:image", "web"),
        ("poetry-docker-cache:platform", "linux/amd64"),
        ("poetry-docker-cache:python", "3.13"),
    ]


def test_hash_is_the_components_if_it_has_one_file() -> None:
    """Hashes of several files would contradict each other."""
    expected = [{"alg": "SHA-256", "content": "1" * 64}]
    one, two = component("one"), component("two")
    assert one["hashes"] == one["externalReferences"][0]["hashes"] == expected
    assert "hashes" not in two
    assert [each["hashes"] for each in two["externalReferences"]] == [expected, expected]
    assert one["externalReferences"][0]["url"] == (
        "https://index.test/simple/one/#one-1-py3-none-any.whl"
    )


def test_licences_are_identifiers_one_expression_or_names() -> None:
    """The schema allows an expression only alone; the order of names is always the same."""
    for texts, expected in {
        ("mit",): [{"license": {"id": "MIT"}}],
        ("MIT OR Apache-2.0",): [{"expression": "MIT OR Apache-2.0"}],
        ("Apache 2.0",): [{"license": {"name": "Apache 2.0"}}],
        ("MIT OR 0BSD", "BSD License", "MIT"): [
            {"license": {"id": "MIT"}},
            {"license": {"name": "BSD License"}},
            {"license": {"name": "MIT OR 0BSD"}},
        ],
    }.items():
        inventory = with_licences(texts)
        (found,) = (
            each for each in document(inventory=inventory)["components"] if each["name"] == "one"
        )
        assert found["licenses"] == expected
    assert "licenses" not in component("one")


def with_licences(texts: tuple[str, ...]) -> Inventory:
    """Return one package; its licences are from a wheel for another system."""
    licences = Licences(texts, wheel=f"sha256:{'2' * 64}")
    return Inventory(packages=(installed("one", licences=licences),), direct=(0,))


@pytest.mark.parametrize(
    "texts",
    [
        *((), ("mit",), ("MIT or apache-2.0",), ("Apache 2.0",), ("a", "A")),
        *(("B, Inc.", "MIT OR 0BSD", "mit"), ("MIT", "mit"), ("Åcmé ©",)),
    ],
)
def test_licences_of_a_document_give_the_same_document(texts: tuple[str, ...]) -> None:
    """So a machine that reads an earlier document writes the same bytes as one that asks."""
    first = render_document(FACTS, with_licences(texts))
    (read,) = licences_in_document(first).values()
    assert render_document(FACTS, with_licences(read)) == first


def test_packages_from_elsewhere() -> None:
    """A commit is an address; a folder has only its path."""
    three, own = component("three"), component("own")
    commit = f"git+https://git.test/lib.git@{'a' * 40}"
    assert three["externalReferences"] == [{"type": "vcs", "url": commit}]
    assert three["scope"] == "optional"
    assert {"name": "poetry-docker-cache:marker", "value": 'platform_release == "6"'} in three[
        "properties"
    ]
    assert "purl" not in own
    assert {"name": "poetry-docker-cache:path", "value": "../own"} in own["properties"]


def test_base_image_and_system_packages() -> None:
    """Their versions are unknown unless the settings have them."""
    assert component("docker.io/library/python")["purl"] == "pkg:docker/python@3.13-slim"
    assert component("libpq5")["purl"] == "pkg:deb/debian/libpq5"
    assert component("libgomp1")["purl"] == "pkg:deb/debian/libgomp1@14.2.0-19"
    own = replace(FACTS, base=f"host.test/team/py@{HASH}", system_packages=("so:libpq.so.5",))
    assert component("host.test/team/py", own)["purl"] == (
        f"pkg:docker/team/py@{HASH}?repository_url=host.test"
    )
    assert "purl" not in component("so:libpq.so.5", own)
    alpine = replace(FACTS, base="python:3.13-alpine", system_packages=("libpq",))
    assert component("libpq", alpine)["purl"] == "pkg:apk/alpine/libpq"


def test_dependencies_are_a_graph_from_the_project() -> None:
    """The image needs base and system packages, too."""
    found = {each["ref"]: set(each.get("dependsOn", ())) for each in document()["dependencies"]}
    base = "docker.io/library/python@3.13-slim"
    system = {"system:libpq5", "system:libgomp1:amd64=14.2.0-19"}
    assert found["project"] == {"one@1", "own@1", base, *system}
    assert found["one@1"] == {"two@1", "three@1"}
    assert found.keys() == {"project", "one@1", "two@1", "three@1", "own@1", base, *system}


def test_same_image_has_the_same_document() -> None:
    """Only SOURCE_DATE_EPOCH adds a time; another content has another serial number."""
    first = render_document(FACTS, INVENTORY)
    assert first == render_document(FACTS, INVENTORY)
    assert "timestamp" not in document()["metadata"]
    dated = document(replace(FACTS, epoch="86400"))
    assert dated["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"
    other = document(replace(FACTS, platform="linux/arm64"))
    numbers = {each["serialNumber"] for each in (document(), dated, other)}
    assert len(numbers) == 3


def test_any_text_of_the_metadata_is_possible() -> None:
    """A licence may be free text, and a version missing."""
    labels = {"org.opencontainers.image.licenses": 'Ask <us> & "pay"', "x": "y"}
    facts = replace(FACTS, labels=labels, version=None, name="Ünï code", image="")
    found = document(facts)["metadata"]["component"]
    assert found["licenses"] == [{"license": {"name": 'Ask <us> & "pay"'}}]
    assert "version" not in found
