"""The README and the pages that it links to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_linked_files_and_headings_exist(page: str) -> None:
    """Links to other sites are not followed."""
    path = ROOT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked() -> None:
    """The README has a link to each page in docs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"({page}" in text for page in PAGES[1:])


def measured(size: int) -> dict[tuple[str, str], str]:
    """Return the seconds in docs/bench.md for a size, by edit and variant."""
    text = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.partition(f"\n## {size} packages")[2], flags=re.MULTILINE)[0]
    found, edit = {}, ""
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|"):
            edit = cells[0] or edit
            found[edit, cells[1]] = cells[6]
    return found


def test_numbers_in_text_are_those_of_the_benchmark() -> None:
    """The text must be updated with each new measurement."""
    pages = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES if "bench" not in page]
    text = " ".join(" ".join(pages).split())
    plugin, others = "the plugin", ("the article's Dockerfile", "uv's documented Dockerfile")
    seconds = measured(77)
    version, pure = "version bumped", "pure Python dependency updated"
    takes = {edit: [whole(seconds[edit, other]) for other in others] for edit in (version, pure)}
    assert (
        f"takes {seconds[version, plugin]} seconds after a new version number and"
        f" {seconds[pure, plugin]} seconds after an update of one pure Python dependency. The usual"
        f" Dockerfile from articles takes {takes[version][0]} and {takes[pure][0]} seconds, the one"
        f" from uv's documentation {takes[version][1]} and {takes[pure][1]} "
    ) in text
    seconds = measured(30)
    fresh = "fresh machine{}: pure dependency"
    kinds = ("", ", folder cache", ", `download-cache`", ", `reuse-image`")
    cache, folder, *rest = (whole(seconds[fresh.format(kind), plugin]) for kind in kinds)
    assert (
        f"takes {cache} seconds with the registry cache, {folder} with one in a folder, and"
        f" {max(rest)} with either of the last two"
    ) in text
    bench = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
    starts = dict(re.findall(r"^\| (\d+ \| (?:true|false)) \| ([\d.]+) \|$", bench, re.MULTILINE))
    web, data = ([starts[f"{size} | {flag}"] for flag in ("true", "false")] for size in (30, 77))
    assert (
        f"web API take {web[0]} s instead of {web[1]}, those of its data-science API {data[0]}"
        f" instead of {data[1]}."
    ) in text


def whole(seconds: str) -> int:
    """Round half up, unlike `round`."""
    return int(float(seconds) + 0.5)
