"""The first build that sends credentials to a host says so, and remembers the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import Client, Outcome, poetry
from projects import make_project, package

from poetry_docker_cache.commands.new_hosts import note_new_hosts
from poetry_docker_cache.project.destinations import Destination

SOURCE = '[[tool.poetry.source]]\nname = "acme"\nurl = "{url}"\npriority = "explicit"\n'
URL = "https://acme.test/simple"
EXPORT, BUILD = ("docker", "export"), ("docker", "build")
AUTH = (*EXPORT, "--auth-file", "../auth.toml")
NOTE = "acme.test gets your credentials for 'acme' for the first time."
CANARY = "s3cr3t-canary"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_USERNAME", f"user-{CANARY}")
    monkeypatch.setenv("POETRY_HTTP_BASIC_ACME_PASSWORD", CANARY)


@pytest.fixture
def memory() -> Path:
    """Return the file that the plugin remembers hosts in."""
    return Path(os.environ["POETRY_CONFIG_DIR"], "poetry-docker-cache", "credential-hosts")


def run(folder: Path, *command: str, url: str = URL) -> Outcome:
    """Run a command in a new project whose locked package is from this source."""
    source = {"type": "legacy", "url": url, "reference": "acme"}
    project = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.12"\n'
    project += 'dependencies = ["rich>=1"]\n' + SOURCE.format(url=url)
    project += "[tool.poetry]\npackage-mode = false\n"
    make_project(folder, project, [package("rich", source=source)])
    return poetry(folder, *command)


def test_new_host_is_noted_once(tmp_path: Path, client: Client, memory: Path) -> None:
    """The next builds, of any project, say nothing; another host is new again."""
    first = run(tmp_path / "a", *BUILD)
    assert (first.status, first.err.count(NOTE)) == (0, 1)
    assert f"To allow no other host: `poetry config repositories.acme {URL}`." in first.err
    assert CANARY in client.kept("secret")
    assert memory.read_text() == '["acme", "acme.test"]\n'
    assert (memory.stat().st_mode & 0o777, memory.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "first time" not in run(tmp_path / "b", *BUILD).err
    other = run(tmp_path / "c", *AUTH, url="https://evil.test/simple")
    assert "evil.test gets your credentials for 'acme' for the first time." in other.err
    assert memory.read_text() == '["acme", "acme.test"]\n["acme", "evil.test"]\n'


@pytest.mark.parametrize("command", [EXPORT, (*BUILD, "--dry-run"), (*BUILD, "-q")])
def test_only_what_is_sent_and_said_is_remembered(
    tmp_path: Path, client: Client, memory: Path, command: tuple[str, ...]
) -> None:
    """An export without secret and a dry run send nothing, and `-q` says nothing."""
    outcome = run(tmp_path / "a", *command)
    assert (outcome.status, "first time" in outcome.err, memory.exists()) == (0, False, False)
    assert client.folder.is_dir()


def test_other_host_than_configured_ends_build(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BuildKit is not started; an export without secret still works."""
    monkeypatch.setenv("POETRY_REPOSITORIES_ACME_URL", "https://other.test")
    outcome = run(tmp_path / "a", *BUILD)
    assert outcome.status == 1
    assert "The project uses 'acme' for acme.test" in outcome.err
    assert f"poetry config repositories.acme {URL}" in outcome.err
    assert not client.folder.joinpath("argv").exists()
    assert run(tmp_path / "b", *EXPORT).status == 0


class Recorder:
    """A console that keeps the notes."""

    is_quiet, encoding = False, "utf-8"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)

    def message(self, text: str, *, title: str = "") -> None:
        """Fail: only notes are expected."""
        raise AssertionError(title + text)

    def line(self, text: str) -> None:
        """Fail: only notes are expected."""
        raise AssertionError(text)

    raw = line


def test_unwritable_memory_repeats_the_note(memory: Path) -> None:
    """A read-only or odd configuration folder is not an error."""
    memory.parent.write_text("in the way")
    console = Recorder()
    for _ in range(2):
        note_new_hosts(console, [Destination("acme", URL)])
    assert len(console.notes) == 2


def test_hosts_of_simultaneous_builds_are_all_remembered(memory: Path) -> None:
    """No build replaces the file of another one; a damaged line is ignored."""
    memory.parent.mkdir()
    memory.write_bytes(b'["half\xff\n')
    names = [f"{number}\n" for number in range(8)]
    children = []
    for name in names:
        child = os.fork()
        if not child:
            note_new_hosts(Recorder(), [Destination(name, URL)])
            os._exit(0)
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    console = Recorder()
    note_new_hosts(console, [Destination(name, URL) for name in names])
    assert console.notes == []
