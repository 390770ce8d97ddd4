"""The setting `assets`."""

from __future__ import annotations

import pytest

from poetry_docker_cache.settings.asset_values import Assets
from poetry_docker_cache.settings.setting_errors import SettingsError
from poetry_docker_cache.settings.table import Settings

WEB = {"folder": "web", "output": "dist", "to": "shop/static"}


def read(table: object) -> tuple[Assets, ...]:
    """Return the front ends of a table."""
    return Settings.parse({"assets": table}).assets


def test_one_table_is_list_of_one() -> None:
    """The output becomes relative to the project."""
    assert read(WEB) == read([WEB]) == (Assets(folder="web", output="web/dist", to="shop/static"),)


@pytest.mark.parametrize(
    ("folder", "output", "found"),
    [
        ("web", "../shop/static/dist", "shop/static/dist"),
        ("../web", "dist", "../web/dist"),
        (".", "static/css/main.css", "static/css/main.css"),
        ("apps/web/", "./build", "apps/web/build"),
    ],
)
def test_output_may_be_outside_folder(folder: str, output: str, found: str) -> None:
    """Bundlers often write to a folder of the Python package."""
    (assets,) = read({**WEB, "folder": folder, "output": output})
    assert assets.output == found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"output": "../../dist"}, "`assets.output` .* outside the project"),
        ({"output": "/srv/dist"}, "`assets.output` .* outside the project"),
        ({"output": "."}, "name the folder that the build writes to"),
        ({"output": "dist/*"}, "patterns are not expanded"),
        ({"to": "../static"}, r"`assets.to` .* remove `\.\.`"),
        ({"to": "."}, "name a folder of its own"),
        ({"to": "/venv/static"}, "the packages are installed there"),
        ({"folder": "/srv/web"}, "relative to the project"),
        ({"build": []}, "the command is empty"),
        ({"build": "npm run build"}, "that is a string"),
        ({"image": "node 22"}, "not a valid image reference"),
        ({"tool": "npm"}, "`assets.tool` .* is not a setting"),
    ],
)
def test_impossible_values(change: dict[str, object], problem: str) -> None:
    """The error names the key."""
    with pytest.raises(SettingsError, match=problem):
        read({**WEB, **change})


@pytest.mark.parametrize("name", ["folder", "output", "to"])
def test_missing_key(name: str) -> None:
    """Three keys are required."""
    with pytest.raises(SettingsError, match=f"`{name}` is missing"):
        read({key: value for key, value in WEB.items() if key != name})
