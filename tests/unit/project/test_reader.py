"""Reading a project from its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version
from poetry.config.config import Config
from poetry.factory import Factory
from projects import make_project, package

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.model import Source, SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.reader import project_folder, read_project, settings_table

if TYPE_CHECKING:
    from poetry.poetry import Poetry

    from poetry_docker_cache.project.model import Project

PEP621 = """
[project]
name = "Price.Api"
version = "1.4.0"
description = "Prices"
license = "MIT"
authors = [{ name = "Ada", email = "ada@example.org" }, { name = "Grace" }]
requires-python = ">=3.11"

[project.urls]
Homepage = "https://prices.example.org"
Repository = "https://git.example.org/prices"
"""
LEGACY = """
[tool.poetry]
name = "Price.Api"
version = "1.4.0"
description = "Prices"
license = "MIT"
authors = ["Ada <ada@example.org>", "Grace"]
homepage = "https://prices.example.org"
repository = "https://git.example.org/prices"

[tool.poetry.dependencies]
python = ">=3.11"
"""
NAMELESS = "[tool.poetry]\npackage-mode = false\n"
MINIMAL = '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.12"\n'


def load(folder: Path) -> Poetry:
    """Load a project as Poetry's commands do."""
    Config.create(reload=True)
    return Factory().create_poetry(folder)


def read(folder: Path, pyproject: str, **files: str) -> Project:
    """Write a project and read it."""
    make_project(folder, pyproject, [package("click")])
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return read_project(load(folder))


@pytest.mark.parametrize("pyproject", [PEP621, LEGACY], ids=["project", "tool.poetry"])
def test_metadata_of_both_tables_are_equal(pyproject: str, tmp_path: Path) -> None:
    """`[project]` and `[tool.poetry]` give the same; the name keeps its spelling."""
    project = read(tmp_path, pyproject)
    metadata = project.metadata
    assert (metadata.name, metadata.version) == ("Price.Api", "1.4.0")
    assert (metadata.description, metadata.licenses) == ("Prices", "MIT")
    assert metadata.authors == ("Ada <ada@example.org>", "Grace")
    assert metadata.homepage == "https://prices.example.org"
    assert metadata.repository == "https://git.example.org/prices"
    assert project.requires_python.text == ">=3.11"


def test_missing_name_and_version_are_none(tmp_path: Path) -> None:
    """With `package-mode = false` Poetry invents them."""
    project = read(tmp_path, NAMELESS)
    metadata = project.metadata
    assert (metadata.name, metadata.version) == (None, None)
    assert (metadata.homepage, metadata.repository) == (None, None)
    assert (metadata.description, metadata.licenses, metadata.authors) == ("", "", ())
    assert project.root == SourceTreeRoot(reason="package-mode = false")


@pytest.mark.parametrize(
    ("license_", "label"),
    [
        ('"MIT OR Apache-2.0"', "MIT OR Apache-2.0"),
        ('{ text = "MIT" }', "MIT"),
        ('{ file = "LICENSE" }', ""),
    ],
)
def test_license_is_a_name(license_: str, label: str, tmp_path: Path) -> None:
    """The text of a licence is not used."""
    (tmp_path / "LICENSE").write_text("The licence.\n\nYou may.\n", encoding="utf-8")
    assert read(tmp_path, f"{MINIMAL}license = {license_}\n").metadata.licenses == label


def test_dynamic_version_comes_from_poetrys_table(tmp_path: Path) -> None:
    """`[project]` declares it as dynamic."""
    pyproject = '[project]\nname = "shop"\ndynamic = ["version"]\n[tool.poetry]\nversion = "2.0"\n'
    assert read(tmp_path, pyproject).metadata.version == "2.0"


def test_groups_and_extras_of_both_tables(tmp_path: Path) -> None:
    """Optional groups are included; names are not normalised."""
    pyproject = f"""{MINIMAL}
dependencies = ["click"]
[project.optional-dependencies]
web-ui = ["flask"]
[dependency-groups]
lint = ["ruff"]
[tool.poetry.group."dev,tests".dependencies]
pytest = "*"
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.docs.dependencies]
mkdocs = "*"
"""
    project = read(tmp_path, pyproject)
    assert project.groups == {"main", "lint", "dev,tests", "docs"}
    assert project.extras == {"web-ui"}


@pytest.mark.parametrize(
    ("table", "scripts"),
    [
        ("", ()),
        ('[project.scripts]\nb = "shop:b"\na = "shop:a"\n', ("a", "b")),
        ('[tool.poetry.scripts]\na = "shop:a"\n', ("a",)),
        ('[tool.poetry.scripts]\na = { reference = "shop:a", type = "console" }\n', ("a",)),
        ('[tool.poetry.scripts]\na = { reference = "a.sh", type = "file" }\n', ()),
        ('[project.gui-scripts]\na = "shop:a"\n', ()),
    ],
)
def test_console_scripts_are_sorted(table: str, scripts: tuple[str, ...], tmp_path: Path) -> None:
    """Other scripts are left out."""
    assert read(tmp_path, MINIMAL + table).scripts == scripts


def source_table(**keys: str) -> str:
    """Write a `[[tool.poetry.source]]` table."""
    return "[[tool.poetry.source]]\n" + "".join(f'{k} = "{v}"\n' for k, v in keys.items())


def test_sources_keep_their_order(tmp_path: Path) -> None:
    """They have Poetry's default priority; a source called PyPI is PyPI."""
    url = "https://team.example.org/simple/"
    project = read(
        tmp_path,
        MINIMAL
        + source_table(name="Team.Internal", url=url)
        + source_table(name="other", url=url, priority="explicit")
        + source_table(name="pypi", priority="supplemental"),
    )
    assert project.sources == (
        Source(name="Team.Internal", url=url, priority="primary"),
        Source(name="other", url=url, priority="explicit"),
        Source(name="pypi", url="", priority="supplemental"),
    )
    assert [source.is_pypi for source in project.sources] == [False, False, True]
    assert project.index is None


@pytest.mark.parametrize(
    ("priorities", "index"),
    [
        (["primary"], 0),
        (["explicit", "primary"], 1),
        (["supplemental"], None),
        (["explicit"], None),
        ([], None),
        (["primary", "primary"], 0),
    ],
)
def test_index_is_the_first_primary_source(
    priorities: list[str], index: int | None, tmp_path: Path
) -> None:
    """It replaces PyPI, as in the pool of Poetry."""
    names = [f"s{number}" for number in range(len(priorities))]
    tables = (
        source_table(name=name, url=f"https://{name}.example.org/", priority=priority)
        for name, priority in zip(names, priorities, strict=True)
    )
    project = read(tmp_path, MINIMAL + "".join(tables))
    assert (project.index.name if project.index else None) == (
        None if index is None else names[index]
    )
    assert load(tmp_path).pool.has_repository("PyPI") == (index is None)


@pytest.mark.parametrize(
    ("text", "pinned"),
    [("3.13\n", "3.13"), ("\ufeff3.12.1\r\n", "3.12.1"), ("pypy3.10\n", None), ("", None)],
)
def test_pinned_python_is_read(text: str, pinned: str | None, tmp_path: Path) -> None:
    """`.python-version` may have any line endings."""
    assert read(tmp_path, MINIMAL, **{".python-version": text}).pinned_python == pinned


def test_missing_files_are_none(tmp_path: Path) -> None:
    """Most projects have no `.python-version` and no ignore file."""
    project = read(tmp_path, MINIMAL)
    assert (project.pinned_python, project.dockerignore) == (None, None)


def test_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    """It names the file."""
    make_project(tmp_path, MINIMAL, [])
    (tmp_path / ".dockerignore").write_bytes(b"\xff\xfe")
    with pytest.raises(DockerCacheError, match=r"^\.dockerignore cannot be read"):
        read_project(load(tmp_path))


INSTALLER_FILES: list[tuple[str, tuple[str, ...], tuple[str, ...], dict[str, Any]]] = [
    ("", (), (), {}),
    ('no-binary = ["xmlsec", "lxml"]', ("lxml", "xmlsec"), (), {}),
    ('no-binary = "xmlsec, lxml"', ("lxml", "xmlsec"), (), {}),
    ('no-binary = "true"', (":all:",), (), {}),
    ('no-binary = [":all:"]\nonly-binary = ["numpy"]', (":all:",), ("numpy",), {}),
    (
        'build-config-settings.numpy = { b = ["1", "2"], a = "x" }',
        (),
        (),
        {"numpy": {"a": "x", "b": ["1", "2"]}},
    ),
]


@pytest.mark.parametrize(("table", "no_binary", "only_binary", "settings"), INSTALLER_FILES)
def test_installer_settings_of_poetry_toml_count(
    table: str,
    no_binary: tuple[str, ...],
    only_binary: tuple[str, ...],
    settings: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Only settings that change what is installed count."""
    installer = read(tmp_path, MINIMAL, **{"poetry.toml": f"[installer]\n{table}\n"}).installer
    assert installer.no_binary == no_binary
    assert installer.only_binary == only_binary
    assert installer.build_config_settings == settings


def test_installer_settings_of_the_environment_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment variables override `poetry.toml`."""
    monkeypatch.setenv("POETRY_INSTALLER_NO_BINARY", "Jinja2,lxml")
    monkeypatch.setenv("POETRY_INSTALLER_BUILD_CONFIG_SETTINGS_LXML", '{"a": "x"}')
    project = read(tmp_path, MINIMAL, **{"poetry.toml": '[installer]\nno-binary = ["x"]\n'})
    assert project.installer.no_binary == ("jinja2", "lxml")
    assert project.installer.build_config_settings == {"lxml": {"a": "x"}}


def test_installer_settings_of_the_user_do_not_count(
    tmp_path: Path,
) -> None:
    """The image must not depend on who builds it."""
    config = Path(os.environ["POETRY_CONFIG_DIR"]) / "config.toml"
    config.write_text('[installer]\nno-binary = ["lxml"]\n', encoding="utf-8")
    Config.create(reload=True)
    project = make_project(tmp_path, MINIMAL, [])
    assert load(project).config.get("installer.no-binary") == ["lxml"]
    assert read(tmp_path, MINIMAL).installer.no_binary == ()


def test_lock_is_read(tmp_path: Path) -> None:
    """The version of Poetry that wrote it is read, too."""
    project = read(tmp_path, MINIMAL)
    assert [package["name"] for package in project.lock.packages] == ["click"]
    assert project.lock.generator == Version("2.5.1")


def test_stale_lock_is_an_error(tmp_path: Path) -> None:
    """The dependencies were edited after `poetry lock`."""
    make_project(tmp_path, MINIMAL, [])
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(f'{MINIMAL}dependencies = ["flask"]\n', encoding="utf-8")
    with pytest.raises(DockerCacheError, match="changed significantly"):
        read_project(load(tmp_path))


@pytest.mark.parametrize(
    ("content", "problem", "fix"),
    [
        (None, "poetry.lock not found", "Run `poetry lock`"),
        (b"<<<<<<< HEAD\n", "poetry.lock cannot be read", "Restore it"),
        (b"\xff", "poetry.lock cannot be read", "Restore it"),
    ],
)
def test_missing_and_broken_lock_are_different_errors(
    content: bytes | None, problem: str, fix: str, tmp_path: Path
) -> None:
    """Each has its own fix."""
    make_project(tmp_path, MINIMAL, [])
    path = tmp_path / "poetry.lock"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DockerCacheError, match=problem) as raised:
        read_project(load(tmp_path))
    assert fix in (raised.value.fix or "")


def test_crlf_changes_nothing(tmp_path: Path) -> None:
    """A checkout with CRLF is the same project."""
    make_project(tmp_path, PEP621, [package("click")])
    unix = read_project(load(tmp_path))
    for name in ("pyproject.toml", "poetry.lock"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_project(load(tmp_path)) == unix


def test_root_and_files_are_read(tmp_path: Path) -> None:
    """The package and the files beside it are found in the project's folder."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__main__.py").touch()
    project = read(tmp_path, MINIMAL, **{"alembic.ini": "", ".dockerignore": "*.md\n"})
    assert isinstance(project.root, WheelRoot)
    assert (project.root.paths, project.root.module) == (("shop",), "shop")
    assert project.files == ("alembic.ini",)
    assert project.dockerignore == "*.md\n"


def test_modules_beside_the_package_are_found(tmp_path: Path) -> None:
    """A dependency with the same name wins."""
    for name, text in (("shop.py", "import config, click"), ("config.py", ""), ("click.py", "")):
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
    pyproject = MINIMAL + '[project.scripts]\nlint = "config:lint"\nserve = "shop:main"\n'
    project = read(tmp_path, pyproject)
    assert (project.files, project.unpackaged, project.scripts) == (
        ("config.py",),
        ("config.py",),
        ("serve",),
    )


def test_settings_table_is_not_checked(tmp_path: Path) -> None:
    """It is empty if pyproject.toml has no such table."""
    make_project(tmp_path, f"{MINIMAL}[tool.poetry-docker-cache]\nx = 1\n", [])
    assert settings_table(load(tmp_path)) == {"x": 1}
    make_project(tmp_path, MINIMAL, [])
    assert settings_table(load(tmp_path)) == {}


def test_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Poetry may get a relative path."""
    make_project(tmp_path / "shop", MINIMAL, [])
    monkeypatch.chdir(tmp_path)
    assert project_folder(load(Path("shop"))) == tmp_path / "shop"
