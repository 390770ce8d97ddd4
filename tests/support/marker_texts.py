"""Markers for tests: all that Poetry can write, and the environments that evaluate them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from poetry_docker_cache.inside.manifest.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Generate comparisons."""
    parts = [st.sampled_from(sorted(part)) for part in (names, operators, values)]
    return st.tuples(*parts).map(lambda t: f'{t[0]} {t[1]} "{t[2]}"')


def string_comparison(name: str) -> st.SearchStrategy[str]:
    """Generate comparisons of one string, in all forms that PEP 508 and Poetry allow."""
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


def markers(atoms: st.SearchStrategy[str], leaves: int = 6) -> st.SearchStrategy[str]:
    """Generate whole markers, with and without parentheses."""
    shapes = st.sampled_from(["{} and {}", "{} or {}", "({}) and {}", "{} and ({})", "({}) or {}"])
    return st.recursive(
        atoms, lambda part: st.builds(str.format, shapes, part, part), max_leaves=leaves
    )


PYTHONS = ["3.9.18", "3.11.7", "3.12.4", "3.13.0", "3.14.0rc1"]


def environment_of(python: str) -> dict[str, str]:
    """Return the marker environment of a Python on Linux, without its machine."""
    return {
        **Target.linux("3.12").environment,
        "implementation_version": python,
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
    }


ENVIRONMENTS = st.sampled_from(PYTHONS).map(environment_of)
MACHINES = st.fixed_dictionaries(
    {
        "platform_machine": st.sampled_from(["x86_64", "aarch64", "armv7l"]),
        "platform_release": st.sampled_from(["5.10", "6.8.0"]),
        "platform_version": st.just("1 SMP"),
    }
)
EXTRAS = st.sets(st.sampled_from(["a", "b-c", "d-e"]))
