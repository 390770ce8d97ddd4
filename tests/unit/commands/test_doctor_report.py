"""What `poetry docker doctor` says if it cannot check something."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.buildx.engine_info import Answer, EngineInfo
from poetry_docker_cache.commands.doctor_machine import Machine
from poetry_docker_cache.commands.doctor_project import examine_project
from poetry_docker_cache.commands.doctor_report import _safely, _source_checks
from poetry_docker_cache.doctor.checks import error, failed
from poetry_docker_cache.doctor.machine_checks import Judged
from poetry_docker_cache.errors import DockerCacheError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from poetry.poetry import Poetry

    from poetry_docker_cache.doctor.checks import Check

PROBLEM = DockerCacheError("The engine is off.", fix="Start it.")
ENGINE = EngineInfo(docker="docker", buildx=(0, 29), builder="default", driver="docker")


def states(checks: Iterable[Check]) -> dict[str, str]:
    """Return the state of each check, by name."""
    return {check.name: check.status for check in checks}


def test_without_an_engine_the_disk_of_this_machine_counts() -> None:
    """A build without an engine needs it; what only an engine shows is said to be unchecked."""
    machine = Machine(judged=Judged([failed("engine", PROBLEM)], None))
    found = [*machine.checks(["linux/arm64"], [])]
    expected = {"engine": "error", **dict.fromkeys(("buildx", "cache", "platform"), "warning")}
    assert {**states(found), "disk": ""} == {**expected, "disk": ""}
    assert "not checked: no engine" in found[1].message


@pytest.mark.parametrize(("name", "is_known"), [(platform.node(), True), ("docker-desktop", False)])
def test_disk_of_another_machine_is_unknown(tmp_path: Path, name: str, is_known: bool) -> None:
    """Docker Desktop's engine has a folder of the same name in a virtual machine."""
    facts = {"Name": name, "DockerRootDir": str(tmp_path)}
    info = Answer(status=0, out=json.dumps(facts), err="")
    (disk,) = (
        check
        for check in Machine(judged=Judged([], ENGINE), info=info).checks([], [])
        if check.name == "disk"
    )
    assert (str(tmp_path) in disk.message) == is_known
    assert is_known or (disk.status, "another" in disk.message) == ("warning", True)


def test_engine_asks_mirrors_of_docker_hub() -> None:
    """Those below a path are not registries of their own."""
    mirrors = ["https://mirror.test/", "https://other.test/hub"]
    info = Answer(status=0, out=json.dumps({"RegistryConfig": {"Mirrors": mirrors}}), err="")
    assert Machine(judged=Judged([], ENGINE), info=info).mirrors == ("mirror.test",)


def test_unreadable_project_leaves_the_machine() -> None:
    """All that depends on it is said to be unchecked."""

    def read() -> Poetry:
        raise DockerCacheError("The project cannot be read.", fix="Fix it.")

    found = examine_project(read, lambda _: ())
    assert states(found.checks) == {
        "project": "error",
        **dict.fromkeys(("lock", "wheels", "base", "start", "files", "no-engine"), "warning"),
    }


def test_bug_in_a_check_hides_no_other() -> None:
    """It is reported without its text, which may contain a secret."""

    def fails() -> list[Check]:
        raise KeyError("hunter2")

    (check,) = _safely("base", fails)
    assert (check.name, check.status) == ("base", "warning")
    assert "KeyError" in check.message
    assert "hunter2" not in check.message + check.fix


def test_silent_source_is_an_error() -> None:
    """A build would fail as well."""

    def waits() -> Check:
        raise TimeoutError

    (check,) = _source_checks("acme", waits)
    assert check == error(
        "source",
        "The package source 'acme' does not answer within 20 seconds.",
        "Check that it runs, and your network. If it needs a proxy, set HTTPS_PROXY.",
    )
