"""The decisions about an image, and the notes that explain them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from plans import INSTALLER, METADATA, TREE, plan, project, wheel_root
from projects import package, sdist, wheel

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.plan.build_context import checked_paths
from poetry_docker_cache.plan.image_plan import Direct, Files, Index
from poetry_docker_cache.plan.planner import make_plan
from poetry_docker_cache.project.model import InstallerConfig, Metadata, Selection, Source
from poetry_docker_cache.project.sources import used_sources
from poetry_docker_cache.render.dockerfile import render_dockerfile
from poetry_docker_cache.settings.table import Settings

if TYPE_CHECKING:
    from poetry_docker_cache.project.model import SourceTreeRoot, WheelRoot

MODULE_TREE = replace(TREE, module="shop")
MIRROR = Source(name="mirror", url="https://pypi.example.org/simple/", priority="primary")
TEAM = Source(name="Team", url="https://team.example.org/simple/", priority="supplemental")
PYPI = Source(name="PyPI", url="", priority="primary")
NATIVE = wheel("numpy", tag="cp312-cp312-manylinux_2_17_x86_64")


def taken_from(source: Source) -> dict[str, Any]:
    """Return the fields of a locked package from this source."""
    return {"source": {"type": "legacy", "url": source.url, "reference": source.name}}


def test_plan_of_ordinary_project() -> None:
    """Its wheels are installed on the slim base image, and the only note is on the Python."""
    made = plan(project(package("click")))
    assert made.application is not None
    assert made.application.image == made.runtime.image == "python:3.13-slim"
    assert made.application.offline
    assert [layer.name for layer in made.dependencies.layers] == ["dependencies"]
    assert not made.dependencies.layers[0].from_source
    assert made.dependencies.poetry is None, "nothing needs it"
    assert made.runtime.python == "3.13"
    assert made.runtime.command == ("shop",)
    assert made.files is None
    assert made.notes == (
        'Python 3.13: the newest that the project allows. To pin it, set `python = "3.13"`.',
        "Starts `shop`: from the script `shop` in pyproject.toml. Change it with `command`.",
    )


@pytest.mark.parametrize(
    ("files", "no_binary", "only_binary", "built"),
    [
        ([wheel("numpy")], (), (), False),
        ([wheel("numpy")], ("numpy",), (), True),
        ([wheel("numpy")], (":all:",), (), True),
        ([wheel("numpy")], (":all:",), ("numpy",), False),
        ([wheel("numpy")], (":all:", "numpy"), ("numpy",), True),
        ([wheel("numpy")], ("scipy",), (), False),
        ([NATIVE, sdist("numpy")], (), (), False),
        ([sdist("numpy")], (), (), True),
        ([wheel("numpy", tag="cp312-cp312-win_amd64")], (), (), True),
        ([wheel("numpy", tag="cp311-cp311-manylinux_2_17_x86_64")], (), (), True),
    ],
)
def test_packages_without_wheel_are_built_on_full_image(
    files: list[str], no_binary: tuple[str, ...], only_binary: tuple[str, ...], *, built: bool
) -> None:
    """The user may exclude wheels, too (`no-binary`); a note names the packages."""
    installer = replace(INSTALLER, no_binary=no_binary, only_binary=only_binary)
    made = plan(
        project(package("numpy", files=files), installer=installer, requires_python="~3.12")
    )
    (layer,) = made.dependencies.layers
    assert (layer.name, layer.from_source) == (
        ("source", True) if built else ("dependencies", False)
    )
    assert made.dependencies.poetry == ("2.4.0" if built else None)
    assert made.dependencies.build_image == "python:3.12"
    assert made.runtime.image == "python:3.12-slim"
    note = "numpy must be built from source, on python:3.12, in a separate layer."
    assert (note in made.notes) == built


def test_packages_of_other_groups_are_ignored() -> None:
    """They are neither built nor rejected."""
    dev = package("uwsgi", files=[sdist("uwsgi")], groups=["dev"])
    git = package("tool", groups=["dev"], source={"type": "git", "url": "https://git.example.org"})
    made = plan(project(dev, git))
    assert made.dependencies.layers == ()


def test_note_names_five_packages_at_most() -> None:
    """It ends with the number of the others."""
    many = [package(f"p{number}", files=[sdist(f"p{number}")]) for number in range(7)]
    text = "p0, p1, p2, p3, p4 and 2 more must be built from source"
    assert any(note.startswith(text) for note in plan(project(*many)).notes)


def test_direct_dependencies_get_layer_on_full_image() -> None:
    """Poetry installs them after the others; a note says so."""
    git = {"type": "git", "url": "https://git.example.org/a.git", "resolved_reference": "a" * 40}
    file = {"type": "file", "url": "vendor/psycopg2-1.0.tar.gz"}
    made = plan(
        project(
            package("click"),
            package("acme", files=[], source=git),
            package("psycopg2", files=[sdist("psycopg2")], source=file),
            requires_python="~3.12",
        ),
        build_packages=("g++",),
        own_layers=("acme",),
    )
    shared, direct = made.dependencies.layers
    assert (shared.name, shared.from_source, shared.direct) == ("dependencies", False, None)
    assert (direct.name, direct.from_source) == ("direct", True)
    assert direct.direct == Direct(files=(file["url"],), ssh=(), known_hosts=())
    assert made.dependencies.files == (file["url"],)
    assert not made.dependencies.ssh
    assert (made.dependencies.poetry, made.dependencies.packages) == ("2.4.0", ("g++",))
    assert made.runtime.packages == ("libpq5",), "psycopg2 is linked with the build image's libpq"
    note = "do not come from a package index: Poetry installs them on python:3.12"
    assert made.notes[1:-1] == (
        f"acme, psycopg2 {note}, in a separate layer.",
        "`own-layers` has no effect on acme: not in this image, or built from source.",
        "Debian packages added for the dependencies: libpq5.",
    )


def test_git_dependency_does_not_change_other_layers() -> None:
    """Stages that install packages from an index are the same with it and without."""
    git = {"type": "git", "url": "https://git.example.org/a.git", "resolved_reference": "a" * 40}
    others = package("click"), package("lxml", files=[sdist("lxml")])

    def stages(*packages: dict[str, Any]) -> dict[str, str]:
        found = render_dockerfile(plan(project(*packages))).split("\nFROM ")[1:]
        return {stage.partition(" AS ")[2].split()[0]: stage for stage in found}

    before, after = stages(*others), stages(*others, package("acme", files=[], source=git))
    assert after.keys() - before.keys() == {"direct"}
    # Each stage's text ends with the comment of the next one.
    changed = {stage for stage in before if before[stage] != after[stage]}
    assert changed == {"manifest", "source", "check", "final"}
    assert "/scripts/direct.py" in after["direct"]
    assert "--mount=type=ssh" not in after["direct"]


def test_rejects_locked_source_that_is_not_declared() -> None:
    """URL and credentials come from the source in pyproject.toml."""
    with pytest.raises(
        DockerCacheError, match=r"acme in poetry\.lock comes from the source 'Team'"
    ):
        plan(project(package("acme", **taken_from(TEAM)), sources=(MIRROR,)))


def test_source_names_are_compared_without_case() -> None:
    """Poetry compares them this way."""
    made = plan(
        project(package("acme", **taken_from(replace(TEAM, name="TEAM"))), sources=(PYPI, TEAM))
    )
    assert made.dependencies.index is None


@pytest.mark.parametrize(
    ("sources", "index"),
    [
        ((), None),
        ((TEAM,), None),
        ((replace(TEAM, priority="explicit"),), None),
        ((MIRROR,), MIRROR),
        ((TEAM, MIRROR), MIRROR),
        ((MIRROR, PYPI), None),
        ((MIRROR, replace(PYPI, name="pypi", priority="supplemental")), None),
        ((replace(MIRROR, name="first"), MIRROR), replace(MIRROR, name="first")),
    ],
)
def test_primary_source_replaces_pypi(sources: tuple[Source, ...], index: Source | None) -> None:
    """Poetry and the build backend are installed from it, too."""
    made = plan(project(sources=sources))
    expected = Index(name=index.name, url=index.url) if index else None
    assert made.dependencies.index == expected
    assert made.application is not None
    assert made.application.index == expected


def test_secret_covers_only_sources_that_build_contacts() -> None:
    """These are the sources of locked packages, and the index."""
    other = replace(TEAM, name="other")
    git = {"type": "git", "url": "https://git.example.org/a.git", "reference": "other"}
    url = {"type": "url", "url": "https://files.example.org/a.whl"}
    packages = [package("acme", **taken_from(TEAM)), package("click")]
    packages += [package("a", source=git), package("b", source=url)]
    assert used_sources((other, TEAM, MIRROR), packages, MIRROR) == ("Team", "mirror")
    assert used_sources((PYPI, TEAM), packages, None) == ("Team",)


def test_secret_does_not_cover_pypi() -> None:
    """A package that names PyPI as its source adds nothing to the secret."""
    assert used_sources((PYPI, TEAM), [package("acme", **taken_from(PYPI))], None) == ()


@pytest.mark.parametrize(
    ("root", "found", "setting", "expected", "noted"),
    [
        (wheel_root(), (), None, None, None),
        (
            wheel_root(),
            ("alembic.ini",),
            None,
            ("alembic.ini",),
            "/app contains alembic.ini, found",
        ),
        (
            wheel_root(),
            None,
            None,
            (),
            "/app contains all files that the ignore file does not exclude",
        ),
        (wheel_root(), None, ("a",), ("a",), None),
        (wheel_root(), ("alembic.ini",), (), None, None),
        (wheel_root(), (), (".",), (), None),
        (TREE, None, None, (), "The project is not installed as a wheel (package-mode = false)"),
        (TREE, None, (".",), (), None),
    ],
)
def test_files_of_project_in_image(
    root: WheelRoot | SourceTreeRoot,
    found: tuple[str, ...] | None,
    setting: tuple[str, ...] | None,
    expected: tuple[str, ...] | None,
    noted: str | None,
) -> None:
    """Without the setting, the project's layout decides, and a note says so."""
    made = plan(project(root=root, files=found), files=setting, command=("x",))
    assert made.files == (None if expected is None else Files(paths=expected))
    if noted:
        assert any(note.startswith(noted) for note in made.notes)
    else:
        assert not any("/app holds" in note for note in made.notes)


def test_notes_name_working_directory() -> None:
    """It is the one of the settings, not the default."""
    made = plan(project(root=TREE, files=None), workdir="/srv")
    assert any("it runs from source in /srv. Its scripts (shop)" in note for note in made.notes)
    assert any(note.startswith("/srv contains all files") for note in made.notes)


def test_found_file_that_dockerignore_excludes_is_not_copied() -> None:
    """The setting `files` overrides .dockerignore."""
    hidden = project(files=("alembic.ini", "migrations"), dockerignore="*\n!alembic.ini\n")
    assert plan(hidden).files == Files(paths=("alembic.ini",))
    assert plan(hidden, files=("migrations",)).files == Files(paths=("migrations",))


@pytest.mark.parametrize("path", ["a*b", "what?", "back\\slash", "--from=x", "tab\tbed"])
def test_rejects_path_that_copy_cannot_name(path: str) -> None:
    """COPY would copy nothing or another file."""
    with pytest.raises(DockerCacheError, match="a Dockerfile cannot name it"):
        plan(project(root=wheel_root(paths=(path,))))
    with pytest.raises(DockerCacheError, match="a Dockerfile cannot name it"):
        plan(project(files=(path,)))


@pytest.mark.parametrize(
    ("requirement", "variable"),
    [
        ("poetry-dynamic-versioning>=1.8,<2.0", "POETRY_DYNAMIC_VERSIONING_BYPASS"),
        ("setuptools_scm[toml] >= 8", "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ("hatch-vcs", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    ],
)
def test_version_from_git_is_passed_to_backend(requirement: str, variable: str) -> None:
    """The build has no git repository to read it from."""
    made = plan(project(root=wheel_root(requires=("poetry-core", requirement))))
    assert made.application is not None
    assert made.application.version_variables == (variable,)
    assert made.version == "1.0"
    assert "org.opencontainers.image.version" not in made.runtime.labels
    assert any("the build argument VERSION" in note for note in made.notes)
    nameless = replace(METADATA, version=None)
    made = plan(project(root=wheel_root(requires=(requirement,)), metadata=nameless))
    assert made.version == "0.0.0"
    assert plan(project()).version is None
    assert plan(project()).runtime.labels["org.opencontainers.image.version"] == "1.0"


@pytest.mark.parametrize(
    ("backend", "requirement", "includes"),
    [
        ("setuptools.build_meta", "setuptools_scm[simple]>=8", True),
        ("setuptools.build_meta", "setuptools>=77", False),
        ("hatchling.build", "hatch-vcs", False),
    ],
)
def test_setuptools_scm_includes_files_without_git(
    backend: str, requirement: str, *, includes: bool
) -> None:
    """A first line in MANIFEST.in includes all files; the project's own lines follow it."""
    made = plan(project(root=wheel_root(backend=backend, requires=(requirement,))))
    assert ("global-include" in render_dockerfile(made)) is includes


def test_extension_is_built_with_build_packages() -> None:
    """A pure Python wheel is built without them."""
    made = plan(project(root=wheel_root(needs_compiler=True)), build_packages=("libpq-dev",))
    assert made.application is not None
    assert (made.application.image, made.application.packages) == ("python:3.13", ("libpq-dev",))
    assert any("its wheel is built on python:3.13" in note for note in made.notes)
    made = plan(project(), build_packages=("libpq-dev",))
    assert made.application is not None
    assert made.application.packages == ()


def test_rust_is_installed_where_extension_needs_it() -> None:
    """No official image has it; a custom build image is used as it is."""
    root = wheel_root(needs_compiler=True, requires=("poetry-core", "setuptools_rust>=1.3"))
    for settings, packages in (
        ({}, ("cargo",)),
        ({"build_packages": ("cargo=1.*",)}, ("cargo=1.*",)),
        ({"base_image": "python:{python}-alpine"}, ("build-base", "cargo")),
        ({"build_image": "acme.example/rust:1"}, ()),
    ):
        made = plan(project(root=root), **settings)
        assert made.application is not None
        assert made.application.packages == packages, settings
    made = plan(project(root=wheel_root(requires=("maturin",))))
    assert made.application is not None
    assert made.application.packages == ()


def test_libraries_of_source_builds_are_added_to_image() -> None:
    """A wheel contains its libraries; a version in the settings is kept."""
    built = project(package("psycopg2", files=[sdist("psycopg2")]))
    made = plan(built)
    assert made.runtime.packages == ("libpq5",)
    assert made.dependencies.packages == ()
    assert any(note == "Debian packages added for the dependencies: libpq5." for note in made.notes)
    assert plan(built, runtime_packages=("libpq5=17.*",)).runtime.packages == ("libpq5=17.*",)
    assert plan(project(package("psycopg2"))).runtime.packages == ()


def test_source_tree_is_on_python_path() -> None:
    """The folder `src` is on it if the project has a src layout."""
    tree = replace(TREE, reason="the README `R` does not exist", import_folder="src")
    made = plan(project(root=tree, files=None))
    assert made.runtime.environment["PYTHONPATH"] == "/app/src"
    assert any("Its scripts (shop) are not installed." in note for note in made.notes)
    own = plan(project(root=tree, files=None), env=(("PYTHONPATH", "/x"),))
    assert own.runtime.environment["PYTHONPATH"] == "/x"
    assert "PYTHONPATH" not in plan(project()).runtime.environment


def test_modules_outside_wheel_are_on_python_path() -> None:
    """They are in the working directory, which an installed command does not search."""
    beside = ("config.py", "src/common")
    made = plan(project(files=("alembic.ini", *beside), unpackaged=beside))
    assert made.files == Files(paths=("alembic.ini", *beside))
    assert made.runtime.environment["PYTHONPATH"] == "/app:/app/src"
    lacks = "The code imports modules that the wheel does not contain: "
    assert any(note.startswith(f"{lacks}config.py, src/common.") for note in made.notes)
    hidden = plan(project(files=beside, unpackaged=beside, dockerignore="config.py\n"))
    assert any(note.startswith(f"{lacks}src/common.") for note in hidden.notes)
    whole = plan(project(files=None, unpackaged=("config.py",)))
    assert whole.runtime.environment["PYTHONPATH"] == "/app"
    assert any(note.startswith(f"{lacks}config.py.") for note in whole.notes)


def test_note_names_five_missing_scripts_at_most() -> None:
    """Scripts of a project that runs from source are not installed."""
    made = plan(project(root=TREE, files=None, scripts=tuple("abcdefg")))
    text = "Its scripts (a, b, c, d, e and 2 more) are not installed"
    assert any(text in note for note in made.notes)


def test_note_names_groups_that_are_not_installed() -> None:
    """Groups for development, such as `dev`, are not mentioned."""
    groups = frozenset({"main", "dev", "server"})
    notes = plan(project(default_groups=groups)).notes
    assert "Groups that are not installed: server. To add one, use `--with`." in notes
    made = make_plan(
        project(default_groups=groups), Settings(), Selection(groups=("main", "server"), extras=())
    )
    assert not any("not installed" in note for note in made.notes)


def test_note_on_left_out_group_names_what_the_code_imports() -> None:
    """The application fails without it."""
    bot = package("discord-py", groups=["server"])
    groups = frozenset({"main", "server"})
    made = plan(project(bot, default_groups=groups, imported=frozenset({"discord", "os"})))
    note = (
        "Groups that are not installed: server. The code imports discord of the group server. To"
        ' add one, use `--with`, or set `groups = ["main", "server"]`.'
    )
    assert note in made.notes


def test_package_with_glibc_wheels_is_built_on_alpine() -> None:
    """Its wheels do not run with musl."""
    made = plan(project(package("numpy", files=[NATIVE])), base_image="python:{python}-alpine")
    assert any("numpy must be built from source" in note for note in made.notes)


def test_entrypoint_of_settings_gets_no_default_command() -> None:
    """The note on the start command is left out as well."""
    made = plan(project(), entrypoint=("tini", "--"))
    assert (made.runtime.entrypoint, made.runtime.command) == (("tini", "--"), None)
    assert len(made.notes) == 1
    made = plan(project(), entrypoint=("tini", "--"), command=("shop",))
    assert made.runtime.command == ("shop",)
    assert plan(project(), command=()).runtime.command == ()


def test_labels_come_from_metadata() -> None:
    """A value is put on one line; labels in the settings win."""
    metadata = Metadata(
        name="shop",
        version=None,
        description="Sells\r\n  books \n",
        licenses="MIT",
        authors=("Ada <ada@example.org>", "Grace"),
        homepage="https://shop.example.org",
        repository="https://git.example.org/shop",
    )
    made = plan(project(metadata=metadata), labels=(("org.opencontainers.image.url", "x"),))
    assert dict(made.runtime.labels) == {
        "org.opencontainers.image.title": "shop",
        "org.opencontainers.image.description": "Sells books",
        "org.opencontainers.image.licenses": "MIT",
        "org.opencontainers.image.authors": "Ada <ada@example.org>, Grace",
        "org.opencontainers.image.url": "x",
        "org.opencontainers.image.source": "https://git.example.org/shop",
    }


def test_environment_has_home_and_user() -> None:
    """The settings can change both."""
    made = plan(project(), env=(("HOME", "/srv"), ("X", "1")))
    assert dict(made.runtime.environment) == {"HOME": "/srv", "USER": "app", "X": "1"}
    assert dict(plan(project()).runtime.environment) == {"HOME": "/home/app", "USER": "app"}


def test_installer_settings_of_poetry_are_passed_on() -> None:
    """Only settings that change what is installed reach the installer."""
    installer = InstallerConfig(
        no_binary=("lxml", "xmlsec"),
        only_binary=("numpy",),
        build_config_settings={"b": {"y": "1", "x": ["2"]}, "a": {}},
    )
    made = plan(project(installer=installer)).dependencies
    assert made.no_binary == ("lxml", "xmlsec")
    assert made.environment == {
        "POETRY_INSTALLER_NO_BINARY": "lxml,xmlsec",
        "POETRY_INSTALLER_ONLY_BINARY": "numpy",
    }
    assert made.build_config_settings == '{"a": {}, "b": {"x": ["2"], "y": "1"}}'
    plain = plan(project()).dependencies
    assert (plain.environment, plain.build_config_settings) == ({}, None)


def test_build_settings_of_poetry_do_not_change_wheel_layers() -> None:
    """They change only the stages that download and build sources, and the manifest."""
    packages = package("click"), package("lxml", files=[sdist("lxml")])

    def stages(**settings: Any) -> dict[str, str]:  # noqa: ANN401  # fields of InstallerConfig
        project_ = project(*packages, installer=replace(INSTALLER, **settings))
        text = render_dockerfile(plan(project_))
        found = text.split("\nFROM ")[1:]
        return {stage.partition(" AS ")[2].split()[0]: stage for stage in found}

    before = stages()
    after = stages(no_binary=("lxml",), build_config_settings={"lxml": {"a": "b"}})
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"manifest", "source-files", "source"}
    assert "POETRY_INSTALLER_NO_BINARY=lxml" in after["source-files"]
    assert "--build-config-settings" in after["source"]


def test_wheel_is_built_with_project_backend() -> None:
    """It is built on the full image if it needs a compiler."""
    root = wheel_root(requires=("setuptools",), needs_compiler=True, git_ignored=("shop/x",))
    made = plan(project(root=root))
    assert made.application is not None
    assert made.application.image == "python:3.13"
    assert made.application.requires == ("setuptools",)
    assert not made.application.offline, "a build script may download anything"
    assert made.application.paths == ("shop",)
    assert made.dependencies.layers == ()
    assert made.application.git_ignored == ("shop/x",)
    assert plan(project(root=TREE)).application is None


@pytest.mark.parametrize(
    ("setting", "line"),
    [("auto", "docker/dockerfile:1"), (False, None), ("example.org/f:2", "example.org/f:2")],
)
def test_syntax_line(setting: str | bool, line: str | None) -> None:
    """It is the first line of an exported file."""
    assert plan(project(), syntax=setting).syntax == line


def test_settings_are_passed_on_unchanged() -> None:
    """The plan only adds system packages that the dependencies need."""
    made = plan(
        project(package("uwsgi", files=[sdist("uwsgi")]), dockerignore="x\n"),
        ignore=("*.csv",),
        build_packages=("g++",),
        runtime_packages=("curl",),
        workdir="/srv",
        user="1:2",
        ports=("80",),
        stop_signal="SIGINT",
        healthcheck=False,
    )
    assert (made.ignore, made.dockerignore) == (("*.csv",), "x\n")
    assert (made.dependencies.packages, made.runtime.packages) == (("g++",), ("curl", "libxml2"))
    runtime = made.runtime
    assert (runtime.workdir, runtime.user, runtime.ports) == ("/srv", "1:2", ("80",))
    assert (runtime.stop_signal, runtime.healthcheck) == ("SIGINT", False)


def test_base_image_with_digest_and_build_image() -> None:
    """The final stage uses the base image by its digest; packages are built on the other one."""
    base = f"example.org/python:3.13-slim@sha256:{'0' * 64}"
    made = plan(
        project(package("uwsgi", files=[sdist("uwsgi")])),
        python="3.13",
        base_image=base,
        build_image="example.org/python:{python}",
    )
    assert made.runtime.image == base
    assert made.dependencies.build_image == "example.org/python:3.13"
    assert not any("Python 3.13" in note for note in made.notes), "the user has chosen it"


APART = "on python:3.13, in a separate layer"


@pytest.mark.parametrize("algorithm", ["md5", "sha1"])
def test_poetry_installs_wheels_with_weak_hashes(algorithm: str) -> None:
    """A note says so: pip does not accept such a hash."""
    file = {"file": wheel("click"), "hash": f"{algorithm}:{'0' * 32}"}
    made = plan(project({**package("click"), "files": [file]}))
    assert [layer.name for layer in made.dependencies.layers] == ["source"]
    why = f"poetry.lock has only its {algorithm} hash"
    assert made.notes[1:-1] == (f"click is installed by Poetry, {APART}: {why}.",)


def test_poetry_installs_packages_with_kernel_markers() -> None:
    """A note says so: pip compares the kernel's release in another way."""
    made = plan(project(package("click", markers='platform_release != "5"'), package("lxml")))
    assert [layer.name for layer in made.dependencies.layers] == ["dependencies", "source"]
    why = "its marker names platform_release"
    assert made.notes[1:-1] == (f"click is installed by Poetry, {APART}: {why}.",)


def test_own_layers_of_wheels() -> None:
    """A note names packages without effect; an unknown package is an error."""
    shop = project(
        package("click"),
        package("numpy"),
        package("uwsgi", files=[sdist("uwsgi")]),
        package("ruff", groups=["dev"]),
    )
    made = plan(shop, own_layers=("numpy", "ruff", "uwsgi"))
    names = [layer.name for layer in made.dependencies.layers]
    assert names == ["dependencies", "own-numpy", "source"]
    assert (
        "`own-layers` has no effect on ruff, uwsgi: not in this image, or built from source."
        in made.notes
    )
    with pytest.raises(DockerCacheError, match=r"'nunpy', which is not in poetry\.lock") as caught:
        plan(shop, own_layers=("nunpy",))
    assert "Did you mean numpy?" in str(caught.value.fix)


@pytest.mark.parametrize("path", ["a*b", "a?", "a\\b", "a\nb", "a\udcff", "-a"])
def test_rejects_path_that_dockerfile_cannot_name(path: str) -> None:
    """The error comes before BuildKit fails or copies another file."""
    with pytest.raises(DockerCacheError, match="cannot be copied into an image"):
        checked_paths(["fine", path])


@pytest.mark.parametrize(
    ("root", "keys", "path"),
    [
        (wheel_root(), {}, "/app"),
        (wheel_root(paths=("src/shop", "README.md"), import_folders=("src",)), {}, "/app/src"),
        (wheel_root(paths=("shop.py",)), {}, "/app"),
        (wheel_root(paths=("../shop",)), {}, None),
        (wheel_root(paths=("README.md",)), {}, None),
        (wheel_root(), {"files": ("manage.py",)}, None),
        (wheel_root(), {"files": ("shop",)}, "/app"),
    ],
)
def test_code_in_the_wheel_and_the_source_tree_is_imported_from_one_place(
    root: WheelRoot, keys: dict[str, Any], path: str | None
) -> None:
    """A project with a `manage.py` has both; a note says which one counts."""
    shop = project(root=root, files=None, place=("srv", "work", "shop"))
    made = plan(shop, **keys)
    assert made.runtime.environment.get("PYTHONPATH") == path
    notes = [note for note in made.notes if "both contain" in note]
    assert len(notes) == bool(path)
    if path:
        assert f"/app and the installed wheel both contain {root.paths[0]}." in notes[0]
        own = plan(shop, env=(("PYTHONPATH", "/x"),), **keys)
        assert own.runtime.environment["PYTHONPATH"] == "/x"
        assert "both contain" not in "".join(own.notes)
