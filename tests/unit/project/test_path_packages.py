"""Path dependencies: how their folders are read, and how an image installs them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dockerignore import passing
from plans import MAIN, TREE, plan, project, wheel_root
from poetry.core.factory import Factory
from projects import package

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.build_context import context_folder
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import (
    InstallerConfig,
    PathPackage,
    Project,
    Selection,
    SourceTreeRoot,
    WheelRoot,
)
from poetry_docker_cache.project.root.path_packages import read_path_packages
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.settings.image_values import Instructions
from poetry_docker_cache.settings.table import Settings

CORE = (
    '[build-system]\nrequires = ["poetry-core>=2.0"]\nbuild-backend = "poetry.core.masonry.api"\n'
)
HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
NAMED = '[project]\nname = "lib"\nversion = "1"\n'
LEGACY = '[tool.poetry]\nname = "lib"\nversion = "1"\ndescription = ""\nauthors = []\n'
DYNAMIC = """\
[project]
name = "lib"
dynamic = ["version"]
readme = { file = "R.md", content-type = "text/markdown" }
"""
SETUPTOOLS = "setuptools.build_meta:__legacy__"


def locked(name: str, path: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # values of TOML
    """Make a path dependency as in a lock file."""
    source = {"type": "directory", "url": path}
    return package(name, files=[], source=source, develop=False, **more)


def read_lib(folder: Path, *files: str) -> PathPackage:
    """Write a path dependency `../lib` and read it; a file's content follows `=`."""
    (folder / "app").mkdir()
    for file in files:
        name, _, text = file.partition("=")
        path = folder / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (found,) = read_path_packages(folder / "app", [locked("Lib", "../lib"), package("click")])
    assert (found.name, found.version, found.path) == ("lib", "1.0", "../lib")
    return found


@pytest.mark.parametrize(
    ("files", "paths", "backend", "requires"),
    [
        (
            [f"pyproject.toml={NAMED}{CORE}", "src/lib/a.py", "tests/t.py"],
            ("src/lib",),
            "poetry.core.masonry.api",
            ("poetry-core>=2.0",),
        ),
        (
            [f"pyproject.toml={NAMED}readme = '../R.md'\n{CORE}", "lib.py", "../R.md"],
            ("../R.md", "lib.py"),
            "poetry.core.masonry.api",
            ("poetry-core>=2.0",),
        ),
        (
            [f"pyproject.toml={LEGACY}", "lib.py"],
            ("lib.py",),
            "poetry.core.masonry.api",
            ("poetry-core",),
        ),
        (
            [
                f"pyproject.toml={DYNAMIC}{HATCH}",
                *("lib/__init__.py", "R.md", "x.bin"),
            ],
            ("R.md", "lib"),
            "hatchling.build",
            ("hatchling",),
        ),
        ([f"pyproject.toml={NAMED}", "lib/a.py"], ("lib",), SETUPTOOLS, ("setuptools",)),
        (
            ["setup.py=from setuptools import setup", "setup.cfg=", "lib/__init__.py", "MIT"],
            ("lib", "setup.cfg", "setup.py"),
            SETUPTOOLS,
            ("setuptools",),
        ),
    ],
)
def test_backend_of_a_folder(
    tmp_path: Path, files: list[str], paths: tuple[str, ...], backend: str, requires: tuple[str]
) -> None:
    """Without a declared one, it is setuptools, or poetry-core if there is metadata of Poetry."""
    found = read_lib(tmp_path, *files)
    assert isinstance(found.root, WheelRoot), found.root
    assert found.root.paths == paths
    assert (found.root.backend, found.root.requires) == (backend, requires)
    assert found.has_pyproject == files[0].startswith("pyproject.toml")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "the folder does not exist"),
        (["lib/__init__.py"], "it has no pyproject.toml"),
        (["pyproject.toml=[tool.poetry]\npackage-mode = false\n"], "package-mode = false"),
        ([f"pyproject.toml={NAMED}{CORE}"], "no module or package named `lib`"),
        (["pyproject.toml=[x\n"], "pyproject.toml is not a valid TOML file."),
        (
            [f"pyproject.toml=[project]\nname = 'lib'\n{CORE}", "lib/a.py"],
            "The Poetry configuration is invalid",
        ),
        (
            [f"pyproject.toml=build-system = 3\n{NAMED}", "lib/a.py"],
            "`build-system` in pyproject.toml is not a table",
        ),
        (
            [f"pyproject.toml={NAMED}readme = 'R.md'\n{HATCH}", "lib/__init__.py"],
            "the README `R.md` does not exist",
        ),
        (
            [f"pyproject.toml={NAMED}readme = '../R.md'\n{HATCH}", "lib/__init__.py"],
            "the README `../R.md` is outside ../lib",
        ),
        (
            [f"pyproject.toml={LEGACY}readme = [\n'../R.md']\n{CORE}", "lib.py", "../R.md"],
            "the README `../R.md` is outside ../lib",
        ),
        (
            [f"pyproject.toml={NAMED}readme = '../R.md'\n{CORE}", "lib.py"],
            "the README `../R.md` does not exist",
        ),
        (
            [f"pyproject.toml={NAMED}readme = ['R.md']\n{HATCH}", "lib/__init__.py"],
            "`readme` in its pyproject.toml is neither a path nor a table",
        ),
    ],
)
def test_folder_without_wheel_has_a_reason(tmp_path: Path, files: list[str], reason: str) -> None:
    """It is an error only if it is selected; the reason has no paths of this machine."""
    root = read_lib(tmp_path, *files).root
    assert isinstance(root, SourceTreeRoot)
    assert root.reason.startswith(reason)
    assert str(tmp_path) not in root.reason


def test_unreadable_folder_has_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to itself is reported as missing, and a folder without permission with its error."""
    (tmp_path / "lib").symlink_to("lib")
    root = read_lib(tmp_path).root
    assert root == SourceTreeRoot(reason="the folder does not exist")

    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", denied)
    (found,) = read_path_packages(tmp_path, [locked("Lib", "app")])
    assert found.root == SourceTreeRoot(reason="it cannot be read (Permission denied)")


def lib(name: str, path: str, **keys: Any) -> PathPackage:  # noqa: ANN401  # fields of a root
    """Make a path dependency that poetry-core builds."""
    root = keys.pop("root", None) or wheel_root(paths=(f"src/{name}",), **keys)
    return PathPackage(name=name, version="1.0", path=path, root=root)


def monorepo(*packages: PathPackage, **keys: Any) -> Project:  # noqa: ANN401  # fields of a project
    """Make a project in /home/ada/repo/services/api that depends on these packages."""
    entries = [
        locked(each.name, each.path, **keys.pop(f"lock_{each.name}", {})) for each in packages
    ]
    place = ("home", "ada", "repo", "services", "api")
    return project(*entries, package("click"), path_packages=packages, place=place, **keys)


def test_each_package_has_a_stage_and_a_layer() -> None:
    """They are sorted by name and come before the project."""
    made = plan(monorepo(lib("core", "libs/core"), lib("util", "vendor/util")))
    assert [wheel.name for wheel in made.wheels] == ["path-core", "path-util", "application"]
    assert [wheel.folder for wheel in made.wheels] == ["libs/core", "vendor/util", "."]
    assert {wheel.backend_name for wheel in made.wheels} == {"build-backend"}
    assert made.folder == "."
    assert [layer.name for layer in made.dependencies.layers] == ["dependencies"]
    note = "Path dependencies, each in its own layer: core (libs/core), util (vendor/util)."
    assert note in made.notes
    text = render_dockerfile(made)
    assert "\nCOPY libs/core/src/core /project/src/core\n" in text
    assert text.count(" AS build-backend") == 1
    layers = [line for line in text.splitlines() if line.startswith("COPY --link")]
    assert [line.split("=")[1].split()[0] for line in layers] == [
        *("check", "dependencies", "path-core", "path-util", "application")
    ]


def test_context_contains_packages_outside() -> None:
    """It is the nearest common parent folder."""
    made = plan(
        monorepo(lib("core", "libs/core"), lib("util", "../util"), lib("base", "../../libs/base")),
        files=("alembic.ini",),
    )
    assert made.folder == "services/api"
    assert {wheel.folder for wheel in made.wheels} == {
        *("services/api/libs/core", "services/util", "libs/base", "services/api")
    }
    assert "The build context is ../.., because the image needs ../../libs/base." in made.notes
    lines = render_dockerfile(made).splitlines()
    for line in (
        "COPY services/api/pyproject.toml services/api/poetry.lock /project/",
        "COPY libs/base/pyproject.toml /project/",
        "COPY libs/base/src/base /project/src/base",
        "COPY services/api/shop /project/shop",
        "COPY services/api/alembic.ini ./alembic.ini",
    ):
        assert line in lines


def test_larger_context_has_only_named_paths() -> None:
    """In the project's folder, its own .dockerignore applies as usual."""
    made = make_plan(
        monorepo(
            lib("base", "../../libs/base", git_ignored=("src/base/**/*.tmp",)),
            dockerignore="/notes\n*.md\n!.env.example\n",
            root=wheel_root(git_ignored=("shop/local",)),
        ),
        Settings(ignore=("shop/drafts", "!/dist/kept.whl")),
        MAIN,
    )
    api, base = "services/api", "libs/base"
    wanted = {
        *(f"{api}/{name}" for name in ("pyproject.toml", "poetry.lock", "shop/a.py", "shop/x/b")),
        *(f"{api}/{name}" for name in (".env.example", "dist/kept.whl")),
        *(f"{base}/{name}" for name in ("pyproject.toml", "src/base/a.py", "src/base/x/y.html")),
    }
    unwanted = {
        *("pyproject.toml", "README.md", "notes/a", "services/web/a.py", "libs/other/src/a.py"),
        *(f"{base}/{name}" for name in ("README.md", "tests/t.py", "src/other/a.py")),
        *(f"{base}/src/base/{name}" for name in (".env", "a.tmp", "x/server.key", "a.pyc")),
        *(f"{api}/shop/{name}" for name in ("local/a", "drafts/a", ".git/config")),
        *(f"{api}/{name}" for name in ("notes/a", "README.md", "Dockerfile", ".dockerignore")),
    }
    text = render_ignore_file(made, made.located("Dockerfile"))
    assert passing(text, sorted(wanted | unwanted)) == wanted


def test_whole_folder_is_sent_if_the_backend_needs_it() -> None:
    """The ignore file still excludes files."""
    made = plan(
        monorepo(
            lib("base", "../../libs/base", whole=True),
            lib("old", "libs/old", whole=True),
            dockerignore="*\n!shop\nlibs/old/tests\n",
        )
    )
    text = render_dockerfile(made)
    assert "\nCOPY libs/base /project/.\n" in text
    assert "\nCOPY services/api/libs/old /project/.\n" in text
    assert "\nCOPY services/api/shop /project/shop\n" in text
    old, base = "services/api/libs/old", "libs/base"
    wanted = {
        *(f"{base}/{name}" for name in ("README.md", "helpers.py", "tests/t.py", "src/base/x.pem")),
        *(f"{old}/{name}" for name in ("setup.py", "lib/a.py", "src/old/a.pem")),
    }
    unwanted = {
        *(f"{base}/{name}" for name in ("a.sqlite3", "venv/bin/python", ".git/config", ".env")),
        *(f"{old}/{name}" for name in ("tests/t.py", "build/lib/gone.py", "a.pyc")),
        *("libs/other/a.py", "services/api/README.md", "services/a.py"),
    }
    ignore = render_ignore_file(made, made.located("Dockerfile"))
    assert passing(ignore, sorted(wanted | unwanted)) == wanted


def test_whole_project_keeps_its_own_ignore_file() -> None:
    """It cannot exclude what the build needs."""
    made = plan(project(root=wheel_root(whole=True), dockerignore="*\n!helpers.py\n"))
    assert "\nCOPY . /project/.\n" in render_dockerfile(made)
    ignore = render_ignore_file(made, "Dockerfile")
    assert passing(ignore, ["helpers.py", "shop/a.py", "tests/t.py"]) == {"helpers.py", "shop/a.py"}


SECRETS = (
    *(".git/config", ".aws/credentials", ".venv/x", "node_modules/x", ".env", "a.key"),
    *("x/.git/config", "x/__pycache__/a.pyc", "x/gcloud/y"),
)


def test_parent_directory_names_are_not_ignored() -> None:
    """A monorepo may have a folder `gcloud-worker`; names inside it are matched as usual."""
    place = ("home", "ada", "repo", "services", "gcloud-worker")
    packages = (lib("base", "../../prod.env/base"),)
    entries = [locked(each.name, each.path) for each in packages]
    made = plan(
        project(
            *entries,
            path_packages=packages,
            place=place,
            root=TREE,
            files=None,
            dockerignore="!notes\n!.env.example\n!../web\n",
        )
    )
    api, base = "services/gcloud-worker", "prod.env/base/src/base"
    wanted = {
        f"{api}/app/a.py",
        f"{api}/.env.example",
        f"{base}/a.py",
        "prod.env/base/pyproject.toml",
    }
    unwanted = {f"{folder}/{name}" for folder in (api, f"{api}/app", base) for name in SECRETS}
    text = render_ignore_file(made, made.located("Dockerfile"))
    assert passing(text, sorted(wanted | unwanted | {"services/web/a.py"})) == wanted
    assert "\n!services/gcloud-worker/notes\n" in text
    assert text.count("!services/gcloud-worker/notes\n") == 1


def test_secrets_in_a_named_folder_are_kept_out() -> None:
    """The folder itself may have a name that is usually excluded."""
    made = plan(monorepo(lib("core", "gcloud/core"), lib("x", "x.env/x")))
    assert made.folder == "."
    text = render_ignore_file(made, "Dockerfile")
    places = ("gcloud/core/src/core", "x.env/x/src/x")
    wanted = {f"{place}/a.py" for place in places}
    unwanted = {f"{place}/{name}" for place in places for name in SECRETS}
    assert passing(text, sorted(wanted | unwanted)) == wanted


def test_source_tree_is_copied_from_its_folder() -> None:
    """Nothing else of the context is copied."""
    made = plan(monorepo(lib("base", "../../libs/base"), root=TREE, files=None))
    assert made.application is None
    assert "\nCOPY services/api .\n" in render_dockerfile(made)
    text = render_ignore_file(made, made.located("Dockerfile"))
    files = ["services/api/a.py", "services/b.py", "libs/base/src/base/a.py", "libs/base/x"]
    assert passing(text, files) == {"services/api/a.py", "libs/base/src/base/a.py"}


def test_packages_from_outside_are_copied_into_the_project() -> None:
    """The backend (poetry-core) finds them there."""
    made = plan(monorepo(root=wheel_root(paths=("../../common/models", "../x..y", "shop"))))
    assert made.folder == "services/api"
    text = render_dockerfile(made)
    assert "\nCOPY common/models /project/.above/.above/common/models\n" in text
    assert "\nCOPY services/x..y /project/.above/x..y\n" in text
    assert text.count("RUN sed ") == 1
    assert "RUN sed " not in render_dockerfile(plan(monorepo(lib("core", "libs/core"))))


def test_too_many_layers_is_an_error() -> None:
    """Path dependencies count, and the error names the setting to reduce."""
    packages = [lib(f"lib{number}", f"lib{number}") for number in range(104)]
    with pytest.raises(
        DockerCacheError, match="1 layers of dependencies and 105 of path"
    ) as raised:
        plan(monorepo(*packages))
    assert "Lower `layers` or shorten `own-layers`" in raised.value.fix
    assert len(plan(monorepo(*packages[1:])).packages) == 103


def test_wheel_outside_the_project_is_sent() -> None:
    """Nothing else from its folder is sent."""
    file = "wheels/boxed-1.0-py3-none-any.whl"
    boxed = package("boxed", source={"type": "file", "url": f"../../{file}"})
    place = ("home", "ada", "repo", "services", "api")
    made = plan(project(boxed, package("click"), place=place, dockerignore="**/*.whl\n"))
    assert made.folder == "services/api"
    assert f"The build context is ../.., because the image needs ../../{file}." in made.notes
    assert f"\nCOPY {file} /files/.above/.above/{file}\n" in render_dockerfile(made)
    text = render_ignore_file(made, made.located("Dockerfile"))
    beside = ["wheels/other-1.0-py3-none-any.whl", "services/b.py", "services/api/x.whl"]
    wanted = {file, "services/api/shop/a.py"}
    assert passing(text, [*wanted, *beside]) == wanted


@pytest.mark.parametrize("path", ["../../../../../lib", "../../../../../../lib"])
def test_context_is_never_the_root_folder(path: str) -> None:
    """A context of the whole file system is always a mistake."""
    with pytest.raises(DockerCacheError, match="root of the file system") as raised:
        plan(monorepo(lib("lib", path)))
    assert raised.value.fix == "Move both into one folder."


@pytest.mark.parametrize(
    ("place", "context"),
    [(".", "/home/ada/repo/api"), ("api", "/home/ada/repo"), ("repo/api", None), ("a/b/c", None)],
)
def test_context_is_never_the_home_folder(place: str, context: str | None) -> None:
    """Nor is it a folder above, which differs on each machine."""
    where = {"home": Path("/home/ada")}
    folder = Path("/home/ada/repo/api")
    if context is not None:
        assert context_folder(folder, place, **where) == Path(context)
    else:
        with pytest.raises(DockerCacheError, match="is your home folder or contains it"):
            context_folder(folder, place, **where)


def test_project_may_be_the_home_folder() -> None:
    """Its context is only its own folder."""
    assert context_folder(Path("/home/ada"), ".", home=Path("/home/ada")) == Path("/home/ada")


def test_selected_package_without_wheel_is_an_error() -> None:
    """It is ignored if its group is left out, as by `poetry install`."""
    gone = lib("gone", "../gone", root=SourceTreeRoot(reason="the folder does not exist"))
    with pytest.raises(DockerCacheError, match="the path dependency gone") as raised:
        plan(monorepo(gone))
    assert "No wheel can be built from" in str(raised.value)
    assert "(../gone): the folder does not exist." in str(raised.value)
    assert "--without" in (raised.value.fix or "")
    made = plan(monorepo(gone, lock_gone={"groups": ["dev"]}))
    assert made.packages == ()
    assert made.folder == "."


def test_markers_and_extras_apply() -> None:
    """A marker on the platform is left to pip."""
    mac = {"markers": 'sys_platform == "darwin"'}
    arm = {"markers": 'platform_machine == "aarch64" and python_version >= "3.9"'}
    extra = {"markers": 'extra == "more"', "optional": True}
    packages = [lib("mac", "mac"), lib("arm", "arm"), lib("extra", "extra")]
    shape = monorepo(
        *packages, lock_mac=mac, lock_arm=arm, lock_extra=extra, extras=frozenset({"more"})
    )
    (wheel,) = plan(shape).packages
    assert wheel.name == "path-arm"
    assert wheel.marker == 'platform_machine == "aarch64"'
    text = render_dockerfile(plan(shape))
    assert """'--marker=platform_machine == "aarch64"'""" in text
    made = make_plan(shape, Settings(), Selection(groups=("main",), extras=("more",)))
    assert [each.name for each in made.packages] == ["path-arm", "path-extra"]


def test_packages_with_equal_requirements_share_a_backend() -> None:
    """The project's own backend comes first."""
    made = plan(
        monorepo(
            lib("a", "a", requires=("hatchling",), backend="hatchling.build"),
            lib("b", "b"),
            lib("c", "c", needs_compiler=True),
            lib("d", "d", requires=("hatchling",), backend="hatchling.build"),
        ),
        build_packages=("libpq-dev",),
        instructions=Instructions(build=("ENV CFLAGS=-O1",)),
    )
    names = [wheel.backend_name for wheel in made.wheels]
    assert names[1] == names[4] == "build-backend"
    assert names[0] == names[3]
    assert len({*names}) == 3
    stages = re.split(r"^FROM .* AS ", render_dockerfile(made), flags=re.MULTILINE)
    with_line = [stage.split("\n")[0] for stage in stages if "\nENV CFLAGS=-O1\n" in stage]
    assert with_line == ["venv", "manifest", names[2]], "the other stages are built on `venv`"
    assert [wheel.offline for wheel in made.wheels] == [False, True, False, False, True]
    compiled = made.packages[2]
    assert (compiled.image, compiled.packages) == ("python:3.13", ("libpq-dev",))
    text = render_dockerfile(made)
    assert "from=path-c,source=/libraries.json,target=/libraries/path-c.json " in text
    assert all(text.count(f" AS {name}\n") == 1 for name in names)
    assert "c has code to compile: its wheel is built on python:3.13." in made.notes


def test_backends_get_version_and_settings() -> None:
    """The version in the lock file replaces the one from git."""
    settings = {"core": {"opt": ["a", "b"]}}
    installer = InstallerConfig(no_binary=(), only_binary=(), build_config_settings=settings)
    core = lib("core", "core", requires=("setuptools", "setuptools_scm>=8"), backend="setuptools")
    text = render_dockerfile(plan(monorepo(core, installer=installer)))
    assert '\nENV SETUPTOOLS_SCM_PRETEND_VERSION="1.0"\nCOPY core/pyproject.toml' in text
    assert """'--config-settings={"opt": ["a", "b"]}'\n""" in text
    assert "ARG VERSION" not in text
    assert text.count("\nRUN echo >> /project/MANIFEST.in && sed -i ") == 1
    assert plan(monorepo(core)).packages[0].config_settings is None


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("<70", ("setuptools<70",)),
        ("^70.1", ("setuptools<71.0,>=70.1",)),
        ("70.*", ("setuptools==70.*",)),
        ("!=70.0", ("setuptools!=70.0",)),
        ({"version": "70", "python": "<3.12"}, ('setuptools==70; python_version < "3.12"',)),
        ("<60 || >70", None),
        ({"git": "https://git.example/setuptools.git"}, None),
    ],
)
def test_build_constraints_are_written_for_pip(
    tmp_path: Path, constraint: str | dict[str, Any], expected: tuple[str, ...] | None
) -> None:
    """A constraint of Poetry that pip has no syntax for is a reason not to build."""
    (tmp_path / "lib/lib").mkdir(parents=True)
    (tmp_path / "lib/lib/__init__.py").touch()
    (tmp_path / "lib/pyproject.toml").write_text(NAMED + CORE)
    constraints = {"lib": [Factory.create_dependency("setuptools", constraint)], "click": []}
    (found,) = read_path_packages(tmp_path, [locked("Lib", "lib")], constraints)
    if expected is not None:
        assert found.constraints == expected
        assert isinstance(found.root, WheelRoot)
    else:
        reason = "its build constraint on setuptools is more than one range of versions"
        assert found.root == SourceTreeRoot(reason=reason)


def test_build_constraints_get_separate_backend() -> None:
    """Only that backend gets a constraints file."""
    constrained = replace(lib("a", "a"), constraints=("click<9", "poetry-core<3"))
    made = plan(monorepo(constrained, lib("b", "b")))
    assert [wheel.backend_name for wheel in made.wheels] == [
        *("build-backend-2", "build-backend", "build-backend")
    ]
    text = render_dockerfile(made)
    assert '\nCOPY <<"constraints.txt" /opt/\nclick<9\npoetry-core<3\nconstraints.txt\n' in text
    options = "--compile -- --constraint=/opt/constraints.txt poetry-core\n"
    assert text.count("/opt/constraints.txt") == text.count(options) == 1
    assert "/opt/constraints.txt" not in render_dockerfile(plan(monorepo(lib("b", "b"))))


def test_own_layers_may_name_a_path_dependency() -> None:
    """It has its own layer anyway."""
    made = plan(monorepo(lib("core", "core")), own_layers=("core",))
    assert not [note for note in made.notes if "`own-layers` has no effect" in note]


def test_project_with_only_path_dependencies() -> None:
    """The image has no layer of packages."""
    made = plan(
        project(
            locked("core", "core"),
            path_packages=(lib("core", "core"),),
            place=("a", "b"),
            root=TREE,
            files=None,
        )
    )
    assert made.dependencies.layers == ()
    text = render_dockerfile(made)
    base, wheel = "--from=venv /venv/../venv /venv", "--from=path-core /path-core/venv /venv"
    assert f"COPY --link {base}\nCOPY --link {wheel}\n" in text
