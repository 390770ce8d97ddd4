"""Check that a tag can be released, and print the notes of the release from the changelog."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import tomlkit
from packaging.version import InvalidVersion, Version

from poetry_docker_cache.plan.python_version import RELEASED

if TYPE_CHECKING:
    from datetime import date

ROOT = Path(__file__).resolve().parents[1]
LAYER_KEYS = ROOT / "tests" / "golden" / "layer_keys.json"
_HEADING = re.compile(r"^## (?P<version>\S+)(?: \((?P<date>[^)]*)\))?[ \t]*$", re.MULTILINE)
_RELATIVE_LINK = re.compile(r"(?<=\]\()(?!https?:|#)(?=[^)\s]+\))")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", help="the git tag, such as v0.1.0")
    parser.add_argument("--repository", default="", help="its URL, for links in the notes")
    options = parser.parse_args()
    pyproject = tomlkit.parse((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    keys = json.loads(LAYER_KEYS.read_text(encoding="utf-8")) if LAYER_KEYS.exists() else {}
    version = str(pyproject.unwrap()["project"]["version"])
    found = [
        *problems(options.tag, version, changelog, released=RELEASED),
        *layer_problems(version, str(keys.get("version", ""))),
    ]
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    if not found:
        link = f"{options.repository}/blob/{options.tag}/" if options.repository else ""
        print(notes(changelog, version, link=link))
    return bool(found)


def problems(tag: str, version: str, changelog: str, *, released: date) -> list[str]:
    """Return why a tag cannot be released: it, the version and the changelog must agree."""
    found = []
    if tag != f"v{version}":
        found.append(f"The tag is {tag}, but pyproject.toml has version {version}: tag v{version}.")
    if not _is_final(version):
        found.append(f"{version} is not a version such as 1.2.3.")
    first = _HEADING.search(changelog)
    if first is None or first["version"] != version:
        found.append(f"CHANGELOG.md must begin with the section `## {version} ({released})`.")
    elif first["date"] != str(released):
        found.append(
            f"CHANGELOG.md has the date {first['date']}, but RELEASED in plan/python_version.py is"
            f" {released}: both are the day of the release."
        )
    elif not notes(changelog, version):
        found.append(f"The section of {version} in CHANGELOG.md is empty.")
    return found


def layer_problems(version: str, recorded: str) -> list[str]:
    """Return the problem if the keys of dependency layers are those of another minor version."""
    if recorded and Version(recorded).release[:2] == Version(version).release[:2]:
        return []
    problem = (
        f"The recorded keys of dependency layers are of {recorded or 'no release'}."
        " Run `make layer-keys` and commit tests/golden/layer_keys.json."
    )
    return [problem]


def notes(changelog: str, version: str, *, link: str = "") -> str:
    """Return a version's section; relative links begin with `link`."""
    headings = list(_HEADING.finditer(changelog))
    ends = [*(heading.start() for heading in headings[1:]), len(changelog)]
    for heading, end in zip(headings, ends, strict=True):
        if heading["version"] == version:
            return _RELATIVE_LINK.sub(link, changelog[heading.end() : end].strip())
    return ""


def _is_final(text: str) -> bool:
    try:
        return str(Version(text)) == Version(text).base_version == text
    except InvalidVersion:
        return False


if __name__ == "__main__":
    sys.exit(main())
