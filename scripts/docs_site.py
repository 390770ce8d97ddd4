"""Build the documentation site from docs/ and the README, with MkDocs.

The README is the first page. Links to files that are not on the site lead to the repository, if
mkdocs.yml has its URL as `repo_url`; otherwise only their text is kept.

    python scripts/docs_site.py              # writes site/
    python scripts/docs_site.py --output DIR
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "mkdocs.yml"
_OUTSIDE = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\.\./([^)\s]+)\)")


def main() -> int:
    """Build the site; return 1 if a link is broken."""
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("--output", type=Path, default=ROOT / "site")
    return build(parser.parse_args().output.resolve(), ROOT / "docs")


def build(output: Path, pages: Path) -> int:
    """Build the site of a folder of pages; return 1 if a link is broken."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / CONFIG, folder)
        config = YAML(typ="safe").load(ROOT / CONFIG)
        write_pages(pages, folder / "docs", str(config.get("repo_url", "")))
        # With --quiet, --strict would see no warnings.
        command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
        env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, cwd=folder, env=env, check=False)
        if done.returncode:
            return 1
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(folder / "site", output)
    return 0


def write_pages(pages: Path, docs: Path, repository: str) -> None:
    """Copy the pages and pictures, and the README as index.md."""
    shutil.copytree(pages, docs, ignore=shutil.ignore_patterns("*.json"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = re.sub(r"\]\((?!https?:|#|docs/)", "](../", readme).replace("](docs/", "](")
    (docs / "index.md").write_text(readme, encoding="utf-8")
    for page in docs.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(link_outside(text, repository), encoding="utf-8")


def link_outside(text: str, repository: str) -> str:
    """Return the text with links to the repository instead of those to the folder above docs."""

    def replace(found: re.Match[str]) -> str:
        words, path = found.groups()
        return f"[{words}]({repository}/blob/HEAD/{path})" if repository else words

    return _OUTSIDE.sub(replace, text)


if __name__ == "__main__":
    sys.exit(main())
