"""The README and the pages that it links to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
PAGES = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)


def prose(path: Path) -> str:
    """Return a page without its blocks of code."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_linked_files_and_headings_exist(page: str) -> None:
    """Links to other sites are not followed."""
    path = ROOT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_readme_is_a_short_read() -> None:
    """At most 900 words, as `wc -w` counts them."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


def test_site_lists_every_page() -> None:
    """The navigation has each page once."""
    config = YAML(typ="safe").load(ROOT / "mkdocs.yml")
    first, *groups = config["nav"]
    assert first == {"Overview": "index.md"}
    listed = [page for group in groups for pages in group.values() for page in pages]
    assert sorted(f"docs/{page}" for page in listed) == sorted(
        page for page in PAGES if page.startswith("docs/")
    )


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
    plugin = "the plugin"
    seconds = measured(30)
    fresh = "fresh machine{}: pure dependency"
    kinds = ("", ", folder cache", ", `download-cache`", ", `reuse-image`")
    cache, folder, *rest = (whole(seconds[fresh.format(kind), plugin]) for kind in kinds)
    assert (
        f"takes {cache} seconds with the registry cache, {folder} with one in a folder, and"
        f" {rest[0]} and {rest[1]} with the last two"
    ) in text
    bench = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
    starts = dict(re.findall(r"^\| (\d+ \| (?:true|false)) \| ([\d.]+) \|$", bench, re.MULTILINE))
    web, data = ([starts[f"{size} | {flag}"] for flag in ("true", "false")] for size in (30, 77))
    assert (
        f"web API take {web[0]} s instead of {web[1]}, those of its data-science API {data[0]}"
        f" instead of {data[1]}."
    ) in text
    assert "they take a third of the time that they take with an engine" in text
    for size in (30, 77):
        with_engine, without, uv = (
            float(measured(size)["first build", variant])
            for variant in (plugin, f"{plugin}, no engine", "uv's documented Dockerfile")
        )
        assert 0.28 <= without / with_engine <= 0.38
        assert (without < uv < with_engine) if size == 30 else (with_engine < uv)


def whole(seconds: str) -> int:
    """Round half up, unlike `round`."""
    return int(float(seconds) + 0.5)
