"""The summary of real builds: what it says is what BuildKit did."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from acme import Project, make_shop
from builds import NETWORK
from edits import native_version, one_version, release
from registries import own_registry

from poetry_docker_cache.text import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from acme import AcmeIndex
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

LINE = re.compile(r"(Dependencies|Image|Digest|Time| {2}(pure|native)-\d) {2,}(.*)")
KINDS = ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2")
ACCEPT = ", ".join(f"application/vnd.{kind}+json" for kind in KINDS)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a build told."""

    lines: dict[str, str]
    """The summary by its titles, without the seconds."""
    data: dict[str, Any]
    """The metadata file."""

    @property
    def ours(self) -> dict[str, Any]:
        """Our part of the metadata file."""
        return dict(self.data["poetry-docker-cache"])

    @property
    def installed(self) -> dict[str, list[str]]:
        """The packages by the layers that were rebuilt."""
        return {
            layer["name"]: [f"{it['name']} {it['version']}" for it in layer["packages"]]
            for layer in self.ours["layers"]
            if not layer["cached"]
        }


def tell(project: Project, *options: str, behind: tuple[str, ...] = ()) -> Told:
    """Build with plain progress and a metadata file."""
    file = project.folder.parent / "metadata.json"
    given = ("--progress=plain", f"--metadata-file={file}", *options, *NETWORK, *behind)
    done = project.poetry.run(project.folder, "docker", "build", *given)
    return Told(lines=summary(done.stderr), data=json.loads(file.read_text()))


def summary(text: str) -> dict[str, str]:
    """Give the lines by their titles; they come last, and nothing comes between them."""
    lines = [line for line in text.splitlines() if line]
    found = [LINE.fullmatch(line) for line in lines]
    first = next((number for number, match in enumerate(found) if match), len(lines))
    matches = [match for match in found[first:] if match]
    assert len(matches) == len(lines) - first, lines[first:]
    return {
        match[1].strip(): re.sub(r"in (\d+ min )?[\d.]+ s$", "in TIME", match[3])
        for match in matches
    }


def blobs(image: str) -> dict[str, int]:
    """Give the sizes of what an image has in its registry, attestations aside."""
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    index = fetch(f"http://{host}/v2/{name}/manifests/{tag}")
    (digest,) = (it["digest"] for it in index["manifests"] if it["platform"]["os"] == "linux")
    manifest = fetch(f"http://{host}/v2/{name}/manifests/{digest}")
    return {part["digest"]: part["size"] for part in (manifest["config"], *manifest["layers"])}


def fetch(url: str) -> dict[str, Any]:
    """Give a JSON document of the registry."""
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
    """Give a project of which no other module has built a layer."""
    project = make_shop(tmp_path_factory.mktemp("summary") / "shop", poetry_home(engine), index)
    own = {"build": ["ENV MADE_FOR=test_summary"], "runtime": []}
    project.configure(layers=4, instructions=own)
    return project


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a repository of an empty registry: any other may have layers, and take them over."""
    with own_registry(tmp_path_factory.mktemp("registry")) as address:
        yield f"{address}/shop"


@pytest.fixture(scope="module")
def first(shop: Project, name: str) -> Told:
    """Build for the first time, and push."""
    return tell(shop, "--push", f"--tag={name}:1")


@pytest.fixture
def copy(shop: Project, first: Told, tmp_path: Path) -> Project:
    """Give a copy of the project, which was built."""
    assert first.data
    shutil.copytree(shop.folder, tmp_path / "shop")
    return Project(tmp_path / "shop", shop.poetry)


def test_first_build(first: Told, name: str) -> None:
    """Everything is installed and pushed; the registry has just what was told."""
    every = blobs(f"{name}:1")
    assert first.installed == {
        "pure-1": ["acme-lib 1.1"],
        "pure-2": ["acme-util 1.0"],
        "native-1": ["acme-native 1.0"],
    }
    size, pushed = first.ours["size"], first.ours["pushed"]
    assert size == sum(every.values())
    assert pushed == size
    digest = first.data["containerimage.digest"]
    assert first.ours["digest"] == digest
    host, _, repository = name.partition("/")
    assert fetch(f"http://{host}/v2/{repository}/manifests/{digest}")
    image = f"{megabytes(size)} compressed, {megabytes(pushed)} pushed"
    assert first.lines == {
        "Dependencies": "3 layers, 0 cached, 3 rebuilt: 3 packages installed",
        "pure-1": "acme-lib 1.1",
        "pure-2": "acme-util 1.0",
        "native-1": "acme-native 1.0",
        "Image": f"{name}:1: {image}, in TIME",
        "Digest": digest,
    }


def test_release(copy: Project, first: Told, name: str) -> None:
    """A new version installs nothing, and pushes the project's own layer."""
    release(copy)
    told = tell(copy, "--push", f"--tag={name}:2")
    assert told.lines["Dependencies"] == "3 layers, all cached: nothing was installed"
    assert told.installed == {}
    assert [layer["packages"] for layer in told.ours["layers"]] == [
        [{"name": name, "version": version, "reused": False}]
        for name, version in (("acme-lib", "1.1"), ("acme-util", "1.0"), ("acme-native", "1.0"))
    ]
    before, after = blobs(f"{name}:1"), blobs(f"{name}:2")
    assert told.ours["pushed"] == sum(size for blob, size in after.items() if blob not in before)
    assert 0 < told.ours["pushed"] < first.ours["size"] / 1000


def test_one_version(copy: Project) -> None:
    """A bump is one layer, which is named with its packages; nothing is pushed."""
    one_version(copy)
    told = tell(copy)
    assert told.lines["Dependencies"] == "3 layers, 2 cached, 1 rebuilt: 1 package installed"
    assert told.lines["pure-1"] == "acme-lib 1.0"
    assert told.installed == {"pure-1": ["acme-lib 1.0"]}
    assert told.ours["pushed"] is None
    assert "pushed" not in told.lines["Image"]
    assert told.ours["size"] > 1_000_000


def test_vendored_dockerfile(copy: Project) -> None:
    """What its layers hold is told of those that ran."""
    native_version(copy)
    copy.configure(syntax=False)
    copy.poetry.run(copy.folder, "docker", "export")
    told = tell(copy, "--file=Dockerfile")
    assert told.installed == {"native-1": ["acme-native 0.9"]}
    assert [it["packages"] for it in told.ours["layers"] if it["cached"]] == [None] * 2


def test_without_an_image(copy: Project) -> None:
    """A target, and a result that goes nowhere: layers and time."""
    told = tell(copy, "--target=pure-1", behind=("--output=type=cacheonly",))
    assert [layer["name"] for layer in told.ours["layers"]] == ["pure-1"]
    assert [*told.lines] == ["Dependencies", "Time"]
    assert told.ours["digest"] is told.ours["size"] is None


def test_progress_is_buildkits(copy: Project) -> None:
    """With our own questions it shows no step more than without; `-q` is silent."""
    shown = copy.poetry.run(copy.folder, "docker", "build", "--progress=plain", *NETWORK).stderr
    assert "exporting to image" in shown
    assert "provenance for metadata" not in shown
    assert len(summary(shown)) == 3
    assert copy.poetry.run(copy.folder, "docker", "build", "-q", *NETWORK).stderr == ""


def test_on_a_terminal(copy: Project) -> None:
    """BuildKit has the terminal to itself, and draws; the summary follows."""
    command = [str(copy.poetry.executable), "docker", "build", *NETWORK]
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(copy.folder)
        os.execve(command[0], command, {**copy.poetry.env, "TERM": "xterm"})
    output = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(master, 65536):
            output += part
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = output.decode()
    assert re.search(r"\[\+\] Building [\d.]+s \(\d+/\d+\) FINISHED", text)
    drawn, _, after = text.rpartition("\x1b[?25h")  # the cursor is shown again
    assert drawn
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", after).replace("\r", "")
    assert summary(plain)["Dependencies"] == "3 layers, all cached: nothing was installed"
