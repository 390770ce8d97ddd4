"""Tests of the check of the final image, on this machine and on made-up files of an image."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from elf_files import make_elf, own_machine

from poetry_docker_cache.inside import check
from poetry_docker_cache.inside.install import elf

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Image:
    """The folders of the check stage, with the library lists of the layers."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "folders/home/app"
        self.libraries = folder / "libraries"

    def layer(
        self,
        name: str,
        *,
        needs: dict[str, Any] | None = None,
        provides: tuple[str, ...] = (),
        python: str = HERE,
    ) -> None:
        """Write the library list of a layer."""
        self.libraries.mkdir(exist_ok=True)
        machine = own_machine()
        content = {"machine": machine, "needs": needs or {}, "provides": provides, "python": python}
        (self.libraries / f"{name}.json").write_text(json.dumps(content))

    def check(self, *options: str) -> int:
        """Run the check."""
        user = f"{os.getuid()}:{os.getgid()}"
        places = ["--folder=/home/app", f"--user={user}", f"--folders={self.home.parents[1]}"]
        return check.main([*places, "--libraries", str(self.libraries), *options])


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Return a Debian image."""
    monkeypatch.setattr(check.Image, "has", lambda _, name: name == "apt-get")
    return Image(tmp_path)


@pytest.mark.parametrize("python", [HERE, f"{HERE}.99"])
def test_matching_python_creates_home(python: str, image: Image) -> None:
    """The folder may already exist, and there may be no layers."""
    assert image.check("--python", python) == 0
    assert image.check("--python", python) == 0
    assert list(image.home.iterdir()) == []


def test_folders_of_the_user_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Links of the image are followed; a file in the way and an unknown user are errors."""
    root, made = tmp_path / "image", tmp_path / "made"
    for path in ("etc", "usr/bin", "mnt/data"):
        (root / path).mkdir(parents=True)
    (root / "usr/bin/python3.13").write_text("")
    (tmp_path / "python").symlink_to("/usr/bin/python3.13")
    (root / "mnt/data").chmod(0o1777)
    (root / "data").symlink_to("/mnt/data")
    own = f"{os.getuid()}:{os.getgid()}"
    (root / "etc/passwd").write_text(f"root:x:0:0::/root:/bin/sh\nme:x:{own}::/:/bin/sh\nodd\n")
    link = tmp_path / "python"
    options = [f"--root={root}", f"--folders={made}", "--folder=/data", f"--link={link}"]
    assert check.main([*options, "--user=who"]) == 1
    assert "`user` is who, which the base image does not have." in explanation(capsys)
    assert check.main([*options, "--user=root"]) == 1
    assert "which is root in the base image" in explanation(capsys)
    assert check.main([*options, "--folder=/etc/passwd", "--user=5:5"]) == 1
    assert "/etc/passwd is a file in the base image" in explanation(capsys)
    assert check.main([*options, "--folder=0750:/data/a b", f"--user={own}"]) == 0
    assert not (made / "data").exists()
    assert stat.S_IMODE((made / "mnt/data").stat().st_mode) == 0o1777
    assert stat.S_IMODE((made / "mnt/data/a b").stat().st_mode) == 0o750
    assert (made / "mnt").stat().st_mtime == check.EPOCH


def explanation(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the check has printed, without the name that starts an explanation."""
    printed = capsys.readouterr().out
    assert printed.startswith("poetry-docker-cache: ") or not printed
    return printed.removeprefix("poetry-docker-cache: ")


def test_other_python_fails(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names both versions and the setting, and nothing is created."""
    assert image.check("--python", "3.2") == 1
    said = explanation(capsys)
    assert f"Python {HERE}" in said
    assert "3.2." in said
    assert "`base-image`" in said
    assert not image.home.exists()


def test_layer_built_with_other_python_fails(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the layer and both images."""
    image.layer("pure-1")
    image.layer("source", python="3.2")
    assert image.check("--python", HERE) == 1
    said = explanation(capsys)
    assert f"This image has Python {HERE}, but `source` was built with 3.2." in said
    assert "`build-image` and `base-image`" in said
    assert not image.home.exists()


def test_red_hat_packages_by_library_name(
    image: Image, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package managers of the Red Hat family find a package by a library's name."""
    monkeypatch.setattr(check.Image, "has", lambda _, name: name == "microdnf")
    image.layer("source", needs={"libfoo.so.5": {"by": ["a"], "package": "libfoo5"}})
    assert image.check() == 1
    assert explanation(capsys).splitlines()[1:3] == [
        "Add to [tool.poetry-docker-cache]:",
        """instructions = { runtime = ["RUN microdnf install -y 'libfoo.so.5()(64bit)'"] }""",
    ]


def test_missing_libraries_fail(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is named with the package that needs it, and the settings can be copied."""
    image.layer("native-1", needs={"libfoo.so.1": {"by": ["b", "a"]}, "libm.so.6": {"by": ["a"]}})
    image.layer("source", needs={"libbar.so.2": {"by": ["psycopg2"], "package": "libbar2t64"}})
    assert image.check() == 1
    assert explanation(capsys).splitlines() == [
        "a needs libfoo.so.1, which is not in the image.",
        "b needs libfoo.so.1, which is not in the image.",
        "psycopg2 needs libbar.so.2, which is not in the image.",
        "Add the Debian packages to [tool.poetry-docker-cache], most likely:",
        'runtime-packages = ["libbar2t64", "libfoo1"]',
        "Or, if your application does not use the parts that need them:",
        'optional-libraries = ["libbar.so.2", "libfoo.so.1"]',
    ]
    assert not image.home.exists()


def test_optional_libraries_may_be_missing(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only libraries in the setting are ignored."""
    image.layer("native-1", needs={"libfoo.so.1": {"by": ["a"]}, "libbar.so.1": {"by": ["a"]}})
    assert image.check("--optional=libfoo.so.1") == 1
    assert "libfoo" not in explanation(capsys)
    assert image.check("--optional=libfoo.so.1", "--optional=libbar.so.1") == 0


def test_alpine_packages_by_library_name(
    image: Image, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Alpine, `apk` accepts the name of a library instead of its package."""
    monkeypatch.setattr(check.Image, "has", lambda _, name: name == "apk")
    needs = {"libfoo.so.5": {"by": ["psycopg2"]}, "libBAR.so.1": {"by": ["a"]}}
    image.layer("source", needs={**needs, "libm.so.6": {"by": ["a"]}})
    assert image.check() == 1
    assert explanation(capsys).splitlines()[2:] == [
        "Add to [tool.poetry-docker-cache]:",
        'runtime-packages = ["so:libBAR.so.1", "so:libfoo.so.5"]',
        "Or, if your application does not use the parts that need them:",
        'optional-libraries = ["libBAR.so.1", "libfoo.so.5"]',
    ]


def test_no_package_manager(
    image: Image, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an image without apt and apk, no package is proposed."""
    monkeypatch.setattr(check.Image, "has", lambda *_: False)
    image.layer("source", needs={"libfoo.so.1": {"by": ["a"]}})
    assert image.check() == 1
    said = explanation(capsys)
    assert "a needs libfoo.so.1" in said
    assert "`instructions.runtime`" in said
    assert 'optional-libraries = ["libfoo.so.1"]' in said
    assert "runtime-packages" not in said


def test_layers_provide_libraries_to_each_other(image: Image) -> None:
    """A library in any layer is not missing."""
    image.layer("native-1", needs={"libtorch.so": {"by": ["torchvision"]}})
    image.layer("own-torch", provides=("libtorch.so",))
    assert image.check() == 0
    (image.libraries / "own-torch.json").unlink()
    assert image.check() == 1


def test_missing_version_of_a_library_fails(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """Versions that the C library of this machine defines are accepted, others are not."""
    own = elf.read(Path(sys.executable).resolve())
    assert own is not None
    versions = [version for library, version in own.versions if library == "libc.so.6"]
    assert versions
    image.layer("source", needs={"libc.so.6": {"by": ["a"], "versions": versions}})
    assert image.check() == 0
    versions += ["GLIBC_2.999"]
    image.layer("source", needs={"libc.so.6": {"by": ["a"], "versions": versions}})
    assert image.check() == 1
    said = explanation(capsys)
    assert said.startswith("a needs GLIBC_2.999 of libc.so.6; the image has an older one.\n")
    assert "set `build-image` and `base-image` to the same release of a distribution." in said
    assert "runtime-packages" not in said


def test_library_in_a_folder_named_by_a_module(image: Image, tmp_path: Path) -> None:
    """The check searches the folders that the modules search first."""
    image.layer("source", needs={"libown.so.1": {"by": ["a"], "paths": [str(tmp_path)]}})
    assert image.check() == 1
    found = check.Image(Path("/"), own_machine()).find("libm.so.6")
    assert found
    (tmp_path / "libown.so.1").symlink_to(found.path)
    assert image.check() == 0


@pytest.mark.parametrize("optional", [False, True])
def test_library_that_another_one_needs(
    image: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str], optional: bool
) -> None:
    """It is reported as needed by that library, and may be optional too."""
    make_elf(tmp_path / "libpq.so.5", needed=["libldap.so.2", "libmid.so.1", "libc.musl-x.so.1"])
    make_elf(tmp_path / "libmid.so.1", needed=["libpq.so.5", "libxxl.so.1"])
    need = {"by": ["psycopg2"], "paths": [str(tmp_path)]}
    image.layer("source", needs={"libpq.so.5": need}, provides=("libxxl.so.1",))
    assert image.check(*["--optional=libldap.so.2"] * optional) == (0 if optional else 1)
    lines = explanation(capsys).splitlines()
    assert lines[:1] == ["libpq.so.5 needs libldap.so.2, which is not in the image."] * (
        not optional
    )


def test_damaged_library_is_missing(image: Image, tmp_path: Path) -> None:
    """The loader accepts no such file, no path as a name, and no file for another machine."""
    own = tmp_path / "libown.so.1"
    image.layer("source", needs={own.name: {"by": ["a"], "paths": [str(tmp_path)]}})
    own.write_bytes(b"\x7fELF damaged")
    assert image.check() == 1
    make_elf(own, machine=22)
    assert image.check() == 1
    make_elf(own)
    assert image.check() == 0
    image.layer("source", needs={str(own): {"by": ["a"]}})
    assert image.check() == 1


# --- The files of another image -------------------------------------------------------------------
class Files:
    """A folder with the files of an image for another machine."""

    machine = 183

    def __init__(self, root: Path) -> None:
        self.root = root / "image"
        self.root.mkdir()

    def write(self, path: str, text: str = "") -> None:
        """Write a file, by its path in the image."""
        (self.root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path[1:]).write_text(text)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        (self.root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path[1:]).symlink_to(target)

    def library(self, path: str, *needed: str, paths: str = "", machine: int = machine) -> None:
        """Write a shared library."""
        make_elf(self.root / path[1:], needed=needed, paths=paths, machine=machine)

    def find(self, name: str) -> str | None:
        """Return the place of a library in the image."""
        found = check.Image(self.root, self.machine).find(name)
        return found.path if found else None


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return an image without files."""
    return Files(tmp_path)


@pytest.mark.parametrize(
    "folder",
    ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib/aarch64-linux-gnu", "/usr/lib/x-linux-y"],
)
def test_folders_that_the_loader_knows(files: Files, folder: str) -> None:
    """They are those of glibc, also for several architectures."""
    files.library(f"{folder}/libx.so.1")
    files.library("/opt/liby.so.1")
    files.library("/usr/local/lib/libz.so.1")
    assert files.find("libx.so.1") == f"{folder}/libx.so.1"
    assert files.find("liby.so.1") is None
    assert files.find("libz.so.1") is None


def test_folders_in_the_configuration_of_glibc(files: Files) -> None:
    """Files include others, and even themselves."""
    files.write("/etc/ld.so.conf", "include ld.so.conf.d/*.conf\ninclude /etc/ld.so.conf\n")
    files.write("/etc/ld.so.conf.d/a.conf", "# /opt/no\n/opt/a:/opt/b,/opt/c # more\n")
    files.write("/etc/ld.so.conf.d/b.conf", "include /etc/more.conf\ninclude /etc/\n")
    files.write("/etc/more.conf", "/opt/d\n")
    files.write("/etc/ld.so.conf.d/other", "/opt/no\n")
    for name in "abcd":
        files.library(f"/opt/{name}/lib{name}.so.1")
        assert files.find(f"lib{name}.so.1") == f"/opt/{name}/lib{name}.so.1"
    files.library("/opt/no/libno.so.1")
    assert files.find("libno.so.1") is None


@pytest.mark.parametrize("configured", [False, True])
def test_folders_of_musl(files: Files, configured: bool) -> None:
    """Its loader also searches /usr/local/lib, and the folders in a file of its own."""
    files.library("/lib/ld-musl-aarch64.so.1")
    files.library("/usr/local/lib/libpython3.13.so.1.0")
    files.library("/opt/a/liba.so.1")
    if configured:
        files.write("/etc/ld-musl-aarch64.path", "/lib:/opt/b\n/opt/a\n")
    assert files.find("libpython3.13.so.1.0") == "/usr/local/lib/libpython3.13.so.1.0"
    assert (files.find("liba.so.1") is not None) == configured


def test_symbolic_links_stay_in_the_image(files: Files, tmp_path: Path) -> None:
    """Absolute ones start at its root, relative ones cannot leave it, and loops end."""
    files.link("/lib", "usr/lib")
    files.link("/etc/alternatives/libx", "/usr/lib/blas/libx.so.1.2")
    files.link("/usr/lib/libx.so.1", "/etc/alternatives/libx")
    files.library("/usr/lib/blas/libx.so.1.2")
    assert files.find("libx.so.1") == "/usr/lib/blas/libx.so.1.2"
    make_elf(tmp_path / "outside" / "liby.so.1", machine=files.machine)
    files.link("/usr/lib/liby.so.1", "../../../../../../outside/liby.so.1")
    files.link("/usr/lib/libz.so.1", str(tmp_path / "outside" / "liby.so.1"))
    files.link("/usr/lib/libloop.so.1", "libloop.so.1")
    for name in ("liby.so.1", "libz.so.1", "libloop.so.1"):
        assert files.find(name) is None
    files.library("/outside/liby.so.1")
    assert files.find("liby.so.1") == "/outside/liby.so.1"


def test_path_in_place_of_a_name_is_missing(files: Files) -> None:
    """The loader would search it from the current folder, or run any file that it names."""
    files.library("/usr/lib/x/libx.so.1")
    for name in ("x/libx.so.1", "/usr/lib/x/libx.so.1", "../lib/x/libx.so.1"):
        assert files.find(name) is None


def test_library_for_another_machine_is_skipped(files: Files) -> None:
    """The loader continues with the next folder."""
    files.library("/lib/libx.so.1", machine=62)
    assert files.find("libx.so.1") is None
    files.library("/usr/lib/libx.so.1")
    assert files.find("libx.so.1") == "/usr/lib/libx.so.1"


def test_environment_of_the_build_counts_only_for_its_own_image(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LD_LIBRARY_PATH belongs to the image that the check runs in."""
    monkeypatch.setenv("LD_LIBRARY_PATH", ":/odd/place")
    assert "/odd/place" not in check.Image(files.root).folders
    assert check.Image(Path("/")).folders[0] == "/odd/place"


def test_rpath_counts_for_libraries_of_libraries(files: Files) -> None:
    """A folder in a library's RPATH is also searched for what its libraries need."""
    files.library("/usr/lib/liba.so.1", "libb.so.1", paths="${ORIGIN}/more")
    files.library("/usr/lib/more/libb.so.1", "libc.so.1")
    image = check.Image(files.root, files.machine)
    need = {"liba.so.1": {"by": ["a"]}}
    layer = {"needs": need, "provides": []}
    assert check.inspect(image, [layer], []) == [check.Missing("libb.so.1", "libc.so.1", "libc1")]
    files.library("/usr/lib/more/libc.so.1")
    assert check.inspect(image, [layer], []) == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("python3.13", None),
        ("python3.13t", None),
        ("python3.12", "This image has Python 3.12, but the packages were installed for 3.13."),
        ("python3", None),
        ("", "This image has no Python in the place that "),
    ],
)
def test_python_of_another_image(
    files: Files,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    target: str,
    said: str | None,
) -> None:
    """Its version is in the name of the file that the environment's link leads to."""
    (tmp_path / "python3").symlink_to("/usr/local/bin/python")
    (tmp_path / "python").symlink_to("python3")
    files.link("/usr/local/bin/python", f"../lib/{target or 'gone'}")
    if target:
        files.write(f"/usr/local/lib/{target}")
    status = check.main(
        [
            *("--root", str(files.root), "--python=3.13", f"--link={tmp_path / 'python'}"),
            *("--libraries", str(tmp_path / "none")),
        ]
    )
    assert status == (1 if said else 0)
    assert explanation(capsys).startswith(said or "")


def test_programs_of_another_image(files: Files) -> None:
    """The package manager is that of the image, not of this machine."""
    assert not check.Image(files.root).has("apt-get")
    files.link("/usr/sbin/apk", "/opt/apk")
    assert not check.Image(files.root).has("apk")
    files.write("/opt/apk")
    assert check.Image(files.root).has("apk")


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libpq.so.5", "libpq5"),
        ("libmariadb.so.3", "libmariadb3"),
        ("libGL.so.1", "libgl1"),
        ("libldap.so.2", "libldap2"),
        ("libldap-2.5.so.0", "libldap-2.5-0"),
        ("libgdal.so.32", "libgdal32"),
        ("libgobject-2.0.so.0", "libglib2.0-0"),
        ("libxml2.so.2", "libxml2"),
        ("libgomp.so.1.0.0", "libgomp1"),
    ],
)
def test_debian_package_names(library: str, package: str) -> None:
    """Debian names most packages after the library and its version."""
    assert check.debian_package(library) == package
