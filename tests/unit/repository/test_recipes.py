"""The settings in docs/recipes.md are those of the examples, which tests build."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
RECIPE = re.compile(r"^\[(examples/[\w-]+)\].*?^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_recipes_are_those_of_examples() -> None:
    """Each example has a recipe, whose TOML is part of the example."""
    recipes = dict(RECIPE.findall((ROOT / "docs/recipes.md").read_text(encoding="utf-8")))
    assert len(recipes) == 6
    for folder, text in recipes.items():
        projects = [path.read_text("utf-8") for path in (ROOT / folder).rglob("pyproject.toml")]
        for part in text.strip().split("\n\n"):
            assert any(part in project for project in projects), part
