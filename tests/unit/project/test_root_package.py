"""Reading the root package: a wheel or a source tree, in layouts of real projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from poetry.factory import Factory
from roots import CORE, POETRY, PROJECT, read, write

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.project.git import translate
from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot
from poetry_docker_cache.project.root.applications import (
    find_apps,
    import_folder,
    runtime_files,
)
from poetry_docker_cache.project.root.root_package import read_root

if TYPE_CHECKING:
    from pathlib import Path

HATCH = """
[tool.hatch.version]
path = "meta/v.py"
[tool.hatch.build.targets.wheel]
packages = ["app"]
[tool.hatch.build.targets.wheel.force-include]
"data/a.json" = "app/a.json"
"""


def backend(name: str, *requires: str, more: str = "") -> str:
    """Write a `[build-system]` table."""
    return f'[build-system]\nrequires = {[*requires]}\nbuild-backend = "{name}"\n{more}'


def paths(root: WheelRoot | SourceTreeRoot) -> tuple[str, ...]:
    """Return the paths of a root that must be a wheel."""
    assert isinstance(root, WheelRoot), root
    return root.paths


def reason(root: WheelRoot | SourceTreeRoot) -> str:
    """Return the reason why a root is a source tree."""
    assert isinstance(root, SourceTreeRoot), root
    return root.reason


@pytest.mark.parametrize(
    ("toml", "files", "expected"),
    [
        (PROJECT + CORE, ["my_app/__init__.py", "tests/t.py"], ["my_app"]),
        (PROJECT + CORE, ["src/my_app/a.py", "src/other/b.py"], ["src/my_app"]),
        (PROJECT + CORE, ["my_app.py", "setup.cfg"], ["my_app.py"]),
        (
            PROJECT + 'readme = "docs/README.rst"\nlicense-files = ["legal/*"]\n' + CORE,
            ["my_app/a.py", "docs/README.rst", "docs/x", "legal/MIT", "LICENSE"],
            ["docs/README.rst", "legal/MIT", "my_app"],
        ),
        (
            POETRY + 'readme = ["README.md", "CHANGES.md"]\n',
            ["my_app/a.py", "README.md", "CHANGES.md", "LICENSE", "LICENSES/MIT", "LICENSES/BSD"],
            ["CHANGES.md", "LICENSE", "LICENSES/BSD", "LICENSES/MIT", "README.md", "my_app"],
        ),
        (
            POETRY + 'packages = [{include = "a", from = "lib"}, {include = "b/c"}]\n',
            ["lib/a/x.py", "lib/z/y.py", "b/c/d.py", "b/e.py"],
            ["b/c", "lib/a"],
        ),
        (
            POETRY
            + 'packages = [{include = "my_app"}, {include = "templates/**/*", to = "my_app"}]\n',
            ["my_app/a.py", "templates/a.py", "templates/x/y.html"],
            ["my_app", "templates"],
        ),
        (
            POETRY + 'packages = [{include = "**/*.py", from = "src"}]\n',
            ["src/a/x.py", "src/b/y.py", "other/z.py"],
            ["src"],
        ),
        (
            POETRY + 'packages = [{include = "*.py"}]\n',
            ["a.py", "b.py", "c/d.py", "README.md"],
            ["a.py", "b.py"],
        ),
        (
            POETRY + 'packages = [{include = "**/*.py"}]\n',
            ["a.py", "c/d.py", ".venv/x.py"],
            ["a.py", "c"],
        ),
        (
            POETRY
            + 'include = ["CHANGES", {path = "data/*.json", format = "wheel"},'
            + ' {path = "my_app/gen.py", format = ["sdist", "wheel"]},'
            + ' {path = "missing", format = "wheel"}]\n',
            ["my_app/a.py", "my_app/gen.py", "CHANGES", "data/x.json"],
            ["data", "my_app"],
        ),
        (
            POETRY + '[tool.poetry.scripts]\nrun = {reference = "bin/run.sh", type = "file"}\n',
            ["my_app/a.py", "bin/run.sh", "bin/other.sh"],
            ["bin/run.sh", "my_app"],
        ),
        (
            PROJECT + 'license = {file = "legal.txt"}\n' + CORE,
            ["my_app/a.py", "legal.txt"],
            ["legal.txt", "my_app"],
        ),
        (
            PROJECT + backend("hooks", more='backend-path = ["build_tools"]\n'),
            ["my_app/__init__.py", "build_tools/hooks.py"],
            ["build_tools", "my_app"],
        ),
    ],
)
def test_paths_of_the_wheel_are_listed(
    tmp_path: Path, toml: str, files: list[str], expected: list[str]
) -> None:
    """They are sorted, and no path is inside another."""
    assert paths(read(tmp_path, toml, *files)) == tuple(expected)


def test_paths_of_the_sdist_are_not_listed(tmp_path: Path) -> None:
    """They may be outside the project."""
    toml = POETRY + 'packages = [{include = "my_app"}, {include = "../t", format = "sdist"}]\n'
    assert paths(read(tmp_path / "project", toml, "my_app/a.py", "../t/t.py")) == ("my_app",)


def test_packages_outside_the_project_are_listed(tmp_path: Path) -> None:
    """`from` and the README may be outside; the build context is larger then."""
    packages = '{include = "shared", from = ".."}, {include = "x/**/*.py", from = "../../libs"}'
    toml = POETRY + f'packages = [{{include = "my_app"}}, {packages}]\nreadme = "../A.md"\n'
    folder = tmp_path / "apps/one"
    files = [
        "my_app/a.py",
        "../shared/a.py",
        "../.gitignore=*.log\n",
        "../../libs/x/y/b.py",
        "../A.md",
    ]
    root = read(folder, toml, *files, "../../libs/z.py", "LICENSE")
    assert paths(root) == ("../../libs/x", "../A.md", "../shared", "LICENSE", "my_app")
    assert isinstance(root, WheelRoot)
    assert root.git_ignored == ("../shared/**/*.log",)
    assert root.packages_above == (("shared", "../shared"), ("x", "../../libs/x"))
    assert root.import_folders == (".",)


@pytest.mark.parametrize(
    "written",
    ['"x/../../libs"', '"../libs/../libs"', '"..//libs"', '\t"../libs"', '"\\u002e./libs"'],
)
def test_unusual_spelling_of_from_is_an_error(tmp_path: Path, written: str) -> None:
    """The build could not replace the path in the text of pyproject.toml."""
    toml = POETRY + f'packages = [{{ include = "shared", from ={written} }}]\n'
    with pytest.raises(DockerCacheError, match="The build cannot replace the path ") as raised:
        read(tmp_path / "app", toml, "../libs/shared/a.py", "x/a.py")
    assert '`from = "../libs"`' in raised.value.fix


def test_packages_through_a_link_are_not_listed(tmp_path: Path) -> None:
    """The target of the link may be outside the build context."""
    write(tmp_path, "else/shared/a.py")
    (tmp_path / "link").symlink_to("else")
    toml = POETRY + 'packages = [{include = "shared", from = "../link"}]\n'
    assert reason(read(tmp_path / "app", toml, "a.py")) == (
        "`../link/shared` is outside the project"
    )


def test_build_script_needs_paths_of_the_sdist(tmp_path: Path) -> None:
    """A script compiles sources that need not be in the wheel."""
    toml = POETRY + 'include = ["csrc/*.c"]\n[tool.poetry.build]\nscript = "build.py"\n'
    root = read(tmp_path, toml, "my_app/a.py", "csrc/x.c", "build.py", "setup.py")
    assert paths(root) == ("build.py", "csrc", "my_app")
    assert isinstance(root, WheelRoot)
    assert root.needs_compiler
    root = read(tmp_path, toml + "generate-setup-file = true\n")
    assert paths(root) == ("build.py", "csrc", "my_app", "setup.py")


@pytest.mark.parametrize(
    ("toml", "files", "expected"),
    [
        ("[tool.poetry]\npackage-mode = false\n", ["my_app/a.py"], "package-mode = false"),
        (PROJECT, ["app/a.py"], "no module or package named `my_app`"),
        (
            POETRY + 'packages = [{include = "app", format = "sdist"}]\n',
            ["app/a.py"],
            "`packages` has no entry for the wheel",
        ),
        (PROJECT, ["my_app.py", "my_app/a.py"], "Both my_app and my_app.py exist"),
        (PROJECT, ["my_app/a.txt"], "my_app is not a package."),
        (
            PROJECT + 'readme = "README.md"\n',
            ["my_app/a.py"],
            "the README `README.md` does not exist",
        ),
        (
            PROJECT + 'readme = "../README.md"\n' + backend("hatchling.build", "hatchling"),
            ["my_app/__init__.py", "../README.md"],
            "the README `../README.md` is outside the project",
        ),
        (
            POETRY + 'packages = [{include = "../shared"}]\n',
            ["../shared/a.py"],
            "packages from outside the project (`../shared`)",
        ),
        (
            POETRY + 'packages = [{include = "*.py", from = ".."}]\n',
            ["../shared.py"],
            "`..` is outside the project",
        ),
        (
            PROJECT
            + backend("hatchling.build", "hatchling")
            + '[tool.poetry]\npackages = [{include = "shared", from = ".."}]\n',
            ["my_app/a.py", "../shared/a.py"],
            "packages from outside the project (`../shared`)",
        ),
        (
            POETRY + 'packages = [{include = "gone"}]\n',
            ["my_app/a.py"],
            "`packages` names gone, which does not exist",
        ),
        (
            POETRY + 'include = [{path = "../data", format = "wheel"}]\n',
            ["my_app/a.py", "../data/x"],
            "`../data` is outside the project",
        ),
        (
            POETRY + '[tool.poetry.scripts]\nrun = {reference = "run.sh", type = "file"}\n',
            ["my_app/a.py"],
            "run.sh in script specification (run) is not found.",
        ),
        (
            PROJECT + '[project.scripts]\nrun = "my_app/a.py:run"\n',
            ["my_app/a.py"],
            "its script `run` is `my_app/a.py:run`, not `module:function`",
        ),
        (
            POETRY + '[tool.poetry.scripts]\nrun = {reference = "my_app", type = "console"}\n',
            ["my_app/a.py"],
            "its script `run` is `my_app`, not `module:function`",
        ),
        (
            POETRY + 'build = "build.py"\n',
            ["my_app/a.py"],
            "the build script `build.py` does not exist",
        ),
        (
            PROJECT + 'license-files = ["legal/*"]\n',
            ["my_app/a.py"],
            "No files found for license file glob pattern 'legal/*'",
        ),
        (
            PROJECT + backend("hatchling.build", "hatchling"),
            ["docs/a.md"],
            "no module or package named `my_app`, and no other one",
        ),
    ],
)
def test_project_without_wheel_is_a_source_tree(
    tmp_path: Path, toml: str, files: list[str], expected: str
) -> None:
    """The reason is one sentence without this machine's paths."""
    folder = tmp_path / "project"
    folder.mkdir()
    assert reason(read(folder, toml, *files)) == expected


def test_script_of_a_module_with_a_dash_is_installed(tmp_path: Path) -> None:
    """`poetry run` starts it, too."""
    folder = tmp_path / "project"
    folder.mkdir()
    toml = PROJECT + '[project.scripts]\nrun = "my_app.a-b:run"\n'
    assert paths(read(folder, toml, "my_app/a-b.py")) == ("my_app",)


def test_links_need_their_targets(tmp_path: Path) -> None:
    """A link that leaves the project is an error."""
    folder = tmp_path / "project"
    write(folder, "my_app/a.py", "assets/x.css", "../secret/y")
    (folder / "my_app/static").symlink_to("../assets")
    assert paths(read(folder, PROJECT)) == ("assets", "my_app")
    (folder / "my_app/data").symlink_to(tmp_path / "secret")
    with pytest.raises(DockerCacheError, match="my_app/data is a link that leaves the project"):
        read(folder, PROJECT)


@pytest.mark.parametrize(
    ("toml", "requires", "name"),
    [
        (PROJECT, ("poetry-core",), "poetry.core.masonry.api"),
        (PROJECT + '[build-system]\nrequires = ["x"]\n', ("x",), "poetry.core.masonry.api"),
        (PROJECT + CORE, ("poetry-core>=2.0",), "poetry.core.masonry.api"),
        (
            POETRY + backend("poetry_dynamic_versioning.backend", "poetry-core", "p-d-v"),
            ("poetry-core", "p-d-v"),
            "poetry_dynamic_versioning.backend",
        ),
        (PROJECT + backend("setuptools.build_meta", "setuptools"), ("setuptools",), None),
    ],
)
def test_default_backend_is_poetry_core(
    tmp_path: Path, toml: str, requires: tuple[str, ...], name: str | None
) -> None:
    """`poetry build` has this default, not setuptools as in PEP 517."""
    root = read(tmp_path, toml, "my_app/__init__.py")
    assert isinstance(root, WheelRoot)
    assert root.requires == requires
    assert root.backend == (name or "setuptools.build_meta")
    assert not root.needs_compiler


@pytest.mark.parametrize(
    ("name", "more", "files", "expected", "compiler"),
    [
        (
            "setuptools.build_meta",
            '[tool.setuptools.dynamic]\nversion = {file = "VERSION.txt"}\n',
            ["src/my_app/a.py", "setup.py=setup(ext_modules=[])", "VERSION.txt", "tests/t.py"],
            ["VERSION.txt", "setup.py", "src"],
            True,
        ),
        (
            "setuptools.build_meta",
            '[tool.setuptools.packages.find]\nwhere = ["lib"]\n',
            ["lib/my_app/__init__.py", "other/__init__.py", "tests/__init__.py", "setup.cfg"],
            ["lib", "other", "setup.cfg"],
            False,
        ),
        (
            "hatchling.build",
            HATCH,
            ["app/a.py", "meta/v.py", "hatch_build.py", "data/a.json", "data/b.json"],
            ["app", "data/a.json", "hatch_build.py", "meta/v.py"],
            False,
        ),
        ("flit_core.buildapi", "", ["my_app.py", "LICENSE"], ["LICENSE", "my_app.py"], False),
        (
            "pdm.backend",
            '[tool.pdm.build]\nincludes = ["my_app", "data/*.json"]\n',
            ["my_app/__init__.py", "data/a.json", "pdm_build.py"],
            ["data", "my_app", "pdm_build.py"],
            False,
        ),
        (
            "maturin",
            '[tool.maturin]\npython-source = "python"\n',
            [
                *("Cargo.toml=[package]", "Cargo.lock", "src/lib.rs", "target/x"),
                "python/my_app/__init__.py",
            ],
            ["Cargo.lock", "Cargo.toml", "python", "src"],
            True,
        ),
        (
            "maturin",
            """[tool.maturin]
            manifest-path = "rust/core/Cargo.toml"
            module-name = "my_app._core"
            python-source = "."
            python-packages = ["extra"]
            include = [{path = "LEGAL", format = "wheel"}, {path = "docs", format = "sdist"}]
            """,
            [
                "Cargo.toml=[workspace]\nmembers = ['rust/*', 'cli']",
                "rust/core/Cargo.toml=[dependencies]\nx = {path = '../../shared/x'}",
                *(
                    "rust/core/src/lib.rs",
                    "rust/core/build.rs",
                    "rust/other/Cargo.toml",
                    "rust/no/a",
                ),
                "shared/x/Cargo.toml=[target.'cfg(unix)'.dependencies]\ny.path = '../y'",
                'shared/x/src/a/b.rs=include_str!("../../../TEXT.md");',
                *("shared/y/Cargo.toml", "shared/z/Cargo.toml", "shared/TEXT.md", "cli/Cargo.toml"),
                *(
                    "my_app/__init__.py",
                    "extra/__init__.py",
                    "bench/__init__.py",
                    "LEGAL",
                    "docs/a",
                ),
            ],
            [
                *("Cargo.toml", "LEGAL", "cli", "extra", "my_app", "rust/core", "rust/other"),
                *("shared/TEXT.md", "shared/x", "shared/y"),
            ],
            True,
        ),
        (
            "maturin",
            "",
            [
                "Cargo.toml=[package]\nreadme = 'R.md'\n[lib]\npath = 'native/lib.rs'\n[[bench]]",
                *(
                    "R.md",
                    "src/lib.rs",
                    "native/lib.rs",
                    "benches/a.rs",
                    "examples/a.rs",
                    ".cargo/x",
                ),
            ],
            [".cargo", "Cargo.toml", "R.md", "benches", "native/lib.rs", "src"],
            True,
        ),
        (
            "setuptools.build_meta",
            '[[tool.setuptools-rust.ext-modules]]\ntarget = "my_app._x"\npath = "x/Cargo.toml"\n',
            ["x/Cargo.toml", "x/src/lib.rs", "y/Cargo.toml", "my_app/__init__.py"],
            ["my_app", "x"],
            True,
        ),
        (
            "mesonpy",
            "",
            ["meson.build", "native/meson.build", "my_app/__init__.py"],
            ["meson.build", "my_app", "native"],
            True,
        ),
    ],
)
def test_other_backends_follow_conventions(  # noqa: PLR0913, PLR0917  # a table's columns
    tmp_path: Path,
    name: str,
    more: str,
    files: list[str],
    expected: list[str],
    compiler: bool,
) -> None:
    """They need code, build scripts, and the paths in pyproject.toml."""
    requires = "setuptools-rust" if "setuptools-rust" in more else "some-backend"
    root = read(tmp_path, PROJECT + backend(name, requires) + more, *files)
    assert paths(root) == tuple(expected)
    assert isinstance(root, WheelRoot)
    assert root.needs_compiler is compiler


SHIM = """\
\"\"\"For tools that look for it.\"\"\"
import setuptools
if __name__ == "__main__":
    setuptools.setup()
"""


@pytest.mark.parametrize(
    ("file", "whole"),
    [
        (
            "setup.py=from setuptools import setup\nsetup(packages=['a'], py_modules=['helpers'])",
            True,
        ),
        ("setup.py=from setuptools import setup\nN = open('names').read()\nsetup()", True),
        ("setup.py=print 'of Python 2'", True),
        (f"setup.py={SHIM}", False),
        ("setup.cfg=[options]\npackages = find:\n[options.packages.find]\nwhere = lib", True),
        ("setup.cfg=[metadata]\nversion = attr: my_app.version", True),
        ("setup.cfg=no section", True),
        ("setup.cfg=[flake8]\nmax-line-length = 100\n[options]\n", False),
        ("README=", False),
    ],
)
def test_setuptools_gets_the_whole_folder_if_its_files_decide(
    tmp_path: Path, file: str, whole: bool
) -> None:
    """Only setuptools knows what they include; files without settings do not count."""
    root = read(tmp_path, PROJECT + backend("setuptools.build_meta"), "my_app/__init__.py", file)
    assert isinstance(root, WheelRoot)
    assert root.whole is whole


def test_setuptools_finds_packages_without_convention(tmp_path: Path) -> None:
    """Only setup.cfg says where the packages are."""
    options = "setup.cfg=[options]\npackage_dir =\n    = lib\n"
    root = read(tmp_path, PROJECT + backend("setuptools.build_meta"), "lib/app/a.py", options)
    assert paths(root) == ("setup.cfg",)


@pytest.mark.parametrize(
    ("name", "more", "files", "expected"),
    [
        ("setuptools.build_meta", "", ["src/my/app/a.py"], ("src",)),
        ("setuptools.build_meta", "", ["my/app/a.py", "my_tools/b.py"], ("my",)),
        ("pdm.backend", "", ["src/my/app/a.py"], ("src",)),
        ("hatchling.build", "", ["src/acme/my_app/__init__.py"], ("src",)),
        ("hatchling.build", "", ["my/my_app/__init__.py"], ("my",)),
        (
            "uv_build",
            '[tool.uv.build-backend]\nmodule-name = "acme.app"\n',
            ["src/acme/app/__init__.py"],
            ("src",),
        ),
        (
            "flit_core.buildapi",
            '[tool.flit.module]\nname = "acme.app"\n',
            ["acme/app/__init__.py"],
            ("acme",),
        ),
    ],
)
def test_namespace_packages_are_found(
    tmp_path: Path, name: str, more: str, files: list[str], expected: tuple[str, ...]
) -> None:
    """Their top folder has no `__init__.py` (PEP 420); each backend has its own rule."""
    assert paths(read(tmp_path, PROJECT + backend(name) + more, *files)) == expected


@pytest.mark.parametrize("name", ["hatchling.build", "uv_build", "flit_core.buildapi"])
def test_some_backends_need_the_projects_name(tmp_path: Path, name: str) -> None:
    """They do not build a package with another name."""
    root = read(tmp_path, PROJECT + backend(name), "src/main.py", "my/a.py")
    assert reason(root) == "no module or package named `my_app`, and no other one"


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        (PROJECT + CORE, ("my_app",)),
        (PROJECT + backend("hatchling.build"), ("my_app",)),
        (
            PROJECT + 'license-files = ["LICENSE"]\n' + CORE,
            "`LICENSE` is outside the project",
        ),
    ],
)
def test_licence_that_links_outside_is_left_out(
    tmp_path: Path, toml: str, expected: tuple[str, ...] | str
) -> None:
    """The wheel does not need a licence that is only found by its name."""
    folder = tmp_path / "repo/app"
    write(folder, "../LICENSE", "my_app/__init__.py")
    (folder / "LICENSE").symlink_to("../LICENSE")
    root = read(folder, toml)
    assert (reason(root) if isinstance(expected, str) else paths(root)) == expected


def test_setup_py_counts_only_for_setuptools(tmp_path: Path) -> None:
    """Another backend does not read it."""
    root = read(tmp_path, PROJECT + CORE, "my_app/a.py", "setup.py=setup(py_modules=['helpers'])")
    assert isinstance(root, WheelRoot)
    assert not root.whole


@pytest.mark.parametrize(
    ("toml", "files", "expected"),
    [
        (PROJECT, ["my_app/__main__.py"], "my_app"),
        (PROJECT, ["src/my_app/__main__.py"], "my_app"),
        (PROJECT, ["my_app/a.py"], None),
        (PROJECT, ["my_app.py=if __name__ == '__main__':\n    run()\n"], "my_app"),
        (PROJECT, ["my_app.py=run()\n"], None),
        (
            POETRY + 'packages = [{include = "acme/web"}, {include = "tools"}]\n',
            ["acme/web/__main__.py", "tools/a.py"],
            "acme.web",
        ),
        (
            POETRY + 'packages = [{include = "a"}, {include = "b"}]\n',
            ["a/__main__.py", "b/__main__.py"],
            None,
        ),
        (
            PROJECT + backend("hatchling.build", "hatchling"),
            ["src/my_app/__main__.py", "src/my_app/__init__.py"],
            "my_app",
        ),
        (
            PROJECT + backend("hatchling.build", "hatchling"),
            ["my_app/__init__.py", "bench/__init__.py", "bench/__main__.py"],
            None,
        ),
        (
            PROJECT
            + backend("hatchling.build", "hatchling")
            + '[tool.hatch.build.targets.wheel]\npackages = ["src/shop"]\n',
            ["src/shop/__init__.py", "src/shop/__main__.py", "my_app/__main__.py"],
            "shop",
        ),
        (
            PROJECT + backend("maturin") + '[tool.maturin]\npython-source = "python"\n',
            ["Cargo.toml", "python/my_app/__main__.py", "bench/__init__.py", "bench/__main__.py"],
            "my_app",
        ),
        (
            PROJECT + backend("setuptools.build_meta"),
            ["setup.py=setup(packages=['a'])", "tool/__init__.py", "tool/__main__.py"],
            None,
        ),
    ],
)
def test_module_for_python_m_is_found(
    tmp_path: Path, toml: str, files: list[str], expected: str | None
) -> None:
    """It is the only package with a `__main__`."""
    root = read(tmp_path, toml, *files)
    assert isinstance(root, WheelRoot)
    assert root.module == expected


@pytest.mark.parametrize(
    ("toml", "files", "expected"),
    [
        (PROJECT, ["bot/__main__.py", "lib/a.py"], "bot"),
        (PROJECT, ["src/bot/__main__.py"], "bot"),
        (PROJECT, ["bot/__main__.py", "other/__main__.py"], None),
        (PROJECT, ["bot/__main__.py", "tests/__main__.py", "scripts/__main__.py"], "bot"),
        (POETRY + "package-mode = false\n", ["my_app/__main__.py", "x/__main__.py"], "my_app"),
        (POETRY + "package-mode = false\n", ["src/__main__.py"], "src"),
        (POETRY + "package-mode = false\n", ["src/bot/__main__.py"], None),
    ],
)
def test_module_for_python_m_is_found_in_a_source_tree(
    tmp_path: Path, toml: str, files: list[str], expected: str | None
) -> None:
    """The same rule applies to all packages on the path."""
    root = read(tmp_path, toml, *files)
    assert isinstance(root, SourceTreeRoot)
    assert root.module == expected


BESIDE = ["my_app/a.py", "app.py", "static/a.css", "migrations/1.py", "docs/x", "wsgi/a.py"]


def test_files_beside_the_package_are_listed(tmp_path: Path) -> None:
    """An application reads them from its working directory."""
    root = read(tmp_path, PROJECT, *BESIDE)
    assert runtime_files(tmp_path, root) == ("app.py", "migrations", "static")


def test_files_in_the_wheel_are_not_listed(tmp_path: Path) -> None:
    """Templates in the wheel are not copied beside it."""
    toml = POETRY + 'packages = [{include = "my_app"}, {include = "static/**/*", to = "my_app"}]\n'
    root = read(tmp_path, toml, *BESIDE, "static/a.py")
    assert runtime_files(tmp_path, root) == ("app.py", "migrations")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("alembic", ("alembic", "alembic.ini")),
        ("%(here)s/db/alembic", ("alembic.ini", "db/alembic")),
        ("./my_app/migrations", ("alembic.ini", "my_app/migrations")),
        ("my_app:migrations", ("alembic.ini",)),
        ("../outside", ("alembic.ini",)),
        ("missing", ("alembic.ini",)),
    ],
)
def test_folder_of_alembic_is_listed(
    tmp_path: Path, location: str, expected: tuple[str, ...]
) -> None:
    """It may be inside the package, because alembic.ini names it by its path."""
    folder = tmp_path / "project"
    ini = f"alembic.ini=[alembic]\nscript_location = {location}\nformat = %%(x)s %(rev)s\n"
    names = ("alembic", "db/alembic", "my_app/migrations", "../outside")
    root = read(folder, PROJECT, ini, "my_app/a.py", *(f"{name}/env.py" for name in names))
    assert runtime_files(folder, root) == expected


def test_broken_alembic_ini_is_copied(tmp_path: Path) -> None:
    """Reading it must not fail the build."""
    root = read(tmp_path, PROJECT, "alembic.ini=nonsense", "my_app/a.py")
    assert runtime_files(tmp_path, root) == ("alembic.ini",)


def test_manage_py_needs_the_whole_tree(tmp_path: Path) -> None:
    """A wheel would not contain manage.py."""
    root = read(tmp_path, PROJECT, "my_app/a.py", "manage.py")
    assert isinstance(root, WheelRoot)
    assert runtime_files(tmp_path, root) is None
    assert runtime_files(tmp_path, SourceTreeRoot(reason="x")) is None


def test_relative_project_folder_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`poetry -C` passes one."""
    folder = tmp_path / "project"
    expected = read(folder, PROJECT + 'readme = "README.md"\n', "src/my_app/a.py", "README.md")
    monkeypatch.chdir(tmp_path)
    poetry = Factory().create_poetry(folder)
    poetry._pyproject._path = folder.relative_to(tmp_path) / "pyproject.toml"
    assert read_root(poetry) == expected


GIT_IGNORE = """\
# comment
*.log
!keep.log
__pycache__/
.env
/my_app/data/
/other/x
docs/
my_app/**/cache
**/tmp
my_app/
local[!0-9].py
\\#odd
*
!*/
"""


def test_gitignore_applies_to_the_package(tmp_path: Path) -> None:
    """Poetry leaves such files out of the wheel, except explicitly included ones."""
    toml = POETRY + 'include = [{path = "my_app/gen/*.py", format = "wheel"}]\n'
    files = ("my_app/a.py", "my_app/gen/x.py", "my_app/keep.log")  # ignored by the last `*`
    root = read(tmp_path, toml, f".gitignore={GIT_IGNORE}", *files)
    assert isinstance(root, WheelRoot)
    assert root.git_ignored == (
        "my_app/**/*.log",
        "my_app/data",
        "my_app/**/docs",
        "my_app/**/cache",
        "my_app/**/tmp",
        "my_app/**/my_app",
        "my_app/**/local[^0-9].py",
        "my_app/**/#odd",
        "my_app/**/*",
        "!my_app/gen/*.py",
    )


def test_files_after_gitignore_exceptions_are_named(tmp_path: Path) -> None:
    """A wildcard after `!` would make BuildKit read every folder."""
    text = "/data/*\n!.gitkeep\n*.log\n!*keep.log\n"
    files = ("a.py", "x/keep.log", "x/[y]keep.log", "x/other.log", "x/.gitkeep")
    root = read(
        tmp_path,
        PROJECT,
        f".gitignore={text}",
        "data/.gitkeep",
        *(f"my_app/{name}" for name in files),
    )
    assert isinstance(root, WheelRoot)
    assert root.git_ignored == (
        "my_app/**/*.log",
        r"!my_app/x/\[y\]keep.log",
        "!my_app/x/keep.log",
    )


def test_allow_list_in_gitignore_is_kept(tmp_path: Path) -> None:
    """Listing all files would change the ignore file with each new one."""
    files = [f"my_app/m{number}.py" for number in range(120)]
    root = read(tmp_path, PROJECT, ".gitignore=*\n!*/\n!*.py\n", *files)
    assert isinstance(root, WheelRoot)
    assert root.git_ignored == ("my_app/**/*", "!my_app/**/*.py")


def test_gitignore_above_the_project_applies() -> None:
    """A repository of several projects may have it at its root."""
    text = "/services/*/src/app/x\n/services/web/y\nlogs\n"
    assert [*translate(text, ["src/app"], below="services/api")] == [
        "src/app/x",
        "src/app/**/logs",
    ]


def test_gitignore_line_that_docker_rejects_is_left_out() -> None:
    """Git ignores such a line; Docker rejects the whole file."""
    assert [*translate("[x\n*.log\n", ["app"])] == ["app/**/*.log"]


def test_src_layout_has_an_import_folder(tmp_path: Path) -> None:
    """`poetry install` puts it on the path."""
    write(tmp_path, "mysite/wsgi.py", "app.py")
    assert import_folder(tmp_path) is None
    write(tmp_path, "src/pkg/a.py")
    assert import_folder(tmp_path) == "src"


@pytest.mark.parametrize("toml", [POETRY, PROJECT + backend("setuptools.build_meta")])
def test_unreadable_folder_is_skipped(
    toml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database in a container leaves one that belongs to the container's user."""
    look = type(tmp_path).is_file

    def is_file(path: Path) -> bool:
        if path.parent.name == "pgdata":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(type(tmp_path), "is_file", is_file)
    assert paths(read(tmp_path, toml, "my_app/__init__.py", "pgdata/base/1")) == ("my_app",)
    root = read(tmp_path, f"{POETRY}package-mode = false\n", "job/__main__.py")
    assert isinstance(root, SourceTreeRoot)
    assert root.module == "job"


def test_unreadable_file_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be searched for an application."""
    text = type(tmp_path).read_text

    def read_text(path: Path, encoding: str, errors: str | None = None) -> str:
        if path.name == "app.py":
            raise PermissionError(13, "Permission denied", str(path))
        return text(path, encoding=encoding, errors=errors)

    monkeypatch.setattr(type(tmp_path), "read_text", read_text)
    write(tmp_path, "app.py=import streamlit")
    (app,) = find_apps(tmp_path, SourceTreeRoot(reason="x"), None)
    assert (app.kind, app.target) == ("python", "app.py")
    root = read(tmp_path, f"{POETRY}package-mode = false\n", "job/__main__.py")
    assert isinstance(root, SourceTreeRoot)
    assert root.module == "job"
