"""Tests of reading a base image, and what it contains, from a registry."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from base_images import INDEX, put_image, put_index, tar
from elf_files import make_elf
from oci_layouts import Layout

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.no_engine.base_facts import BaseFacts, read_facts
from poetry_docker_cache.no_engine.base_libraries import layer_libraries, refuse_missing
from poetry_docker_cache.no_engine.tree import Bytes, Entry
from poetry_docker_cache.registry.base_image import BaseImage, read_base

if TYPE_CHECKING:
    from pathlib import Path

X86 = 62
ARM = 183
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PYTHON: dict[str, bytes | str | None] = {
    "lib": "usr/lib",
    "home": None,
    "usr/bin/apt-get": b"x",
    "usr/local/bin/python3.13": b"x",
    "usr/local/bin/python3": "python3.13",
    "usr/local/bin/python": "python3",
    "usr/local/lib/python3.13/venv/scripts/common/activate": b"a",
    "usr/local/lib/python3.13/venv/scripts/nt/python.exe": b"x",
}
VERSION: dict[str, Any] = {"Env": ["PYTHON_VERSION=3.13.5"]}
APK = b"P:busybox\nV:9.9.1-r0\n\nP:musl\nS:1\nV:1.2.5-r10\n\nP:python3\nV:3.13.4-r1\n"
DPKG = b"Package: a\nVersion: 1\n\nPackage: python3.13-minimal\nStatus: x\nVersion: 3.13.2-1+b1\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an empty layout."""
    return Layout(tmp_path / "layout")


def library(folder: Path, *needed: str, content: bytes = b"", machine: int = X86) -> bytes:
    """Make a library with this content at its end."""
    path = make_elf(folder / "elf", needed=needed, machine=machine)
    return path.read_bytes() + content


def glibc(folder: Path, release: bytes = b"2.36") -> bytes:
    """Make a C library."""
    text = b"\0libc.so.6\0GLIBC_2.34\0GNU C Library (Debian GLIBC 1) stable release version "
    return library(folder, content=text + release + b".\n\0")


def read(layout: Layout, digest: str, platform: str = "linux/amd64") -> BaseImage:
    """Read a base image."""
    return read_base(layout, "team/base", digest, platform, name="base:1")


def facts(
    layout: Layout, *layers: bytes, config: dict[str, Any] = VERSION, cache: Path | None = None
) -> BaseFacts:
    """Read the facts of an image of these layers."""
    return read_facts(layout, read(layout, put_image(layout, *layers, config=config)), cache)


@pytest.mark.parametrize("index", [INDEX, DOCKER_INDEX])
@pytest.mark.parametrize(
    "manifest", [DOCKER_MANIFEST, "application/vnd.oci.image.manifest.v1+json"]
)
def test_platform_is_chosen_from_an_index(index: str, manifest: str, layout: Layout) -> None:
    """Entries of attestations are not images; a variant must fit."""
    images = {
        name: put_image(layout, platform=name.split("/"), media_type=manifest)
        for name in ("linux/arm/v7", "linux/arm/v6", "linux/arm64/v8", "linux/amd64")
    }
    top = put_index(layout, {"unknown/unknown": "sha256:0", **images}, index)
    for wanted, name in {
        **dict(zip(images, images, strict=True)),
        "linux/arm64": "linux/arm64/v8",
    }.items():
        assert read(layout, top, wanted).digest == images[name]
    with pytest.raises(DockerCacheError, match="does not exist for linux/s390x, only for linux/a"):
        read(layout, top, "linux/s390x")


def test_image_for_another_platform_is_refused(layout: Layout) -> None:
    """A manifest without an index is checked by its configuration."""
    digest = put_image(layout, platform=("linux", "arm64", "v8"))
    assert read(layout, digest, "linux/arm64").platform == "linux/arm64"
    with pytest.raises(DockerCacheError, match="only for linux/arm64/v8"):
        read(layout, digest)
    with pytest.raises(DockerCacheError, match="base:1 does not exist"):
        read(layout, f"sha256:{'1' * 64}")


@pytest.mark.parametrize(
    "extra", [{"rootfs": {}}, {"rootfs": {"diff_ids": ["a"]}}, {"rootfs": None}]
)
def test_damaged_configuration_is_an_error(extra: dict[str, Any], layout: Layout) -> None:
    """It must list as many layers as the manifest."""
    with pytest.raises(DockerCacheError, match=r"base:1 cannot be read: its \w+"):
        read(layout, put_image(layout, extra=extra))


def test_facts_of_a_debian_image(layout: Layout, tmp_path: Path) -> None:
    """The interpreter is the first on PATH, as the shell finds it."""
    files = {**PYTHON, "usr/lib/x86_64-linux-gnu/libc.so.6": glibc(tmp_path)}
    configuration = {
        "etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\n",
        "etc/ld.so.conf.d/own.conf": b"# own\n/opt/lib\n",
    }
    found = facts(layout, tar({"usr/lib/x86_64-linux-gnu": None, **files, **configuration}))
    assert (found.abi, found.libc, found.libc_version) == ("cp313", "glibc", (2, 36))
    assert (found.machine, found.interpreter) == ("x86_64", "/usr/local/bin/python")
    assert found.python == "3.13.5"
    assert found.executable == "/usr/local/bin/python3.13"
    assert found.scripts == {"activate": "a"}
    assert found.programs == ("apt-get",)
    assert found.folders["home"] == (0o755, 0, 0)
    assert found.search[:3] == ("/opt/lib", "/lib", "/lib/x86_64-linux-gnu")


@pytest.mark.parametrize(
    ("path", "content", "version"),
    [
        (
            "usr/local/include/python3.13/patchlevel.h",
            b'#define PY_VERSION      "3.13.7"\n',
            "3.13.7",
        ),
        ("var/lib/dpkg/status", DPKG, "3.13.2"),
        ("var/lib/dpkg/status.d/python3.13", DPKG, "3.13.2"),
        ("lib/apk/db/installed", APK, "3.13.4"),
        ("lib/apk/db/installed", APK.replace(b"P:python3\n", b"P:python-3.13\n"), "3.13.4"),
    ],
)
def test_patch_version_without_a_variable(
    path: str, content: bytes, version: str, layout: Layout, tmp_path: Path
) -> None:
    """Python's header or the database of packages has it."""
    files = {**PYTHON, "usr/lib/libc.so.6": glibc(tmp_path), path: content}
    assert facts(layout, tar(files), config={}).python == version


def test_unknown_python_is_an_error(layout: Layout, tmp_path: Path) -> None:
    """The error says how to make it known."""
    libc = {"usr/lib/libc.so.6": glibc(tmp_path)}
    with pytest.raises(DockerCacheError, match=r"which Python 3.13 it has(.|\n)*PYTHON_VERSION"):
        facts(layout, tar({**PYTHON, **libc}), config={})
    with pytest.raises(DockerCacheError, match="where its Python is"):
        facts(layout, tar(libc))
    with pytest.raises(DockerCacheError, match="which C library"):
        facts(layout, tar(PYTHON))


def test_facts_of_an_alpine_image(layout: Layout, tmp_path: Path) -> None:
    """The version of musl is in the database of packages."""
    files = {**PYTHON, "lib": None, "lib/ld-musl-x86_64.so.1": library(tmp_path)}
    found = facts(layout, tar({**files, "lib/apk/db/installed": APK, "sbin/apk": b"x"}))
    assert (found.abi, found.libc, found.libc_version) == ("cp313", "musl", (1, 2))
    assert found.search == ("/lib", "/usr/lib", "/usr/local/lib", "/usr/lib64")


def test_layers_replace_and_remove_files(layout: Layout, tmp_path: Path) -> None:
    """Whiteouts concern the layers below, an opaque folder all that they have in it."""
    libs = {f"usr/lib/lib{name}.so.1": library(tmp_path) for name in "abc"}
    first = tar(
        {**PYTHON, **libs, "opt": None, "opt/old": None, "usr/lib/libc.so.6": glibc(tmp_path)}
    )
    second = tar(
        {
            "usr/lib/.wh.liba.so.1": b"",
            "usr/lib/libb.so.1": b"not a library",
            "opt/new": None,
            "opt/.wh..wh..opq": b"",
            "usr/lib/libd.so.1": library(tmp_path),
        },
        hard={"usr/lib/libe.so.1": "usr/lib/libd.so.1"},
    )
    found = facts(layout, first, second)
    names = {path.rpartition("/")[2] for path in found.libraries}
    assert names == {"libc.so.1", "libc.so.6", "libd.so.1", "libe.so.1"}
    assert {path for path in found.folders if path.startswith("opt")} == {"opt", "opt/new"}


def test_facts_are_read_once(layout: Layout, tmp_path: Path) -> None:
    """A damaged file in the cache is read again; another configuration has the same facts."""
    layer = tar({**PYTHON, "usr/lib/libc.so.6": glibc(tmp_path)})
    cache = tmp_path / "cache"
    first = facts(layout, layer, cache=cache)
    layout.read.clear()
    assert facts(layout, layer, cache=cache) == first
    assert len(layout.read) == 1  # the configuration
    (file,) = cache.rglob("*.json")
    for text in ("", "{}", '{"format": 1}', "[1]", file.read_text()[:-9]):
        file.write_text(text)
        assert facts(layout, layer, cache=cache) == first
    moved = facts(layout, layer, config={**VERSION, "Labels": {"a": "b"}}, cache=cache)
    assert moved == first


def test_zstd_needs_a_newer_python(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names both ways out."""
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    digest = put_image(layout, tar({}), compress=lambda _: b"\x28\xb5\x2f\xfd")
    base = read(layout, digest)
    with pytest.raises(DockerCacheError, match=r"zstd(.|\n)*Python 3.14"):
        read_facts(layout, base, None)


def test_truncated_layer_is_an_error(layout: Layout) -> None:
    """A layer that is not an archive names the base image."""
    base = read(layout, put_image(layout, b"x" * 700))
    with pytest.raises(DockerCacheError, match="of the base image base:1 cannot be read"):
        read_facts(layout, base, None)


def entry(path: str, content: bytes) -> Entry:
    """Return a file."""
    return Entry(path=path, mode=0o644, mtime=0, content=Bytes(content))


def test_missing_libraries_end_the_build(layout: Layout, tmp_path: Path) -> None:
    """The error names the distribution, its Debian package and what an image can do about it."""
    base = facts(layout, tar({**PYTHON, "usr/lib/libc.so.6": glibc(tmp_path)}))
    site = "venv/lib/python3.13/site-packages"
    module = make_elf(
        tmp_path / "m",
        needed=("libpq.so.5", "libc.so.6", "libown.so.1"),
        machine=X86,
        versions={"libc.so.6": ("GLIBC_2.99",)},
    ).read_bytes()
    foreign = library(tmp_path, "libforeign.so.1", machine=ARM)
    files = [
        entry(f"{site}/pq.so", module),
        entry(f"{site}/libs/libown.so.1", library(tmp_path)),
        entry(f"{site}/foreign.so", foreign),
        entry("venv/bin/tool", library(tmp_path, "libtool.so.2")),
        entry(f"{site}/text.so", b"text"),
        entry(f"{site}/Psycopg2-1.0.dist-info/RECORD", b"pq.so,sha256=x,1\n"),
    ]
    layer = layer_libraries(files, base)
    assert layer["provides"] == ["foreign.so", "libown.so.1", "pq.so", "text.so"]
    with pytest.raises(DockerCacheError) as error:
        refuse_missing(base, [layer], [], "base:1")
    text = str(error.value)
    assert "  - psycopg2 needs libpq.so.5, which is not in the image.\n" in text
    assert "  - tool needs libtool.so.2, which is not in the image.\n" in text
    assert "`apt-get install libpq5 libtool2`" in text
    assert "runtime-packages" not in text  # which need an engine
    assert 'optional-libraries = ["libpq.so.5", "libtool.so.2"]' in text
    assert "psycopg2 needs GLIBC_2.99 of libc.so.6; the image has an older one." in text
    assert "Set `base-image` to a newer release" in text
    assert not re.search("foreign|libown", str(error.value))
    layer["needs"]["libc.so.6"]["versions"] = ["GLIBC_2.34"]
    refuse_missing(base, [layer], ["libpq.so.5", "libtool.so.2"], "base:1")
