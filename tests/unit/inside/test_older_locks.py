"""Tests of locks older than 2.1, compared with Poetry, which resolves them again."""

from __future__ import annotations

import contextlib
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cleo.io.null_io import NullIO
from older_locks import OLDER, as_older, lock_data, locked, write_older
from older_projects import ARM, CASES, NEVER, NP_LIKE, OTHERS, RISCV, legacy, standard
from packaging.utils import canonicalize_name
from poetry.config.config import Config
from poetry.core.packages.dependency import Dependency
from poetry.core.packages.package import Package
from poetry.core.version.markers import parse_marker
from poetry.factory import Factory
from poetry.installation.installer import Installer
from poetry.puzzle.exceptions import SolverProblemError
from poetry.puzzle.solver import Solver
from poetry.repositories import Repository, RepositoryPool
from poetry.repositories.installed_repository import InstalledRepository
from poetry.utils.env import MockEnv

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.poetry_install import document
from poetry_docker_cache.inside.manifest.__main__ import main
from poetry_docker_cache.inside.manifest.locked_packages import readable, select
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.plan.python_version import Python, choose_python
from poetry_docker_cache.project.lock import check_lock
from poetry_docker_cache.project.model import Selection
from poetry_docker_cache.project.reader import python_constraint
from poetry_docker_cache.project.selected_packages import locked_packages
from poetry_docker_cache.system.compat import tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Installed = set[tuple[str, str, str]]
"""Names, versions and indexes."""

PYTHONS = ("3.9.1", "3.12.4")
MACHINES = ("x86_64", "aarch64")


def write(
    folder: Path, pyproject: dict[str, Any], packages: list[dict[str, Any]], version: str = "2.0"
) -> None:
    """Write pyproject.toml and poetry.lock of a project."""
    (folder / "pyproject.toml").write_text(document(pyproject), encoding="utf-8")
    path = folder / "poetry.lock"
    write_older(path, lock_data(pyproject, packages, path), version)


def choices(folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """List choices of groups and extras: each group, all groups, and each extra."""
    package = Factory().create_poetry(folder).package
    found = package.dependency_group_names(include_optional=True)
    groups = sorted({"main", *map(str, found)})
    extras = sorted(map(str, package.extras))
    yield from (([group], []) for group in groups)
    yield groups, extras
    yield from ((["main"], [extra]) for extra in extras)


class Recorder:
    """An executor that installs nothing."""

    def __init__(self) -> None:
        self.operations: list[Any] = []

    def execute(self, operations: list[Any]) -> int:
        """Record the operations."""
        self.operations = operations
        return 0


def by_poetry(
    folder: Path, groups: list[str], extras: list[str], python: str, machine: str
) -> Installed:
    """Return what Poetry would install into an empty environment."""
    Config.create(reload=True)
    poetry = Factory().create_poetry(folder)
    major, minor, patch = map(int, python.split("."))
    env = MockEnv(
        (major, minor, patch),
        platform="linux",
        platform_machine=machine,
        marker_env={"platform_system": "Linux"},
    )
    recorder: Any = Recorder()
    installer = Installer(
        NullIO(),
        env,
        poetry.package,
        poetry.locker,
        poetry.pool,
        poetry.config,
        installed=InstalledRepository(),
        executor=recorder,
    )
    installer.only_groups([canonicalize_name(group) for group in groups])
    installer.extras(extras)
    assert installer.run() == 0
    return {
        (str(package.name), package.pretty_version, package.source_reference or "")
        for package in (step.package for step in recorder.operations if not step.skipped)
    }


def installed(package: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what is compared of a locked package."""
    name = str(canonicalize_name(package["name"]))
    return name, package["version"], package.get("source", {}).get("reference", "")


def by_us(
    folder: Path, groups: list[str], extras: list[str], python: str, machine: str
) -> Installed:
    """Select for the Python of the image, then evaluate the markers for a machine."""
    pyproject, lock = (
        tomllib.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("pyproject.toml", "poetry.lock")
    )
    environment = Target.linux(python).environment
    return {
        installed(package)
        for package, marker in select(readable(pyproject, lock), groups, extras, environment)
        if parse_marker(marker).validate({**environment, "platform_machine": machine})
    }


@pytest.mark.parametrize("name", CASES)
def test_packages_match_poetry(name: str, tmp_path: Path) -> None:
    """Each Python and machine gets the same packages as with `poetry install`."""
    write(tmp_path, *CASES[name])
    found: list[Installed] = []
    for groups, extras in choices(tmp_path):
        for python in PYTHONS:
            for machine in MACHINES:
                arguments = (tmp_path, groups, extras, python, machine)
                found.append(by_us(*arguments))
                assert found[-1] == by_poetry(*arguments), arguments
    assert set().union(*found) == {
        installed(package) for package in CASES[name][1] if package["name"] not in NEVER
    }


@pytest.mark.parametrize("seed", range(40))
def test_random_packages_match_poetry(seed: int, tmp_path: Path) -> None:
    """The locks have loops, extras and markers of all kinds."""
    chance = random.Random(seed)
    names = [f"p{number}" for number in range(9)]
    markers = [ARM, OTHERS, 'python_version >= "3.10"', 'sys_platform == "win32"']
    markers.append(f'({ARM} or python_full_version < "3.10.0") and os_name == "posix"')

    def some(*, itself: str = "", optional: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in chance.sample([n for n in names if n != itself], chance.randrange(1, 4)):
            found[name] = {"version": chance.choice(["*", "^1.0", ">=0.5,<2", "1.0"])}
            if chance.random() < 0.4:
                found[name]["markers"] = chance.choice(markers)
            if chance.random() < 0.3:
                found[name]["extras"] = ["x"]
            if optional and chance.random() < 0.3:
                found[name]["optional"] = True
        return found

    packages = []
    for name in names:
        requires = some(itself=name)
        in_extra = chance.choice(names)
        extra = {"version": "*", "optional": True, "markers": 'extra == "x"'}
        if in_extra != name:
            requires[in_extra] = extra
        packages.append(locked(name, requires=requires, extras={"x": [in_extra]}))
    main = some(optional=True)
    optional = [name for name, table in main.items() if "optional" in table]
    pyproject = legacy(main, group={"dev": {"dependencies": some()}})
    if optional:
        pyproject["tool"]["poetry"]["extras"] = {"e": optional}
    write(tmp_path, pyproject, packages)
    for groups, extras in choices(tmp_path):
        arguments = (tmp_path, groups, extras, chance.choice(PYTHONS), chance.choice(MACHINES))
        assert by_us(*arguments) == by_poetry(*arguments), arguments


def universe(chance: random.Random, names: list[str], markers: list[str]) -> Iterator[Package]:
    """Yield random packages with several versions, some only for newer Pythons."""
    for name in names:
        for version in chance.choice((["1.0"], ["1.0", "2.0"], ["1.0", "1.5", "2.0"])):
            package = Package(name, version)
            new = version == "2.0" and chance.random() < 0.6
            package.python_versions = ">=3.10" if new else ">=3.8"
            listed = locked(name, version)["files"]
            package.files = [{"file": file["file"], "hash": file["hash"]} for file in listed]
            others = [other for other in names if other != name]
            for other in chance.sample(others, chance.randrange(3)):
                table = {"version": chance.choice(["*", "*", ">=1", ">=1.5", "<2", "^2.0"])}
                if chance.random() < 0.4:
                    table["markers"] = chance.choice(markers)
                package.add_dependency(Factory.create_dependency(other, table))
            other = chance.choice(others)
            table = {"version": "*", "markers": 'extra == "x"'}
            package.add_dependency(Factory.create_dependency(other, table))
            package.extras = {canonicalize_name("x"): [Dependency(other, "*")]}
            yield package


def solved_lock(folder: Path, pool: RepositoryPool) -> dict[str, Any] | None:
    """Return the lock that Poetry writes in its current format; None without a solution."""
    poetry = Factory().create_poetry(folder)
    try:
        solved = Solver(poetry.package, pool, [], [], NullIO()).solve()
    except SolverProblemError:
        return None
    poetry.locker.set_lock_data(poetry.package, solved.get_solved_packages())
    found: dict[str, Any] = tomllib.loads((folder / "poetry.lock").read_text(encoding="utf-8"))
    return found


def test_locks_by_poetry_match_poetry(tmp_path: Path) -> None:
    """The locks have several versions of a package for different Pythons."""
    chance, names = random.Random(4), [f"p{number}" for number in range(7)]
    several = compared = 0
    markers = [ARM, OTHERS, 'python_version >= "3.10"', 'python_version < "3.10"']
    for number in range(60):
        folder = tmp_path / str(number)
        folder.mkdir()
        pool = RepositoryPool([Repository("PyPI", list(universe(chance, names, markers)))])
        main: dict[str, Any] = dict.fromkeys(chance.sample(names, 2), ">=1")
        main[chance.choice(names)] = {"version": "*", "extras": ["x"]}
        if chance.random() < 0.5:
            main[chance.choice(names)] = NP_LIKE
        pyproject = legacy(main, group={"dev": {"dependencies": {chance.choice(names): "*"}}})
        (folder / "pyproject.toml").write_text(document(pyproject), encoding="utf-8")
        lock = solved_lock(folder, pool)
        if lock is None or len({entry["name"] for entry in lock["package"]}) == len(
            lock["package"]
        ):
            continue
        several += 1
        write_older(folder / "poetry.lock", lock, "2.0")
        for python, machine in zip(PYTHONS, MACHINES, strict=True):
            arguments = (folder, ["main", "dev"], list[str](), python, machine)
            with contextlib.suppress(ValueError):
                assert by_us(*arguments) == by_poetry(*arguments), number
                compared += 1
    assert compared > 20
    assert compared >= 2 * several - 2  # the others are refused


# --- Machines ------------------------------------------------------------------------------------
def markers_of(main: dict[str, Any], *packages: dict[str, Any]) -> dict[str, str]:
    """Return the markers of the packages that are chosen for the group main."""
    pyproject = legacy(main)
    lock = readable(pyproject, {"package": packages, "metadata": {"lock-version": "2.0"}})
    chosen = select(lock, ["main"], [], Target.linux("3.12.4").environment)
    return {package["name"]: marker for package, marker in chosen}


def test_many_machines_are_fast() -> None:
    """A marker names each machine at most once."""
    machines = [f"m{number}" for number in range(14)]
    conditions = [f'platform_machine {"!=" if name > "m4" else "=="} "{name}"' for name in machines]
    rings = [
        locked(
            f"p{number}",
            requires={
                f"p{(number * step + step) % 28}": {
                    "version": "*",
                    "markers": conditions[(number + step) % 14],
                }
                for step in (1, 3, 5)
            },
        )
        for number in range(28)
    ]
    found = markers_of({"p0": "*", "p1": {"version": "*", "markers": conditions[0]}}, *rings)
    assert found["p0"] == ""
    for name in ('"m1"', '"m9"'):
        assert max(marker.count(name) for marker in found.values()) == 1


def test_unrelated_machines_are_not_named() -> None:
    """A marker only names machines that make a difference for its package."""
    main = {"a": [{"version": "<2", "markers": ARM}, {"version": ">=2", "markers": OTHERS}]}
    packages = [locked("a"), locked("a", "2.0"), locked("b", requires={"a": "*"})]
    before = markers_of({**main, "b": "*"}, *packages)
    riscv = {"version": "*", "markers": 'platform_machine in "riscv64 s390x"'}
    after = markers_of({**main, "b": "*", "c": riscv}, *packages, locked("c"))
    assert before == {"a": OTHERS, "b": ""}
    assert after == {**before, "c": f'({RISCV} or platform_machine == "s390x")'}


# --- Formats -------------------------------------------------------------------------------------
def test_all_formats_give_the_same_files(tmp_path: Path) -> None:
    """Before format 2.0, files are listed by name, for all versions together."""
    pyproject, packages = CASES["a version for each Python"]
    path = tmp_path / "poetry.lock"
    lock = lock_data(pyproject, packages, path)
    chosen = []
    for version in OLDER:
        older = readable(pyproject, as_older(lock, version))
        environment = Target.linux("3.12.4").environment
        chosen.append([entry["files"] for entry, _ in select(older, ["main"], [], environment)])
    assert chosen[0] == chosen[1] == chosen[2] == [entry["files"] for entry in packages[1:]]


def test_files_of_a_single_version_have_any_name() -> None:
    """The spelling of the version in a file name does not matter."""
    table = locked("certifi", "2021.5.30")
    table["files"][1]["file"] = "certifi-2021.05.30.tar.gz"
    lock = as_older({"package": [table], "metadata": {}}, "1.1")
    assert readable({}, lock)["package"][0]["files"] == table["files"]


def manifest_of(folder: Path) -> bytes:
    """Run the manifest's command line in a project; return what it wrote."""
    output = folder / "out"
    options = ["--project", str(folder), "--output", str(output), "--group=main"]
    assert main([*options, "--layers=dependencies"]) == 0
    return (output / "dependencies.json").read_bytes()


TODAY: dict[str, dict[str, Any]] = {
    "a": {},
    "b": {"markers": 'platform_machine == "aarch64" or platform_machine == "x86_64"'},
    "c": {"groups": ["dev"]},
}


def test_newer_format_keeps_the_manifest(tmp_path: Path) -> None:
    """`poetry lock` with a newer Poetry keeps the layers; so do other line endings."""
    greenlet = {"version": "!=0.4.17", "markers": TODAY["b"]["markers"]}
    pyproject = legacy({"a": "*"}, group={"dev": {"dependencies": {"c": "*"}}})
    packages = [locked("a", requires={"b": greenlet}), locked("b"), locked("c")]
    path = tmp_path / "poetry.lock"
    lock = lock_data(pyproject, packages, path)
    new = {**lock, "metadata": {**lock["metadata"], "lock-version": "2.1"}}
    new["package"] = [{**entry, "groups": ["main"], **TODAY[entry["name"]]} for entry in packages]
    (tmp_path / "pyproject.toml").write_text(document(pyproject))
    path.write_text(document(new))
    expected = manifest_of(tmp_path)
    assert b'"name": "b"' in expected
    for version in OLDER:
        (tmp_path / "pyproject.toml").write_text(document(pyproject))
        write_older(path, lock, version)
        assert manifest_of(tmp_path) == expected
        for file in (path, tmp_path / "pyproject.toml"):
            file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
        assert manifest_of(tmp_path) == expected


def test_dockerfile_exported_for_a_newer_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not have the scripts for older locks; the error says what to do."""
    write(tmp_path, *CASES["groups"])
    monkeypatch.setitem(sys.modules, "poetry_docker_cache.inside.manifest.old_locks", None)
    options = ["--project", str(tmp_path), "--output", str(tmp_path / "out"), "--layers=source"]
    assert main(options) == 1
    error = capsys.readouterr().err
    assert "exported for a newer format of poetry.lock than 2.0" in error
    assert "poetry docker export" in error


# --- Errors --------------------------------------------------------------------------------------
MAIN = Selection(groups=("main",), extras=())
ONE = legacy({"a": "*"})


def check(pyproject: dict[str, Any], lock: dict[str, Any]) -> Any:  # noqa: ANN401  # a lock
    """Check a lock as the commands do."""
    return check_lock("", lock, pyproject)


def test_plugin_reads_older_locks(tmp_path: Path) -> None:
    """Their packages have the same fields as those of a current lock."""
    for version in OLDER:
        lock = lock_data(*CASES["markers"], tmp_path / "poetry.lock")
        found = check(CASES["markers"][0], as_older(lock, version))
        assert found.older_format == version
        packages = {entry["name"]: entry for entry in locked_packages(found, MAIN, "3.12")}
        assert set(packages) == {"a", "arm", "both", "deeper", "exactly", "new", "on-linux"}
        assert packages["a"]["marker"] == ""
        assert packages["deeper"]["marker"] == ARM
        # Only the build knows the patch version.
        assert packages["new"]["marker"] == f'{OTHERS} and python_full_version >= "3.12.3"'
        assert packages["a"]["files"] == locked("a")["files"]


@pytest.mark.parametrize(
    ("pyproject", "packages", "problem"),
    [
        (
            standard("a (<2)", f"a ; {ARM}"),
            [locked("a"), locked("a", "2.0"), locked("b", requires={"a": ">=2"})],
            None,
        ),
        (
            legacy({"b": "*", "c": {"version": "*", "markers": "'x' in platform_machine"}}),
            [
                *(locked("a", version) for version in ("1.0", "2.0")),
                locked("b", requires={"a": "*"}),
                locked("c", requires={"a": "<2"}),
            ],
            "several versions of a, and its old format does not say which is for",
        ),
        (
            legacy({"a": "*"}),
            [
                locked("a", "1.0"),
                locked("a", "2.0", {"b": "*"}),
                locked("b", requires={"a": "<2"}),
            ],
            "several versions of a, and its old format",
        ),
        (legacy({"a": ">2"}), [locked("a", "1.0"), locked("a", "2.0")], "no version of a"),
        (legacy({"a": "*"}), [locked("a", requires={"b": "*"})], "poetry.lock lacks b"),
    ],
)
def test_ambiguous_lock_is_refused(
    pyproject: dict[str, Any], packages: list[dict[str, Any]], problem: str | None, tmp_path: Path
) -> None:
    """No version is guessed: the error names the package, and says what to do."""
    lock = check(pyproject, lock_data(pyproject, packages, tmp_path / "poetry.lock"))
    if problem is None:
        assert [entry["version"] for entry in locked_packages(lock, MAIN, "3.12")] == ["1.0"]
        return
    with pytest.raises(DockerCacheError, match=problem) as raised:
        locked_packages(lock, MAIN, "3.12")
    assert raised.value.problem.startswith("For an image with Python 3.12: ")
    assert raised.value.fix == (
        "Run `poetry lock` with Poetry 2.1 or newer, which keeps the locked versions, or set"
        " another `python` in [tool.poetry-docker-cache]."
    )


def test_build_with_an_ambiguous_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error of the build says what to run, too."""
    write(tmp_path, legacy({"a": ">2"}), [locked("a", "1.0"), locked("a", "2.0")])
    options = ["--project", str(tmp_path), "--output", str(tmp_path / "out"), "--group=main"]
    assert main([*options, "--layers=dependencies"]) == 1
    error = capsys.readouterr().err
    said = "poetry-docker-cache: poetry.lock has no version of a that works with Python 3."
    assert error.startswith(said)
    assert error.endswith(
        ". Run `poetry lock` with Poetry 2.1 or newer, which keeps the locked versions.\n"
    )


def test_python_with_an_ambiguous_lock_is_not_chosen(tmp_path: Path) -> None:
    """It is an error only if no other Python is left."""
    double = ["<2", ">=2"]
    old = [{"version": version, "python": "<3.10"} for version in double]
    packages = [locked("a"), locked("a", "2.0")]

    def chosen(pyproject: dict[str, Any]) -> Python:
        return choose_python(
            python_constraint(">=3.9,<3.11"),
            setting=None,
            pinned=None,
            lock=check(pyproject, lock_data(pyproject, packages, tmp_path / "poetry.lock")),
            selection=MAIN,
            libc=None,
        )

    assert chosen(legacy({"a": [*old, {"version": "*", "python": ">=3.10"}]})).tag == "3.10"
    new = [{"version": version, "python": ">=3.10"} for version in double]
    python = chosen(legacy({"a": [*new, {"version": "*", "python": "<3.10"}]}))
    assert python.tag == "3.9"
    assert "for which poetry.lock can be read" in python.reason
    with pytest.raises(DockerCacheError, match=r"Python 3\.10: .* version of a that") as raised:
        chosen(legacy({"a": [{"version": version} for version in double]}))
    assert "another `python`" in raised.value.fix


@pytest.mark.parametrize("version", OLDER)
@pytest.mark.parametrize(
    "damage",
    [
        {"name": 3},
        {"version": 1.0},
        {"dependencies": 3},
        {"dependencies": {"b": 3}},
        {"dependencies": {"b": {"version": "*", "markers": "(("}}},
        {"dependencies": {"b": [["*"]]}},
        {"extras": {"x": [3]}},
        {"extras": {"x": 3}},
        {"source": "acme"},
        {"source": {"type": "legacy", "reference": 3}},
        {"python-versions": 3},
        {"python-versions": ">=three"},
        {"version": "one"},
        {"dependencies": {"b": {"version": 3}}},
    ],
)
def test_damaged_lock(
    damage: dict[str, Any], version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the entry, in the plugin and in the build."""
    path = tmp_path / "poetry.lock"
    lock = as_older(lock_data(ONE, [locked("a")], path), version)
    lock["package"][0].update(damage)
    name = lock["package"][0]["name"]
    with pytest.raises(DockerCacheError, match=f"is damaged: the entry of {name} is") as raised:
        check(ONE, lock)
    assert "`" not in raised.value.problem
    assert "`poetry lock --regenerate`" in raised.value.fix
    path.write_text(document(lock), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(document(ONE), encoding="utf-8")
    options = ["--project", str(tmp_path), "--output", str(tmp_path / "out"), "--group=main"]
    assert main([*options, "--layers=dependencies"]) == 1
    error = capsys.readouterr().err
    assert f"is damaged: the entry of {name} is" in error
    assert error.endswith(", or run `poetry lock --regenerate`.\n")


@pytest.mark.parametrize("files", [3, {"a": 3}, {"a": [3]}, {"a": [{"file": "a-1.0.tar.gz"}]}])
def test_damaged_list_of_files(files: Any, tmp_path: Path) -> None:  # noqa: ANN401  # TOML of any shape
    """Before format 2.0, files are in a table of their own."""
    lock = as_older(lock_data(ONE, [locked("a")], tmp_path / "poetry.lock"), "1.1")
    lock["metadata"]["files"] = files
    with pytest.raises(DockerCacheError, match="is damaged: "):
        check(ONE, lock)


def test_stale_lock(tmp_path: Path) -> None:
    """It is refused, like one in the current format."""
    lock = lock_data(ONE, [locked("a")], tmp_path / "poetry.lock")
    with pytest.raises(DockerCacheError, match="changed significantly"):
        check(legacy({"a": "*", "b": "*"}), lock)
