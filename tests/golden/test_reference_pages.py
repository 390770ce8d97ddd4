"""The reference pages of settings and commands are generated from their definitions."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from poetry_docker_cache.plugin import DockerCachePlugin
from poetry_docker_cache.settings.table import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cleo.commands.command import Command
    from cleo.io.inputs.option import Option
    from poetry.console.application import Application

    from poetry_docker_cache.settings.keys import Key

DOCS = Path(__file__).resolve().parents[2] / "docs"
START = "<!-- written by `make golden` -->\n"
END = "<!-- end of the written part -->\n"
PURPOSES = {
    "Name and base": "image python base-image build-image shell platforms syntax",
    "Dependencies": "groups extras layers own-layers",
    "System packages and compiled packages": "build-packages runtime-packages optional-libraries"
    " build-network ssh ssh-known-hosts poetry-version pinned-tools",
    "Files": "files copy directories volumes ignore workdir",
    "What the container runs": "entrypoint command init env ports healthcheck stop-signal user",
    "Labels and build arguments": "labels build-args",
    "Build steps": "run assets compile",
    "Caches and engines": "cache download-cache reuse-image engine build-on-host sbom",
    "Development, tests and several images": "dev test images",
    "Your own Dockerfile lines": "instructions template",
}


def settings_reference() -> str:
    """Return a section for each purpose: a table, then the examples."""
    keys = {key.name: key for key in KEYS}
    parts = []
    for purpose, names in PURPOSES.items():
        chosen = [keys.pop(name) for name in names.split()]
        examples = "\n".join(key.example for key in chosen)
        parts += [f"## {purpose}", _table(chosen), f"```toml\n{examples}\n```"]
    assert not keys, f"add these to PURPOSES: {', '.join(keys)}"
    return "\n\n".join(parts)


def _table(keys: list[Key]) -> str:
    rows = ["| key | takes | meaning | default |", "| --- | --- | --- | --- |"]
    rows += [f"| `{key.name}` | {key.takes} | {key.meaning} | {key.default_text} |" for key in keys]
    # The texts have links for the folder above.
    return "\n".join(rows).replace("](docs/", "](")


def commands_reference() -> str:
    """Return a section for each command: its description, arguments, options and help."""
    loader = _Loader()
    DockerCachePlugin().activate(cast("Application", SimpleNamespace(command_loader=loader)))
    return "\n\n".join(_command(make()) for _, make in sorted(loader.factories.items()))


class _Loader:
    """Collects what the plugin registers."""

    def __init__(self) -> None:
        self.factories: dict[str, Callable[[], Command]] = {}

    def register_factory(self, name: str, factory: Callable[[], Command]) -> None:
        """Keep the function that creates a command."""
        self.factories[name] = factory


def _command(command: Command) -> str:
    parts = [f"## `poetry {command.name}`", command.description]
    definition = command.definition
    rows = [(f"`{found.name.upper()}`", found.description) for found in definition.arguments]
    rows += [(_option(found), found.description) for found in definition.options]
    lines = [f"| {name} | {_plain(text)} |" for name, text in rows]
    parts.append("\n".join(["| argument or option | meaning |", "| --- | --- |", *lines]))
    parts.append(_plain(command.help.strip()))
    return "\n\n".join(parts)


def _option(option: Option) -> str:
    short = f"`-{option.shortcut}`, " if option.shortcut else ""
    value = "" if not option.accepts_value() else f" {option.name.upper().replace('-', '_')}"
    many = " …" if option.is_list() else ""
    return f"{short}`--{option.name}{value}{many}`"


def _plain(text: str) -> str:
    """Return Markdown for cleo's tags; indented lines are code already."""
    lines = []
    for line in text.replace("|", "\\|").splitlines():
        tick = "" if line.startswith("    ") else "`"
        lines.append(re.sub(r"</?(\w[\w=]*)?>", tick, line))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("page", "written"), [("settings", settings_reference), ("commands", commands_reference)]
)
def test_page_is_current(page: str, written: Callable[[], str], regenerate: bool) -> None:
    """With `--regenerate`, the page is written first."""
    path = DOCS / f"{page}.md"
    text = path.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    assert start
    assert end
    expected = f"{before}{START}\n{written()}\n\n{END}{after}"
    if regenerate:
        path.write_text(expected, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == expected


def test_examples_start_with_their_key() -> None:
    """Error messages show the example as a line to paste."""
    assert all(key.example.startswith(f"{key.name} = ") for key in KEYS)
