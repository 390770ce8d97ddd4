"""`make docs` builds the site without a broken link."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import docs_site
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_site_is_built_offline(tmp_path: Path) -> None:
    """Each page exists, and none loads a script, a style or a picture from another host."""
    output = tmp_path / "site"
    command = [sys.executable, str(ROOT / "scripts" / "docs_site.py"), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages | {"index"} <= {path.stem for path in output.glob("*.html")}
    for path in output.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="([^"]+)', text
        )
        assert not [url for url in loaded if url.startswith(("http:", "https:", "//"))], path.name


@pytest.mark.parametrize("link", ["nowhere.md", "faq.md#nowhere"])
def test_broken_link_fails(tmp_path: Path, link: str) -> None:
    """A page or a heading that does not exist; nothing is written."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (tmp_path / "docs" / "faq.md").open("a", encoding="utf-8") as page:
        page.write(f"\n[broken]({link})\n")
    assert docs_site.build(tmp_path / "site", tmp_path / "docs") == 1
    assert not (tmp_path / "site").exists()


def test_links_to_code_lead_to_the_repository() -> None:
    """Without the repository's address, only their text is kept."""
    text = "See [a `b`](../src/x.py), [c](other.md) and ![d](../e.svg)."
    kept = "[c](other.md) and ![d](../e.svg)."
    assert docs_site.link_outside(text, "") == f"See a `b`, {kept}"
    there = "https://git.example/shop"
    assert docs_site.link_outside(text, there) == f"See [a `b`]({there}/blob/HEAD/src/x.py), {kept}"
