"""The summary of real builds matches what BuildKit did."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from acme import Project, make_shop
from builds import NETWORK
from edits import change_native_version, change_pure_version, release
from registries import own_registry

from poetry_docker_cache.text import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from acme import AcmeIndex
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

LINE = re.compile(r"(Change|Layers|Image|Digest|Time|Starts|Run) +(.*)")
KINDS = ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2")
ACCEPT = ", ".join(f"application/vnd.{kind}+json" for kind in KINDS)


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """Summary and metadata file of a build."""

    lines: dict[str, str]
    """The summary by its titles, without the seconds."""
    data: dict[str, Any]
    """The metadata file."""

    @property
    def ours(self) -> dict[str, Any]:
        """Return the plugin's part of the metadata file."""
        return dict(self.data["poetry-docker-cache"])

    @property
    def installed(self) -> dict[str, list[str]]:
        """Return the packages by the layers that were rebuilt."""
        return {
            layer["name"]: [
                f"{package['name']} {package['version']}" for package in layer["packages"]
            ]
            for layer in self.ours["layers"]
            if not layer["cached"]
        }


def build_and_report(project: Project, *options: str, behind: tuple[str, ...] = ()) -> BuildReport:
    """Build with a metadata file."""
    file = project.folder.parent / "metadata.json"
    given = (f"--metadata-file={file}", *options, *NETWORK, *behind)
    done = project.poetry.run(project.folder, "docker", "build", *given)
    return BuildReport(lines=summary(done.stderr), data=json.loads(file.read_text()))


def summary(text: str) -> dict[str, str]:
    """Return the summary's lines by title; they are the last lines of the output."""
    lines = [line for line in text.splitlines() if line and not line.startswith("- ")]
    found = [LINE.fullmatch(line) for line in lines]
    first = next((number for number, match in enumerate(found) if match), len(lines))
    matches = [match for match in found[first:] if match]
    assert len(matches) == len(lines) - first, lines[first:]
    return {
        match[1].strip(): re.sub(r"(in|push:) (?:\d+ min )?[\d.]+ s", r"\1 TIME", match[2])
        for match in matches
    }


def layers(image: str) -> dict[str, int]:
    """Return the sizes of an image's layers in its registry."""
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    index = fetch(f"http://{host}/v2/{name}/manifests/{tag}")
    (digest,) = (
        manifest["digest"]
        for manifest in index["manifests"]
        if manifest["platform"]["os"] == "linux"
    )
    manifest = fetch(f"http://{host}/v2/{name}/manifests/{digest}")
    return {part["digest"]: part["size"] for part in manifest["layers"]}


def fetch(url: str) -> dict[str, Any]:
    """Return a JSON document from the registry."""
    request = urllib.request.Request(url, headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


@pytest.fixture(scope="module")
def shop(
    engine: DockerEngine,
    poetry_home: Callable[[DockerEngine], Poetry],
    index: AcmeIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a project whose layers match those of no other module."""
    project = make_shop(tmp_path_factory.mktemp("summary") / "shop", poetry_home(engine), index)
    own = {"build": ["ENV MADE_FOR=test_summary"], "runtime": []}
    project.configure(layers=4, instructions=own)
    return project


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a repository in an empty registry: others may have layers, and would share them."""
    with own_registry(tmp_path_factory.mktemp("registry")) as address:
        yield f"{address}/shop"


@pytest.fixture(scope="module")
def first(shop: Project, name: str) -> BuildReport:
    """Build for the first time, and push."""
    return build_and_report(shop, "--push", f"--tag={name}:1")


@pytest.fixture
def copy(shop: Project, first: BuildReport, tmp_path: Path) -> Project:
    """Return a copy of the built project."""
    assert first.data
    shutil.copytree(shop.folder, tmp_path / "shop")
    return Project(tmp_path / "shop", shop.poetry)


def test_first_build(first: BuildReport, name: str) -> None:
    """Everything is installed and pushed; the registry has exactly the reported data."""
    every = layers(f"{name}:1")
    assert first.installed == {
        "pure-1": ["acme-lib 1.1"],
        "pure-2": ["acme-util 1.0"],
        "native-1": ["acme-native 1.0"],
    }
    size = first.ours["size"]
    assert size == sum(every.values())
    assert 0 < first.ours["push_seconds"] < first.ours["seconds"]
    digest = first.data["containerimage.digest"]
    assert first.ours["digest"] == digest
    host, _, repository = name.partition("/")
    assert fetch(f"http://{host}/v2/{repository}/manifests/{digest}")
    assert first.lines == {
        "Layers": "3 layers built: 3 packages installed",
        "Image": f"{name}:1: {megabytes(size)} compressed, in TIME (push: TIME)",
        "Digest": digest,
        "Starts": "acme-shop",
        "Run": f"docker run --rm {name}:1",
    }


def test_release(copy: Project, first: BuildReport, name: str) -> None:
    """A new version installs nothing."""
    release(copy)
    report = build_and_report(copy, "--push", f"--tag={name}:2")
    assert report.lines["Layers"] == "3 layers cached: nothing was installed"
    assert report.installed == {}
    assert [layer["packages"] for layer in report.ours["layers"]] == [
        [{"name": name, "version": version, "reused": False}]
        for name, version in (("acme-lib", "1.1"), ("acme-util", "1.0"), ("acme-native", "1.0"))
    ]
    assert abs(report.ours["size"] - first.ours["size"]) < 1000
    assert report.ours["base"] == first.ours["base"]
    assert first.ours["base"]["digest"].startswith("sha256:")


def differences(project: Project, *options: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what `poetry docker diff` says: the packages, and the layers to rebuild."""
    done = project.poetry.run(project.folder, "docker", "diff", "--json", *options)
    (found,) = json.loads(done.stdout)["images"]
    rebuilt = [layer["name"] for layer in found["layers"] if layer["state"] == "rebuilt"]
    assert found["reasons"] == []
    return found["packages"], rebuilt


def test_upgrade(copy: Project, name: str) -> None:
    """A changed package rebuilds one layer, as `diff` has said; nothing is pushed."""
    build_and_report(copy)
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=1"]):
        author = ("-c", "user.name=a", "-c", "user.email=a@b.test")
        subprocess.run(["git", *author, *words], cwd=copy.folder, check=True)
    change_pure_version(copy)
    with_engine, with_registry, with_commit = (
        differences(copy, *options) for options in ([], [f"--against={name}:1"], ["--against=HEAD"])
    )
    assert with_engine == with_registry == with_commit
    packages, rebuilt = with_engine
    assert [(each["name"], each["old"], each["new"]) for each in packages] == [
        ("acme-lib", "1.1", "1.0")
    ]
    assert rebuilt == ["pure-1"]
    report = build_and_report(copy)
    assert report.lines["Change"] == "acme-lib 1.1 → 1.0: layer pure-1"
    assert report.lines["Layers"] == "1 of 3 layers rebuilt (pure-1): 1 package installed"
    assert report.installed == {"pure-1": ["acme-lib 1.0"]}
    assert report.ours["push_seconds"] is None
    assert "pushed" not in report.lines["Image"]
    assert report.ours["size"] > 1_000_000


def test_vendored_dockerfile(copy: Project) -> None:
    """The packages of rebuilt layers come from the log, those of cached ones are unknown."""
    change_native_version(copy)
    copy.configure(syntax=False)
    copy.poetry.run(copy.folder, "docker", "export")
    report = build_and_report(copy, "--file=Dockerfile")
    assert report.installed == {"native-1": ["acme-native 0.9"]}
    assert [layer["packages"] for layer in report.ours["layers"] if layer["cached"]] == [None] * 2


def test_build_without_an_image(copy: Project) -> None:
    """A build of a target, without output, shows layers and time."""
    report = build_and_report(copy, "--target=pure-1", behind=("--output=type=cacheonly",))
    assert [layer["name"] for layer in report.ours["layers"]] == ["pure-1"]
    assert [*report.lines] == ["Layers", "Time"]
    assert report.ours["digest"] is report.ours["size"] is None


def test_progress_is_that_of_buildkit(copy: Project) -> None:
    """The plugin adds no step to it; `-q` prints only the image's name."""
    shown = copy.poetry.run(copy.folder, "docker", "build", "--progress=plain", *NETWORK).stderr
    assert "exporting to image" in shown
    assert "provenance for metadata" not in shown
    assert [*summary(shown)] == ["Image", "Digest", "Starts", "Run"]
    quiet = copy.poetry.run(copy.folder, "docker", "build", "-q", *NETWORK)
    assert quiet.stderr == ""
    assert quiet.stdout.endswith("\n")
