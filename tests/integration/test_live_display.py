"""The live display in a real terminal (tmux), with a docker that replays a recorded build."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from command_line import Client
from projects import make_project, package
from streams import BUMPED, COLD, FOLDER
from terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYPROJECT = """\
[project]
name = "shop"
version = "1.2.3"
requires-python = ">=3.13,<3.14"
dependencies = [{}]
[project.scripts]
shop = "shop:main"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
[tool.poetry-docker-cache]
python = "3.13"
command = ["shop"]
ports = [8000]
runtime-packages = ["libpq5"]
"""
DIGEST = f"sha256:{'0123456789abcdef' * 4}"
TITLE = "Building shop:1.2.3 on python:3.13-slim"
SLOW = """\
    {{ head -n {lines} {stream}; trap 'exit 130' INT; while [ -e {hold} ]; do sleep 0.05; done
       tail -n +{next} {stream}; }} >&2
    exit {status} ;;
"buildx bake")"""

Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that builds a project on a terminal.

    docker stops in the middle of its progress until the file `hold` is removed.
    """
    client = Client.create(tmp_path / "bin")
    client.remember({"containerimage.digest": DIGEST})
    terminals: list[Terminal] = []

    def build(
        stream: str, *, columns: int, at: int, status: int = 0, pipe: str = "", **more: str
    ) -> Terminal:
        layers = COLD if stream == "cold" else BUMPED
        packages = {name: version for layer in layers.values() for name, version in layer.items()}
        names = ", ".join(f'"{name}"' for name in packages)
        shop = make_project(
            tmp_path / "shop",
            PYPROJECT.format(names),
            [package(name, version) for name, version in packages.items()],
        )
        (shop / "shop").mkdir(exist_ok=True)
        (shop / "shop" / "__init__.py").touch()
        (tmp_path / "hold").touch()
        script = client.folder / "docker"
        before, _, behind = script.read_text().partition('    [ "$BUILDKIT_PROGRESS" != rawjson ]')
        behind = behind.partition('"buildx bake")')[2]
        slow = SLOW.format(
            lines=at,
            next=at + 1,
            stream=FOLDER / f"{stream}.jsonl",
            hold=tmp_path / "hold",
            status=status,
        )
        script.write_text(before + slow + behind)
        environment = {
            **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
            "PATH": f"{client.folder}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "LC_ALL": "C.UTF-8",
            **more,
        }
        terminal = Terminal.run(
            f"{sys.executable} -m poetry docker build {pipe}",
            shop,
            columns=columns,
            environment=environment,
            socket=tmp_path / f"tmux-{len(terminals)}",
        )
        terminals.append(terminal)
        return terminal

    yield build
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def go_on(tmp_path: Path) -> Callable[[], None]:
    """Return a function that lets docker go on."""
    return (tmp_path / "hold").unlink


def is_installing(screen: list[str]) -> bool:
    """Return whether the layers are being installed."""
    return any(line.startswith("▸ native-1") for line in screen)


def untimed(screen: list[str]) -> list[str]:
    """Return the lines without their seconds, which are aligned to the right."""
    return [re.sub(r" +[\d.]+ s$", "  TIME", line) for line in screen]


@pytest.mark.parametrize("columns", [80, 120])
def test_first_build(start: Start, go_on: Callable[[], None], columns: int) -> None:
    """The final lines stay above the summary; the digest is in one piece."""
    terminal = start("cold", columns=columns, at=60)
    screen = terminal.wait(is_installing)
    assert untimed(screen[:2]) == [
        TITLE,
        f"✓ base image       python:3.13-slim{' ' * (columns - 50)}45.5 MB  TIME",
    ]
    assert screen[-1] == "· waiting          application"
    shown = untimed(screen)[4]
    assert shown.startswith("▸ pure-1           httpcore 1.0.9, markdown-it-py 4.3.0, ")
    assert ("mdurl 0.1.2" in shown) == (columns == 120)
    go_on()
    screen = terminal.ended()
    assert max(map(len, screen)) < columns
    assert [line.split("  ")[0] for line in screen[:-6]] == [
        TITLE,
        *("✓ base image", "✓ tools", "✓ system packages"),
        *("✓ pure-1", "✓ pure-2", "✓ application", "✓ native-1", "✓ image"),
        "Layers",
    ]
    assert untimed([line.replace(" in", "  in") for line in screen[-6:]]) == [
        "Image   shop:1.2.3:  in  TIME",
        f"Digest  {DIGEST}",
        "Starts  shop",
        "Run     docker run --rm -p 8000:8000 shop:1.2.3",
        "shop:1.2.3",
        "status 0",
    ]


def test_display_fits_a_resized_terminal(start: Start, go_on: Callable[[], None]) -> None:
    """Lines that the terminal has wrapped are replaced; the rows are folded if it is too low."""
    terminal = start("cold", columns=120, at=60)
    terminal.wait(is_installing)
    for columns, lines in ((80, 24), (100, 24), (60, 24)):
        terminal.resize(columns, lines)
        time.sleep(0.5)
        screen = terminal.wait(is_installing)
        assert [line.split("  ")[0] for line in screen] == [
            TITLE,
            *("✓ base image", "▸ tools", "▸ system packages"),
            *("▸ pure-1", "▸ pure-2", "▸ native-1", "· waiting"),
        ]
        assert max(map(len, screen)) < columns
    terminal.resize(80, 7)
    screen = terminal.wait(lambda found: any("more" in line and "▸" in line for line in found))
    go_on()
    assert terminal.ended()[-1] == "status 0"


def test_interrupted_build_leaves_a_usable_terminal(
    start: Start, go_on: Callable[[], None]
) -> None:
    """After Ctrl-C, the shell continues below the display, with a visible cursor."""
    terminal = start("cold", columns=80, at=60)
    terminal.wait(is_installing)
    terminal.type("C-c")
    time.sleep(0.3)
    go_on()
    screen = terminal.ended()
    assert screen[-1] == "status 130"
    assert sum(line.startswith(TITLE) for line in screen) == 1
    assert terminal.cursor == (True, 0)


def test_failed_build_without_colour(start: Start, go_on: Callable[[], None]) -> None:
    """Signs show the states; what was not built is left out."""
    terminal = start("failed", columns=80, at=40, status=1, NO_COLOR="1")
    terminal.wait(lambda found: found[0] == TITLE)
    assert "\x1b[3" not in terminal.coloured()
    go_on()
    screen = terminal.ended()
    rows = [line.split("  ")[0] for line in screen]
    assert rows[: rows.index("✓ application") + 1] == [TITLE, "✗ system packages", "✓ application"]
    assert "Dockerfile:" not in "\n".join(screen)
    assert screen[-1] == "status 1"
    assert terminal.cursor == (True, 0)


def test_image_name_can_be_used_in_a_command(start: Start, go_on: Callable[[], None]) -> None:
    """The display is on stderr: the name of the image can be used in a command."""
    terminal = start("cached", columns=80, at=5, pipe="| sed s/^/run:/")
    go_on()
    screen = terminal.ended()
    assert screen[:2] == [TITLE, "= cached           system packages, " + screen[1][36:]]
    assert "run:shop:1.2.3" in screen
    assert [line for line in screen if line.startswith("run:")] == ["run:shop:1.2.3"]
