"""`STATIC_ROOT` is read from the settings of a Django project without running them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poetry_docker_cache.project.model import StaticFiles
from poetry_docker_cache.project.root.static_files import find_static_files

if TYPE_CHECKING:
    from pathlib import Path

MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'
BASE = "BASE_DIR = Path(__file__).resolve().parent.parent\n"


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write files by path."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        (f'{BASE}STATIC_ROOT = BASE_DIR / "static" / "all"', "static/all"),
        (f'{BASE}STATIC_ROOT = os.path.join(BASE_DIR, "staticfiles")', "staticfiles"),
        ('STATIC_ROOT: str = "assets/"', "assets"),
        ('STATIC_ROOT = "/var/www/static"', "/var/www/static"),
        ('STATIC_ROOT = env("STATIC_ROOT", default="x")', "x"),
        # Not simple to read, outside the image's working directory, or nothing.
        ('if True:\n    STATIC_ROOT = "z"', None),
        ("STATIC_ROOT = find()", None),
        ('STATIC_ROOT = os.environ["STATIC_ROOT"]', None),
        ('STATIC_ROOT = "../static"', None),
        ('STATIC_ROOT = ""', None),
        ("STATIC_ROOT = (", None),
    ],
)
def test_folder(tmp_path: Path, text: str, folder: str | None) -> None:
    """A path in the project is relative to it."""
    write(tmp_path, {"manage.py": MANAGE.format("shop.settings"), "shop/settings.py": text})
    assert find_static_files(tmp_path) == StaticFiles(manage="manage.py", folder=folder)


def test_settings_of_several_modules(tmp_path: Path) -> None:
    """manage.py names one of them; it may be in a folder."""
    base = "BASE_DIR = Path(__file__).resolve().parent.parent.parent\n"
    write(
        tmp_path,
        {
            "src/manage.py": MANAGE.format("config.settings.local"),
            "src/config/settings/local.py": "from .base import *\nDEBUG = True\n",
            "src/config/settings/base.py": f'{base}STATIC_ROOT = BASE_DIR / "static"\n'
            'SECRET_KEY = env.str("DJANGO_SECRET_KEY")\n',
        },
    )
    assert find_static_files(tmp_path) == StaticFiles(
        manage="src/manage.py", folder="src/static", secret_key="DJANGO_SECRET_KEY"
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('SECRET_KEY = os.environ["KEY"]', "KEY"),
        ('SECRET_KEY = os.getenv("KEY", "")', "KEY"),
        ('SECRET_KEY: str = config("KEY", default="")', "KEY"),
        ('SECRET_KEY = os.getenv("KEY", "insecure")', None),
        ('SECRET_KEY = "insecure"', None),
    ],
)
def test_secret_key_without_default(tmp_path: Path, line: str, name: str | None) -> None:
    """Django does not start with an empty one."""
    settings = f'STATIC_ROOT = "static"\n{line}\n'
    write(tmp_path, {"manage.py": MANAGE.format("shop.settings"), "shop/settings.py": settings})
    found = find_static_files(tmp_path)
    assert found is not None
    assert found.secret_key == name


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"manage.py": "print('no settings')"},
        {"manage.py": MANAGE.format("elsewhere.settings")},
        {"manage.py": MANAGE.format("shop"), "shop.py": "DEBUG = True"},
    ],
)
def test_project_without_static_root(tmp_path: Path, texts: dict[str, str]) -> None:
    """There is nothing to collect."""
    write(tmp_path, texts)
    assert find_static_files(tmp_path) is None
