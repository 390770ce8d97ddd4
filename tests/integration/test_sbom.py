"""`poetry docker sbom` on real projects, and what a push attaches in registries of many kinds."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING, Any

import hostile_registry as hostile
import pytest
from command_line import Client, Outcome, poetry
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from golden_cases import copy_case, project_in
from poetry.config.config import Config
from poetry.factory import Factory
from projects import wheel

from poetry_docker_cache.commands import earlier_licences
from poetry_docker_cache.commands.attach_sbom import attach_sbom
from poetry_docker_cache.commands.earlier_licences import read_earlier_licences
from poetry_docker_cache.commands.early_sboms import EarlySboms, start_licences
from poetry_docker_cache.commands.package_licences import KnownLicences
from poetry_docker_cache.commands.planned_image import PlannedImage, plan_images
from poetry_docker_cache.project.selection import SelectionOptions
from poetry_docker_cache.registry import registry_session
from poetry_docker_cache.registry.base_image import Descriptor
from poetry_docker_cache.registry.media_types import OCI_INDEX, OCI_MANIFEST
from poetry_docker_cache.registry.referrers import attach, find
from poetry_docker_cache.registry.registries import Registries
from poetry_docker_cache.registry.registry_client import digest_of
from poetry_docker_cache.sbom.cyclonedx_document import MEDIA_TYPE
from poetry_docker_cache.sbom.licences import WHEEL, wheel_with_licence
from poetry_docker_cache.system.cache_folder import cache_folder
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
KINDS = ("git_dependency", "lock_20", "monorepo", "shape_groups", "shape_sources")


def copied(name: str, folder: Path) -> Path:
    """Copy a case, and remember a licence for each wheel, since no index has these packages."""
    case = copy_case(name, folder)
    for lock in case.rglob("poetry.lock"):
        packages = tomllib.loads(lock.read_text(encoding="utf-8")).get("package", ())
        wheels = filter(None, map(wheel_with_licence, packages))
        KnownLicences(cache_folder()).keep({wheel["hash"]: ("MIT",) for wheel in wheels})
    return case


def run(folder: Path, name: str, *options: str) -> Outcome:
    """Run the command in a copy of a case."""
    case = copied(name, folder / name)
    Config.create(reload=True)  # Poetry reads poetry.toml only once in a process
    return poetry(project_in(case), "docker", "sbom", *options)


def document(folder: Path, name: str, *options: str) -> dict[str, Any]:
    """Return the document, which must be valid and alone on stdout."""
    outcome = run(folder, name, *options)
    assert (outcome.status, outcome.err) == (0, "")
    assert VALIDATOR.validate_str(outcome.out) is None
    return dict(json.loads(outcome.out))


def purls(data: dict[str, Any]) -> set[str]:
    """Return the package URLs of all components."""
    return {each["purl"] for each in data["components"] if "purl" in each}


@pytest.mark.parametrize("name", KINDS)
def test_document_is_valid_and_complete(tmp_path: Path, name: str) -> None:
    """The project leads to each component."""
    data = document(tmp_path, name)
    needs = {each["ref"]: each.get("dependsOn", []) for each in data["dependencies"]}
    todo, seen = ["project"], set()
    while todo:
        ref = todo.pop()
        todo += [] if ref in seen else needs[ref]
        seen.add(ref)
    assert seen == {"project", *(each["bom-ref"] for each in data["components"])}


def test_sources_of_all_kinds(tmp_path: Path) -> None:
    """Git dependencies have their commit, path dependencies no package URL."""
    fonts = wheel("acme-fonts", "3.1")
    queue = "git%2Bssh://git%40ssh.example.com:2222/acme/queue.git"
    commit = "7f60912d3b1ce5a1f4b1a1a6f0d4a2d1d9c0b8e0"
    assert {
        f"pkg:pypi/acme-fonts@3.1?download_url=https://files.example.com/{fonts}",
        "pkg:pypi/acme-legacy@1.0?file_name=acme_legacy-1.0-py3-none-any.whl",
        f"pkg:pypi/acme-queue@0.9.1?vcs_url={queue}%40{commit}",
    } <= purls(document(tmp_path, "git_dependency"))


def test_platform_decides_markers(tmp_path: Path) -> None:
    """`--platform` is read as by Docker; the lock file of this case has packages for one only."""
    both = [
        document(tmp_path / name, "platforms", f"--platform={name}")
        for name in ("linux/amd64", "arm64")
    ]
    assert len(both[0]["components"]) != len(both[1]["components"])
    assert purls(both[0]) & purls(both[1])


def test_file_is_written_and_errors_say_what_to_type(tmp_path: Path) -> None:
    """Nothing is printed to stdout then."""
    written = tmp_path / "sbom.json"
    outcome = run(tmp_path / "a", "images", "--output", str(written), "api")
    assert (outcome.status, outcome.out) == (0, "")
    assert VALIDATOR.validate_str(written.read_text(encoding="utf-8")) is None
    for options, problem in {
        (): "Name one of them: `poetry docker sbom api`.",
        ("absent",): "There is no image 'absent'",
        ("api", "--platform=linux/arm65"): "not a known platform",
        ("api", "--platform=linux/mips64le"): "Use --platform with one of",
        ("api", f"--output={tmp_path}"): "is a folder",
        ("api", f"--output={tmp_path}/no/x"): "cannot be written",
    }.items():
        outcome = run(tmp_path / str(len(options)) / problem[:3], "images", *options)
        assert (outcome.status, outcome.out) == (1, "")
        assert problem in outcome.err


@pytest.fixture
def image(tmp_path: Path) -> PlannedImage:
    """Plan an image of a case."""
    folder = copied("shape_markers", tmp_path / "project")
    (planned,) = plan_images(Factory().create_poetry(folder), (), SelectionOptions())
    return planned


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registries]:
    """Provide the clients, without the logins of this machine."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loads no certificates, so it is fast
    monkeypatch.setattr(registry_session, "_tls", lambda *_: context)
    with Registries() as found:
        yield found


def described(body: bytes, name: str) -> dict[str, Any]:
    """Return the entry of a manifest in an index."""
    system, machine, *variant = name.split("/")
    platform = {
        "os": system,
        "architecture": machine,
        **({"variant": variant[0]} if variant else {}),
    }
    found = Descriptor(media_type=OCI_MANIFEST, digest=digest_of(body), size=len(body))
    return {**found.json(), "platform": platform}


def push(served: hostile.HostileRegistry, *platforms: str) -> str:
    """Push an image with attestations, as BuildKit does; return the digest of its index."""
    bodies = {name: json.dumps({"layers": [], "x": name}).encode() for name in platforms}
    index = {
        "schemaVersion": 2,
        "manifests": [described(body, name) for name, body in bodies.items()],
    }
    top = json.dumps(index).encode()
    for body, kind in ((top, OCI_INDEX), *((body, OCI_MANIFEST) for body in bodies.values())):
        served.manifests["team/shop", digest_of(body)] = (kind, body)
    return digest_of(top)


@pytest.mark.parametrize("pages", [0, 1], ids=["tag", "api"])
def test_each_platform_has_its_own_document(
    image: PlannedImage, registries: Registries, pages: int
) -> None:
    """A repeated push writes nothing; attestations get no SBOM."""
    with hostile.hostile_registry(pages=pages) as served:
        tags = [f"{served.host}/team/shop:{tag}" for tag in ("1", "2")]
        sboms = EarlySboms(image, ["linux/amd64"], start_licences([image]))
        digest = push(served, "linux/amd64", "linux/arm64/v8", "unknown/unknown")
        assert attach_sbom(sboms, tags, digest, registries) == []
        written, requests = dict(served.manifests), len(served.log)
        assert attach_sbom(sboms, tags, digest, registries) == []
        assert served.manifests == written
        assert len(served.log) - requests == (3 if pages else 5)
        index = json.loads(written["team/shop", digest][1])
        found = [
            body
            for entry in index["manifests"]
            for _, body in find(
                registries.of(served.host), "team/shop", entry["digest"], MEDIA_TYPE
            )
        ]
    platforms = [
        each["value"]
        for body in found
        for each in json.loads(body)["metadata"]["properties"]
        if each["name"] == "poetry-docker-cache:platform"
    ]
    assert platforms == ["linux/amd64", "linux/arm64"]


@pytest.mark.parametrize("pages", [0, 1], ids=["tag", "api"])
def test_licences_are_read_from_an_earlier_image(registries: Registries, pages: int) -> None:
    """Documents of others, or too large or damaged ones, are ignored; also what is not wanted."""
    wheels = [f"sha256:{number:064}" for number in range(3)]
    components = [
        {
            "properties": [{"name": WHEEL, "value": wheels[0]}],
            "licenses": [{"license": {"id": "MIT"}}],
        },
        {"properties": [{"name": WHEEL, "value": wheels[1]}]},
    ]
    own = json.dumps({"components": components}).encode()
    with hostile.hostile_registry(pages=pages) as served:
        registry, repository = registries.of(served.host), "team/shop"
        body = served.manifests[repository, push(served, "linux/amd64")][1]
        subject = Descriptor.of(json.loads(body)["manifests"][0])
        earlier = [(registry, repository, subject.digest)]
        assert read_earlier_licences(earlier, wheels) == {}
        for document in (own + b" " * earlier_licences._LARGEST, b"[", own):
            attach(
                registry,
                repository,
                subject,
                artifact_type=MEDIA_TYPE,
                media_type=MEDIA_TYPE,
                body=document,
            )
        absent = (registry, repository, f"sha256:{'0' * 64}")
        found = read_earlier_licences([absent, *earlier], wheels)
        assert found == {wheels[0]: ("MIT",), wheels[1]: ()}
        assert read_earlier_licences(earlier, wheels[1:]) == {wheels[1]: ()}


def test_registry_that_hangs_or_refuses_has_no_licences(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the index is asked."""
    monkeypatch.setattr(earlier_licences, "_PATIENCE", 0.2)
    wheel = f"sha256:{'1' * 64}"
    for options in ({"stalled": "GET"}, {"asks_for_login": True}):
        with hostile.hostile_registry(**options) as served:
            image = (registries.of(served.host), "team/shop", f"sha256:{'0' * 64}")
            assert read_earlier_licences([image], [wheel]) == {}


@pytest.mark.usefixtures("registries")
def test_build_attaches_what_the_command_prints(tmp_path: Path, client: Client) -> None:
    """`sbom = false` turns that off: nothing is asked of the registry."""
    folder = copied("shape_markers", tmp_path / "project")
    with hostile.hostile_registry() as served:
        client.remember({"containerimage.digest": push(served, "linux/amd64")})
        name = f"{served.host}/team/shop:1"
        build = ("docker", "build", "--push", f"--tag={name}")
        outcome = poetry(folder, *build)
        assert (outcome.status, outcome.out) == (0, f"{name}\n")
        assert "SBOM" not in outcome.err
        printed = poetry(folder, "docker", "sbom", "--platform=linux/amd64").out
        assert printed.encode() in served.blobs.values()
        served.log.clear()
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write("\n[tool.poetry-docker-cache]\nsbom = false\n")
        assert poetry(folder, *build).status == 0
        assert served.log == []


@pytest.mark.usefixtures("registries")
def test_registry_that_does_not_answer_stops_no_build(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Perhaps only the builder reaches it."""
    monkeypatch.setattr("poetry_docker_cache.commands.image_build._PATIENCE", 0.2)
    folder = copy_case("shape_no_dependencies", tmp_path / "project")
    with hostile.hostile_registry(stalled="GET") as served:
        client.remember({"containerimage.digest": f"sha256:{'0' * 64}"})
        name = f"{served.host}/team/shop:1"
        outcome = poetry(folder, "docker", "build", "--push", f"--tag={name}")
        assert (outcome.status, outcome.out) == (0, f"{name}\n")
        assert "its SBOM was not attached. The registry did not answer within" in outcome.err


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("fault", ["403", "404", "413"])
def test_registry_that_refuses_it_does_not_fail_the_build(
    image: PlannedImage, tmp_path: Path, fault: str
) -> None:
    """A note says why, without a secret."""
    sboms = EarlySboms(image, ["linux/amd64"], start_licences([image]))
    login = {"auth": base64.b64encode(f"user:{hostile.PASSWORD}".encode()).decode()}
    with hostile.hostile_registry(asks_for_login=True) as served:
        (tmp_path / "config.json").write_text(json.dumps({"auths": {served.host: login}}))
        digest = push(served, "linux/amd64")
        before = dict(served.manifests)
        for at in range(1, 12):
            served.log.clear()
            served.tokens.clear()
            served.fault, served.faulty = fault, range(at, 1000)
            with Registries() as fresh:
                notes = attach_sbom(sboms, [f"{served.host}/team/shop:1"], digest, fresh)
            assert len(notes) == (at <= len(served.log))
            for note in notes:
                assert note.startswith("The image was pushed, but its SBOM was not attached. ")
                assert "bug" not in note
                assert hostile.PASSWORD not in note
                assert login["auth"] not in note
            served.manifests = dict(before)
            served.blobs.clear()
