"""STATIC_ROOT as Django projects write it."""

from __future__ import annotations

import pytest

from poetry_docker_cache.project.root.django_settings import find_static_root

PARENTS = "from pathlib import Path\nBASE_DIR = Path(__file__).resolve().parent.parent\n"
DIRNAMES = (
    "import os\nPROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))\n"
    "BASE_DIR = os.path.dirname(PROJECT)\n"
)


@pytest.mark.parametrize(
    ("path", "text", "root"),
    [
        ("shop/settings.py", f'{PARENTS}STATIC_ROOT = BASE_DIR / "static"', "static"),
        ("shop/settings.py", f'{PARENTS}STATIC_ROOT: str = str(BASE_DIR / "a" / "b")', "a/b"),
        ("s/p/base.py", f'{DIRNAMES}STATIC_ROOT = os.path.join(BASE_DIR, "static")', "static"),
        ("shop/settings.py", 'STATIC_ROOT = "/srv/static"', "/srv/static"),
        (
            "shop/settings.py",
            'STATIC_ROOT = env("STATIC_ROOT", default="/srv/static")',
            "/srv/static",
        ),
        ("shop/settings.py", 'STATIC_ROOT = os.environ.get("S", "/srv/static")', "/srv/static"),
        ("a/b.py", 'root = environ.Path(__file__) - 2\nSTATIC_ROOT = root("static")', "static"),
        ("shop/settings.py", f'{PARENTS}STATIC_ROOT = BASE_DIR.joinpath("x")', "x"),
        ("shop/settings.py", "STATIC_ROOT = compute()", None),
        ("shop/settings.py", 'STATIC_ROOT = os.environ["S"]', None),
        ("shop/settings.py", f"{PARENTS}STATIC_ROOT = BASE_DIR", None),
        ("shop/settings.py", "STATIC_ROOT = (", None),
    ],
)
def test_static_root_is_found_without_running_the_settings(
    path: str, text: str, root: str | None
) -> None:
    """Evaluate paths, and give up on anything else."""
    assert find_static_root({path: text}) == root


def test_module_in_use_decides_between_several_settings() -> None:
    """Prefer the module in DJANGO_SETTINGS_MODULE."""
    texts = {
        "config/settings/base.py": f"{PARENTS}",
        "config/settings/local.py": 'STATIC_ROOT = "/tmp/static"',
        "config/settings/production.py": 'from .base import *\nSTATIC_ROOT = BASE_DIR / "static"',
    }
    assert find_static_root(texts) is None
    assert find_static_root(texts, "config.settings.production") == "config/static"
