"""What is installed from a lock older than 2.1, against Poetry itself, which resolves it again."""

from __future__ import annotations

import contextlib
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cleo.io.null_io import NullIO
from older_locks import OLDER, as_older, lock_data, locked, write_older
from packaging.utils import canonicalize_name
from poetry.config.config import Config
from poetry.core.constraints.version import Version as PoetryVersion
from poetry.core.constraints.version import parse_constraint
from poetry.core.packages.dependency import Dependency
from poetry.core.packages.package import Package
from poetry.core.packages.utils.utils import create_nested_marker
from poetry.core.version.markers import parse_marker
from poetry.factory import Factory
from poetry.installation.installer import Installer
from poetry.puzzle.exceptions import SolverProblemError
from poetry.puzzle.solver import Solver
from poetry.repositories import Repository, RepositoryPool
from poetry.repositories.installed_repository import InstalledRepository
from poetry.utils.env import MockEnv

from poetry_docker_cache.compat import tomllib
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.poetry import document
from poetry_docker_cache.inside.manifest.__main__ import main
from poetry_docker_cache.inside.manifest.constraints import allows, as_marker
from poetry_docker_cache.inside.manifest.markers import evaluate
from poetry_docker_cache.inside.manifest.packages import readable, select
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.lock import check_lock
from poetry_docker_cache.python import Python, choose_python, locked_packages
from poetry_docker_cache.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Installed = set[tuple[str, str, str]]
"""Names, versions and indexes."""

PYTHONS = ("3.9.1", "3.12.4")
MACHINES = ("x86_64", "aarch64")
NEVER = ("colour", "deep-down", "elsewhere", "never")
"""Packages that no choice installs."""
URL = "https://{}.example/simple/"


def project(**tables: Any) -> dict[str, Any]:  # noqa: ANN401  # TOML of any shape
    """A pyproject.toml; `poetry` is `[tool.poetry]`."""
    poetry = {"package-mode": False, **tables.pop("poetry", {})}
    return {**tables, "tool": {"poetry": poetry}}


def legacy(main: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401  # as above
    """A pyproject.toml with its dependencies in Poetry's own table."""
    return project(poetry={"dependencies": {"python": ">=3.8", **main}, **more})


def standard(*dependencies: str, poetry: dict[str, Any] | None = None, **more: Any) -> Any:  # noqa: ANN401
    """A pyproject.toml with its dependencies in the standard's table."""
    names = {"name": "app", "version": "1.0", "requires-python": ">=3.8"}
    tables = {key: more.pop(key) for key in ("dependency-groups",) if key in more}
    given = {} if "dynamic" in more else {"dependencies": [*dependencies]}
    own = {"project": {**names, **given, **more}}
    return project(**own, **tables, poetry=poetry or {})


def origin(name: str) -> dict[str, Any]:
    """What the lock says of a package of this index."""
    return {"type": "legacy", "url": URL.format(name), "reference": name}


def sources(*names: str) -> list[dict[str, str]]:
    """Explicit sources."""
    return [{"name": name, "url": URL.format(name), "priority": "explicit"} for name in names]


ARM = 'platform_machine == "aarch64"'
OTHERS = 'platform_machine != "aarch64"'
RISCV = 'platform_machine == "riscv64"'

NP_LIKE = [{"version": "<2", "python": "<3.10"}, {"version": ">=1.5", "python": ">=3.10"}]
NP = [{"version": "^1.2", "python": "<3.10"}, {"version": "^2.0", "python": ">=3.10"}]

# Each is a pyproject.toml and its locked packages. All groups and extras are tried.
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "groups": (
        legacy(
            {"Flask.App": "^1.0"},
            group={
                "dev": {"dependencies": {"linter": "*", "shared": "~1.0"}},
                "docs": {"optional": True, "dependencies": {"sphinx": {"version": ">=1"}}},
            },
        ),
        [
            locked("flask-app", requires={"Jinja_2": ">=1.0,<2.0", "click": "*"}),
            locked("Jinja-2", requires={"markup.safe": ">=0.9"}),
            locked("markup_safe"),
            locked("click"),
            locked("linter", requires={"shared": "*", "click": "*"}),
            locked("shared"),
            locked("sphinx", requires={"jinja-2": "*", "snowball": "*"}),
            locked("snowball"),
        ],
    ),
    "the groups of Poetry 1.0": (
        legacy({"a": "*"}, **{"dev-dependencies": {"b": {"version": "1.*", "extras": ["x"]}}}),
        [
            locked("a"),
            locked(
                "b",
                requires={"c": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["c"]},
            ),
            locked("c"),
        ],
    ),
    "a group in another": (
        standard(
            "a",
            poetry={"group": {"all": {"include-groups": ["web"], "dependencies": {"d": "*"}}}},
            **{
                "dependency-groups": {
                    "web": ["b>=1", {"include-group": "base"}],
                    "base": ["c[x] (>=1,<2) ; python_version >= '3.10'"],
                }
            },
        ),
        [
            locked("a"),
            locked("b"),
            locked(
                "c",
                requires={"e": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["e (>=1)"]},
            ),
            locked("d"),
            locked("e"),
        ],
    ),
    "markers": (
        legacy(
            {
                "a": "*",
                "on-linux": {"version": "*", "platform": "linux"},
                "elsewhere": {"version": "*", "platform": "win32"},
                "both": {"version": "*", "platform": "win32 || linux", "python": "^3.9 || ^2.7"},
                "new": {"version": "*", "python": ">=3.12.3", "markers": OTHERS},
                "old": {"version": "*", "python": "~3.9"},
            }
        ),
        [
            locked(
                "a",
                requires={
                    "colour": {"version": "*", "markers": 'sys_platform == "win32"'},
                    "tom": {"version": "*", "markers": "python_full_version < '3.11.0a6'"},
                    "arm": {"version": ">=1", "markers": ARM},
                    "exactly": {"version": "*", "python": "3.12"},
                },
            ),
            locked(
                "arm", requires={"deep-down": {"version": "*", "markers": OTHERS}, "deeper": "*"}
            ),
            locked("deep-down"),
            locked("deeper"),
            *(locked(it) for it in ("colour", "tom", "exactly", "on-linux", "elsewhere", "both")),
            *(locked(it) for it in ("new", "old")),
        ],
    ),
    "a package that several want, each under its own marker": (
        legacy({"a": {"version": "*", "markers": ARM}, "b": {"version": "*", "python": ">=3.10"}}),
        [
            locked("a", requires={"c": {"version": "*", "markers": 'python_version < "3.10"'}}),
            locked("b", requires={"c": {"version": "*", "markers": OTHERS}}),
            locked("c", requires={"a": "*"}),
        ],
    ),
    "cycles": (
        legacy({"a": {"version": "*", "markers": ARM}, "d": "*"}),
        [
            locked("a", requires={"b": "*"}),
            locked("b", requires={"c": {"version": "*", "markers": 'os_name == "posix"'}}),
            locked("c", requires={"a": "*", "b": "*", "d": "*"}),
            locked("d"),
        ],
    ),
    "extras of Poetry's own table": (
        legacy(
            {
                "a": {"version": "*", "optional": True},
                "b": {"version": "*", "optional": True, "python": ">=3.10"},
                "never": {"version": "*", "optional": True},
                "always": "*",
            },
            extras={"One": ["a", "always"], "two_2": ["a", "b"]},
        ),
        [
            locked("a", requires={"deep": "*"}, optional=True),
            locked("b", optional=True),
            locked("never", requires={"always": "*"}, optional=True),
            locked("always"),
            locked("deep", optional=True),
        ],
    ),
    "what an extra that is not chosen brings along": (
        legacy(
            {
                "a": {"version": "*", "platform": "win32", "extras": ["x"]},
                "b": {"version": "*", "platform": "win32"},
                "c": {"version": "*", "optional": True},
            },
            extras={"e": ["c"]},
        ),
        [
            locked("a", requires={"d": "*"}, extras={"x": []}),
            locked("b", requires={"d": "*"}),
            locked("c", requires={"a": "*", "b": "*"}),
            locked("d"),
        ],
    ),
    "extras of the standard's table": (
        standard("a", **{"optional-dependencies": {"x": ["b[y]>=1"], "Big_One": ["c", "a"]}}),
        [
            locked("a"),
            locked(
                "b",
                requires={
                    "d": {"version": "*", "optional": True, "markers": 'extra == "y"'},
                    "e": {"version": "*", "optional": True, "markers": 'extra == "z"'},
                },
                extras={"y": ["d"], "z": ["e"]},
            ),
            locked("c"),
            locked("d", requires={"a": "*"}),
        ],
    ),
    "extras of packages": (
        legacy({"a": {"version": "*", "extras": ["All"]}, "b": "*"}),
        [
            locked(
                "a",
                requires={
                    "c": {"version": "*", "optional": True, "markers": 'extra == "x"'},
                    "d": [
                        {
                            "version": "*",
                            "optional": True,
                            "markers": 'sys_platform == "win32" and extra == "y"',
                        },
                        {"version": ">=1", "optional": True, "markers": f'{ARM} and extra == "y"'},
                    ],
                    "e": {"version": "*", "optional": True},
                    "unwanted": {"version": "*", "optional": True, "markers": 'extra == "z"'},
                    "f": {"version": "*", "extras": ["g"]},
                },
                extras={
                    "all": ["a[x,y]", "e"],
                    "x": ["c (>=1.0)"],
                    "y": ['d (>=1) ; platform_machine == "aarch64"'],
                    "z": ["unwanted"],
                },
            ),
            locked("b", requires={"a": {"version": ">=1", "extras": ["x"]}}),
            locked("c"),
            locked("d"),
            locked("e"),
            locked(
                "f",
                requires={"h": {"version": "*", "optional": True, "markers": "extra == 'g'"}},
                extras={"g": ["h"]},
            ),
            locked("h"),
        ],
    ),
    "an extra that another marker is joined with": (
        legacy({"sql": {"version": "*", "extras": ["asyncio"], "python": ">=3.10"}, "orm": "*"}),
        [
            locked(
                "sql",
                requires={
                    "green": [
                        {"version": "!=0.4", "markers": ARM},
                        {
                            "version": "!=0.4",
                            "optional": True,
                            "markers": f'{ARM} or extra == "asyncio"',
                        },
                    ]
                },
                extras={"asyncio": ["green (!=0.4)"]},
            ),
            locked("green"),
            locked("orm", requires={"sql": ">=1"}),
        ],
    ),
    "a version for each Python": (
        legacy(
            {
                "np": [
                    {"version": "^1.2", "python": "<3.10"},
                    {"version": "^2.0", "python": ">=3.10"},
                ],
                "pd": "*",
            }
        ),
        [
            locked("np", "1.26.4"),
            locked("np", "2.1.0", **{"python-versions": ">=3.10"}),
            locked(
                "pd",
                requires={
                    "np": [
                        {"version": ">=1.20", "markers": 'python_version < "3.10"'},
                        {"version": ">=2", "markers": 'python_version >= "3.10"'},
                    ]
                },
            ),
        ],
    ),
    "a version for each Python, which only the packages tell": (
        legacy({"a": "*"}),
        [
            locked("a", "1.0", {"b": "<2"}, **{"python-versions": ">=3.8,<3.10"}),
            locked("a", "2.0", {"b": ">=2.dev0"}, **{"python-versions": ">=3.10"}),
            locked("b", "1.9"),
            locked("b", "2.0rc1", **{"python-versions": "!=3.9.*,>=3.8"}),
        ],
    ),
    "a version that another package demands": (
        legacy({"a": "*", "b": {"version": "*", "python": ">=3.10"}, "c": "~1.1 || ~1.2"}),
        [
            locked("a", "1.0", {"old": "*"}),
            locked("a", "2.0", {"new": "*"}),
            locked("b", requires={"a": "<2"}),
            locked("c", "1.2.1"),
            locked("new"),
            locked("old"),
        ],
    ),
    "a version that requires what is not for this Python": (
        legacy({"np": NP, "pd": "*", "pl": "*"}),
        [
            locked("np", "1.26"),
            locked("np", "2.1", **{"python-versions": ">=3.10"}),
            locked("pd", "1.0"),
            locked("pd", "2.0", {"lib": ">=2"}),
            locked("pl", "1.0", {"np": ">=1"}),
            locked("pl", "2.0", {"np": ">=2"}),
            locked("lib", "2.0", **{"python-versions": ">=3.10"}),
        ],
    ),
    "an extra that requires what is not for this Python": (
        legacy({"a": "*", "b": "*"}, group={"dev": {"dependencies": {"c": "*"}}}),
        [
            locked("a", "1.0", {"lib": {"version": "*", "optional": True}}, {"x": ["lib"]}),
            locked("a", "2.0", {"lib": {"version": ">=2", "optional": True}}, {"x": ["lib"]}),
            locked("b", requires={"a": ">=1"}),
            locked("c", requires={"a": {"version": "*", "extras": ["x"]}}),
            locked("lib", "1.0"),
            locked("lib", "2.0", **{"python-versions": ">=3.10"}),
        ],
    ),
    "a version for each machine": (
        standard(f"a (==1.0) ; {ARM}", f"a (==2.0) ; {OTHERS}"),
        [locked("a", "1.0", {"b": "*"}), locked("a", "2.0"), locked("b")],
    ),
    "a version for each machine, which others are not told": (
        legacy({"b": "*", "c": {"version": "*", "markers": ARM}, "d": "*"}),
        [
            locked("a", "1.0", {"e": "*"}),
            locked("a", "2.0", {"f": "*"}),
            locked("b", requires={"a": "*"}),
            locked("c", requires={"a": "<2"}),
            locked("d", requires={"a": ">=1"}),
            locked("e"),
            locked("f"),
        ],
    ),
    "an index for each extra": (
        standard(
            **{"optional-dependencies": {"cpu": ["torch (==2.9.0)"], "cuda": ["torch (==2.9.0)"]}},
            poetry={
                "dependencies": {
                    "torch": [
                        {"markers": "extra == 'cpu' and extra != 'cuda'", "source": "cpu"},
                        {"markers": "extra == 'cuda' and extra != 'cpu'", "source": "cuda"},
                    ]
                },
                "source": sources("cpu", "cuda"),
            },
        ),
        [
            locked("torch", "2.9.0", source=origin("cuda"), optional=True),
            locked("torch", "2.9.0+cpu", {"sympy": "*"}, source=origin("cpu"), optional=True),
            locked("sympy", optional=True),
        ],
    ),
    "an index for each machine": (
        legacy(
            {
                "torch": [
                    {"version": "*", "markers": ARM, "source": "cpu"},
                    {"version": "*", "markers": OTHERS, "source": "cuda"},
                ],
                "vision": "*",
            },
            source=sources("cpu", "cuda"),
        ),
        [
            locked("torch", "2.9.0", source=origin("cpu")),
            locked("torch", "2.9.0", source=origin("cuda")),
            locked("vision"),
        ],
    ),
    "the standard's table with what Poetry's adds": (
        standard(
            "a[x] >=1",
            "b; python_version >= '3.10'",
            poetry={
                "dependencies": {
                    "a": {"version": "<2", "source": "own"},
                    "b": {"version": "*", "platform": "linux"},
                    "ignored": "*",
                },
                "source": sources("own"),
            },
        ),
        [
            locked(
                "a",
                requires={"c": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["c"]},
                source=origin("own"),
            ),
            locked("b"),
            locked("c"),
        ],
    ),
    "dependencies that are dynamic": (
        standard(
            dynamic=["dependencies"],
            **{"optional-dependencies": {"x": ["b"]}},
            poetry={"dependencies": {"a": "*", "c": {"version": "*", "optional": True}}},
        ),
        [locked("a"), locked("b")],
    ),
    "a repository of git": (
        legacy({"a": {"git": "https://git.example/a.git", "extras": ["x"]}, "c": "*"}),
        [
            locked(
                "a",
                requires={"b": {"version": "*", "optional": True, "markers": 'extra == "x"'}},
                extras={"x": ["b"]},
                source={
                    "type": "git",
                    "url": "https://git.example/a.git",
                    "reference": "HEAD",
                    "resolved_reference": "0" * 40,
                },
                files=[],
            ),
            locked("b"),
            locked("c", requires={"a": ">=1"}),
        ],
    ),
    "nothing": (legacy({}), []),
}


def write(
    folder: Path, pyproject: dict[str, Any], packages: list[dict[str, Any]], version: str = "2.0"
) -> None:
    """Write both files of a project."""
    (folder / "pyproject.toml").write_text(document(pyproject), encoding="utf-8")
    path = folder / "poetry.lock"
    write_older(path, lock_data(pyproject, packages, path), version)


def choices(folder: Path) -> Iterator[tuple[list[str], list[str]]]:
    """List what may be chosen of a project: each of its groups, all, and each of its extras."""
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
        """Keep what would be done."""
        self.operations = operations
        return 0


def by_poetry(
    folder: Path, groups: list[str], extras: list[str], python: str, machine: str
) -> Installed:
    """Have Poetry say what it installs into an empty environment."""
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
        (str(it.package.name), it.package.pretty_version, it.package.source_reference or "")
        for it in recorder.operations
        if not it.skipped
    }


def installed(package: Mapping[str, Any]) -> tuple[str, str, str]:
    """A locked package, as it is compared."""
    name = str(canonicalize_name(package["name"]))
    return name, package["version"], package.get("source", {}).get("reference", "")


def by_us(
    folder: Path, groups: list[str], extras: list[str], python: str, machine: str
) -> Installed:
    """Select for the image's Python, and let each machine decide what that leaves."""
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
def test_packages_against_poetry(name: str, tmp_path: Path) -> None:
    """They are those that `poetry install` would install, for each Python and machine."""
    write(tmp_path, *CASES[name])
    found: list[Installed] = []
    for groups, extras in choices(tmp_path):
        for python in PYTHONS:
            for machine in MACHINES:
                arguments = (tmp_path, groups, extras, python, machine)
                found.append(by_us(*arguments))
                assert found[-1] == by_poetry(*arguments), arguments
    assert {it for packages in found for it in packages} == {
        installed(it) for it in CASES[name][1] if it["name"] not in NEVER
    }


@pytest.mark.parametrize("seed", range(40))
def test_any_packages_against_poetry(seed: int, tmp_path: Path) -> None:
    """The same for a lock that was made up by chance: loops, extras, markers of all kinds."""
    chance = random.Random(seed)
    names = [f"p{number}" for number in range(9)]
    markers = [ARM, OTHERS, 'python_version >= "3.10"', 'sys_platform == "win32"']
    markers.append(f'({ARM} or python_full_version < "3.10.0") and os_name == "posix"')

    def some(*, itself: str = "", optional: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in chance.sample([it for it in names if it != itself], chance.randrange(1, 4)):
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
    """Make up an index that has several versions of most packages, some only for new Pythons."""
    for name in names:
        for version in chance.choice((["1.0"], ["1.0", "2.0"], ["1.0", "1.5", "2.0"])):
            package = Package(name, version)
            new = version == "2.0" and chance.random() < 0.6
            package.python_versions = ">=3.10" if new else ">=3.8"
            listed = locked(name, version)["files"]
            package.files = [{"file": it["file"], "hash": it["hash"]} for it in listed]
            others = [it for it in names if it != name]
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
    """Have Poetry lock a project, in the format of today; None where nothing fits together."""
    poetry = Factory().create_poetry(folder)
    try:
        solved = Solver(poetry.package, pool, [], [], NullIO()).solve()
    except SolverProblemError:
        return None
    poetry.locker.set_lock_data(poetry.package, solved.get_solved_packages())
    found: dict[str, Any] = tomllib.loads((folder / "poetry.lock").read_text(encoding="utf-8"))
    return found


def test_what_poetry_itself_locked_against_poetry(tmp_path: Path) -> None:
    """The same for what Poetry locked, with several versions of a package for several Pythons."""
    chance, names = random.Random(4), [f"p{number}" for number in range(7)]
    several = told = 0
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
        if lock is None or len({it["name"] for it in lock["package"]}) == len(lock["package"]):
            continue
        several += 1
        write_older(folder / "poetry.lock", lock, "2.0")
        for python, machine in zip(PYTHONS, MACHINES, strict=True):
            arguments = (folder, ["main", "dev"], list[str](), python, machine)
            with contextlib.suppress(ValueError):
                assert by_us(*arguments) == by_poetry(*arguments), number
                told += 1
    assert told > 20
    assert told >= 2 * several - 2  # the others are refused


# --- Machines ------------------------------------------------------------------------------------
def markers_of(main: dict[str, Any], *packages: dict[str, Any]) -> dict[str, str]:
    """Give the markers of the packages that are chosen for the group main."""
    pyproject = legacy(main)
    lock = readable(pyproject, {"package": packages, "metadata": {"lock-version": "2.0"}})
    chosen = select(lock, ["main"], [], Target.linux("3.12.4").environment)
    return {package["name"]: marker for package, marker in chosen}


def test_many_machines() -> None:
    """However many are named, it takes a moment, and a marker names each once."""
    machines = [f"m{number}" for number in range(14)]
    asked = [f'platform_machine {"!=" if it > "m4" else "=="} "{it}"' for it in machines]
    rings = [
        locked(
            f"p{number}",
            requires={
                f"p{(number * step + step) % 28}": {
                    "version": "*",
                    "markers": asked[(number + step) % 14],
                }
                for step in (1, 3, 5)
            },
        )
        for number in range(28)
    ]
    found = markers_of({"p0": "*", "p1": {"version": "*", "markers": asked[0]}}, *rings)
    assert found["p0"] == ""
    assert max(marker.count(it) for marker in found.values() for it in ('"m1"', '"m9"')) == 1


def test_machines_that_do_not_matter() -> None:
    """What is wanted by machine names those that matter alone, whatever else is locked."""
    main = {"a": [{"version": "<2", "markers": ARM}, {"version": ">=2", "markers": OTHERS}]}
    packages = [locked("a"), locked("a", "2.0"), locked("b", requires={"a": "*"})]
    before = markers_of({**main, "b": "*"}, *packages)
    riscv = {"version": "*", "markers": 'platform_machine in "riscv64 s390x"'}
    after = markers_of({**main, "b": "*", "c": riscv}, *packages, locked("c"))
    assert before == {"a": OTHERS, "b": ""}
    assert after == {**before, "c": f'({RISCV} or platform_machine == "s390x")'}


# --- Formats -------------------------------------------------------------------------------------
def test_each_format_tells_the_same(tmp_path: Path) -> None:
    """Before 2.0, files stand apart, and those of two versions together."""
    pyproject, packages = CASES["a version for each Python"]
    path = tmp_path / "poetry.lock"
    lock = lock_data(pyproject, packages, path)
    chosen = []
    for version in OLDER:
        older = readable(pyproject, as_older(lock, version))
        environment = Target.linux("3.12.4").environment
        chosen.append([it["files"] for it, _ in select(older, ["main"], [], environment)])
    assert chosen[0] == chosen[1] == chosen[2] == [it["files"] for it in packages[1:]]


def test_the_files_of_one_version_have_any_name() -> None:
    """Where there is but one, all that are listed are its own, however they spell it."""
    table = locked("certifi", "2021.5.30")
    table["files"][1]["file"] = "certifi-2021.05.30.tar.gz"
    lock = as_older({"package": [table], "metadata": {}}, "1.1")
    assert readable({}, lock)["package"][0]["files"] == table["files"]


def manifest_of(folder: Path) -> bytes:
    """Run the manifest's command line in a project; give what it wrote."""
    output = folder / "out"
    options = ["--project", str(folder), "--output", str(output), "--group=main"]
    assert main([*options, "--layers=dependencies"]) == 0
    return (output / "dependencies.json").read_bytes()


TODAY: dict[str, dict[str, Any]] = {
    "a": {},
    "b": {"markers": 'platform_machine == "aarch64" or platform_machine == "x86_64"'},
    "c": {"groups": ["dev"]},
}


def test_a_new_format_changes_no_manifest(tmp_path: Path) -> None:
    """So `poetry lock` with a newer Poetry leaves the layers; line ends do not matter either."""
    greenlet = {"version": "!=0.4.17", "markers": TODAY["b"]["markers"]}
    pyproject = legacy({"a": "*"}, group={"dev": {"dependencies": {"c": "*"}}})
    packages = [locked("a", requires={"b": greenlet}), locked("b"), locked("c")]
    path = tmp_path / "poetry.lock"
    lock = lock_data(pyproject, packages, path)
    new = {**lock, "metadata": {**lock["metadata"], "lock-version": "2.1"}}
    new["package"] = [{**it, "groups": ["main"], **TODAY[it["name"]]} for it in packages]
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


def test_a_dockerfile_for_a_newer_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A vendored one does not have the scripts that an older lock takes, and says what to do."""
    write(tmp_path, *CASES["groups"])
    monkeypatch.setitem(sys.modules, "poetry_docker_cache.inside.manifest.older", None)
    options = ["--project", str(tmp_path), "--output", str(tmp_path / "out"), "--layers=source"]
    assert main(options) == 1
    error = capsys.readouterr().err
    assert "written for a newer format of poetry.lock than 2.0" in error
    assert "poetry docker export" in error


# --- Constraints ---------------------------------------------------------------------------------
CONSTRAINTS = (
    *("*", "^1.2.3", "^1.2", "^1", "^0.2.3", "^0.0.3", "^0.0", "^0", "^1.0b2", "^1!2.0", "^v1.2"),
    *("~1.2.3", "~1.2", "~1", "~=1.4", "~=1.4.5", "1.2.*", "==1.*", "!=1.5.*", "1.2.3", "=1.2.3"),
    *(">=1.0,<2.0", ">= 1.0 , < 2.0", ">=1.0 <2.0", "<1.3 || >1.5,<2", ">1.2|<1.0", "!=1.2.3"),
    *(">=1.5.6,<1.5.7 || >1.5.7", "<2.0.dev0", ">=2.0rc1", "1.2.3+cpu", "<=1.5.7", ">=1.0,"),
)
VERSIONS = (
    *("0", "0.0.3", "0.0.4", "0.2", "0.2.9", "0.3", "1.0", "1.0b1", "1.0b2", "1.2", "1.2.3"),
    *("1.2.3+cpu", "1.2.9", "1.3", "1.4.5", "1.4.9", "1.5.6", "1.5.7", "1.5.8", "1.9", "2.0.dev1"),
    *("2.0rc1", "2.0", "2.1", "3", "1!2.5", "1!3.0"),
)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_constraints_against_poetry(constraint: str) -> None:
    """Carets, tildes and wildcards allow what they allow Poetry."""
    parsed = parse_constraint(constraint)
    expected = {it for it in VERSIONS if parsed.allows(PoetryVersion.parse(it))}
    assert {it for it in VERSIONS if allows(constraint, it)} == expected


@pytest.mark.parametrize("constraint", ["^x1", "1.0 or so", "==1.0.0.zero"])
def test_what_is_no_constraint(constraint: str) -> None:
    """It is a ValueError, as all that the manifest's command line tells of."""
    with pytest.raises(ValueError, match=r"."):
        allows(constraint, "1.0")


@pytest.mark.parametrize(
    "constraint",
    [
        *("^3.9", "~3.9", ">=3.9", ">3.9", "<3.9", "<=3.9", "3.9", "3.9.*", "!=3.9.*", "!=3.9"),
        *("^2.7 || >=3.9,<3.13", ">=3.9.2", "<3.12.4", "3.12.4", "~3.12.3", "~=3.9", "*"),
    ],
)
def test_pythons_against_poetry(constraint: str) -> None:
    """A dependency's `python` is the marker that Poetry makes of it."""
    expected = parse_marker(create_nested_marker("python_version", parse_constraint(constraint)))
    for python in ("3.8.0", "3.9.0", "3.9.1", "3.9.2", "3.12.3", "3.12.4", "3.13.0"):
        environment = Target.linux(python).environment
        marker = as_marker("python_version", constraint)
        assert evaluate(marker, environment, set()) == expected.validate(environment), python


# --- Errors --------------------------------------------------------------------------------------
MAIN = Selection(groups=("main",), extras=())
ONE = legacy({"a": "*"})


def check(pyproject: dict[str, Any], lock: dict[str, Any]) -> Any:  # noqa: ANN401  # a lock
    """Check a lock as the commands do."""
    return check_lock("", lock, pyproject)


def test_the_plugin_reads_them(tmp_path: Path) -> None:
    """To it, a package of an older lock is as any other, in what may be in an image."""
    for version in OLDER:
        lock = lock_data(*CASES["markers"], tmp_path / "poetry.lock")
        found = check(CASES["markers"][0], as_older(lock, version))
        assert found.older_format == version
        packages = {it["name"]: it for it in locked_packages(found, MAIN, "3.12")}
        assert set(packages) == {"a", "arm", "both", "deeper", "exactly", "new", "on-linux"}
        assert packages["a"]["marker"] == ""
        assert packages["deeper"]["marker"] == ARM
        # Only the build knows the patch.
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
                *(locked("a", it) for it in ("1.0", "2.0")),
                locked("b", requires={"a": "*"}),
                locked("c", requires={"a": "<2"}),
            ],
            "several versions of a, and its old format does not tell which is for",
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
def test_what_the_lock_does_not_tell(
    pyproject: dict[str, Any], packages: list[dict[str, Any]], problem: str | None, tmp_path: Path
) -> None:
    """No version is guessed: the error names the package and the way out."""
    lock = check(pyproject, lock_data(pyproject, packages, tmp_path / "poetry.lock"))
    if problem is None:
        assert [it["version"] for it in locked_packages(lock, MAIN, "3.12")] == ["1.0"]
        return
    with pytest.raises(DockerCacheError, match=problem) as raised:
        locked_packages(lock, MAIN, "3.12")
    assert raised.value.problem.startswith("For an image with Python 3.12: ")
    assert raised.value.fix == (
        "Run `poetry lock` with Poetry 2.1 or newer: it keeps the locked versions. Or set another"
        " `python` in [tool.poetry-docker-cache]."
    )


def test_a_python_that_the_lock_does_not_tell_for(tmp_path: Path) -> None:
    """It is no choice for the image; only where none is left is that an error."""
    double = ["<2", ">=2"]
    old = [{"version": it, "python": "<3.10"} for it in double]
    packages = [locked("a"), locked("a", "2.0")]

    def chosen(pyproject: dict[str, Any]) -> Python:
        return choose_python(
            ">=3.9,<3.11",
            setting=None,
            pinned=None,
            lock=check(pyproject, lock_data(pyproject, packages, tmp_path / "poetry.lock")),
            selection=MAIN,
            libc=None,
        )

    assert chosen(legacy({"a": [*old, {"version": "*", "python": ">=3.10"}]})).tag == "3.10"
    new = [{"version": it, "python": ">=3.10"} for it in double]
    python = chosen(legacy({"a": [*new, {"version": "*", "python": "<3.10"}]}))
    assert python.tag == "3.9"
    assert "whose packages poetry.lock tells" in python.reason
    with pytest.raises(DockerCacheError, match=r"Python 3\.10: .* version of a that") as raised:
        chosen(legacy({"a": [{"version": it} for it in double]}))
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
def test_a_damaged_lock(
    damage: dict[str, Any], version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is an error of its own that names the entry, not a traceback; in the build, too."""
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
    told = capsys.readouterr().err
    assert f"is damaged: the entry of {name} is" in told
    assert told.endswith(": run `poetry lock --regenerate`\n")


@pytest.mark.parametrize("files", [3, {"a": 3}, {"a": [3]}, {"a": [{"file": "a-1.0.tar.gz"}]}])
def test_damaged_files(files: Any, tmp_path: Path) -> None:  # noqa: ANN401  # TOML of any shape
    """The same for the files that stand apart."""
    lock = as_older(lock_data(ONE, [locked("a")], tmp_path / "poetry.lock"), "1.1")
    lock["metadata"]["files"] = files
    with pytest.raises(DockerCacheError, match="is damaged: "):
        check(ONE, lock)


def test_a_stale_lock(tmp_path: Path) -> None:
    """It is refused, as one of today's format is."""
    lock = lock_data(ONE, [locked("a")], tmp_path / "poetry.lock")
    with pytest.raises(DockerCacheError, match="changed significantly"):
        check(legacy({"a": "*", "b": "*"}), lock)
