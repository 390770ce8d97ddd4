"""The packages of an image for one platform, their files and dependencies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plans import plan, project
from projects import package, sdist, wheel

from poetry_docker_cache.sbom.inventory import Inventory, take_inventory

if TYPE_CHECKING:
    from collections.abc import Sequence

ARM = "platform_machine == 'aarch64'"
PROJECT = {
    "name": "shop",
    "dependencies": ["one[fast]"],
    "optional-dependencies": {"all": ["shop[web]"], "web": ["two"], "other": ["three"]},
}


def inventory(
    *packages: dict[str, Any],
    platform: str = "linux/amd64",
    extras: Sequence[str] = (),
    groups: Sequence[str] = ("main",),
    no_binary: tuple[str, ...] = (),
) -> Inventory:
    """Take the inventory of an image with Python 3.13 on Debian."""
    planned = plan(project())
    return take_inventory(
        [{"marker": "", **each} for each in packages],
        {"project": PROJECT, "dependency-groups": {"jobs": ["three"]}},
        replace(planned.dependencies, libc="glibc", no_binary=no_binary),
        python="3.13",
        platform=platform,
        groups=groups,
        extras=extras,
    )


def test_markers_are_evaluated_for_the_platform() -> None:
    """What only the running system knows stays as a marker."""
    packages = [
        package("one"),
        package("two", marker=ARM),
        package("three", marker='platform_release == "6"'),
    ]
    amd, arm = (inventory(*packages, platform=f"linux/{name}64") for name in ("amd", "arm"))
    assert [each.name for each in amd.packages] == ["one", "three"]
    assert [each.name for each in arm.packages] == ["one", "three", "two"]
    assert [each.marker for each in amd.packages] == ["", 'platform_release == "6"']


def test_files_are_those_that_fit_the_platform() -> None:
    """Without a fitting wheel, the package is built."""
    tags = ("cp313-cp313-manylinux_2_28_x86_64", "cp313-cp313-manylinux_2_28_aarch64")
    others = ("cp312-cp312-manylinux_2_28_x86_64", "cp313-cp313-musllinux_1_2_x86_64")
    names = [wheel("one", tag=tag) for tag in (*tags, *others, "cp313-cp313-win_amd64")]
    packages = package("one", files=[*names, sdist("one")])

    def files(**options: Any) -> list[str]:  # noqa: ANN401  # as inventory
        (found,) = inventory(packages, **options).packages
        return [file.name for file in found.files]

    assert files() == [names[0]]
    assert files(platform="linux/arm64") == [names[1]]
    assert files(platform="linux/s390x") == [sdist("one")]
    assert files(no_binary=("one",)) == [sdist("one")]


def test_several_hashes_of_a_file_are_kept_together() -> None:
    """A file that does not come from an index is always used."""
    hashes = [f"sha256:{'1' * 64}", f"md5:{'2' * 32}"]
    files = [{"file": "x.zip", "hash": text} for text in hashes]
    source = {"type": "file", "url": "vendor/x.zip"}
    (found,) = inventory({**package("one", source=source), "files": files}).packages
    assert [(file.name, file.hashes) for file in found.files] == [("x.zip", tuple(sorted(hashes)))]


def test_dependencies_follow_markers_and_extras() -> None:
    """An extra counts only where it is asked for."""
    one = package(
        "one",
        dependencies={
            "two": {"version": "*", "optional": True, "markers": 'extra == "fast"'},
            "four": {"version": "*", "optional": True, "markers": 'extra == "slow"'},
            "three": {"version": "*", "markers": "sys_platform == 'win32'"},
            "missing": "*",
        },
        extras={"fast": ["two"], "slow": ["four"]},
    )
    two = package("two", dependencies={"One": {"version": "*", "extras": ["slow"]}, "two": "*"})
    found = inventory(one, two, package("three"), package("four"))
    names = [each.name for each in found.packages]
    assert names == ["four", "one", "three", "two"]
    needs = [[names[number] for number in each.needs] for each in found.packages]
    assert needs == [[], ["four", "two"], [], ["one"]]
    assert [names[number] for number in found.direct] == ["one"]


def test_groups_and_extras_decide_what_is_direct() -> None:
    """Extras may include others; packages have only the chosen ones of their groups."""
    packages = (package("one"), package("two"), package("three", groups=["Jobs", "dev"]))
    found = inventory(*packages, extras=("all",), groups=("jobs", "main"))
    names = [each.name for each in found.packages]
    assert [names[number] for number in found.direct] == ["one", "three", "two"]
    assert [each.groups for each in found.packages] == [("main",), ("jobs",), ("main",)]
