"""The platforms of an image: how they are named, and when they are built."""

from __future__ import annotations

from typing import Any

import pytest
import tomlkit

from poetry_docker_cache.docker.platforms import MACHINES, machines, platform_of, to_build
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
def test_the_setting(text: str, expected: tuple[str, ...]) -> None:
    """Other names that Docker knows for a platform are the same one."""
    assert Settings.parse(tomlkit.parse(f"platforms = {text}")).platforms == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"linux/amd64"', 'Write platforms = ["linux/amd64"].'),
        ('["linux/amd46"]', 'Did you mean "linux/amd64"?'),
        ('["arm64"]', 'Did you mean "linux/arm64"?'),
        ('["windows/amd64"]', 'Did you mean "linux/amd64"?'),
        ('["wasi/wasm"]', "There are linux/386, linux/amd64"),
        ("[64]", "`platforms[0]`"),
        ('["linux/amd64,linux/arm64"]', "There are "),
    ],
)
def test_no_platform(text: str, words: str) -> None:
    """The error names the nearest one."""
    with pytest.raises(SettingsError) as caught:
        Settings.parse(tomlkit.parse(f"platforms = {text}"))
    assert words in f"{caught.value}"


def test_architectures() -> None:
    """Wheels call them otherwise; the order of the platforms is none of theirs."""
    assert machines(["linux/arm64", "linux/amd64"]) == machines(["linux/amd64", "linux/arm64"])
    assert machines(["linux/arm64", "linux/386"]) == ("aarch64", "i686")
    assert [platform_of(machine) for machine in MACHINES.values()] == list(MACHINES)


def test_the_build_itself_names_them_alike() -> None:
    """An installation that fails suggests a value that the setting takes."""
    assert set(PLATFORMS.values()) <= set(MACHINES)
    for machine, platform in PLATFORMS.items():
        assert MACHINES[platform] == machine or machine == "armv8l"
    for platform, machine in MACHINES.items():
        assert PLATFORMS.get(machine, f"linux/{machine}") == platform


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
def test_what_is_built(given: list[str], more: dict[str, Any], expected: list[str]) -> None:
    """An image that stays here is for this machine; what was said counts most."""
    options: dict[str, Any] = {"push": False, "arguments": [], **more}
    assert to_build(given, own=OWN, **options) == expected
