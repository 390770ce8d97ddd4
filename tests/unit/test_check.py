"""What the check says and makes; that it finds what is missing, an integration test shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.inside import check

if TYPE_CHECKING:
    from pathlib import Path

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(autouse=True)
def _no_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask no loader: that starts processes."""
    monkeypatch.setattr(check, "loader", lambda: None)


@pytest.mark.parametrize("python", [HERE, f"{HERE}.99"])
def test_the_right_python(python: str, tmp_path: Path) -> None:
    """The home folder is made, empty; making it again is no error."""
    home = tmp_path / "home" / "app"
    assert check.main(["--python", python, "--home", str(home)]) == 0
    assert check.main(["--python", python, "--home", str(home)]) == 0
    assert list(home.iterdir()) == []


def test_another_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names both versions and the setting, and nothing is made."""
    home = tmp_path / "app"
    assert check.main(["--python", "3.2", "--home", str(home)]) == 1
    said = capsys.readouterr().out
    assert f"Python {HERE}" in said
    assert "3.2." in said
    assert "`base-image`" in said
    assert not home.exists()


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
    ],
)
def test_debian_packages(library: str, package: str) -> None:
    """Debian names packages after the library and its version, but for a few."""
    assert check.debian_package(library) == package


def test_explanation() -> None:
    """Each library is named with who needs it, and the setting is ready to be copied."""
    said = check.explanation({("psycopg2", "libpq.so.5"), ("a", "libfoo.so.1")})
    assert said.splitlines()[:2] == [
        "a needs libfoo.so.1, which is not in the image.",
        "psycopg2 needs libpq.so.5, which is not in the image.",
    ]
    assert said.endswith('runtime-packages = ["libfoo1", "libpq5"]')
    said = check.explanation({("a", "GLIBC_2.99")})
    assert "runtime-packages" not in said
    assert "`build-image` and `base-image`" in said


def test_owners(tmp_path: Path) -> None:
    """RECORD tells which distribution brought a file, whatever its name holds."""
    info = tmp_path / "lib" / "some_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text('"some/a,b.so",sha256=x,1\nsome/c.so,,\n')
    found = check.owners(tmp_path)
    assert found[tmp_path / "lib" / "some" / "a,b.so"] == "some_package"
    assert found[tmp_path / "lib" / "some" / "c.so"] == "some_package"
