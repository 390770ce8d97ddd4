"""Tests of choosing files by their names, compared with `packaging`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging import tags
from packaging.utils import parse_wheel_filename

from poetry_docker_cache.inside.manifest.layer_choice import allowed
from poetry_docker_cache.inside.manifest.target import Target
from poetry_docker_cache.inside.manifest.wheel_files import (
    fits,
    fits_machine,
    fitting_wheels,
    usable_files,
)


def files(*names: str) -> list[dict[str, str]]:
    """Return entries for files in a lock."""
    return [{"file": name, "hash": f"sha256:{'0' * 64}"} for name in names]


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
    """List the tags of `packaging` for a given Linux, on every architecture."""
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


@settings(max_examples=500)
@given(WHEELS, VERSIONS, st.sampled_from(["glibc", "musl"]), st.booleans())
def test_wheels_match_packaging(
    wheel: str, version: tuple[int, int], libc: str, threads: bool
) -> None:
    """A wheel fits if `packaging` accepts it on one of the architectures."""
    name = f"cp{version[0]}{version[1]}" + ("t" if threads and version >= (3, 13) else "")
    known = (2, 36) if libc == "glibc" else (1, 2)
    target = Target(version, name, libc, known, {})
    expected = parse_wheel_filename(wheel)[3] & supported(version, name, libc)
    assert fits(wheel, target) == bool(expected)


def test_wheels_of_this_interpreter() -> None:
    """Every tag that `packaging` lists for this Python fits."""
    here = Target.here()
    wheels = [f"a-1-1-{tag}.whl" for tag in tags.sys_tags()]
    assert [file["file"] for file in fitting_wheels(files(*wheels), here)] == sorted(set(wheels))
    assert all(fitting_wheels(files(wheel), here) for wheel in wheels)


def test_unknown_libc_accepts_any_linux_wheel() -> None:
    """The plugin does not always know the C library of the image."""
    target = Target.linux("3.12")
    assert fits("a-1-cp312-cp312-musllinux_1_2_x86_64.whl", target)
    assert fits("a-1-cp38-abi3-manylinux_2_99_s390x.whl", target)
    assert not fits("a-1-cp312-cp312-win_amd64.whl", target)
    assert not fits("a-1.tar.gz", target)
    assert not fits("nonsense.whl", target)
    glibc = Target.linux("3.12.1", libc="glibc")
    assert not fits("a-1-cp312-cp312-musllinux_1_2_x86_64.whl", glibc)
    assert glibc.environment["python_full_version"] == "3.12.1"


def test_pypy_accepts_its_own_wheels() -> None:
    """Its ABI tags differ from those of CPython."""
    target = Target((3, 10), "pp310", "glibc", (2, 36), {})
    assert fits("a-1-pp310-pypy310_pp73-manylinux2014_x86_64.whl", target)
    assert fits("a-1-py3-none-any.whl", target)
    assert not fits("a-1-cp310-cp310-manylinux2014_x86_64.whl", target)


def test_usable_files_of_a_package() -> None:
    """A source distribution is only used without a pure wheel."""
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
    assert kept(windows, egg) == []
    assert kept() == []


def test_fitting_wheels() -> None:
    """All fitting wheels are kept, for all architectures."""
    pure, arm, intel = (
        f"a-1-{tag}.whl"
        for tag in (
            "py3-none-any",
            "cp312-abi3-linux_aarch64",
            "cp312-abi3-linux_x86_64.linux_i686",
        )
    )
    newer, musl = (f"a-1-cp312-cp312-{s}_x86_64.whl" for s in ("manylinux_2_40", "musllinux_1_1"))

    def kept(*names: str) -> list[str]:
        target = Target((3, 12), "cp312", "glibc", (2, 36), {})
        return [file["file"] for file in fitting_wheels(files(*names), target)]

    assert kept(pure, intel, arm, newer, musl, "a-1.tar.gz") == [arm, intel, pure]
    assert kept(arm, pure) == [arm, pure]
    assert kept(arm, "a-1.tar.gz") == [arm]
    assert kept(newer, musl) == kept() == []
    assert [fits_machine(name, "aarch64") for name in (pure, arm, intel)] == [True, True, False]
    assert [fits_machine(name, "i686") for name in (pure, arm, intel)] == [True, False, True]


@pytest.mark.parametrize(
    ("no_binary", "only_binary", "expected"),
    [
        ([], [], (True, True)),
        (["other"], ["other"], (True, True)),
        (["a-b"], [], (False, True)),
        ([], ["a-b"], (True, False)),
        ([":all:"], [], (False, True)),
        ([], [":all:"], (True, False)),
        ([":all:"], ["a-b"], (True, False)),
        (["a-b"], [":all:"], (False, True)),
        ([":all:"], [":all:"], (False, False)),
        (["a-b"], ["a-b"], (False, False)),
        ([":none:"], [":none:"], (True, True)),
    ],
)
def test_allowed_by_poetrys_settings(
    no_binary: list[str], only_binary: list[str], expected: tuple[bool, bool]
) -> None:
    """Names match in any spelling."""
    assert allowed("A_b", no_binary, only_binary) == expected


def test_target_as_text() -> None:
    """The text has what is known of the C library and Python."""
    assert str(Target((3, 12), "cp312", "glibc", (2, 36), {})) == "glibc 2.36, Python 3.12"
    assert str(Target.linux("3.9", libc="musl")) == "musl, Python 3.9"
    assert str(Target.linux("3.9")) == "Python 3.9"
