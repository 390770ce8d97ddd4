"""Tests of the check of the final image, with the loader of this machine."""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from poetry_docker_cache.inside import check
from poetry_docker_cache.inside.install import elf

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Image:
    """The folders of the check stage, with the library lists of the layers."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home" / "app"
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
        content = {"needs": needs or {}, "provides": provides, "python": python}
        (self.libraries / f"{name}.json").write_text(json.dumps(content))

    def check(self, *options: str) -> int:
        """Run the check."""
        places = ["--home", str(self.home), "--libraries", str(self.libraries)]
        return check.main([*places, *options])


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Return a Debian image."""
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return Image(tmp_path)


@pytest.mark.parametrize("python", [HERE, f"{HERE}.99"])
def test_matching_python_creates_home(python: str, image: Image) -> None:
    """The home folder may already exist, and there may be no layers."""
    assert image.check("--python", python) == 0
    assert image.check("--python", python) == 0
    assert list(image.home.iterdir()) == []


def test_other_python_fails(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names both versions and the setting, and nothing is created."""
    assert image.check("--python", "3.2") == 1
    said = capsys.readouterr().out
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
    said = capsys.readouterr().out
    assert f"This image has Python {HERE}, but `source` was built with 3.2." in said
    assert "`build-image` and `base-image`" in said
    assert not image.home.exists()


def test_missing_libraries_fail(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is named with the package that needs it, and the settings can be copied."""
    image.layer("native-1", needs={"libfoo.so.1": {"by": ["b", "a"]}, "libm.so.6": {"by": ["a"]}})
    image.layer("source", needs={"libbar.so.2": {"by": ["psycopg2"], "package": "libbar2t64"}})
    assert image.check() == 1
    assert capsys.readouterr().out.splitlines() == [
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
    assert "libfoo" not in capsys.readouterr().out
    assert image.check("--optional=libfoo.so.1", "--optional=libbar.so.1") == 0


def test_alpine_packages_by_library_name(
    image: Image, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Alpine, `apk` accepts the name of a library instead of its package."""
    monkeypatch.setattr("shutil.which", lambda name: name if name == "apk" else None)
    needs = {"libfoo.so.5": {"by": ["psycopg2"]}, "libBAR.so.1": {"by": ["a"]}}
    image.layer("source", needs={**needs, "libm.so.6": {"by": ["a"]}})
    assert image.check() == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "Add to [tool.poetry-docker-cache]:",
        'runtime-packages = ["so:libBAR.so.1", "so:libfoo.so.5"]',
        "Or, if your application does not use the parts that need them:",
        'optional-libraries = ["libBAR.so.1", "libfoo.so.5"]',
    ]


def test_no_package_manager(
    image: Image, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an image without apt and apk, no package is proposed."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    image.layer("source", needs={"libfoo.so.1": {"by": ["a"]}})
    assert image.check() == 1
    said = capsys.readouterr().out
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
    said = capsys.readouterr().out
    assert said.startswith("a needs GLIBC_2.999 of libc.so.6; the image has an older one.\n")
    assert "set `build-image` and `base-image` to the same release of a distribution." in said
    assert "runtime-packages" not in said


def test_library_in_a_folder_named_by_a_module(image: Image, tmp_path: Path) -> None:
    """The check searches the folders that the modules search first."""
    image.layer("source", needs={"libown.so.1": {"by": ["a"], "paths": [str(tmp_path)]}})
    assert image.check() == 1
    (tmp_path / "libown.so.1").symlink_to(check.library_path(ctypes.CDLL("libm.so.6")))
    assert image.check() == 0


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (
            "libldap.so.2: cannot open shared object file: No such file or directory",
            ["libpq.so.5 needs libldap.so.2, which is not in the image."],
        ),
        (
            (
                "Error loading shared library libldap.so.2: No such file or directory"
                " (needed by /usr/lib/libpq.so.5)"
            ),
            ["libpq.so.5 needs libldap.so.2, which is not in the image."],
        ),
        (
            "Error loading shared library libpq.so.5: No such file or directory",
            ["psycopg2 needs libpq.so.5, which is not in the image."],
        ),
        ("/lib/libpq.so.5: cannot allocate memory in static TLS block", []),
    ],
)
def test_messages_of_the_loader(
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: str,
    lines: list[str],
) -> None:
    """A library that another one needs is found from the messages of glibc and musl."""

    def fail(_: str) -> None:
        raise OSError(error)

    monkeypatch.setattr("ctypes.CDLL", fail)
    image.layer("source", needs={"libpq.so.5": {"by": ["psycopg2"]}})
    assert image.check() == (1 if lines else 0)
    assert capsys.readouterr().out.splitlines()[:1] == lines


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
