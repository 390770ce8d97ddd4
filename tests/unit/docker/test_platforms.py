"""The platforms of an image: their names, and which of them are built."""

from __future__ import annotations

from typing import Any

import pytest
import tomlkit

from poetry_docker_cache.docker.platforms import (
    MACHINES,
    machines,
    platform_of,
    refuse_unknown,
    to_build,
)
from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.inside.install.architecture import PLATFORMS
from poetry_docker_cache.settings.setting_errors import SettingsError
from poetry_docker_cache.settings.table import Settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", ()),
        ('["linux/amd64", "linux/arm64"]', ("linux/amd64", "linux/arm64")),
        ('["linux/arm64/v8", "linux/arm64", "linux/x86_64"]', ("linux/arm64", "linux/amd64")),
        ('["linux/arm"]', ("linux/arm/v7",)),
    ],
)
def test_platform_names_are_normalised(text: str, expected: tuple[str, ...]) -> None:
    """Docker has several names for one platform."""
    assert Settings.parse(tomlkit.parse(f"platforms = {text}")).platforms == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"linux/amd64"', 'Write platforms = ["linux/amd64"].'),
        ('["linux/amd46"]', 'Did you mean "linux/amd64"?'),
        ('["arm64"]', 'Did you mean "linux/arm64"?'),
        ('["windows/amd64"]', 'Did you mean "linux/amd64"?'),
        ('["wasi/wasm"]', "there are no Python wheels for that platform"),
        ("[64]", "`platforms[0]`"),
        ('["linux/amd64,linux/arm64"]', "there are no Python wheels for that platform"),
    ],
)
def test_unknown_platform_is_an_error(text: str, words: str) -> None:
    """The error suggests the most similar one."""
    with pytest.raises(SettingsError) as caught:
        Settings.parse(tomlkit.parse(f"platforms = {text}"))
    assert words in f"{caught.value}"


def test_machines_are_sorted_names_of_wheels() -> None:
    """The order of the platforms does not matter."""
    assert machines(["linux/arm64", "linux/amd64"]) == machines(["linux/amd64", "linux/arm64"])
    assert machines(["linux/arm64", "linux/386"]) == ("aarch64", "i686")
    assert [platform_of(machine) for machine in MACHINES.values()] == list(MACHINES)


def test_build_suggests_a_valid_platform() -> None:
    """The setting accepts what a failing installation suggests."""
    assert set(PLATFORMS.values()) <= set(MACHINES)
    for machine, platform in PLATFORMS.items():
        assert MACHINES[platform] == machine or machine == "armv8l"
    for platform, machine in MACHINES.items():
        assert PLATFORMS.get(machine, f"linux/{machine}") == platform


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("linux/amd46", "Did you mean linux/amd64?"),
        ("linux/arm64,linx/amd64", "Did you mean linux/amd64?"),
        ("arm46", "Did you mean linux/arm64?"),
        ("linux/mips", "Use one of linux/386,"),
        ("plan9/mips", "Use one of linux/386, linux/amd64"),
    ],
)
def test_option_with_an_unknown_platform_is_an_error(value: str, fix: str) -> None:
    """BuildKit would only fail when it pulls the base image."""
    with pytest.raises(DockerCacheError, match="is not a known platform") as caught:
        refuse_unknown(["linux/arm64", value])
    assert caught.value.fix.startswith(fix)


def test_option_takes_names_that_buildkit_accepts() -> None:
    """The platforms of wheels, other ones, several in one value, and aliases."""
    refuse_unknown(MACHINES)
    refuse_unknown(["linux/arm64, linux/arm/v5", "arm64", "linux/amd64/v3", "local"])
    refuse_unknown(["Linux/x86_64", "linux/arm64/8"])


OWN = ("linux/amd64", "linux/arm64")


@pytest.mark.parametrize(
    ("given", "more", "expected"),
    [
        ([], {}, []),
        ([], {"push": True}, OWN),
        (["linux/386"], {"push": True}, ["linux/386"]),
        (["linux/386"], {}, ["linux/386"]),
        ([], {"push": True, "arguments": ["--platform", "linux/386"]}, []),
        ([], {"push": True, "arguments": ["--platform=linux/386"]}, []),
        ([], {"push": True, "arguments": ["--network=host"]}, OWN),
    ],
)
def test_platforms_to_build(given: list[str], more: dict[str, Any], expected: list[str]) -> None:
    """An image that is not pushed is for this machine; options win."""
    options: dict[str, Any] = {"push": False, "arguments": [], **more}
    assert to_build(given, own=OWN, **options) == expected
