"""Several platforms in one build: linux/amd64 and linux/386, which one machine runs natively.

linux/arm64 is only built as far as nothing has to run on it: its manifest.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import two_platforms
from acme import Project, make_shop
from builds import NETWORK, failed_build, has_ended, read_progress
from elf_files import make_elf
from two_platforms import PYTHON, provide
from wheels import make_sdist, make_wheel

from poetry_docker_cache.inside.install import elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from acme import AcmeIndex
    from builds import Steps
    from clean_poetry import Poetry
    from engines import DockerEngine

pytestmark = pytest.mark.engine

BOTH = ("linux/amd64", "linux/386")
MARKED = """\
dependencies = [
    "acme-lib (>=1.0,<2)",
    "acme-sixty-four ; platform_machine == 'x86_64'",
    "acme-thirty-two ; platform_machine == 'i686'",
    "acme-words",
]
"""
# The engine runs linux/386 without changing what `uname` reports, so set it as on a real machine.
SHELL = [
    "sh",
    "-c",
    '[ "$(dpkg --print-architecture)" = i386 ] && set linux32; exec "$@" sh -c "$0"',
]
CODE = """\
import importlib.metadata, json, sysconfig

import acme_words


def main() -> None:
    names = sorted(found.metadata["Name"] for found in importlib.metadata.distributions())
    found = {"names": names, "word": acme_words.BITS, "made": open("made/bits").read()}
    print(json.dumps({**found, "multiarch": sysconfig.get_config_var("MULTIARCH")}))
"""

STEP = "import acme_words; open('made/bits', 'w').write(str(acme_words.BITS))"
"""A build step: it runs on each platform."""


def wheel_for(index: AcmeIndex, name: str, machine: str, **more: Any) -> Path:  # noqa: ANN401  # as make_wheel's
    """Add a wheel with native code to the index."""
    return make_wheel(index.packages, name, tag=f"py3-none-manylinux_2_17_{machine}", **more)


@pytest.fixture(scope="module")
def bases(registry: str) -> tuple[str, str]:
    """Return the base image for both platforms, and one for linux/386 alone."""
    return provide(registry)


@pytest.fixture(scope="module")
def poetry(poetry_home: Callable[[DockerEngine], Poetry], engine: DockerEngine) -> Poetry:
    """Return a Poetry for the projects below."""
    return poetry_home(engine)


@pytest.fixture(scope="module")
def shop(
    poetry: Poetry,
    index: AcmeIndex,
    registry: str,
    bases: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a project whose packages differ by architecture."""
    for name in ("acme-sixty-four", "acme-thirty-two"):
        make_wheel(index.packages, name)
    for machine, bits in (("x86_64", 64), ("i686", 32)):
        wheel_for(index, "acme-words", machine, files={"acme_words.py": f"BITS = {bits}\n"})
    project = make_shop(tmp_path_factory.mktemp("shop"), poetry, index)
    project.replace(
        "pyproject.toml", 'dependencies = ["acme-lib (>=1.0,<2)", "acme-native"]\n', MARKED
    )
    project.write("src/acme_shop/__init__.py", CODE.encode())
    project.lock()
    project.configure(
        base_image=bases[0],
        python=PYTHON,
        platforms=[*BOTH],
        image=f"{registry}/both/shop",
        layers=2,
        instructions={"build": [f"SHELL {json.dumps(SHELL)}"]},
        run=[{"command": ["python", "-c", STEP], "output": ["made"]}],
    )
    return project


def run(project: Project, *options: str) -> tuple[Steps, list[str]]:
    """Build and push; return the result, and the names of the steps that ran."""
    done = project.poetry.run(
        project.folder, "docker", "build", "--progress=rawjson", "--push", *options, *NETWORK
    )
    return read_progress(done.stderr), executed(done.stderr)


def executed(progress: str) -> list[str]:
    """Return the name of each step that ran, once for each time."""
    names: dict[str, str] = {}
    cached = set()
    for line in progress.splitlines():
        for vertex in (json.loads(line).get("vertexes") or ()) if line.startswith("{") else ():
            cached |= {vertex["digest"]} if vertex.get("cached") else set()
            if has_ended(vertex):
                names[vertex["digest"]] = vertex["name"]
    return [name for digest, name in names.items() if digest not in cached]


def run_image(engine: DockerEngine, image: str, platform: str) -> dict[str, Any]:
    """Run the image of a platform; return the output of its program."""
    return dict(json.loads(engine.run(image, options=("--pull=always", "--platform", platform))))


@pytest.fixture(scope="module")
def built(shop: Project) -> tuple[Steps, list[str]]:
    """Build for both platforms without a cache: an engine may have their layers already."""
    return run(shop, "--no-cache")


def test_both_platforms_run(
    engine: DockerEngine, registry: str, shop: Project, built: tuple[Steps, list[str]]
) -> None:
    """One build makes both images, each with packages, wheels and an SBOM for its architecture."""
    assert built
    image = f"{registry}/both/shop:1.2.3"
    index = json.loads(engine.docker("buildx", "imagetools", "inspect", "--raw", image).stdout)
    platforms = [
        f"{manifest['platform']['os']}/{manifest['platform']['architecture']}"
        for manifest in index["manifests"]
    ]
    assert {*BOTH} <= {*platforms}
    for platform in BOTH:
        verified = shop.poetry.run(shop.folder, "docker", "verify", image, "--platform", platform)
        assert "The attached SBOM lists the installed packages." in verified.stdout
    compared = shop.poetry.run(shop.folder, "docker", "diff", "--against", image, "--json")
    (found,) = json.loads(compared.stdout)["images"]
    assert {layer["state"] for layer in found["layers"]} == {"kept"}
    assert found["reasons"] == []
    common = ["acme-lib", "acme-shop", "acme-util", "acme-words"]
    assert run_image(engine, image, BOTH[0]) == {
        "names": sorted([*common, "acme-sixty-four"]),
        "word": 64,
        "made": "64",
        "multiarch": "x86_64-linux-gnu",
    }
    assert run_image(engine, image, BOTH[1]) == {
        "names": sorted([*common, "acme-thirty-two"]),
        "word": 32,
        "made": "32",
        "multiarch": "i386-linux-gnu",
    }


def test_platforms_share_what_they_can(built: tuple[Steps, list[str]]) -> None:
    """What no platform changes is made once for both: the manifest, and layers of pure packages."""
    _, steps = built
    text = "\n".join(steps)
    assert len(re.findall(r"python.*-m.*\bmanifest\b", text)) == 1, text
    assert len(re.findall(r"RUN python -m venv", text)) == 1
    for layer, times in (("pure-1", 1), ("native-1", len(BOTH))):
        assert len(re.findall(rf"\b{layer} \d+/\d+\] RUN", text)) == times


def test_version_bump_installs_nothing(
    engine: DockerEngine, shop: Project, registry: str, built: tuple[Steps, list[str]]
) -> None:
    """The layers of both platforms are cached."""
    assert built
    shop.replace("pyproject.toml", 'version = "1.2.3"', 'version = "1.3.0"')
    steps, ran = run(shop)
    assert steps.installed == ()
    assert not {"pure-1", "native-1", "venv"} & steps.ran
    assert {"pure-1", "native-1"} <= steps.cached
    assert len([name for name in ran if "manifest" in name and "RUN" in name]) == 1
    assert run_image(engine, f"{registry}/both/shop:1.3.0", BOTH[1])["word"] == 32


def test_single_platform_makes_the_same_layers(
    shop: Project, built: tuple[Steps, list[str]]
) -> None:
    """Alone or with others, a platform uses the same cache, and no step runs twice."""
    assert built
    steps, ran = run(shop, "--platform", BOTH[0])
    assert not {"pure-1", "native-1", "venv", "manifest"} & steps.ran
    _, ran = run(shop, "--platform", BOTH[0], "--no-cache")
    text = "\n".join(ran)
    assert len(re.findall(r"RUN python -m venv", text)) == 1, text
    assert len(re.findall(r"python.*-m.*\bmanifest\b", text)) == 1, text


def test_local_image_is_for_this_machine(shop: Project) -> None:
    """`platforms` applies to pushed images, `--platform` to all."""
    dry = shop.poetry.run(shop.folder, "docker", "build", "--dry-run").stdout
    assert "--platform" not in dry
    push = ("--push", "--tag=h.io/team/shop:1")
    dry = shop.poetry.run(shop.folder, "docker", "build", "--dry-run", *push).stdout
    assert "--platform linux/amd64 --platform linux/386" in dry
    one = ("--platform", "linux/arm64")
    dry = shop.poetry.run(shop.folder, "docker", "build", "--dry-run", *push, *one).stdout
    assert re.findall(r"--platform \S+", dry) == ["--platform linux/arm64"]


def test_manifest_for_a_foreign_platform(
    engine: DockerEngine, shop: Project, tmp_path: Path
) -> None:
    """The manifests of linux/arm64 are made on the building machine, and are identical."""
    text = shop.poetry.run(shop.folder, "docker", "export", "-o", "-").stdout
    text = (
        re.sub(r"\A# syntax=.*\n", "", text) + "\nFROM scratch\nCOPY --from=manifest /manifest /\n"
    )
    platforms = (*BOTH, "linux/arm64", "linux/arm/v7", "linux/riscv64")
    options = ("--platform", ",".join(platforms), "--progress=rawjson")
    target = f"type=local,dest={tmp_path}"
    done = engine.docker(
        "buildx", "build", *options, "--output", target, "-f", "-", str(shop.folder), text=text
    )
    made = [name for name in executed(done.stderr) if re.search(r"python.*-m.*\bmanifest\b", name)]
    assert len(made) <= 1
    content = {
        folder.name: {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in tmp_path.iterdir()
    }
    assert sorted(content) == sorted(name.replace("/", "_") for name in platforms)
    assert (
        len(
            {
                json.dumps(sorted((k, v.decode()) for k, v in files.items()))
                for files in content.values()
            }
        )
        == 1
    )
    packages = [
        package
        for manifest in content["linux_arm64"].values()
        for package in json.loads(manifest)["packages"]
    ]
    assert {"acme-sixty-four", "acme-thirty-two"} <= {package["name"] for package in packages}
    (words,) = (package for package in packages if package["name"] == "acme-words")
    assert len(words["files"]) == 2


def test_missing_wheel_for_one_platform(
    shop: Project, index: AcmeIndex, bases: tuple[str, str], tmp_path: Path
) -> None:
    """The installation on that platform fails before it queries any index."""
    for name in ("acme-intel", "acme-partly"):
        wheel_for(index, name, "x86_64")
    make_sdist(index.packages, "acme-partly")
    project = make_shop(tmp_path, shop.poetry, index)
    project.replace("pyproject.toml", '"acme-native"]', '"acme-intel", "acme-partly"]')
    project.lock()
    project.configure(base_image=bases[0], python=PYTHON)
    said = failed_build(project, "--platform", BOTH[1])
    assert "acme-intel 1.0 has no wheel for i686, only for x86_64." in said
    assert "acme-partly 1.0 has no wheel for i686, only for x86_64." in said
    assert 'platforms = ["linux/386", "linux/amd64"]' in said
    project.configure(platforms=["linux/amd64", "linux/386"])
    dry = project.poetry.run(tmp_path, "docker", "build", "--dry-run")
    assert "acme-partly has no wheel for linux/386: built from source there" in dry.stderr


def test_missing_32_bit_library(
    shop: Project, index: AcmeIndex, bases: tuple[str, str], tmp_path: Path
) -> None:
    """The check reads 32-bit modules on a 64-bit machine."""
    library = make_elf(tmp_path / "x.so", needed=["libxxl.so.5"], machine=3, bits=32).read_bytes()
    wheel_for(index, "acme-large", "i686", files={"acme_large.abi3.so": library})
    project = make_shop(tmp_path / "shop", shop.poetry, index)
    project.replace("pyproject.toml", '"acme-native"]', '"acme-large"]')
    project.lock()
    project.configure(base_image=bases[0], python=PYTHON)
    said = failed_build(project, "--platform", BOTH[1])
    assert "acme-large needs libxxl.so.5, which is not in the image." in said


def test_foreign_platform_runs_nothing(
    shop: Project, index: AcmeIndex, registry: str, tmp_path: Path
) -> None:
    """An image for linux/arm64 is made without emulation, and its libraries are checked."""
    base = two_platforms.provide_foreign(registry, tmp_path)
    for name, needed in (("acme-arm", "libc.so.6"), ("acme-broken", "libxxl.so.5")):
        files = {}
        for machine, number in (("aarch64", two_platforms.AARCH64), ("x86_64", 62)):
            library = make_elf(tmp_path / "x.so", needed=[needed], machine=number)
            files = {f"{name.replace('-', '_')}.abi3.so": library.read_bytes()}
            wheel_for(index, name, machine, files=files)
    project = make_shop(tmp_path / "shop", shop.poetry, index)
    project.replace("pyproject.toml", '"acme-native"]', '"acme-arm", "acme-broken"]')
    project.lock()
    image = f"{registry}/foreign/shop"
    platforms = ["linux/amd64", "linux/arm64"]
    project.configure(base_image=base, python=PYTHON, platforms=platforms, image=image, layers=2)
    said = failed_build(project, "--push")
    assert "acme-broken needs libxxl.so.5, which is not in the image." in said
    project.configure(optional_libraries=["libxxl.so.5"])
    _, ran = run(project)
    assert not [
        name for name in ran if "linux/arm64" in name and " RUN " in name and "->" not in name
    ]
    root = two_platforms.files_of(f"{image}:1.2.3", "linux/arm64", tmp_path)
    (module,) = (root / "venv").glob("lib/python*/site-packages/acme_arm.abi3.so")
    read = elf.read(module)
    assert read is not None
    assert read.machine == two_platforms.AARCH64


def test_base_image_without_the_build_platform(
    shop: Project, index: AcmeIndex, bases: tuple[str, str], tmp_path: Path
) -> None:
    """A comment beside the failing line has the build argument to add; with it, the build works."""
    project = make_shop(tmp_path, shop.poetry, index)
    project.configure(base_image=bases[1], python=PYTHON)
    only = ("--platform", "linux/arm64", "--target", "manifest")
    said = failed_build(project, *only)
    assert "no match for platform in manifest" in said
    assert "--build-arg BUILDPLATFORM=" in said
    arguments = ("--", "--build-arg", "BUILDPLATFORM=linux/arm64")
    project.poetry.run(tmp_path, "docker", "build", *only, *arguments)
