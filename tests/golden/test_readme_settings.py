"""The README's table of settings is generated from their definitions."""

from __future__ import annotations

from pathlib import Path

from poetry_docker_cache.settings.table import KEYS

README = Path(__file__).resolve().parents[2] / "README.md"
START = "<!-- settings: written by `make golden` from settings/table -->\n"
END = "<!-- end of settings -->\n"


def table() -> str:
    """Return the table, with a row for each key."""
    rows = ["| key | takes | meaning | default |", "| --- | --- | --- | --- |"]
    rows += [f"| `{key.name}` | {key.takes} | {key.meaning} | {key.default_text} |" for key in KEYS]
    return "".join(f"{row}\n" for row in rows)


def test_readme_lists_every_setting(regenerate: bool) -> None:
    """With `--regenerate`, the table is written first."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    expected = f"{before}{START}\n{table()}\n{END}{after}"
    if regenerate:
        README.write_text(expected, encoding="utf-8")
    assert README.read_text(encoding="utf-8") == expected


def test_examples_start_with_their_key() -> None:
    """Error messages show the example as a line to paste."""
    assert all(key.example.startswith(f"{key.name} = ") for key in KEYS)
