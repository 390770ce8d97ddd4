"""The manifest: what changes it and what does not, and Poetry's rules in a few lines of our own."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from packaging import tags
from packaging.markers import Marker
from packaging.utils import canonicalize_name, parse_wheel_filename
from poetry.core.version.markers import parse_marker
from poetry.packages.locker import Locker
from poetry.puzzle.transaction import Transaction

from poetry_docker_cache.inside import manifest
from poetry_docker_cache.inside.manifest import Target, evaluate, fits, needs_build, usable_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MACHINE = platform.machine()
TAG = f"cp{Target.here().python[0]}{Target.here().python[1]}"


def files(*names: str, digest: str = "0") -> list[dict[str, str]]:
    """Make the entries of a lock."""
    return [{"file": name, "hash": f"sha256:{digest}"} for name in names]


def package(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # values of TOML
    """Make a locked package."""
    base = {"name": name, "version": "1.0", "description": name, "optional": False}
    base.update({"python-versions": ">=3.9", "groups": ["main"]})
    base["files"] = files(f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.tar.gz")
    return {**base, **more}


PYPROJECT: dict[str, Any] = {
    "project": {"name": "app", "version": "1.0", "dependencies": ["pure"]},
    "tool": {
        "ruff": {"line-length": 80},
        "poetry": {
            "source": [
                {"name": "mirror", "url": "https://mirror.example/simple"},
                {"name": "private", "url": "https://private.example/", "priority": "explicit"},
                {"name": "unused", "url": "https://unused.example/", "priority": "supplemental"},
            ]
        },
    },
}
LOCK: dict[str, Any] = {
    "package": [
        package("pure"),
        package("Native.Code", files=files(f"Native.Code-1.0-{TAG}-{TAG}-manylinux1_x86_64.whl")),
        package("fancy", optional=True, markers='extra == "nice"'),
        package("here", markers=f'platform_machine == "{MACHINE}" and python_version >= "3.9"'),
        package("elsewhere", markers='platform_machine == "pdp11"'),
        package("windows", markers='sys_platform == "win32"'),
        package("linter", groups=["Dev_Tools"]),
        package(
            "shared",
            groups=["dev", "main"],
            markers={"main": "'tegra' in platform_release", "dev": 'python_version >= "3.0"'},
            source={"type": "legacy", "url": "https://private.example", "reference": "private"},
        ),
    ],
    "metadata": {"lock-version": "2.1", "python-versions": ">=3.9", "content-hash": "1"},
}


def written(
    folder: Path,
    pyproject: dict[str, Any],
    lock: dict[str, Any],
    *arguments: str,
    spoil: Callable[[str], str] = str,
) -> bytes:
    """Run the script on a project with these files."""
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_bytes(spoil(tomlkit.dumps(pyproject)).encode())
    (folder / "poetry.lock").write_bytes(spoil(tomlkit.dumps(lock)).encode())
    output = folder / "out" / "dependencies.json"
    options = ["--project", str(folder), "--output", str(output)]
    assert manifest.main(["--group", "main", *arguments, *options]) == 0
    assert output.stat().st_mode & 0o777 == 0o644
    return output.read_bytes()


def entry(lock: dict[str, Any], name: str) -> dict[str, Any]:
    """Find a package in a lock."""
    return next(package for package in lock["package"] if package["name"] == name)


NO_CHANGE: dict[str, Any] = {
    "the project's version": lambda p, _: p["project"].update(version="2.0"),
    "its description": lambda p, _: p["project"].update(description="new"),
    "a linter's setting": lambda p, _: p["tool"]["ruff"].update({"line-length": 100}),
    "a constraint that changes nothing": lambda p, _: p["project"].update(dependencies=["pure>0"]),
    "the content hash": lambda _, k: k["metadata"].update({"content-hash": "2"}),
    "a dev package bumped": lambda _, k: entry(k, "linter").update(version="2.0"),
    "a dev package added": lambda _, k: k["package"].insert(0, package("a", groups=["dev"])),
    "a dev package gone": lambda _, k: k["package"].remove(entry(k, "linter")),
    "a package needed by dev too": lambda _, k: entry(k, "pure").update(groups=["main", "dev"]),
    "the marker of another group": lambda _, k: entry(k, "shared")["markers"].update(
        dev='python_version >= "3.10"'
    ),
    "a package's description": lambda _, k: entry(k, "pure").update(description="new"),
    "a package's Pythons": lambda _, k: entry(k, "pure").update({"python-versions": ">=3.10"}),
    "a package's dependencies": lambda _, k: entry(k, "pure").update(dependencies={"x": "*"}),
    "a marker that holds anyway": lambda _, k: entry(k, "pure").update(
        markers='python_version >= "3.9" and sys_platform != "win32"'
    ),
    "a marker written otherwise": lambda _, k: entry(k, "here").update(
        markers=f'python_full_version >= "3.9.0" and platform_machine in "{MACHINE}, other"'
    ),
    "a marker gone that held anyway": lambda _, k: entry(k, "here").pop("markers"),
    "the decided part of a marker": lambda _, k: entry(k, "shared")["markers"].update(
        main=f"platform_machine == '{MACHINE}' and \"tegra\" in platform_release"
    ),
    "files of other platforms": lambda _, k: entry(k, "Native.Code")["files"].extend(
        files(
            "Native.Code-1.0-cp38-cp38-manylinux1_x86_64.whl",
            f"Native.Code-1.0-{TAG}-{TAG}-win_amd64.whl",
            f"Native.Code-1.0-{TAG}-{TAG}-musllinux_1_1_x86_64.whl",
            "Native.Code-1.0-pp310-pypy310_pp73-manylinux1_x86_64.whl",
        )
    ),
    "a repeated file": lambda _, k: entry(k, "pure")["files"].extend(entry(k, "pure")["files"]),
    "the order of files": lambda _, k: entry(k, "pure")["files"].reverse(),
    "the order of packages": lambda _, k: k["package"].reverse(),
    "a package's spelling": lambda _, k: entry(k, "Native.Code").update(name="native_code"),
    "a source distribution beside a pure wheel": lambda _, k: entry(k, "pure")["files"].pop(),
    "an extra that nobody chose": lambda _, k: entry(k, "fancy").update(version="3.0"),
    "a package for another system": lambda _, k: entry(k, "windows").update(version="3.0"),
    "a package for another machine": lambda _, k: entry(k, "elsewhere").update(version="3.0"),
    "an unused supplemental source": lambda p, _: p["tool"]["poetry"]["source"].append(
        {"name": "more", "url": "https://more.example", "priority": "supplemental"}
    ),
    "an unused explicit source": lambda p, _: p["tool"]["poetry"]["source"].pop(),
    "a primary source that says so": lambda p, _: p["tool"]["poetry"]["source"][0].update(
        priority="primary"
    ),
}

CHANGE: dict[str, Any] = {
    "a version": lambda _, k: entry(k, "pure").update(version="1.1"),
    "a hash": lambda _, k: entry(k, "pure")["files"][0].update(hash="sha256:1"),
    "a package more": lambda _, k: k["package"].append(package("more")),
    "a package less": lambda _, k: k["package"].remove(entry(k, "pure")),
    "a marker that matters": lambda _, k: entry(k, "here").update(
        markers='platform_machine == "pdp11"'
    ),
    "a marker that only the kernel decides": lambda _, k: entry(k, "here").update(
        markers='platform_release >= "5"'
    ),
    "a marker that excludes": lambda _, k: entry(k, "pure").update(markers='os_name == "nt"'),
    "a marker gone": lambda _, k: entry(k, "elsewhere").pop("markers"),
    "a fitting file": lambda _, k: entry(k, "Native.Code")["files"].extend(
        files(f"Native.Code-1.0-{TAG}-{TAG}-manylinux1_aarch64.whl")
    ),
    "a package's source": lambda _, k: entry(k, "pure").update(
        source={"type": "legacy", "url": "https://unused.example", "reference": "unused"}
    ),
    "a used source's address": lambda p, _: p["tool"]["poetry"]["source"][1].update(
        url="https://elsewhere.example"
    ),
    "a primary source": lambda p, _: p["tool"]["poetry"]["source"].insert(0, {"name": "PyPI"}),
    "the sources' order": lambda p, _: p["tool"]["poetry"]["source"].reverse(),
}


def edited(edit: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401  # a lambda above
    """Apply an edit to copies of the project's files."""
    pyproject, lock = deepcopy(PYPROJECT), deepcopy(LOCK)
    edit(pyproject, lock)
    return pyproject, lock


@pytest.mark.parametrize("edit", NO_CHANGE)
def test_an_edit_that_installs_nothing_else(edit: str, tmp_path: Path) -> None:
    """The manifest stays the same to the byte."""
    after = edited(NO_CHANGE[edit])
    assert after != (PYPROJECT, LOCK)
    assert written(tmp_path, *after) == written(tmp_path, PYPROJECT, LOCK)


@pytest.mark.parametrize("edit", CHANGE)
def test_an_edit_that_installs_something_else(edit: str, tmp_path: Path) -> None:
    """The manifest changes."""
    assert written(tmp_path, *edited(CHANGE[edit])) != written(tmp_path, PYPROJECT, LOCK)


def test_what_the_command_line_chooses(tmp_path: Path) -> None:
    """Groups and extras choose packages under any spelling; binary policies choose files."""

    def packages(*arguments: str) -> dict[str, Any]:
        found = json.loads(written(tmp_path, PYPROJECT, LOCK, *arguments))["packages"]
        return {package["name"]: package for package in found}

    plain = packages()
    assert set(plain) == {"pure", "native-code", "here", "shared"}
    assert set(packages("--extra", "Nice")) - set(plain) == {"fancy"}
    assert set(packages("--group", "DEV.Tools")) - set(plain) == {"linter"}
    assert plain["shared"]["marker"] == '"tegra" in platform_release'
    assert "marker" not in plain["here"]
    assert "marker" not in packages("--group", "dev")["shared"]

    def names(found: dict[str, Any]) -> list[str]:
        return [file["file"] for file in found["pure"]["files"]]

    wheel, source = "pure-1.0-py3-none-any.whl", "pure-1.0.tar.gz"
    assert names(plain) == [wheel]
    assert names(packages("--no-binary", "pure")) == [source]
    assert names(packages("--no-binary", ":all:")) == [source]
    assert names(packages("--no-binary", ":all:", "--only-binary", "pure")) == [wheel]
    assert names(packages("--no-binary", "pure", "--only-binary", ":all:")) == [source]


def test_form_of_the_files(tmp_path: Path) -> None:
    """Line ends, comments and the umask leave no trace; the text is canonical."""
    plain = written(tmp_path, PYPROJECT, LOCK)
    crlf = written(tmp_path, PYPROJECT, LOCK, spoil=lambda text: text.replace("\n", "\r\n"))
    other = written(tmp_path, PYPROJECT, LOCK, spoil=lambda text: f"# by Poetry 2.1.0\n{text}")
    before = os.umask(0o077)
    try:
        strict = written(tmp_path / "strict", PYPROJECT, LOCK)
    finally:
        os.umask(before)
    assert plain == crlf == other == strict
    content = json.loads(plain)
    assert plain == json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"
    assert [source["name"] for source in content["sources"]] == ["mirror", "private"]
    assert content["sources"][0]["priority"] == "primary"


def test_packages_without_a_source_come_from_pypi(tmp_path: Path) -> None:
    """A PyPI that is only supplemental is used by them, and stays."""
    pyproject = deepcopy(PYPROJECT)
    pyproject["tool"]["poetry"]["source"] += [{"name": "pypi", "priority": "supplemental"}]
    found = json.loads(written(tmp_path, pyproject, LOCK))["sources"]
    assert {"name": "PyPI", "priority": "supplemental"} in found


@pytest.mark.parametrize(
    ("source", "unsourced", "expected"),
    [
        ({"name": "pypi"}, True, [{"name": "PyPI", "priority": "primary"}]),
        ({"name": "PyPI", "priority": "supplemental"}, False, []),
        (
            {"name": "PyPI", "priority": "supplemental"},
            True,
            [{"name": "PyPI", "priority": "supplemental"}],
        ),
    ],
)
def test_pypi_named_as_a_source(
    source: dict[str, str], unsourced: bool, expected: list[dict[str, str]]
) -> None:
    """PyPI keeps its priority, where a package may come from it."""
    pyproject = {"tool": {"poetry": {"source": [source]}}}
    assert manifest.sources(pyproject, {"pypi"} if unsourced else set()) == expected


def test_an_old_lock_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what to type."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "poetry.lock").write_text('[metadata]\nlock-version = "2.0"\n')
    status = manifest.main(["--project", str(tmp_path), "--output", str(tmp_path / "x")])
    assert status == 1
    assert "poetry lock" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


# --- Markers -------------------------------------------------------------------------------------
STRINGS = {
    "sys_platform": ["linux", "win32", "darwin", "linux2"],
    "os_name": ["posix", "nt"],
    "platform_system": ["Linux", "Windows"],
    "platform_python_implementation": ["CPython", "PyPy"],
    "implementation_name": ["cpython", "pypy"],
    "implementation_version": ["3.11.7", "3.8"],
    "platform_machine": ["x86_64", "aarch64", "AMD64", "arm64"],
    "platform_version": ["SMP", "PREEMPT"],
}
MINORS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
PATCHES = ["3.9.0", "3.11.0", "3.11.2", "3.11.7", "3.12.4", "3.14.0", "3.14.0rc1", "3.11.0a6"]
ORDER = ["==", "!=", "<", "<=", ">", ">=", "~="]


def comparison(
    names: Iterable[str], operators: Iterable[str], values: Iterable[str]
) -> st.SearchStrategy[str]:
    """Make comparisons."""
    parts = [st.sampled_from(sorted(part)) for part in (names, operators, values)]
    return st.tuples(*parts).map(lambda t: f'{t[0]} {t[1]} "{t[2]}"')


def string_comparison(name: str) -> st.SearchStrategy[str]:
    """Make comparisons of one string in all the ways that PEP 508 and Poetry allow."""
    lists = st.lists(st.sampled_from(STRINGS[name]), min_size=1, max_size=3).map(" ".join)
    inside = st.tuples(st.sampled_from(["in", "not in"]), lists, st.sampled_from(STRINGS[name]))
    return st.one_of(
        comparison([name], ["==", "!="], STRINGS[name]),
        inside.map(lambda t: f'{name} {t[0]} "{t[1]}"'),
        inside.map(lambda t: f'"{t[2][:3]}" {t[0]} {name}'),
    )


PLAIN = st.one_of(
    comparison(["python_version"], ORDER, MINORS),
    comparison(["python_full_version"], ORDER, PATCHES),
    *(comparison([name], ["==", "!="], STRINGS[name]) for name in STRINGS),
)
ATOMS = st.one_of(
    PLAIN,
    comparison(["python_version"], ["==", "!="], [f"{minor}.*" for minor in MINORS]),
    comparison(
        ["python_version", "python_full_version"], ["in", "not in"], ["3.9, 3.11", "3.11.7 3.12"]
    ),
    st.sampled_from(sorted(STRINGS)).flatmap(string_comparison),
    st.sampled_from(['"3.11" in python_version', '"3.1" not in python_version']),
    comparison(["extra"], ["==", "!="], ["a", "B_c", "d.e"]),
    comparison(["platform_release"], ORDER[:-1], ["5.10", "6.1.0"]),
)


def markers(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make whole markers, with and without parentheses."""
    shapes = st.sampled_from(["{} and {}", "{} or {}", "({}) and {}", "{} and ({})", "({}) or {}"])
    return st.recursive(atoms, lambda part: st.builds(str.format, shapes, part, part), max_leaves=6)


ENVIRONMENTS = st.sampled_from(["3.9.18", "3.11.7", "3.12.4", "3.13.0", "3.14.0rc1"]).map(
    lambda full: {
        **Target.linux("3.12").environment,
        "implementation_version": full,
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
    }
)
MACHINES = st.fixed_dictionaries(
    {
        "platform_machine": st.sampled_from(["x86_64", "aarch64", "armv7l"]),
        "platform_release": st.sampled_from(["5.10", "6.8.0"]),
        "platform_version": st.just("1 SMP"),
    }
)
EXTRAS = st.sets(st.sampled_from(["a", "b-c", "d-e"]))


def holds(left: bool | str, environment: dict[str, str]) -> bool:
    """Decide what is left of a marker, as Poetry will."""
    return parse_marker(left).validate(environment) if isinstance(left, str) else left


@settings(max_examples=300, deadline=None)
@given(markers(ATOMS), ENVIRONMENTS, EXTRAS, MACHINES)
def test_markers_against_poetry(
    marker: str, environment: dict[str, str], extras: set[str], machine: dict[str, str]
) -> None:
    """What is left of a marker that Poetry wrote decides, on any machine, as the whole would."""
    locked = parse_marker(marker)
    assume(not locked.is_empty())
    whole = {**environment, **machine}
    expected = locked.validate({**whole, "extra": extras})
    assert holds(evaluate(str(locked), environment, extras), whole) == expected
    # In a build the machine is known too: only what hangs on the kernel is left.
    known = {**environment, "platform_machine": machine["platform_machine"]}
    left = evaluate(str(locked), known, extras)
    assert holds(left, whole) == expected
    names = set(re.findall(r"[a-z]+_[a-z_]+", str(left)))
    assert names <= {"platform_release", "platform_version"}
    assert bool(names) == isinstance(left, str)


@settings(max_examples=150, deadline=None)
@given(markers(PLAIN), ENVIRONMENTS, MACHINES)
def test_markers_against_packaging(
    marker: str, environment: dict[str, str], machine: dict[str, str]
) -> None:
    """Where Poetry does as PEP 508 says, so does the manifest."""
    assume("rc" not in environment["python_full_version"])  # packaging has other rules for those
    found = evaluate(marker, {**environment, **machine}, set())
    assert found is Marker(marker).evaluate({**environment, **machine})


@settings(max_examples=150, deadline=None)
@given(markers(comparison(["python_version", "python_full_version"], ORDER, MINORS + PATCHES[:6])))
def test_an_unknown_patch_decides_what_all_patches_agree_on(marker: str) -> None:
    """The plugin knows only the minor version: it must not drop what some patch would need."""
    left = evaluate(marker, Target.linux("3.11").environment, set())
    for patch in ("3.11.0", "3.11.2", "3.11.7", "3.11.15"):
        environment = Target.linux(patch).environment
        again = evaluate(left, environment, set()) if isinstance(left, str) else left
        assert evaluate(marker, environment, set()) is again


@pytest.mark.parametrize(
    ("marker", "left"),
    [
        ("", True),
        ("*", True),
        (
            'platform_machine in "b, a" and os_name == "posix"',
            '(platform_machine == "a" or platform_machine == "b")',
        ),
        (
            'platform_release != "2" and (os_name == "nt" or platform_release != "1")',
            'platform_release != "1" and platform_release != "2"',
        ),
        ('os_name == "posix" or platform_release != "1"', True),
        ('os_name == "nt" and platform_release != "1"', False),
        ('"posix" == os.name and "3" < python_version', True),
        ("'tegra' in platform_release", '"tegra" in platform_release'),
        ("platform.version == '\"'", "platform_version == '\"'"),
        ('extra === "A" and python_implementation == "CPython"', True),
        ('extra == "b" or "b" in extra', False),
        ('platform_machine < "b"', False),  # of strings, Poetry knows no order
    ],
)
def test_what_is_left_of_a_marker(marker: str, left: bool | str) -> None:
    """Only what nobody knows yet stays."""
    assert evaluate(marker, Target.linux("3.12").environment, {"a"}) == left


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ('python_full_version < "3.14"', True),
        ('python_full_version >= "3.14.0a6"', True),
        ('python_full_version >= "3.14.0rc2"', False),
        ('python_full_version >= "3.14"', False),
        ('python_full_version == "3.14.*"', False),
        ('python_full_version == "3.13.*"', True),
        ('python_full_version in "3.13"', True),
        ('python_version >= "3.14"', True),
    ],
)
def test_a_python_before_its_release(marker: str, expected: bool) -> None:
    """Poetry orders release candidates so, surprises included."""
    environment = {"python_full_version": "3.14.0rc1", "python_version": "3.14"}
    assert parse_marker(marker).validate(environment) is expected
    assert evaluate(marker, environment, set()) is expected


@pytest.mark.parametrize(
    "marker",
    ["python_version", 'os_name == "a" and', '(os_name == "a"', 'os_name == "a")', "os_name == €"],
)
def test_no_marker(marker: str) -> None:
    """What is no marker is an error, not a decision."""
    with pytest.raises(ValueError, match="not a marker"):
        evaluate(marker, Target.linux("3.12").environment, set())


# --- Packages ------------------------------------------------------------------------------------
GROUPS = ["main", "dev", "Docs_x", "dev,tests"]


@st.composite
def locked_packages(draw: st.DrawFn) -> dict[str, Any]:
    """Make a lock, with one marker for all groups of a package or one for each."""
    packages = []
    for name in ("a", "b", "c"):
        groups = draw(st.lists(st.sampled_from(GROUPS), min_size=1, unique=True))
        more = {"groups": groups, "optional": draw(st.booleans())}
        one = markers(ATOMS).map(lambda text: str(parse_marker(text)))
        one = one.filter(lambda text: text not in ("", "<empty>"))
        each = st.dictionaries(st.sampled_from(groups), one)
        more |= draw(st.fixed_dictionaries({}, optional={"markers": one | each}))
        packages.append(package(name, **more))
    return {**LOCK, "package": packages}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    locked_packages(),
    st.sets(st.sampled_from(GROUPS), min_size=1),
    EXTRAS,
    ENVIRONMENTS,
    MACHINES,
)
def test_packages_against_poetry(  # noqa: PLR0913, PLR0917  # one for each thing that decides
    tmp_path_factory: pytest.TempPathFactory,
    lock: dict[str, Any],
    groups: set[str],
    extras: set[str],
    environment: dict[str, str],
    machine: dict[str, str],
) -> None:
    """Those are chosen that Poetry's transaction would install, on any machine."""
    path = tmp_path_factory.getbasetemp() / "poetry.lock"
    path.write_text(tomlkit.dumps(lock), encoding="utf-8")
    names = {canonicalize_name(group) for group in groups}
    transaction = Transaction(
        [], Locker(path, {}).locked_packages(), [], None, {**environment, **machine}, names
    )
    operations = transaction.calculate_operations(
        with_uninstalls=False, extras={canonicalize_name(extra) for extra in extras}
    )
    expected = {str(operation.package.name) for operation in operations if not operation.skipped}
    found = {
        package["name"]
        for package, marker in manifest.select(lock, groups, extras, environment)
        if parse_marker(marker).validate({**environment, **machine})
    }
    assert found == expected


# --- Files ---------------------------------------------------------------------------------------
ARCHITECTURES = ("x86_64", "aarch64")
PYTHONS = [
    "py3",
    "py2.py3",
    "py2",
    "py39",
    "py312",
    "cp31",
    "cp32",
    "cp39",
    "cp310",
    "cp312",
    "pp310",
]
ABIS = ["none", "abi3", "cp310", "cp312", "cp313", "cp313t", "pypy310_pp73", "abi3.none"]
LIBCS = ["linux", "manylinux1", "manylinux2014", "manylinux_2_28", "manylinux_2_99"]
LIBCS += ["musllinux_1_1", "musllinux_1_9", "manylinux_2_17_x86_64.manylinux2014"]
SYSTEMS = ["any", "win_amd64", "macosx_11_0_arm64"]
SYSTEMS += [f"{libc}_{architecture}" for libc in LIBCS for architecture in ARCHITECTURES]


def supported(python: tuple[int, int], abi: str, libc: str) -> set[tags.Tag]:
    """List packaging's tags for a Linux of ours, on every architecture."""
    platforms = []
    for machine in ARCHITECTURES:
        if libc == "glibc":
            platforms += [f"manylinux_2_{minor}_{machine}" for minor in range(36, 4, -1)]
            platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
        else:
            platforms += [f"musllinux_1_{minor}_{machine}" for minor in range(2, -1, -1)]
        platforms.append(f"linux_{machine}")
    interpreter = f"cp{python[0]}{python[1]}"
    return {
        *tags.cpython_tags(python, [abi], platforms),
        *tags.compatible_tags(python, interpreter, platforms),
    }


VERSIONS = st.sampled_from([(3, 9), (3, 10), (3, 12), (3, 13)])
WHEELS = st.builds("a_b-1.0-{}-{}-{}.whl".format, *map(st.sampled_from, (PYTHONS, ABIS, SYSTEMS)))


@settings(max_examples=500, deadline=None)
@given(WHEELS, VERSIONS, st.sampled_from(["glibc", "musl"]), st.booleans())
def test_wheels_against_packaging(
    wheel: str, version: tuple[int, int], libc: str, threads: bool
) -> None:
    """A wheel fits when packaging would install it on one of the architectures."""
    name = f"cp{version[0]}{version[1]}" + ("t" if threads and version >= (3, 13) else "")
    known = (2, 36) if libc == "glibc" else (1, 2)
    target = Target(version, name, libc, known, {})
    expected = parse_wheel_filename(wheel)[3] & supported(version, name, libc)
    assert fits(wheel, target) == bool(expected)


def test_wheels_of_this_interpreter() -> None:
    """Every tag that packaging lists for this Python fits."""
    here = Target.here()
    assert all(fits(f"a-1-1-{tag}.whl", here) for tag in tags.sys_tags())


def test_a_host_that_does_not_know_the_libc() -> None:
    """Any Linux wheel may do."""
    target = Target.linux("3.12")
    assert fits("a-1-cp312-cp312-musllinux_1_2_x86_64.whl", target)
    assert fits("a-1-cp38-abi3-manylinux_2_99_s390x.whl", target)
    assert not fits("a-1-cp312-cp312-win_amd64.whl", target)
    assert not fits("a-1.tar.gz", target)
    assert not fits("nonsense.whl", target)
    glibc = Target.linux("3.12.1", libc="glibc")
    assert not fits("a-1-cp312-cp312-musllinux_1_2_x86_64.whl", glibc)
    assert glibc.environment["python_full_version"] == "3.12.1"


def test_pypy_takes_its_own_wheels() -> None:
    """Its ABI is its own affair."""
    target = Target((3, 10), "pp310", "glibc", (2, 36), {})
    assert fits("a-1-pp310-pypy310_pp73-manylinux2014_x86_64.whl", target)
    assert fits("a-1-py3-none-any.whl", target)
    assert not fits("a-1-cp310-cp310-manylinux2014_x86_64.whl", target)


def test_usable_files() -> None:
    """A source distribution counts only where no pure wheel does; if nothing fits, all stay."""
    target = Target.linux("3.12")
    pure, old, native = (
        f"a-1-{tag}.whl" for tag in ("py3-none-any", "cp39-cp39-any", "cp312-cp312-linux_x86_64")
    )
    windows, source, egg = "a-1-cp312-cp312-win_amd64.whl", "a-1.tar.gz", "a-1.egg"

    def kept(*names: str) -> list[str]:
        return [file["file"] for file in usable_files(files(*names), target)]

    assert kept(windows, pure, source, egg) == [pure]
    assert kept(source, native, windows, old) == [native, source]
    assert kept(egg, source) == [source]
    assert kept(windows, egg) == [windows, egg]
    assert kept() == []
    assert not needs_build({"files": files(native, source)}, target)
    assert needs_build({"files": files(windows, source)}, target)
    assert needs_build({"name": "from git"}, target)


# --- The scripts as such -------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["manifest", "poetry_install", "pip_install", "check"])
def test_scripts_stand_alone(name: str) -> None:
    """Each fits into a heredoc, and runs with any Python from 3.9 on and what that brings."""
    text = Path(str(manifest.__file__)).with_name(f"{name}.py").read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert "EOF" not in text.splitlines()
    tree = ast.parse(text, feature_version=(3, 9))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    if name == "poetry_install":
        assert foreign == {"poetry.packages.locker", "poetry.utils._compat"}
    else:
        assert foreign <= {"pip._vendor", "tomllib"}  # which Python 3.10 does not list
