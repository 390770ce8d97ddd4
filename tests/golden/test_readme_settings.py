"""The README's table of settings is that of the code."""

from __future__ import annotations

from pathlib import Path

from poetry_docker_cache.settings.keys import KEYS

README = Path(__file__).resolve().parents[2] / "README.md"
START = "<!-- settings: written by `make golden` from settings/keys -->\n"
END = "<!-- end of settings -->\n"


def table() -> str:
    """Each key, as the code reads and explains it."""
    rows = ["| key | takes | meaning | default |", "| --- | --- | --- | --- |"]
    rows += [f"| `{key.name}` | {key.takes} | {key.meaning} | {key.default} |" for key in KEYS]
    return "".join(f"{row}\n" for row in rows)


def test_the_table_of_settings(regenerate: bool) -> None:
    """What is documented is what is parsed; `--regenerate` writes it."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    expected = f"{before}{START}\n{table()}\n{END}{after}"
    if regenerate:
        README.write_text(expected, encoding="utf-8")
    assert README.read_text(encoding="utf-8") == expected


def test_examples_are_accepted() -> None:
    """An error shows the key's example as what would have been right."""
    assert all(key.example.startswith(f"{key.name} = ") for key in KEYS)
