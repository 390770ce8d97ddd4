"""The settings in docs/recipes.md are those of the examples, which tests build."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from command_line import poetry

ROOT = Path(__file__).parents[3]
RECIPE = re.compile(r"^\[(examples/[\w-]+)\].*?^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_recipes_are_those_of_examples() -> None:
    """Each example has a recipe, whose TOML is part of the example."""
    recipes = dict(RECIPE.findall((ROOT / "docs/recipes.md").read_text(encoding="utf-8")))
    assert len(recipes) == 10
    for folder, text in recipes.items():
        projects = [path.read_text("utf-8") for path in (ROOT / folder).rglob("pyproject.toml")]
        for part in text.strip().split("\n\n"):
            assert any(part in project for project in projects), part


def test_gpu_recipe_installs_python_before_it_runs(tmp_path: Path) -> None:
    """Every stage on the GPU image, which has no Python and cannot be pulled here, installs it."""
    folder = tmp_path / "gpu"
    shutil.copytree(ROOT / "examples/gpu", folder, ignore=shutil.ignore_patterns("__pycache__"))
    outcome = poetry(folder, "docker", "export")
    assert outcome.status == 0, outcome.err
    assert "Starts `translate`: from the script `translate` in pyproject.toml." in outcome.err
    dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
    stages = dict(
        re.findall(
            r"^FROM (?:--\S+ )?nvidia/cuda:\S+ AS (\w+)\n(.*?)(?=^FROM|\Z)",
            dockerfile,
            re.MULTILINE | re.DOTALL,
        )
    )
    assert {*stages} == {"venv", "manifest", "base"}, "packages have wheels, so none compiles"
    for name, text in stages.items():
        installed, _, used = text.partition(" python-is-python3")
        assert "python" not in installed, name
        assert ("python -m" in used) == (name != "base")
