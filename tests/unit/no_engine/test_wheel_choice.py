"""The wheels of an explicit target, and the keys of their layers."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import plans
import pytest
from packaging import tags
from projects import lock_text, package, wheel

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.manifest.__main__ import main
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.no_engine.wheel_choice import (
    ImageTarget,
    LayerFiles,
    choose_files,
    direct_url,
    layer_key,
)
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import Selection
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from pathlib import Path

SLIM = ImageTarget(
    python="3.13.5", abi="cp313", libc="glibc", libc_version=(2, 36), machine="x86_64"
)
ARM = replace(SLIM, machine="aarch64")
ALPINE = replace(SLIM, libc="musl", libc_version=(1, 2))
OLD = replace(SLIM, libc_version=(2, 17))
NATIVE = (
    "cp313-cp313-manylinux_2_28_x86_64",
    "cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64",
    "cp310-abi3-manylinux_2_28_x86_64",
    "cp313-cp313-manylinux_2_28_aarch64",
    "cp313-cp313-musllinux_1_2_x86_64",
    "cp313-cp313t-manylinux_2_28_x86_64",
    "cp313-cp313-macosx_11_0_arm64",
)


def choose(*packages: dict[str, Any], target: ImageTarget = SLIM, **more: Any) -> list[LayerFiles]:  # noqa: ANN401  # settings of many types
    """Choose for a project with these locked packages."""
    project = plans.project(*packages)
    plan = plans.plan(project, python="3.13", **more)
    return [*choose_files(plan, {}, project.lock.data, target)]


def chosen(*packages: dict[str, Any], target: ImageTarget = SLIM, **more: Any) -> list[str]:  # noqa: ANN401  # as above
    """Return the names of the chosen files."""
    layers = choose(*packages, target=target, **more)
    return [file.file for layer in layers for file in layer.files]


@pytest.mark.skipif(sys.platform != "linux", reason="describes a Linux image")
def test_tags_of_this_machine_are_those_of_packaging() -> None:
    """`packaging` asks the running interpreter, and the target is only described."""
    here = Target.here()
    assert here.libc in ("glibc", "musl")
    assert here.libc_version
    target = ImageTarget(
        python=platform.python_version(),
        abi=here.abi,
        libc="glibc" if here.libc == "glibc" else "musl",
        libc_version=here.libc_version,
        machine=platform.machine(),
    )
    assert target.tags() == [str(tag) for tag in tags.sys_tags()]
    assert target.without_machine() == here


@pytest.mark.parametrize(
    ("target", "best"),
    [(SLIM, NATIVE[0]), (OLD, NATIVE[1]), (ARM, NATIVE[3]), (ALPINE, NATIVE[4])],
)
def test_best_wheel_for_each_target(target: ImageTarget, best: str) -> None:
    """As pip on that base: its own ABI first, then the newest platform that the libc allows."""
    files = [wheel("fast", tag=tag) for tag in reversed(NATIVE)]
    base = "python:{python}-alpine" if target is ALPINE else "python:{python}-slim"
    assert chosen(package("fast", files=files), target=target, base_image=base) == [
        f"fast-1.0-{best}.whl"
    ]


def test_too_old_libc_is_error_with_way_out() -> None:
    """A wheel for a newer glibc does not fit, and the message says for which target."""
    locked = package("fast", files=[wheel("fast", tag=NATIVE[0])])
    with pytest.raises(DockerCacheError, match=r"fast 1\.0 .*glibc 2\.17") as caught:
        choose(locked, target=OLD)
    assert "base-image" in caught.value.fix


def test_missing_machine_is_error_with_marker() -> None:
    """A package without a wheel for one machine names the marker that leaves it out there."""
    locked = package("fast", files=[wheel("fast", tag=NATIVE[0])])
    with pytest.raises(DockerCacheError, match=r"\(aarch64, glibc 2\.36, Python 3\.13\) of fast"):
        choose(locked, target=ARM)


def test_markers_are_evaluated_for_target() -> None:
    """The machine and the full version of Python are those of the image, not of this machine."""
    packages = [
        package("on-arm", markers='platform_machine == "aarch64"'),
        package("on-patch", markers='python_full_version >= "3.13.5"'),
        package("on-windows", markers='sys_platform == "win32"'),
    ]
    assert chosen(*packages) == ["on_patch-1.0-py3-none-any.whl"]
    assert sorted(chosen(*packages, target=ARM)) == [
        "on_arm-1.0-py3-none-any.whl",
        "on_patch-1.0-py3-none-any.whl",
    ]


def test_marker_about_kernel_is_error_where_it_matters() -> None:
    """No target knows the kernel; on another machine, the rest of the marker decides."""
    marker = 'platform_machine == "x86_64" and platform_release >= "5"'
    locked = package("kernel", markers=marker)
    with pytest.raises(
        DockerCacheError, match=r"kernel is installed depends on .*platform_release"
    ):
        choose(locked)
    assert chosen(locked, target=ARM) == []


@pytest.mark.parametrize("abi", ["cp313t", "pp311_pp73"])
def test_other_interpreters_are_refused(abi: str) -> None:
    """Free-threaded Python and PyPy get the name of a base that works."""
    with pytest.raises(DockerCacheError, match=abi) as caught:
        choose(target=replace(SLIM, abi=abi))
    assert "python:3.13-slim" in caught.value.fix


def test_manifest_is_the_file_that_the_build_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways to build have the same basis of a layer's key, byte for byte."""
    files = [wheel("fast", tag=tag) for tag in NATIVE]
    packages = [package("fast", files=files), package("slow")]
    layers = choose(*packages, layers=2)
    (tmp_path / "poetry.lock").write_text(lock_text({}, packages))
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setattr(Target, "here", SLIM.without_machine)
    names = [layer.name for layer in layers]
    arguments = [f"--project={tmp_path}", f"--output={tmp_path}", "--libc=glibc", "--group=main"]
    assert main([*arguments, "--layers", *names]) == 0
    assert [layer.manifest for layer in layers] == [
        (tmp_path / f"{name}.json").read_bytes() for name in names
    ]


def test_images_that_share_layers() -> None:
    """Each family of packages has its own layer, as in the build of several images."""
    project = plans.project(
        package("common"),
        package("only-worker", groups=["worker"]),
        groups=frozenset({"main", "worker"}),
    )
    worker = Selection(groups=("main", "worker"), extras=())
    images = {
        "api": {"groups": ("main",), "extras": ()},
        "worker": {"groups": worker.groups, "extras": ()},
    }
    plan = make_plan(project, Settings(python="3.13"), worker, images, selected_by_any=worker)
    layers = choose_files(plan, {}, project.lock.data, SLIM)
    assert {layer.name: [file.name for file in layer.files] for layer in layers} == {
        "dependencies": ["common"],
        "dependencies.worker": ["only-worker"],
    }


def key(layer: LayerFiles, target: ImageTarget = SLIM, **more: Any) -> str:  # noqa: ANN401  # as above
    """Return the key of a layer."""
    return layer_key(layer, target, **{"made_by": "1", "bytecode": "", **more})


def test_key_depends_on_wheels_and_on_what_they_are_unpacked_for() -> None:
    """Another patch version of the image's Python gives the same key."""
    (layer,) = choose(package("slow"))
    other = LayerFiles(
        name=layer.name,
        files=(replace(layer.files[0], hash=f"sha256:{'0' * 64}"),),
        manifest=layer.manifest,
    )
    keys = {
        key(layer),
        key(other),
        key(layer, replace(SLIM, python="3.14.1", abi="cp314")),
        key(layer, replace(SLIM, prefix="/opt/venv")),
        key(layer, made_by="2"),
        key(layer, bytecode="cpython-313 3.13.5"),
        key(layer, bytecode="cpython-313 3.13.6"),
    }
    assert len(keys) == 7
    assert key(layer, replace(SLIM, python="3.13.6")) == key(layer)


def test_pure_layer_has_one_key_for_all_machines() -> None:
    """Only a layer with a wheel for some machines depends on the machine and the libc."""
    files = [wheel("fast", tag=tag) for tag in NATIVE]
    locked = [package("slow"), package("fast", files=files)]
    here, there = (choose(*locked, target=target, layers=2) for target in (SLIM, ARM))
    kinds = {layer.name.partition("-")[0]: [key(layer)] for layer in here}
    for layer in there:
        kinds[layer.name.partition("-")[0]].append(key(layer, ARM))
    assert kinds["pure"][0] == kinds["pure"][1]
    assert kinds["native"][0] != kinds["native"][1]


def test_only_url_dependency_has_origin() -> None:
    """Poetry writes `direct_url.json` for a URL; in a build it removes that of a file."""
    name = "acme-1.0-py3-none-any.whl"
    url = f"https://files.test/{name}"
    for source, wanted in (
        ({"type": "url", "url": url}, url),
        ({"type": "file", "url": f"vendor/{name}"}, None),
    ):
        (layer,) = choose(package("acme", source=source))
        found = direct_url(layer.files[0])
        assert (json.loads(found)["url"] if found else None) == wanted
