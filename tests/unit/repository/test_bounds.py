"""The lowest dependencies are pinned from the bounds in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit
from bounds import ROOT, lowest, lowest_only
from interpreters import supported_pythons

PYPROJECT = tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8")).unwrap()


@pytest.mark.parametrize(
    ("requirement", "pinned"),
    [
        ("poetry >=2.1,<3", "poetry==2.1"),
        ("rich[jupyter] ~=13.2 ; python_version < '3.11'", 'rich==13.2 ; python_version < "3.11"'),
    ],
)
def test_lowest_version_is_the_lower_bound(requirement: str, pinned: str) -> None:
    """Extras do not belong in constraints, a marker does."""
    assert lowest(requirement) == pinned


@pytest.mark.parametrize("requirement", ["rich", "rich <14", "rich !=13"])
def test_requirement_without_lower_bound_is_an_error(requirement: str) -> None:
    """The newest version would be taken for the lowest."""
    with pytest.raises(ValueError, match="needs a lower bound"):
        lowest(requirement)


def test_own_requirements_have_lower_bounds(tmp_path: Path) -> None:
    """Those of the package and those of its build."""
    options = [option.partition("=") for option in lowest_only(PYPROJECT, tmp_path)]
    pinned = [Path(path).read_text(encoding="utf-8").splitlines() for _, _, path in options]
    assert [option for option, _, _ in options] == ["--constraint", "--build-constraint"]
    assert len(pinned[0]) == len(PYPROJECT["project"]["dependencies"]) > 4
    assert pinned[1][0].startswith("poetry-core==")


def test_classifiers_are_the_supported_pythons() -> None:
    """Each Python that runs the plugin has a classifier."""
    prefix = "Programming Language :: Python :: "
    listed = [text for text in PYPROJECT["project"]["classifiers"] if text.startswith(prefix)]
    assert listed == [f"{prefix}{minor}" for minor in ("3", *supported_pythons(PYPROJECT))]
